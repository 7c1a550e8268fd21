"""Restoration of held-out voices under held-out noise and in held-out rooms, beside what a visitor would use today."""

from argparse import Namespace
from collections.abc import Iterator
from functools import partial

import torch

from core.errors import EngineError, InputError
from core.speech.config import MODELS
from core.speech.evaluation import score
from core.speech.metrics import mean_of
from core.speech.peers import PEERS
from core.speech.restore import restorer
from core.speech.sampler import Plan
from core.speech.weights import FOLDER
from tests.bench.harness import Section

COLUMNS = ("rtf", "si_sdr", "pesq", "estoi", "ovrl", "sig", "bak", "lsd_high", "mrstft_high")
STEPS = (1, 2, 4, 8)
"""Of the bridge, for size m; the other sizes are measured at one."""
SHIFTS = (2, 4)


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Noise, then rooms; the headline holds ours and RNNoise's means."""
    noise = Section("quality", "Denoising: voices, noises and rooms that training never used", "means; SI-SDR in dB, DNSMOS as ovrl, sig, bak; lsd_high: log-spectral distance 8 to 20 kHz in dB; rtf: thread seconds "
                    "per second of sound; PESQ where its package is installed")
    room = Section("rooms", "Dereverberation: measured and simulated rooms that training never used", "means; the reference is the dry recording, so SI-SDR says little here")
    torch.set_num_threads(1)
    try:
        found = score(options.data / "speech", "validation" if options.quick else "test", methods(options))
    except (InputError, EngineError, OSError) as error:
        yield noise.skip(str(error)), None
        return
    versions |= {rival.name: rival.version for rival in PEERS if rival.key in found["noise"]}
    for section, kind in ((noise, "noise"), (room, "room")):
        for name, rows in found[kind].items():
            means = mean_of([{k: v for k, v in row.items() if k != "case"} for row in rows])
            section.rows.append(dict(name=WORDS.get(name, name), family=name.rpartition(", ")[0] or name, n=len(rows), **{c: means.get(c) for c in COLUMNS}))
    ours = next(r for r in noise.rows if r["name"] == f"ours {MODELS[0] if options.quick else 'm'} averaged, {SHIFTS[0]} shifts")   # the default of the studio
    yield noise, dict(ours_ovrl=ours["ovrl"], ours_si_sdr=ours["si_sdr"], ours_rtf=ours["rtf"])
    yield room, None


WORDS = {"noisy": "As it was"} | {rival.key: rival.name for rival in PEERS}


def methods(options: Namespace) -> dict:
    """The input, the rivals that are installed, ours in every width, by steps and by shifts, the same family on the full spectrogram where it was trained."""
    made = {"noisy": lambda wave: wave} | {rival.key: rival.call for rival in PEERS}
    for model in MODELS:
        nets = restorer(model)
        for steps in STEPS if model == "m" and not options.quick else STEPS[:1]:
            made[f"ours {model}, {steps} step{'s' if steps > 1 else ''}"] = partial(_ours, nets, Plan(steps=steps))
        for shifts in SHIFTS[:1] if options.quick else SHIFTS:
            made[f"ours {model} averaged, {shifts} shifts"] = partial(_ours, nets, Plan(shifts=shifts))
        if (FOLDER / f"speech-{model}-stft.npz").is_file():
            made[f"full spectrogram {model}, 1 step"] = partial(_ours, restorer(model, "stft"), Plan())
    return made


def _ours(nets, plan: Plan, wave):
    return nets.restore(wave, plan)
