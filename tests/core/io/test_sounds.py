"""Sounds of every kind a visitor may bring are read as they sound, in blocks or whole, and what is no sound is refused in a sentence."""

import io

import numpy as np
import pytest
import soundfile

from core.errors import InputError, LimitError
from core.exhibit import Source
from core.io import sounds
from core.io.sounds import blocks, inspect, read_sound, resampled, to_wav


def tone(rate_hz: int = 48_000, seconds: float = 0.5, channels: int = 1) -> np.ndarray:
    """A 440 Hz tone, each channel at another level: float32[channels, n]."""
    t = np.arange(int(rate_hz * seconds)) / rate_hz
    return np.stack([0.5 / (k + 1) * np.sin(2 * np.pi * 440 * t) for k in range(channels)]).astype(np.float32)


def saved(samples: np.ndarray, rate_hz: int, form: str, subtype: str) -> Source:
    return Source("holiday.docx", to_wav(samples, rate_hz, subtype, form))


@pytest.mark.parametrize("form, subtype, error", [("WAV", "PCM_16", 1e-4), ("WAV", "PCM_U8", 1e-2), ("WAV", "FLOAT", 1e-7), ("FLAC", "PCM_24", 1e-6), ("AIFF", "PCM_16", 1e-4), ("RF64", "PCM_24", 1e-6)])
@pytest.mark.parametrize("rate_hz, channels", [(8_000, 1), (192_000, 2), (44_100, 6)])
def test_what_was_written_is_read_by_content_not_by_name(form, subtype, error, rate_hz, channels):
    samples = tone(rate_hz, 0.1, channels)
    got = read_sound(saved(samples, rate_hz, form, subtype))
    assert got.rate_hz == rate_hz and got.samples.shape == samples.shape and got.samples.dtype == np.float32
    assert np.abs(got.samples - samples).max() <= error


@pytest.mark.parametrize("form, subtype", [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")])
def test_lossy_files_keep_their_length_and_their_tone(form, subtype):
    samples = tone(48_000, 1.0)
    got = read_sound(saved(samples, 48_000, form, subtype))
    n = min(got.samples.shape[1], samples.shape[1])
    assert abs(got.samples.shape[1] - samples.shape[1]) <= 1200
    assert np.abs(np.fft.rfft(got.samples[0, :n])).argmax() == pytest.approx(440 * n / 48_000, abs=2)


def container(form: str, codec: str, video: bool = False) -> bytes:
    """A second of tone in an MP4, AAC or WebM file, with a few black pictures when asked."""
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as out:
        if video:
            pictures = out.add_stream("mpeg4", rate=10)
            pictures.width = pictures.height = 32
        track = out.add_stream(codec, rate=48_000, layout="mono")
        for k in range(10 if video else 0):
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        frame = av.AudioFrame.from_ndarray(tone(48_000, 1.0), format="fltp", layout="mono")
        frame.sample_rate = 48_000
        for made in av.AudioResampler(format=track.codec_context.format, layout="mono", rate=48_000, frame_size=track.codec_context.frame_size or 960).resample(frame):
            out.mux(track.encode(made))
        out.mux(track.encode(None))
        if video:
            out.mux(pictures.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize("form, codec, video", [("mp4", "aac", False), ("adts", "aac", False), ("webm", "libopus", False), ("mp4", "aac", True)])
def test_telephone_and_browser_recordings_and_videos_are_read(form, codec, video):
    got = read_sound(Source("memo.wav", container(form, codec, video)))
    assert got.rate_hz == 48_000 and abs(got.seconds - 1) < 0.1 and bool(got.notes) is video
    spectrum = np.abs(np.fft.rfft(got.samples[0]))
    assert spectrum.argmax() * 48_000 / got.samples.shape[1] == pytest.approx(440, abs=3)


def test_blocks_are_the_whole_in_parts():
    source = saved(tone(44_100, 1.3, 2), 44_100, "WAV", "PCM_16")
    parts = list(blocks(source, 0.25))
    assert len(parts) == 6 and np.array_equal(np.concatenate(parts, axis=1), read_sound(source).samples)


@pytest.mark.parametrize("from_hz, to_hz", [(44_100, 48_000), (8_000, 48_000), (192_000, 48_000), (48_000, 48_000)])
def test_another_rate_keeps_length_and_place(from_hz, to_hz):
    samples = tone(from_hz, 1.0, 2)
    made = np.concatenate(list(resampled(np.array_split(samples, 7, axis=1), from_hz, to_hz, 2)), axis=1)
    wanted = tone(to_hz, 1.0, 2)
    assert abs(made.shape[1] - wanted.shape[1]) <= 1
    middle = slice(to_hz // 4, 3 * to_hz // 4)
    assert np.abs(made[:, middle] - wanted[:, middle]).max() < 1e-3


def wav(samples: np.ndarray, rate_hz: int = 48_000) -> bytes:
    return to_wav(samples, rate_hz, "FLOAT")


@pytest.mark.parametrize("data, words", [
    (b"", "0 bytes"), (b"%PDF-1.7", "a PDF"), (b"MThd\0\0\0\6", "MIDI"), (b"#EXTM3U\nhttp://x/y", "a playlist"), (b"\0" * 99, "no sound"), (b"RIFF\x10\0\0\0WAVEfmt ", "could not be decoded"),
    (wav(np.full((1, 480), np.nan)), "no number (nan) at 0.000 s"), (wav(np.zeros((1, 100))), "at least 10 ms"), (b"\0\0\0\x18ftypmp42" + b"\0" * 40, "could not be decoded")])
def test_what_cannot_be_read_is_one_sentence_with_a_way_out(data, words):
    with pytest.raises(InputError, match="holiday") as caught:
        read_sound(Source("holiday", data))
    assert words in str(caught.value)


def test_limits_are_checked_before_decoding(monkeypatch):
    long = io.BytesIO()
    with soundfile.SoundFile(long, "w", 8_000, 1, "PCM_U8", format="WAV") as file:
        file.write(np.zeros(8_000 * 3_700, np.float32))
    with pytest.raises(LimitError, match="lasts 62 minutes; at most 60"):
        inspect(Source("long.wav", long.getvalue()))
    with pytest.raises(LimitError, match="9 channels"):
        inspect(Source("many.wav", to_wav(np.zeros((9, 480)), 48_000)))
    monkeypatch.setattr(sounds, "MAX_BYTES", 1000)
    with pytest.raises(LimitError, match="MB are read"):
        inspect(saved(tone(), 48_000, "WAV", "PCM_16"))
