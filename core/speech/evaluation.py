"""`train speech --evaluate`: measures on held-out voices, noises and rooms, beside RNNoise and a Wiener filter (noise) and weighted prediction error (rooms)."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
import torch

from core.errors import InputError
from core.speech import corpus, metrics, noises, rooms
from core.speech.autoencoder import Autoencoder
from core.speech.degrade import Recipe, spoil
from core.speech.noises import Wave
from core.speech.sampler import LEVEL, Plan, Restorer, fast
from core.speech.stft import RATE_HZ, istft, stft
from core.speech.wiener import wiener

Method = Callable[[Wave], Wave]
SECONDS = (3.0, 6.0)
"""Shortest and longest clip of the sets."""
NOISE_CASES = {
    "test": (("white", 5.0), ("city.ogg", 0.0), ("city.ogg", 5.0), ("pink", 0.0), ("babble", 5.0), ("fireplace.ogg", 5.0), ("city.ogg", 10.0), ("hum", 5.0),
             ("fireplace.ogg", 0.0), ("modulated", 5.0), ("babble", 10.0), ("band", 5.0)),
    "validation": (("white", 0.0), ("wind.ogg", 0.0), ("wind.ogg", 5.0), ("babble", 5.0), ("modulated", 0.0), ("clicks", 5.0)),
}
ROOM_CASES = {"test": rooms.TEST + (rooms.Room((5.2, 3.9, 2.6), 0.5, 1.8, 900_001), rooms.Room((8.0, 6.1, 3.2), 0.9, 2.5, 900_002)), "validation": rooms.VALIDATION}
SPLITS = {"test": (corpus.TEST_VOICES, noises.TEST, rooms.TEST), "validation": (corpus.VALIDATION_VOICES, noises.VALIDATION, rooms.VALIDATION)}


@dataclass(frozen=True)
class Case:
    """One clip of a set: kind "noise" or "room", what it is called, noisy, the aim of restoration, and the dry recording as reference. [n] each"""

    kind: str
    name: str
    noisy: Wave
    target: Wave
    clean: Wave


def cases(folder: Path, split: str) -> Iterator[Case]:
    """The held-out set: voices by turns, each clip spoilt by a recipe whose seed is its number."""
    voices, noise_files, room_names = SPLITS[split]
    held = corpus.load(folder, voices, noise_files, room_names, 30)
    clips = {name: [clip for clip in clips if SECONDS[0] <= len(clip) / RATE_HZ <= SECONDS[1]] for name, clips in held.voices.items()}
    recipes = [Recipe(noise, snr_db, seed=700 + i) for i, (noise, snr_db) in enumerate(NOISE_CASES[split])]
    recipes += [Recipe("", room=room, seed=800 + i) for i, room in enumerate(ROOM_CASES[split])]
    for number, recipe in enumerate(recipes):
        voice = voices[number % len(voices)]
        clean = clips[voice][number // len(voices)]
        others = corpus.Corpus({name: held.voices[name] for name in voices if name != voice}, held.noises, held.rooms)
        pair = spoil(clean, recipe, others.sources())
        gain = 0.7 / max(np.abs(pair.noisy).max(), 1e-6)
        label = f"{recipe.noise} {recipe.snr_db:g} dB" if recipe.noise else recipe.room if isinstance(recipe.room, str) else f"simulated {recipe.room.rt60_s:g} s"
        yield Case("noise" if recipe.noise else "room", f"{voice}, {label}", *(gain * wave for wave in (pair.noisy, pair.target, clean)))


# What stands beside the net

def rnnoise(noisy: Wave) -> Wave:
    """RNNoise (Valin 2018) in its newest big model, its delay taken out. Raises ImportError without pyrnnoise."""
    from pyrnnoise import RNNoise
    denoiser = RNNoise(RATE_HZ)
    samples = np.pad((np.clip(noisy, -1, 1) * 32767).astype(np.int16), (0, 2 * 960))
    frames = [frame for _, frame in denoiser.denoise_chunk(samples[None], partial=True)]
    made = np.concatenate(frames, -1).reshape(-1).astype(np.float32) / 32767
    return np.pad(made[960:960 + len(noisy)], (0, max(0, len(noisy) - len(made) + 960)))


def prediction_error(noisy: Wave) -> Wave:
    """Weighted prediction error dereverberation (nara_wpe, 16 kHz, 10 taps); above 8 kHz the input is kept."""
    from nara_wpe.utils import istft as back
    from nara_wpe.utils import stft as there
    from nara_wpe.wpe import wpe
    low = soxr.resample(noisy, RATE_HZ, 16_000)
    spectrum = there(low, 512, 128)
    made = back(wpe(spectrum.T[:, None, :], taps=10, delay=3, iterations=3)[:, 0].T, 512, 128)[:len(low)]
    change = soxr.resample(np.asarray(made - low, np.float32), 16_000, RATE_HZ)[:len(noisy)]
    return noisy + np.pad(change, (0, len(noisy) - len(change)))


def oracle(autoencoder: Autoencoder, noisy: Wave, clean: Wave) -> Wave:
    """The autoencoder's upper bound: the clean latent, decoded with the hidden features of the distorted input."""
    gain = LEVEL / max(float(np.abs(noisy).max()), 1e-6)
    with torch.inference_mode(), fast():
        parts = [stft(torch.from_numpy(gain * wave))[None] for wave in (noisy, clean)]
        made = autoencoder.decode(autoencoder.encode(parts[1])[0], autoencoder.encode(parts[0])[1]).float()
    return istft(made, len(noisy))[0].numpy() / gain


# Scores

def score(folder: Path, split: str, methods: dict[str, Method], quick: bool = False) -> dict[str, dict[str, list[dict]]]:
    """Measures of every method on every case: {kind: {method: rows}}. In rooms the reference is the dry recording. rtf is thread time over duration."""
    found: dict[str, dict[str, list[dict]]] = {"noise": {}, "room": {}}
    for case in cases(folder, split):
        for name, method in methods.items():
            begun = time.thread_time()
            made = method(case.noisy)
            rtf = (time.thread_time() - begun) / (len(case.noisy) / RATE_HZ)
            row = dict(case=case.name, rtf=rtf, **metrics.measure(made, case.clean, quick))
            found[case.kind].setdefault(name, []).append(row)
    return found


def classical() -> dict[str, Method]:
    """What the net is measured against; what is not installed is left out."""
    methods: dict[str, Method] = {"noisy": lambda wave: wave, "wiener": wiener}
    for name, method in (("rnnoise", rnnoise), ("wpe", prediction_error)):
        try:
            method(np.zeros(RATE_HZ, np.float32) + np.float32(1e-3) * np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32))
            methods[name] = method
        except ImportError:
            pass
    return methods


def print_scores(options, split: str, checkpoint: bool, steps: tuple[int, ...]) -> None:
    """One JSON line per kind and method: means over the set. Raises InputError where there is nothing to measure."""
    from core.speech.train import Training
    from core.speech.weights import FOLDER, load_autoencoder, load_network
    own = options.state / "speech-ae.npz"
    autoencoder = load_autoencoder(own if own.is_file() and checkpoint else FOLDER / own.name)
    network = Training.begin(options, autoencoder).averaged() if checkpoint else load_network(FOLDER / f"speech-{options.tag}.npz")
    restorer = Restorer(network, autoencoder if options.domain == "latent" else None)
    methods = classical() | {f"ours {count}": lambda wave, count=count: restorer.restore(wave, Plan(steps=count)) for count in steps}
    for kind, by_method in score(options.data, split, methods).items():
        for name, rows in by_method.items():
            print(json.dumps(dict(kind=kind, method=name, n=len(rows), **{k: round(v, 4) for k, v in metrics.mean_of(_numbers(rows)).items()})), flush=True)
    if not any(True for _ in methods):
        raise InputError("There is nothing to measure.")


def _numbers(rows: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "case"} for row in rows]
