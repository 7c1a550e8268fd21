"""Voices, noises and rooms of the shared data, split so that training, validation and test share none; and mixtures made afresh while training runs."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from core.errors import InputError
from core.speech import noises, rooms
from core.speech.degrade import Sources, Spoilt, active_rms, clipped
from core.speech.noises import Wave
from core.speech.stft import RATE_HZ

TRAIN_VOICES = ("kathleen", "nathalie", "vctk_p225", "gcompris_gd", "flemishguy")
VALIDATION_VOICES = ("zohra_coudoin", "antoni_bella")
TEST_VOICES = ("horia_pelle", "julia_wycherley", "enrico_nicoletto")
"""CC0, CC-BY and public domain train; the GPL voices only measure."""
EDGES_HZ = {"flemishguy": 11_000.0}
"""Voices without a high band: everything above is taken out of input and target alike, so that nobody learns that such a voice has none."""
FAMILY_SHARES = dict(recording=0.26, texture=0.10, babble=0.15, white=0.05, pink=0.05, brown=0.03, hum=0.05, band=0.08, clicks=0.07,
                     modulated=0.12, rumble=0.14, tones=0.04)


@dataclass(frozen=True)
class Corpus:
    """Clips of each voice, noises and rooms by name; float32 at 48 kHz."""

    voices: dict[str, list[Wave]]
    noises: dict[str, Wave]
    rooms: dict[str, Wave] = field(default_factory=dict)

    def sources(self) -> Sources:
        return Sources(self.noises, self.rooms, [clip for clips in self.voices.values() for clip in clips])


def load(folder: Path, voices: tuple[str, ...], noise_files: tuple[str, ...], room_names: tuple[str, ...], most: int | None = None) -> Corpus:
    """Read a split from the speech folder of the shared data; at most `most` clips a voice. Raises InputError where the folder holds no manifest."""
    if not (folder / "manifest.csv").is_file():
        raise InputError(f"There is no manifest.csv in {folder.name}. Name the folder of the shared speech data.")
    with (folder / "manifest.csv").open(encoding="utf8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "speech" and row["speaker_or_class"] in voices]
    clips = {name: [read_clip(folder / row["path"], name) for row in rows if row["speaker_or_class"] == name][:most] for name in voices}
    return Corpus(clips, {name: noises.read(folder / "noise" / name) for name in noise_files},
                  {name: rooms.measured(folder / "rir" / f"{name}.flac") for name in room_names})


def read_clip(path: Path, voice: str) -> Wave:
    """A clip at 48 kHz with a peak of 0.9; the steady room noise of kathleen's recordings is taken down, so that no target teaches it."""
    wave = noises.read(path)
    wave = wave - wave.mean()
    if voice == "kathleen":
        from core.speech.wiener import gated
        wave = gated(wave)
    return (0.9 * wave / max(np.abs(wave).max(), 1e-6)).astype(np.float32)


class Mixer:
    """Endless fresh mixtures of a corpus; the n-th one follows from the seed and n alone."""

    def __init__(self, corpus: Corpus, seed: int, samples: int, simulated: int = 48):
        self.corpus, self.seed, self.samples, self.made = corpus, seed, samples, 0
        self.names = [name for name, clips in corpus.voices.items() if clips]
        seconds = np.array([sum(map(len, corpus.voices[name])) for name in self.names]) / RATE_HZ
        self.shares = np.sqrt(seconds) / np.sqrt(seconds).sum()
        self.all_voices = [clip for clips in corpus.voices.values() for clip in clips]
        self.recordings = list(corpus.noises.values())
        self.responses = [rooms.simulated(random_room(seed * 1000 + i)) for i in range(simulated)] + list(corpus.rooms.values()) * 4

    def __next__(self) -> Spoilt:
        self.made += 1
        return self.mixture(np.random.default_rng([self.seed, self.made]))

    def mixture(self, rng: np.random.Generator) -> Spoilt:
        """One pair, [samples] each, peak of the noisy one at -30 to 0 dB."""
        voice = self.names[rng.choice(len(self.names), p=self.shares)]
        clean = self._speech(voice, rng)
        speech, target, in_room = self._in_room(clean, rng)
        low, high = ((15, 40) if in_room and rng.random() < 0.5 else (25, 45) if rng.random() < 0.07 else (-6, 20))
        snr_db = rng.uniform(low, high)
        noise = self._noise(rng)
        noisy = speech + active_rms(speech) * 10 ** (-snr_db / 20) * noise
        if rng.random() < 0.06:
            noisy = clipped(noisy, rng.uniform(2, 15))
        pair = self._limited(voice, np.stack([noisy, target]), rng)
        pair = pair * (10 ** (-rng.uniform(0, 1) ** 2 * 1.2) / max(np.abs(pair[0]).max(), 1e-6))
        return Spoilt(*pair.astype(np.float32))

    def _speech(self, voice: str, rng: np.random.Generator) -> Wave:
        """A stretch that is mostly speech; 8 of 100 begin or end in silence longer than it."""
        clips, speed = self.corpus.voices[voice], rng.uniform(0.75, 1.15)
        wanted = int(self.samples * speed) + 64
        clip = clips[rng.integers(len(clips))]
        while len(clip) < wanted:
            clip = np.concatenate([clip, np.zeros(int(RATE_HZ * rng.uniform(0.05, 0.4)), np.float32), clips[rng.integers(len(clips))]])
        start = int(rng.integers(0, len(clip) - wanted + 1))
        cut = soxr.resample(clip[start:start + wanted], RATE_HZ * speed, RATE_HZ, quality="MQ")[:self.samples]
        cut = noises.shaped(cut, rng, 4.0) if rng.random() < 0.4 else cut
        return cut if np.abs(cut).max() > 0.03 else self._speech(voice, rng)

    def _in_room(self, clean: Wave, rng: np.random.Generator) -> tuple[Wave, Wave, bool]:
        if rng.random() > 0.4:
            return clean, clean, False
        response = self.responses[rng.integers(len(self.responses))]
        gain = 10 ** rng.uniform(-0.6, 0.2)
        response = response.copy()
        response[rooms.direct_of(response) + 96:] *= gain
        return rooms.convolved(clean, response), rooms.convolved(clean, rooms.early(response)), True

    def _noise(self, rng: np.random.Generator) -> Wave:
        made = self._one_noise(rng)
        if rng.random() < 0.3:
            made = made + 10 ** rng.uniform(-0.7, 0) * self._one_noise(rng)
        made = noises.shaped(made, rng, rng.uniform(0, 14))
        return made / max(np.sqrt(np.mean(made ** 2)), 1e-9)

    def _one_noise(self, rng: np.random.Generator) -> Wave:
        kind = rng.choice(list(FAMILY_SHARES), p=np.array(list(FAMILY_SHARES.values())) / sum(FAMILY_SHARES.values()))
        if kind == "babble":
            return noises.babble(self.samples, rng, self.all_voices)
        if kind in ("recording", "texture"):
            source = self.recordings[rng.integers(len(self.recordings))]
            return (noises.recorded if kind == "recording" else noises.texture)(self.samples, rng, source)
        return noises.FAMILIES[kind](self.samples, rng)

    def _limited(self, voice: str, pair: NDArray, rng: np.random.Generator) -> NDArray:
        edge_hz = EDGES_HZ.get(voice, RATE_HZ / 2)
        if rng.random() < 0.12:
            edge_hz = min(edge_hz, np.exp(rng.uniform(np.log(3_000), np.log(16_000))))
        floor_hz = rng.uniform(50, 400) if rng.random() < 0.12 else 0.0
        if edge_hz >= RATE_HZ / 2 and not floor_hz:
            return pair
        hz = noises.grid_hz(pair.shape[-1])
        gains = 1 / (1 + np.exp(np.clip((hz - edge_hz) / (0.01 * edge_hz), -40, 40)))
        if floor_hz:
            gains /= 1 + np.exp(np.clip(-(hz - floor_hz) / (0.15 * floor_hz), -40, 40))
        return noises.filtered(pair, gains)


def random_room(seed: int) -> rooms.Room:
    """A box between a box room and a hall; larger ones ring longer."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(2.5, 6) * np.exp(rng.uniform(0, 1.0))
    sides = (size * rng.uniform(0.8, 1.5), size, float(np.clip(size * rng.uniform(0.4, 0.8), 2.3, 9)))
    return rooms.Room(tuple(map(float, sides)), float(np.clip(rng.lognormal(np.log(0.5), 0.45), 0.15, 1.8)), float(rng.uniform(0.5, 0.6 * size)), seed)
