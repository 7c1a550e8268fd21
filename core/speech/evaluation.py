"""`train speech --evaluate`: measures on held-out voices, noises and rooms, beside RNNoise and a Wiener filter (noise) and WPE (rooms)."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from core.errors import EngineError
from core.speech import corpus, metrics, noises, peers, rooms
from core.speech.autoencoder import Autoencoder
from core.speech.degrade import Recipe, spoil
from core.speech.latents import oracle
from core.speech.noises import Wave
from core.speech.sampler import Plan, Restorer, fast
from core.speech.score import Network, Size
from core.speech.stft import BINS, PATCH, RATE_HZ, frames_of
from core.speech.wiener import wiener

Method = Callable[[Wave], Wave]
SECONDS = (3.0, 6.0)
"""Shortest and longest clip of the sets."""
NOISE_CASES = {
    "test": (("white", 5.0), ("city.ogg", 0.0), ("city.ogg", 5.0), ("pink", 0.0), ("babble", 5.0), ("fireplace.ogg", 5.0), ("city.ogg", 10.0), ("hum", 5.0),
             ("fireplace.ogg", 0.0), ("modulated", 5.0), ("babble", 10.0), ("band", 5.0)),
    "validation": (("white", 0.0), ("wind.ogg", 0.0), ("wind.ogg", 5.0), ("babble", 5.0), ("modulated", 0.0), ("clicks", 5.0)),
}
ROOM_CASES = {"test": rooms.TEST + (rooms.Room((5.2, 3.9, 2.6), 0.5, 1.8, 900_001), rooms.Room((8.0, 6.1, 3.2), 0.9, 2.5, 900_002)),
              "validation": rooms.VALIDATION}
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
        room = recipe.room if isinstance(recipe.room, (str, type(None))) else f"simulated {recipe.room.rt60_s:g} s"
        label = f"{recipe.noise} {recipe.snr_db:g} dB" if recipe.noise else room
        yield Case("noise" if recipe.noise else "room", f"{voice}, {label}", *(gain * wave for wave in (pair.noisy, pair.target, clean)))


def oracle_scores(autoencoder: Autoencoder, held: Sequence[Case]) -> dict[str, float]:
    """Means of `latents.oracle` over cases of noise: SI-SDR of noisy and decoded, the other measures with a reference, n."""
    rows = []
    for case in held:
        measures = metrics.measure(oracle(autoencoder, case.noisy, case.clean), case.clean, quick=True)
        rows.append(measures | dict(noisy_si_sdr=metrics.si_sdr(case.noisy, case.clean)))
    return {name: round(value, 4) for name, value in metrics.mean_of(rows).items()} | dict(n=len(rows))


# Scores

def score(folder: Path, split: str, methods: dict[str, Method], quick: bool = False) -> dict[str, dict[str, list[dict]]]:
    """Measures of every method on every case: {kind: {method: rows}}. In rooms the reference is the dry recording. rtf is thread time over duration."""
    found: dict[str, dict[str, list[dict]]] = {"noise": {}, "room": {}}
    for case in cases(folder, split):
        for name, method in methods.items():
            if name == ("wpe" if case.kind == "noise" else "rnnoise"):
                continue  # each classical tool where it belongs
            begun = time.thread_time()
            made = method(case.noisy)
            rtf = (time.thread_time() - begun) / (len(case.noisy) / RATE_HZ)
            row = dict(case=case.name, rtf=rtf, **metrics.measure(made, case.clean, quick))
            found[case.kind].setdefault(name, []).append(row)
    return found


def classical() -> dict[str, Method]:
    """What the net is measured against; what is not installed is left out."""
    methods: dict[str, Method] = {"noisy": lambda wave: wave, "wiener": wiener, "rnnoise": peers.rnnoise, "wpe": peers.weighted_prediction}
    hiss = 1e-3 * np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32)
    for name in ("rnnoise", "wpe"):
        try:
            methods[name](hiss)
        except (ImportError, EngineError):
            del methods[name]
    return methods


def seconds_per_evaluation(size: Size, seconds: float = 4.0, repeats: int = 3) -> float:
    """Thread seconds of one network evaluation per second of audio (least of the repeats after one to warm up); weights do not matter, so it needs none."""
    torch.manual_seed(0)
    network = Network(size).eval().to(memory_format=torch.channels_last)
    frames = frames_of(int(seconds * RATE_HZ)) // (PATCH if size.domain == "latent" else 1)
    state = torch.randn(1, size.planes, BINS // (PATCH if size.domain == "latent" else 1), frames).contiguous(memory_format=torch.channels_last)
    spent = []
    with torch.inference_mode(), fast():
        for _ in range(repeats + 1):
            begun = time.thread_time()
            network(state, state, torch.ones(1))
            spent.append(time.thread_time() - begun)
    return min(spent[1:]) / seconds


def log_scores(options, split: str, checkpoint: bool, steps: tuple[int, ...], say: Callable[[dict], None], own: bool = False,
               shifts: tuple[int, ...] = ()) -> None:
    """One record per kind and method: means over the set. own: the network only."""
    from core.speech.train import Training, own_autoencoder
    from core.speech.weights import FOLDER, load_autoencoder, load_network
    autoencoder = own_autoencoder(options) if checkpoint else load_autoencoder()
    network = Training.begin(options, autoencoder).averaged() if checkpoint else load_network(FOLDER / f"speech-{options.tag}.npz")
    restorer = Restorer(network, autoencoder if options.domain == "latent" else None)
    methods = {} if own else classical()
    if options.process == "bridge":
        methods |= {f"ours {count}": lambda wave, count=count: restorer.restore(wave, Plan(steps=count)) for count in steps}
        methods |= {f"ours 1, {count} shifts": lambda wave, count=count: restorer.restore(wave, Plan(shifts=count)) for count in shifts}
    else:
        methods |= {f"ours pc {count}": lambda wave, count=count: restorer.restore(wave, Plan("pc", count)) for count in steps}
    for kind, by_method in score(options.data, split, methods).items():
        for name, rows in by_method.items():
            means = metrics.mean_of(_numbers(rows))
            say(dict(event="evaluation", split=split, kind=kind, method=name, n=len(rows), **{key: round(value, 4) for key, value in means.items()}))


def _numbers(rows: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "case"} for row in rows]
