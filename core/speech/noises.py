"""Noise to spoil speech with: recordings, and synthetic families that are marked as such."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import uniform_filter1d
from scipy.signal import lfilter

from core.errors import ConfigError
from core.speech.stft import RATE_HZ

Wave = NDArray[np.float32]
TRAIN = ("birds.flac", "boat.ogg", "rain.flac", "summer-night.ogg", "waves.flac")
VALIDATION = ("wind.ogg",)
TEST = ("city.ogg", "fireplace.ogg")
"""Recordings of the shared data: those the net may learn from, one to look at while it learns, and those it never hears before it is measured."""


def read(path: Path, rate_hz: int = RATE_HZ) -> Wave:
    """A sound file as one channel at 48 kHz, float32 [n]; the left channel where there are several."""
    samples, given_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples[:, 0], given_hz, rate_hz).astype(np.float32) if given_hz != rate_hz else samples[:, 0]


def coloured(samples: int, rng: np.random.Generator, slope_db: float = 0.0) -> Wave:
    """Gaussian noise whose power density changes by slope_db per octave: 0 white, -3 pink, -6 brown."""
    hz = grid_hz(samples)
    return _unit(_drawn(np.maximum(hz, 40) ** (slope_db / 6.0206), samples, rng))


def band(samples: int, rng: np.random.Generator) -> Wave:
    """Gaussian noise in one to three random bands over a faint floor: machines, fans, whistling air."""
    hz = grid_hz(samples)
    shape = np.full(len(hz), 10 ** rng.uniform(-2.5, -0.8))
    for _ in range(rng.integers(1, 4)):
        centre = np.exp(rng.uniform(np.log(80), np.log(14_000)))
        shape += 10 ** rng.uniform(-0.8, 0) * np.exp(-0.5 * (np.log2(np.maximum(hz, 1) / centre) / rng.uniform(0.03, 1.0)) ** 2) * (200 / centre) ** 0.3
    return _unit(_drawn(shape, samples, rng))


def hum(samples: int, rng: np.random.Generator) -> Wave:
    """Mains hum or an engine: harmonics of 40 to 400 Hz that wander a little, with faint pink noise."""
    mains = rng.random() < 0.5
    base = rng.choice((50.0, 60.0)) if mains else np.exp(rng.uniform(np.log(40), np.log(400)))
    wander = 1 + (0 if mains else 0.04) * _slow(samples, rng, 2.0)
    phase = 2 * np.pi * np.cumsum(base * wander) / RATE_HZ
    decay = rng.uniform(0.4, 1.3)
    made = sum(k ** -decay * rng.uniform(0.2, 1) * np.sin(k * phase + rng.uniform(0, 6.3)) for k in range(1, int(min(30, 9_000 / base))))
    return _unit(_unit(made) + 10 ** rng.uniform(-2, -0.5) * coloured(samples, rng, -3))


def clicks(samples: int, rng: np.random.Generator) -> Wave:
    """Keys, cutlery, crackle: short decaying bursts of resonances at random times."""
    made = np.zeros(samples)
    rate = np.exp(rng.uniform(np.log(1.5), np.log(60)))
    for start in rng.integers(0, samples, rng.poisson(rate * samples / RATE_HZ) + 1):
        length = min(int(RATE_HZ * rng.uniform(0.002, 0.08)), samples - start)
        ring = np.exp(-np.arange(length) / (length / rng.uniform(3, 7) + 1))
        tone = np.sin(2 * np.pi * np.exp(rng.uniform(np.log(300), np.log(9_000))) * np.arange(length) / RATE_HZ)
        made[start:start + length] += 10 ** rng.uniform(-1, 0) * ring * (rng.normal(size=length) + rng.uniform(0, 3) * tone)
    return _unit(_unit(made) + 10 ** rng.uniform(-3, -1) * coloured(samples, rng, rng.uniform(-6, 0)))


def modulated(samples: int, rng: np.random.Generator) -> Wave:
    """Noise of random colour that swells and pauses: passing cars, surf, crowds, gusts."""
    gains = np.exp(rng.uniform(0.5, 1.6) * _slow(samples, rng, np.exp(rng.uniform(np.log(0.3), np.log(12)))))
    return _unit(shaped(coloured(samples, rng, rng.uniform(-7, 1)), rng, 12) * gains)


def rumble(samples: int, rng: np.random.Generator) -> Wave:
    """Wind in a microphone, traffic, an aircraft cabin: low noise that falls steeply above 40 to 400 Hz and gusts."""
    corner_hz = np.exp(rng.uniform(np.log(40), np.log(400)))
    shape = (1 + (grid_hz(samples) / corner_hz) ** 2) ** (-0.5 * rng.uniform(1.2, 4)) + 10 ** rng.uniform(-4, -2)
    return _unit(_drawn(shape, samples, rng) * np.exp(rng.uniform(0.2, 1.3) * _slow(samples, rng, np.exp(rng.uniform(np.log(0.5), np.log(20))))))


def tones(samples: int, rng: np.random.Generator) -> Wave:
    """Beeps, chimes and chords: harmonic notes with an attack and a decay."""
    made = np.zeros(samples)
    for _ in range(rng.poisson(3 * samples / RATE_HZ) + 1):
        start, length = rng.integers(0, samples), int(RATE_HZ * rng.uniform(0.08, 1.2))
        length = min(length, samples - start)
        seconds = np.arange(length) / RATE_HZ
        base = 110 * 2 ** (rng.integers(0, 60) / 12)
        partials = sum(rng.uniform(0.1, 1) / k ** 1.2 * np.sin(2 * np.pi * k * base * seconds) for k in range(1, 7) if k * base < 20_000)
        made[start:start + length] += partials * np.exp(-seconds * rng.uniform(0.5, 8)) * np.minimum(1, seconds / 0.01)
    return _unit(_unit(made) + 10 ** rng.uniform(-2.5, -1) * coloured(samples, rng, -3))


def babble(samples: int, rng: np.random.Generator, voices: Sequence[Wave], talkers: int | None = None) -> Wave:
    """Several talkers at once, cut from `voices`, at their own speeds (0.8 to 1.2) and levels."""
    made = np.zeros(samples, np.float32)
    for _ in range(talkers or int(rng.integers(2, 9))):
        made += 10 ** rng.uniform(-0.5, 0) * _unit(_run_of(samples, rng, voices, rng.uniform(0.8, 1.2)))
    return _unit(made)


def texture(samples: int, rng: np.random.Generator, recording: Wave) -> Wave:
    """Noise with the spectrum and the envelope statistics of a recording, phases drawn anew: more of the same kind."""
    cut = _run_of(samples, rng, [recording], rng.uniform(0.6, 1.6))
    power = np.abs(fft.rfft(cut, fft.next_fast_len(samples, real=True))) ** 2
    return _unit(_drawn(np.sqrt(uniform_filter1d(power, 65)), samples, rng) * np.exp(rng.uniform(0, 0.8) * _slow(samples, rng, 4)))


def recorded(samples: int, rng: np.random.Generator, recording: Wave, vary: bool = True) -> Wave:
    """A stretch of a recording, joined end to end where it is too short; `vary` plays it at speed 0.6 to 1.6."""
    return _unit(_run_of(samples, rng, [recording], rng.uniform(0.6, 1.6) if vary else 1.0))


def shaped(wave: Wave, rng: np.random.Generator, range_db: float) -> Wave:
    """The wave through a smooth random equaliser of +-range_db over log-frequency."""
    hz = grid_hz(len(wave))
    knots = np.linspace(np.log(40), np.log(24_000), 8)
    gain_db = np.interp(np.log(np.maximum(hz, 20)), knots, rng.uniform(-range_db, range_db, len(knots)))
    return filtered(wave, 10 ** (gain_db / 20))


def filtered(wave: NDArray, gains: NDArray) -> Wave:
    """The wave [..., n] through real gains over the frequencies of `grid_hz(n)`."""
    count = fft.next_fast_len(wave.shape[-1], real=True)
    return fft.irfft(fft.rfft(wave.astype(np.float32), count) * gains.astype(np.float32), count)[..., :wave.shape[-1]]


def grid_hz(samples: int) -> NDArray:
    """Frequencies of the transform that `filtered` takes for this length (a fast one, not shorter)."""
    return fft.rfftfreq(fft.next_fast_len(samples, real=True), 1 / RATE_HZ)


FAMILIES: dict[str, Callable[[int, np.random.Generator], Wave]] = {
    "white": lambda n, rng: coloured(n, rng, 0), "pink": lambda n, rng: coloured(n, rng, -3), "brown": lambda n, rng: coloured(n, rng, -6),
    "hum": hum, "band": band, "clicks": clicks, "modulated": modulated, "rumble": rumble, "tones": tones,
}
"""Synthetic families that need nothing but a seed; babble needs voices."""


def synthetic(family: str, samples: int, seed: int) -> Wave:
    """One noise of a family, float32 [samples] of unit power. Raises ConfigError for an unknown family."""
    if family not in FAMILIES:
        raise ConfigError(f"There is no synthetic noise {family!r}. Choose one of: {', '.join(FAMILIES)}.")
    return FAMILIES[family](samples, np.random.default_rng(seed))


def _drawn(shape: NDArray, samples: int, rng: np.random.Generator) -> Wave:
    """Gaussian noise [samples] with this spectrum over `grid_hz(samples)`."""
    spectrum = rng.standard_normal((len(shape), 2), np.float32).view(np.complex64)[:, 0]
    return fft.irfft(spectrum * shape.astype(np.float32), fft.next_fast_len(samples, real=True))[:samples]


def _slow(samples: int, rng: np.random.Generator, hz: float) -> NDArray:
    """Gaussian with unit deviation, low-passed at hz."""
    rate_hz = 200
    count = samples * rate_hz // RATE_HZ + 400
    pole = np.exp(-2 * np.pi * hz / rate_hz)
    made = lfilter([np.sqrt(1 - pole ** 2)], [1, -pole], rng.normal(size=count))[200:]
    return np.interp(np.arange(samples) * (rate_hz / RATE_HZ), np.arange(len(made)), made)


def _run_of(samples: int, rng: np.random.Generator, recordings: Sequence[Wave], speed: float) -> Wave:
    """A stretch at this speed, cut at random places of the recordings and joined with 20 ms cross-fades."""
    wanted, fade = int(samples * speed) + 64, 960
    made = np.zeros(0, np.float32)
    while len(made) < wanted:
        source = recordings[rng.integers(len(recordings))]
        start = int(rng.integers(0, max(1, len(source) - wanted)))
        made = _joined(made, source[start:start + wanted + fade], fade)
    return soxr.resample(made[:wanted], RATE_HZ * speed, RATE_HZ, quality="MQ")[:samples].astype(np.float32)


def _joined(first: Wave, second: Wave, fade: int) -> Wave:
    fade = min(fade, len(first), len(second))
    if not fade:
        return np.concatenate([first, second])
    rise = np.linspace(0, 1, fade, dtype=np.float32)
    return np.concatenate([first[:-fade], first[-fade:] * (1 - rise) + second[:fade] * rise, second[fade:]])


def _unit(wave: NDArray) -> Wave:
    return (wave / max(np.sqrt(np.mean(np.square(wave))), 1e-9)).astype(np.float32)
