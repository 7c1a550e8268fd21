"""One evaluation of the network, and a whole restoration, in the latent and on the full spectrogram at equal channels (the post's claim)."""

import time
from argparse import Namespace
from collections.abc import Iterator

import numpy as np
import torch

from core.speech.autoencoder import Autoencoder
from core.speech.evaluation import seconds_per_evaluation
from core.speech.sampler import Plan, Restorer
from core.speech.score import Network, size_of
from core.speech.stft import RATE_HZ, stft
from tests.bench.harness import Section

SECONDS = 4.0


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Cost per evaluation of three widths; end to end for several step counts. Weights do not matter here, so the nets are untrained."""
    torch.set_num_threads(1)
    names, repeats = ("s",) if options.quick else ("s", "m", "l"), 1 if options.quick else 3
    section = Section("evaluation", "One evaluation of the network at equal channels", "thread seconds per second of 48 kHz sound, least of the repeats, one thread; untrained nets of the shipped shapes")
    for name in names:
        latent, full = (seconds_per_evaluation(size_of(name, domain), SECONDS, repeats) for domain in ("latent", "stft"))
        section.rows.append(dict(name=f"width {name}", parameters=sum(p.numel() for p in Network(size_of(name)).parameters()), **{"latent s": latent, "STFT s": full, "times cheaper": full / latent}))
    yield section, dict(evaluation_times_cheaper=section.rows[-2 if len(section.rows) > 1 else 0]["times cheaper"])
    yield _whole(options, "s" if options.quick else "m", repeats)


def _whole(options: Namespace, name: str, repeats: int) -> tuple[Section, dict]:
    section = Section("end_to_end", f"A whole restoration, width {name}: STFT, autoencoder, network, back", "thread seconds per second of sound, least of the repeats; the same steps of the bridge on both sides, interleaved")
    wave = (0.1 * np.random.default_rng(0).standard_normal(int(SECONDS * RATE_HZ))).astype(np.float32)
    autoencoder = Autoencoder()
    autoencoder.begin(stft(torch.from_numpy(wave.reshape(4, -1))))
    nets = {"latent": Restorer(Network(size_of(name)).use(autoencoder).eval(), autoencoder.eval()), "STFT": Restorer(Network(size_of(name, "stft")).eval())}
    for steps in (1,) if options.quick else (1, 4, 8):
        spent: dict[str, list[float]] = {side: [] for side in nets}
        for _ in range(repeats + 1):
            for side, net in nets.items():
                begun = time.thread_time()
                net.restore(wave, Plan(steps=steps))
                spent[side].append((time.thread_time() - begun) / SECONDS)
        latent, full = min(spent["latent"][1:]), min(spent["STFT"][1:])
        section.rows.append(dict(name=f"{steps} step{'s' if steps > 1 else ''}", **{"latent s": latent, "STFT s": full, "times cheaper": full / latent}))
    return section, dict(end_to_end_times_cheaper=section.rows[-1]["times cheaper"])
