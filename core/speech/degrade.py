"""Degradation Y = A(X) + N (LAFUFU, section 2) as a recipe that can be replayed: room, noise, level ratio, clipping, band limits, level."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from core.errors import ConfigError
from core.speech import noises, rooms
from core.speech.stft import RATE_HZ

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """What is done to clean speech.

    noise      a synthetic family (noises.FAMILIES), "babble", the name of a recording in the sources, or "" for none
    snr_db     level of the speech in its room over the noise, -20 to 60
    room       the name of a measured room in the sources, a simulated Room, or None
    clip_db    the loudest peak stands this far above the clipping level; 0: not clipped; up to 30
    band_hz    lower and upper edge of the band that is left; (0, 24000): all
    level_db   gain of the outcome, -60 to 20
    seed       of noise, places and tails
    """

    noise: str = "white"
    snr_db: float = 5.0
    room: str | rooms.Room | None = None
    clip_db: float = 0.0
    band_hz: tuple[float, float] = (0.0, RATE_HZ / 2)
    level_db: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.band_hz
        inside = -20 <= self.snr_db <= 60 and 0 <= self.clip_db <= 30 and -60 <= self.level_db <= 20
        if not inside or not 0 <= low < high <= RATE_HZ / 2:
            raise ConfigError("A recipe takes an SNR of -20 to 60 dB, clipping of 0 to 30 dB, a level of -60 to 20 dB "
                              f"and a band inside 0 to {RATE_HZ // 2} Hz, not {self}.")

    def to_json(self) -> str:
        """One line of JSON; `from_json` gives the same recipe."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Raises ConfigError for text that is no recipe."""
        try:
            held = json.loads(text)
            room = held.get("room")
            held["room"] = rooms.Room(**{**room, "size_m": tuple(room["size_m"])}) if isinstance(room, dict) else room
            return cls(**{**held, "band_hz": tuple(held["band_hz"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(f"This is no recipe: {str(error)[:100]}. Take one that `Recipe.to_json` wrote.") from error


@dataclass(frozen=True)
class Sources:
    """What recipes name: recordings of noise, measured rooms, voices for babble; all float32 at 48 kHz."""

    noises: Mapping[str, Wave]
    rooms: Mapping[str, Wave]
    voices: Sequence[Wave] = ()


SYNTHETIC = Sources({}, {})
"""No recordings: synthetic noise and simulated rooms only."""


@dataclass(frozen=True)
class Spoilt:
    """noisy and what restoration aims at (speech with the first reflections of the room, inside the band), float32 [n] each."""

    noisy: Wave
    target: Wave


def spoil(clean: Wave, recipe: Recipe, sources: Sources = SYNTHETIC) -> Spoilt:
    """Apply a recipe to clean speech [n] at 48 kHz; the same recipe gives the same samples. Raises ConfigError for what the sources lack."""
    clean = np.asarray(clean, np.float32)
    speech, target = _in_room(clean, recipe.room, sources)
    if recipe.noise:
        gain = active_rms(speech) * 10 ** (-recipe.snr_db / 20)
        noisy = speech + gain * noise_of(recipe, len(clean), sources)
    else:
        noisy = speech
    noisy = clipped(noisy, recipe.clip_db)
    gain = 10 ** (recipe.level_db / 20)
    return Spoilt(*(gain * _limited(wave, recipe.band_hz) for wave in (noisy, target)))


def noise_of(recipe: Recipe, samples: int, sources: Sources) -> Wave:
    """The noise of a recipe, unit power. Raises ConfigError for a name that is neither a family nor in the sources."""
    rng = np.random.default_rng(recipe.seed)
    if recipe.noise == "babble":
        if not sources.voices:
            raise ConfigError("Babble needs voices, and the sources of this recipe hold none. Choose another noise.")
        return noises.babble(samples, rng, sources.voices)
    if recipe.noise in sources.noises:
        return noises.recorded(samples, rng, sources.noises[recipe.noise], vary=False)
    return noises.synthetic(recipe.noise, samples, recipe.seed)


def active_rms(wave: Wave) -> float:
    """Level of speech: root mean square over the 20 ms frames within 40 dB of the loudest one (silence does not count)."""
    count = max(1, len(wave) // 960)
    power = np.mean(np.resize(wave, (count, 960)) ** 2, axis=1) if len(wave) >= 960 else np.array([np.mean(wave ** 2)])
    return float(np.sqrt(power[power >= power.max() * 1e-4].mean()))


def clipped(wave: Wave, clip_db: float) -> Wave:
    """The wave cut off clip_db below its peak."""
    if clip_db <= 0:
        return wave
    level = np.abs(wave).max() * 10 ** (-clip_db / 20)
    return np.clip(wave, -level, level)


def _in_room(clean: Wave, room: str | rooms.Room | None, sources: Sources) -> tuple[Wave, Wave]:
    if room is None:
        return clean, clean
    if isinstance(room, str) and room not in sources.rooms:
        raise ConfigError(f"There is no measured room {room!r}. There are: {', '.join(sources.rooms) or 'none'}.")
    response = sources.rooms[room] if isinstance(room, str) else rooms.simulated(room)
    return rooms.convolved(clean, response), rooms.convolved(clean, rooms.early(response))


def _limited(wave: Wave, band_hz: tuple[float, float]) -> Wave:
    """Both edges without phase, so that the target stays aligned."""
    low, high = band_hz
    if high < RATE_HZ / 2:
        wave = sosfiltfilt(butter(6, high, "low", fs=RATE_HZ, output="sos"), wave)
    if low > 0:
        wave = sosfiltfilt(butter(3, low, "high", fs=RATE_HZ, output="sos"), wave)
    return np.ascontiguousarray(wave, np.float32)
