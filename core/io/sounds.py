"""Bytes -> sound: WAV, FLAC, Ogg, MP3, AIFF, CAF by libsndfile, M4A, AAC, WebM and the sound track of a video by FFmpeg; known by content, read in blocks."""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from core.errors import InputError, LimitError
from core.exhibit import Source

MAX_BYTES = 400_000_000
MAX_SECONDS = 3600.0
MAX_CHANNELS = 8
RATES_HZ = (4_000, 384_000)
LEAST_SECONDS = 0.01
BLOCK_SECONDS = 4.0
READS = "WAV, FLAC, Ogg, MP3, AIFF, M4A, AAC, WebM or a video with sound"

# What a file begins with (at an offset) -> its name and the demuxer FFmpeg is told to use: no playlist, no protocol is ever guessed. None: libsndfile reads it.
MAGIC: tuple[tuple[int, bytes, str, str | None], ...] = (
    (0, b"RIFF", "WAV", None), (0, b"RF64", "WAV", None), (0, b"riff", "Wave64", None), (0, b"fLaC", "FLAC", None), (0, b"OggS", "Ogg", None), (0, b"FORM", "AIFF", None),
    (0, b"caff", "CAF", None), (0, b".snd", "AU", None), (0, b"ID3", "MP3", None), (0, b"\xff\xfb", "MP3", None), (0, b"\xff\xf3", "MP3", None), (0, b"\xff\xf2", "MP3", None),
    (4, b"ftyp", "MP4", "mp4"), (0, b"\x1aE\xdf\xa3", "WebM", "matroska"), (0, b"\xff\xf1", "AAC", "aac"), (0, b"\xff\xf9", "AAC", "aac"))
OTHERS = ((b"%PDF", "a PDF"), (b"\x89PNG", "a picture"), (b"\xff\xd8\xff", "a picture"), (b"PK\x03\x04", "a ZIP archive or an Office document"), (b"GIF8", "a picture"),
          (b"MThd", "a MIDI file, which holds notes and no sound"), (b"#EXTM3U", "a playlist"), (b"<", "a web page or XML"))


@dataclass(frozen=True)
class SoundInfo:
    """What the header says. seconds: as stated there, None where it states nothing (a stream)."""

    format: str
    codec: str
    rate_hz: int
    channels: int
    seconds: float | None
    video: bool = False


@dataclass(frozen=True)
class Sound:
    """A decoded sound: samples float32[channels, n], full scale 1 (louder is possible in float files), every value finite."""

    name: str
    samples: np.ndarray
    rate_hz: int
    info: SoundInfo
    notes: tuple[str, ...] = field(default=())

    @property
    def seconds(self) -> float:
        return self.samples.shape[1] / self.rate_hz


def inspect(source: Source) -> SoundInfo:
    """Read the header only: cheap enough to run at upload. Raises InputError (empty, no sound, broken) and LimitError (bytes, seconds, channels, rate)."""
    with _opened(source) as (info, _):
        return info


def read_sound(source: Source) -> Sound:
    """Decode it whole. Raises what `inspect` and `blocks` raise."""
    with _opened(source) as (info, read):
        parts = list(_finite(source.name, info, read(BLOCK_SECONDS)))
    samples = np.concatenate(parts, axis=1) if parts else np.zeros((info.channels, 0), np.float32)
    if samples.shape[1] < LEAST_SECONDS * info.rate_hz:
        raise InputError(f"{source.name} lasts {1000 * samples.shape[1] / info.rate_hz:.1f} ms; at least {1000 * LEAST_SECONDS:.0f} ms are needed. Record a little longer.")
    return Sound(source.name, samples, info.rate_hz, info, ("The sound track of the video was read.",) if info.video else ())


def blocks(source: Source, seconds: float = BLOCK_SECONDS) -> Iterator[np.ndarray]:
    """The sound as float32[channels, n] blocks of about this length, in constant memory. Raises what `inspect` raises, and InputError at a sample that is no number."""
    with _opened(source) as (info, read):
        yield from _finite(source.name, info, read(seconds))


def resampled(parts: Iterable[np.ndarray], from_hz: int, to_hz: int, channels: int) -> Iterator[np.ndarray]:
    """Blocks [channels, n] at another rate; n samples in give round(n * to / from) samples out, without a shift (soxr, very high quality)."""
    if from_hz == to_hz:
        yield from parts
        return
    import soxr

    stream = soxr.ResampleStream(from_hz, to_hz, channels, dtype="float32", quality="VHQ")
    for part in parts:
        made = stream.resample_chunk(np.ascontiguousarray(part.T))
        if len(made):
            yield np.ascontiguousarray(made.reshape(-1, channels).T)
    made = stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)
    if len(made):
        yield np.ascontiguousarray(made.reshape(-1, channels).T)


def to_wav(samples: np.ndarray, rate_hz: int, subtype: str = "PCM_24", form: str = "WAV") -> bytes:
    """samples float[channels, n] -> the bytes of a WAV or FLAC file. subtype: PCM_16, PCM_24 (beyond full scale is clipped) or FLOAT."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.ascontiguousarray(samples.T), rate_hz, subtype=subtype, format=form)
    return buffer.getvalue()


# ---- opening

@contextmanager
def _opened(source: Source):
    """(info, read): read(seconds) gives the blocks. Limits are checked before anything is decoded."""
    if not source.data:
        raise InputError(f"{source.name} is empty: 0 bytes. Choose a file with sound ({READS}).")
    if len(source.data) > MAX_BYTES:
        raise LimitError(f"{source.name} has {len(source.data) / 1e6:.0f} MB; at most {MAX_BYTES // 10**6} MB are read. Cut it, or save it as FLAC.")
    name, demuxer = _kind(source)
    opened = _by_sndfile if demuxer is None else _by_ffmpeg
    with opened(source, name, demuxer) as (info, read):
        _check(source.name, info)
        yield info, read


def _kind(source: Source) -> tuple[str, str | None]:
    data = source.data
    for offset, magic, name, demuxer in MAGIC:
        if data[offset:offset + len(magic)] == magic:
            return name, demuxer
    what = next((words for magic, words in OTHERS if data.startswith(magic)), None)
    raise InputError(f"{source.name} holds no sound that is known here" + (f": it is {what}." if what else ".") + f" Choose {READS}.")


def _check(name: str, info: SoundInfo) -> None:
    if not 1 <= info.channels <= MAX_CHANNELS:
        raise LimitError(f"{name} has {info.channels} channels; 1 to {MAX_CHANNELS} are read. Mix it down first.")
    if not RATES_HZ[0] <= info.rate_hz <= RATES_HZ[1]:
        raise LimitError(f"{name} has {info.rate_hz:,} samples a second; {RATES_HZ[0]:,} to {RATES_HZ[1]:,} are read. Resample it first.")
    if info.seconds is not None and info.seconds > MAX_SECONDS:
        raise LimitError(f"{name} lasts {info.seconds / 60:.0f} minutes; at most {MAX_SECONDS / 60:.0f} are read. Cut it into parts.")


def _broken(name: str, error: Exception) -> InputError:
    return InputError(f"{name} could not be decoded ({str(error).strip().rstrip('.')[:120] or type(error).__name__}). Save or export it again.")


@contextmanager
def _by_sndfile(source: Source, name: str, _):
    import soundfile

    try:
        file = soundfile.SoundFile(io.BytesIO(source.data))
    except Exception as error:  # decoders raise nearly anything on crafted bytes
        raise _broken(source.name, error) from error
    with file:
        info = SoundInfo(name, file.subtype, file.samplerate, file.channels, file.frames / file.samplerate if file.frames < 2**62 else None)

        def read(seconds: float) -> Iterator[np.ndarray]:
            frames = max(int(seconds * file.samplerate), 1)
            while True:
                try:
                    part = file.read(frames, dtype="float32", always_2d=True)
                except Exception as error:
                    raise _broken(source.name, error) from error
                if not len(part):
                    return
                yield np.ascontiguousarray(part.T)

        yield info, read


@contextmanager
def _by_ffmpeg(source: Source, name: str, demuxer: str):
    import av

    try:
        container = av.open(io.BytesIO(source.data), format=demuxer)
    except Exception as error:
        raise _broken(source.name, error) from error
    with container:
        if not container.streams.audio:
            raise InputError(f"{source.name} has no sound track. Choose {READS}.")
        stream = container.streams.audio[0]
        seconds = container.duration / 1_000_000 if container.duration else None
        info = SoundInfo(name, stream.codec_context.name, stream.codec_context.sample_rate, stream.codec_context.channels, seconds, bool(container.streams.video))

        def read(wanted: float) -> Iterator[np.ndarray]:
            resampler, held, length = av.AudioResampler(format="fltp", layout=stream.codec_context.layout, rate=info.rate_hz), [], 0
            try:
                for frame in container.decode(stream):
                    for made in resampler.resample(frame):
                        held.append(made.to_ndarray().astype(np.float32, copy=False))
                        length += held[-1].shape[1]
                    if length >= wanted * info.rate_hz:
                        yield np.concatenate(held, axis=1)
                        held, length = [], 0
            except av.error.FFmpegError as error:
                raise _broken(source.name, error) from error
            if held:
                yield np.concatenate(held, axis=1)

        yield info, read


def _finite(name: str, info: SoundInfo, parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The blocks while they are numbers and not too many."""
    done = 0
    for part in parts:
        bad = ~np.isfinite(part)
        if bad.any():
            at = (done + int(np.argmax(bad.any(axis=0)))) / info.rate_hz
            raise InputError(f"{name} has a sample that is no number ({part[bad][0]}) at {at:.3f} s. Export it again, as 16- or 24-bit WAV.")
        done += part.shape[1]
        if done > MAX_SECONDS * info.rate_hz:
            raise LimitError(f"{name} lasts more than {MAX_SECONDS / 60:.0f} minutes, and at most that is read. Cut it into parts.")
        yield part
