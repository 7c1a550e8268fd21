"""What a latent keeps: a recording encoded and decoded, nothing restored, by autoencoders of several widths and starts (an ablation of LAFUFU, section 3)."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from core.speech.autoencoder import Autoencoder, Width, ablation
from core.speech.metrics import si_sdr, spectral_distance_db
from core.speech.sampler import LEVEL, fast
from core.speech.stft import RATE_HZ, istft, stft
from core.speech.weights import FOLDER, load_autoencoder

Wave = NDArray[np.float32]
SECONDS = 4.0
"""How much of a recording is tried: nine takes of it are kept with the run."""


@dataclass(frozen=True)
class Kept:
    """What came back through one autoencoder: float32 [n], its SI-SDR and log-spectral distance above 8 kHz in dB against what went in, thread seconds per second."""

    width: Width
    wave: Wave
    si_sdr: float
    lsd_high: float
    rtf: float


@lru_cache
def autoencoders() -> tuple[Autoencoder, ...]:
    """Those of the ablation whose weights are there. Raises EngineError where a file does not fit."""
    files = [FOLDER / f"speech-ae-{width.name}.npz" for width in ablation()]
    return tuple(load_autoencoder(file) for file in files if file.is_file())


def loudest(wave: Wave, seconds: float = SECONDS) -> slice:
    """The stretch of this length with the most energy, all of a shorter wave."""
    count = int(seconds * RATE_HZ)
    energy = np.concatenate([[0.0], np.cumsum(np.square(wave, dtype=np.float64))])
    start = int(np.argmax(energy[count:] - energy[:-count])) if len(wave) > count else 0
    return slice(start, start + count)


def oracle(autoencoder: Autoencoder, noisy: Wave, clean: Wave) -> Wave:
    """The clean latent, decoded with the hidden features of the distorted input: the most that restoration could reach. [n] each; noisy twice: what its latent keeps."""
    gain = LEVEL / max(float(np.abs(noisy).max()), 1e-6)
    with torch.inference_mode(), fast():
        parts = [stft(torch.from_numpy(gain * wave))[None] for wave in (noisy, clean)]
        made = autoencoder.decode(autoencoder.encode(parts[1])[0], autoencoder.encode(parts[0])[1]).float()
    return istft(made, len(noisy))[0].numpy() / gain


def kept(noisy: Wave, clean: Wave | None = None) -> Iterator[Kept]:
    """A recording [n] through every autoencoder of the ablation, one after another; its clean version's latent where that is known."""
    wanted = noisy if clean is None else clean
    for autoencoder in autoencoders():
        begun = time.thread_time()
        made = oracle(autoencoder, noisy, wanted)
        rtf = (time.thread_time() - begun) / max(len(noisy) / RATE_HZ, 1e-9)
        yield Kept(autoencoder.width, made, si_sdr(made, wanted), spectral_distance_db(made, wanted), rtf)
