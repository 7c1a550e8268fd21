"""A recording of any kind comes back with its length, level and channels; chunks leave no seam; the same seed gives the same bytes. The nets here are untrained."""

import io
import json

import numpy as np
import pytest
import soundfile
import torch

from core.errors import Cancelled, ConfigError, InputError, LimitError
from core.exhibit import Source
from core.io.sounds import to_wav
from core.speech import exhibit, restore
from core.speech.autoencoder import Autoencoder, Width
from core.speech.chunks import Cut
from core.speech.config import SpeechConfig
from core.speech.sampler import Restorer
from core.speech.score import Network, Size
from core.speech.stft import stft


def speech(seconds: float, rate_hz: int = 48_000, channels: int = 1) -> np.ndarray:
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    voice = sum(np.sin(2 * np.pi * 130 * k * t + k) / k for k in range(1, 40)) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))
    noise = np.random.default_rng(0).standard_normal((channels, len(t)))
    return (0.1 * voice + 0.01 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def nets() -> Restorer:
    """The smallest network, as it is before training: nearly the identity."""
    torch.manual_seed(0)
    autoencoder = Autoencoder(Width(16, channels=4))
    autoencoder.begin(stft(torch.from_numpy(speech(4.0).reshape(4, -1))))
    return Restorer(Network(Size(8, 1)).use(autoencoder).eval(), autoencoder.eval())


@pytest.fixture(autouse=True)
def untrained(nets, monkeypatch):
    monkeypatch.setattr(restore, "restorer", lambda *_: nets)
    monkeypatch.setattr(exhibit, "restorer", lambda *_: nets)


def source(wave: np.ndarray, rate_hz: int = 48_000, subtype: str = "FLOAT") -> Source:
    return Source("memo.wav", to_wav(wave, rate_hz, subtype))


def read(wav: bytes) -> np.ndarray:
    samples, rate_hz = soundfile.read(io.BytesIO(wav), always_2d=True)
    assert rate_hz == 48_000
    return samples.T


@pytest.mark.parametrize("rate_hz, channels, subtype", [(48_000, 1, "FLOAT"), (8_000, 1, "PCM_U8"), (44_100, 2, "PCM_16"), (192_000, 6, "PCM_24")])
def test_length_channels_and_level_are_kept(rate_hz, channels, subtype):
    wave = speech(0.6, rate_hz, channels)
    done = restore.restore(source(wave, rate_hz, subtype))
    made = read(done.wav)
    assert made.shape == (channels, round(wave.shape[1] * 48_000 / rate_hz)) and done.heard.info.rate_hz == rate_hz
    assert np.std(made) == pytest.approx(np.std(wave), rel=0.35)


def test_without_strength_nothing_changes_and_the_same_seed_gives_the_same_bytes():
    wave = speech(0.5)
    assert np.abs(read(restore.restore(source(wave), SpeechConfig(strength=0.0)).wav) - wave).max() < 1e-6
    noisy = SpeechConfig(sampler="pc", steps=2, seed=4)
    first, again, other = (restore.restore(source(wave), config).wav for config in (noisy, noisy, SpeechConfig(sampler="pc", steps=2, seed=5)))
    assert first == again != other


def test_chunks_leave_no_seam():
    wave = speech(6.0)
    cut = Cut(72_000, 24_000, 6_000)
    one, many = (read(restore.restore(source(wave), cut=c).wav)[0] for c in (Cut(), cut))
    apart = np.abs(one - many)
    borders = [k for k in range(72_000, 240_000, 72_000)]
    near = np.concatenate([apart[b - 3000:b + 3000] for b in borders])
    assert np.abs(np.diff(many)).max() <= 1.05 * np.abs(np.diff(one)).max() and near.mean() < 2.5 * apart.mean() + 1e-5


def test_short_and_silent_recordings_come_back():
    assert read(restore.restore(source(speech(0.05))).wav).shape == (1, 2400)
    done = restore.restore(source(np.zeros((1, 24_000), np.float32)))
    assert not read(done.wav).any() and "silent" in done.notes[0]
    with pytest.raises(InputError, match="at least 10 ms"):
        restore.restore(source(np.zeros((1, 100), np.float32)))


def test_clipping_is_said():
    clipped = np.clip(3 * speech(1.0), -0.25, 0.25)
    assert "clipped" in restore.restore(source(clipped)).notes[0] and not restore.restore(source(speech(1.0))).notes


def test_it_stops_when_asked_and_refuses_what_a_sampler_cannot():
    def stop(fraction, message):
        if fraction > 0.3:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        restore.restore(source(speech(5.0)), progress=stop, cut=Cut(48_000, 12_000, 6_000))
    with pytest.raises(ConfigError, match="1 to 8 steps"):
        restore.restore(source(speech(0.5)), SpeechConfig(steps=9))


def test_a_run_has_its_files_takes_steps_and_measures(monkeypatch):
    monkeypatch.setattr(exhibit, "measure", lambda wave, clean: {"ovrl": 2.0} | ({"si_sdr": 1.0} if clean is not None else {}))
    said = []
    made = exhibit.run([source(speech(1.2))], SpeechConfig(steps=2, spoil="telephone"), lambda fraction, message: said.append(fraction))
    assert sorted(made.files) == ["memo.json", "memo.restored.wav"] and said == sorted(said)
    told = json.loads(made.trace["trace.json"])["clips"]["memo"]
    assert [t["key"] for t in told["takes"]] == ["noisy", "ours", "clean"] and [s["time"] for s in told["steps"]] == [1.0, 0.5, 0.0]
    assert all(t["sound"] in made.trace and t["picture"] in made.trace for t in told["takes"]) and "telephone" not in told["words"] and "clipped, white noise" in told["words"]
    assert made.metrics["after"] == {"ovrl": 2.0, "si_sdr": 1.0} and json.loads(made.files["memo.json"])["rtf"] > 0


def test_a_reference_is_found_by_name_and_held_against(monkeypatch):
    monkeypatch.setattr(exhibit, "measure", lambda wave, clean: {"length": len(clean)} if clean is not None else {})
    noisy, clean = source(speech(0.5)), Source("clean.wav", to_wav(speech(0.7), 48_000, "FLOAT"))
    made = exhibit.run([noisy, clean], SpeechConfig(reference="clean.wav"))
    assert made.metrics["after"] == {"length": 24_000} and made.metrics["recordings"] == 1 and "0.20 s longer or shorter" in made.notes[0]
    with pytest.raises(InputError, match="was not brought along"):
        exhibit.run([noisy], SpeechConfig(reference="clean.wav"))


def test_only_short_recordings_are_spoilt():
    with pytest.raises(LimitError, match="up to 60 s are spoilt"):
        exhibit.run([Source("long.wav", to_wav(np.zeros((1, 8_000 * 61), np.float32), 8_000, "PCM_16"))], SpeechConfig(spoil="street"))
