"""Rooms: measured impulse responses, and simulated ones (image sources by pyroomacoustics, a diffuse tail after Polack)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from core.errors import ConfigError
from core.speech.noises import read
from core.speech.stft import RATE_HZ

Wave = NDArray[np.float32]
TRAIN = ("Basement", "SaintLawrenceChurchMolenbeekWersbeekBelgium", "SpokaneWomansClub")
VALIDATION = ("MaesHowe",)
TEST = ("DomesticLivingRoom", "TerrysTypingRoom", "SportsCentreUniversityOfYork", "PurnodesRailroadTunnel")
"""Measured rooms of the shared data: those the net may learn from (public domain, CC-BY), one to look at while it learns, and those it never hears
before it is measured."""
EARLY_S = (0.002, 0.030)
"""The target of dereverberation keeps the direct sound and fades reflections out between these delays."""


@dataclass(frozen=True)
class Room:
    """A simulated box: sides in metres, reverberation time in seconds, talker's distance in metres, the seed of places and tail."""

    size_m: tuple[float, float, float] = (6.0, 4.5, 2.7)
    rt60_s: float = 0.6
    distance_m: float = 1.5
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.size_m) < 1.5 or max(self.size_m) > 60 or not 0.1 <= self.rt60_s <= 6 or not 0.2 <= self.distance_m <= 40:
            raise ConfigError(f"A simulated room needs sides of 1.5 to 60 m, a reverberation time of 0.1 to 6 s and a distance of 0.2 to 40 m, not {self}.")


def measured(path: Path) -> Wave:
    """A measured response at 48 kHz, float32 [n], scaled so that its direct sound is 1."""
    return _scaled(read(path))


def simulated(room: Room) -> Wave:
    """The response of a simulated room, float32 [n] at 48 kHz, direct sound 1: images up to order 8, then a decaying diffuse tail."""
    import pyroomacoustics as pra
    rng = np.random.default_rng(room.seed)
    size = np.array(room.size_m)
    ear = size * rng.uniform(0.3, 0.7, 3)
    talker = _place(ear, size, room.distance_m, rng)
    absorption = float(np.clip(0.161 * size.prod() / (_surface(size) * room.rt60_s), 0.02, 0.98))
    box = pra.ShoeBox(size, fs=RATE_HZ, materials=pra.Material(absorption), max_order=8, air_absorption=True)
    box.add_source(talker)
    box.add_microphone(ear)
    box.compute_rir()
    images = np.asarray(box.rir[0][0], np.float64)
    direct = int(RATE_HZ * np.linalg.norm(talker - ear) / box.c) + pra.constants.get("frac_delay_length") // 2
    return _scaled(_with_tail(images[max(0, direct - 96):], room, rng, float(size.prod())))


def _with_tail(images: NDArray, room: Room, rng: np.random.Generator, volume: float) -> NDArray:
    """Images fade into Gaussian noise that decays at the room's rate (faster above 4 kHz) at the mixing time sqrt(volume) ms."""
    length = int(RATE_HZ * min(room.rt60_s * 1.1 + 0.1, 2.5))
    mixing = int(RATE_HZ * np.clip(np.sqrt(volume), 8, 45) / 1000)
    seconds = np.arange(length) / RATE_HZ
    noise = rng.normal(size=length) * 10 ** (-3 * seconds / room.rt60_s)
    smooth = fftconvolve(rng.normal(size=length), np.hanning(9) / np.hanning(9).sum(), "same") * 10 ** (-3 * seconds / room.rt60_s)
    share = np.clip(seconds / room.rt60_s, 0, 1)
    tail = noise * (1 - share) + smooth * share
    padded = np.zeros(length)
    padded[:min(length, len(images))] = images[:length]
    around = slice(mixing // 2, mixing + mixing // 2)
    tail *= np.sqrt(np.mean(padded[around] ** 2) / max(np.mean(tail[around] ** 2), 1e-20))
    rise = np.clip((np.arange(length) - mixing / 2) / mixing, 0, 1)
    return padded * np.sqrt(1 - rise) + tail * np.sqrt(rise)


def early(response: Wave) -> Wave:
    """The part of a response that restoration aims at: direct sound and the first reflections (EARLY_S), the rest faded out."""
    start = direct_of(response)
    first, last = (start + int(RATE_HZ * seconds) for seconds in EARLY_S)
    fade = np.interp(np.arange(min(last, len(response))), (first, last), (1.0, 0.0))
    return (response[:len(fade)] * fade ** 2).astype(np.float32)


def direct_of(response: Wave) -> int:
    """The sample of the direct sound: the largest one of the first 20 ms."""
    return int(np.argmax(np.abs(response[:RATE_HZ // 50])))


def convolved(wave: Wave, response: Wave) -> Wave:
    """The wave in a room, same length, aligned to the direct sound: what leaves the talker at sample i arrives at sample i."""
    start = direct_of(response)
    return fftconvolve(wave, response)[start:start + len(wave)].astype(np.float32)


def _place(ear: NDArray, size: NDArray, distance_m: float, rng: np.random.Generator) -> NDArray:
    """A place for the talker at the distance (or as far as the box allows), 0.3 m clear of the walls."""
    for _ in range(40):
        way = rng.normal(size=3) * (1, 1, 0.3)
        place = ear + way / np.linalg.norm(way) * distance_m
        if np.all(place > 0.3) and np.all(place < size - 0.3):
            return place
    return np.clip(place, 0.3, size - 0.3)


def _surface(size: NDArray) -> float:
    return float(2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2]))


def _scaled(response: NDArray) -> Wave:
    return (response / max(np.abs(response[direct_of(response)]), 1e-9)).astype(np.float32)
