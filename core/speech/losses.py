"""What the latent network is trained on: compressed magnitudes and complex bins, SI-SDR, the latent itself, a loudness disturbance in the manner of PESQ,
an intelligibility in the manner of ESTOI (Jensen and Taal 2016) and the log-spectral distance above 8 kHz, where those two are blind.

The disturbance follows the structure of ITU-T P.862 (Bark bands, Zwicker loudness, symmetric and asymmetric part); bands and thresholds are our own
closed forms, so its value is no PESQ score, nor is the other an ESTOI: our frames, no resampling. The evaluation measures the real ones.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from core.speech.stft import BINS, EXPONENT, RATE_HZ, WINDOW

FLOOR = 1e-5
"""Power of compressed bins under which differences fade (mean power of a distorted state is near 0.25)."""
SPEECH_DB = 79.0
"""Sound pressure level that clean speech is taken to have."""


@dataclass(frozen=True)
class Weights:
    """Shares of the terms of `terms`."""

    magnitude: float = 1.5
    complex_: float = 0.3
    latent: float = 0.2
    sdr: float = 0.015
    loudness: float = 0.4
    unlike: float = 0.25
    high: float = 0.3


def terms(found: Tensor, wanted: Tensor, state: Tensor, clean_state: Tensor) -> dict[str, Tensor]:
    """The seven terms, each [b]. found, wanted: compressed STFT parts [b, 2, BINS, T] at the scale of the state; states [b, planes, F, T]."""
    weights = _frequency_weights(found.device)
    power, power_wanted = (parts.square().sum(1) for parts in (found, wanted))
    level, level_wanted = ((value + FLOOR) ** 0.225 for value in (power, power_wanted))
    turn, turn_wanted = ((value + FLOOR) ** -0.275 for value in (power, power_wanted))
    norm = (weights * level_wanted.square()).mean((1, 2)).clamp_min(0.02)
    linear = power ** (1 / EXPONENT), power_wanted ** (1 / EXPONENT)
    off = (found * turn[:, None] - wanted * turn_wanted[:, None]).square().sum(1)
    return dict(magnitude=(weights * (level - level_wanted).square()).mean((1, 2)) / norm, complex_=(weights * off).mean((1, 2)) / norm,
                latent=(state - clean_state).square().mean((1, 2, 3)) / clean_state.square().mean((1, 2, 3)).clamp_min(0.005),
                sdr=-_sdr_db(found, wanted, power, power_wanted), loudness=disturbance(*linear), unlike=1 - intelligibility(*linear), high=high_distance(*linear))


def total(parts: dict[str, Tensor], weights: Weights = Weights()) -> Tensor:
    """The weighted sum [b]."""
    return sum(getattr(weights, name) * value for name, value in parts.items())


def _sdr_db(found: Tensor, wanted: Tensor, power: Tensor, power_wanted: Tensor) -> Tensor:
    """SI-SDR over linear bins, at most 30 dB [b]."""
    a, b = (parts * (value[:, None] + 1e-10) ** (0.5 / EXPONENT - 0.5) for parts, value in ((found, power), (wanted, power_wanted)))
    along = (a * b).sum((1, 2, 3)) / b.square().sum((1, 2, 3)).clamp_min(1e-6)
    part = along[:, None, None, None] * b
    signal, rest = part.square().sum((1, 2, 3)), (a - part).square().sum((1, 2, 3))
    return 10 * torch.log10((signal + 1e-5) / (rest + 1e-3 * signal + 1e-5))


def disturbance(power: Tensor, power_clean: Tensor) -> Tensor:
    """0.1 symmetric + 0.0309 asymmetric loudness disturbance, mean over every second frame [b]; 4.5 minus it behaves like PESQ. Linear powers [b, BINS, T]."""
    bands, widths, threshold = _bark(power.device)
    a, b = (torch.einsum("kf,bft->bkt", bands, value[:, :bands.shape[1], ::2]) for value in (power, power_clean))
    frames = b.sum(1)
    active = frames > 1e-4 * frames.amax(1, keepdim=True)
    gain = 10 ** (SPEECH_DB / 10) / ((frames * active).sum(1) / active.sum(1).clamp_min(1)).clamp_min(1e-9)
    a, b = a * gain[:, None, None], b * gain[:, None, None]
    loud_a, loud_b = (0.08 * threshold ** 0.23 * ((0.5 + 0.5 * value / threshold) ** 0.23 - 1) for value in (a, b))
    apart = (loud_a - loud_b).abs()
    apart = (apart - 0.25 * torch.minimum(loud_a, loud_b).clamp_min(0)).clamp_min(0)
    excess = ((a + 50) / (b + 50)) ** 1.2
    excess = torch.where(excess < 3, torch.zeros_like(excess), excess.clamp_max(12)).detach()
    symmetric = (widths.sum() * (apart.square() * widths).sum(1) + 1e-6).sqrt()
    asymmetric = (apart * excess * widths).sum(1)
    return 0.1 * symmetric.mean(1) + 0.0309 * asymmetric.mean(1)


def intelligibility(power: Tensor, power_clean: Tensor, frames: int = 48, hop: int = 12) -> Tensor:
    """Mean correlation of third-octave envelopes over stretches of 384 ms, normalised along time and then along bands [b]; 1 for equal ones.

    Frames 40 dB or more under the loudest of the clean speech do not count. Linear powers [b, BINS, T].
    """
    bands = _thirds(power.device)
    frames = min(frames, power.shape[-1])
    level = power_clean.mean((1, 2), keepdim=True).clamp_min(1e-9)
    parts = [torch.einsum("kf,bft->bkt", bands, value[:, :bands.shape[1]] / level).add(1e-6).sqrt().unfold(-1, frames, hop) for value in (power, power_clean)]
    loud = parts[1].square().sum(1)
    counts = (loud > 1e-4 * loud.amax((1, 2), keepdim=True)).float()
    a, b = (_normal(_normal(part, -1), 1) for part in parts)
    return ((a * b).sum(1) * counts).sum((1, 2)) / counts.sum((1, 2)).clamp_min(1)


def high_distance(power: Tensor, power_clean: Tensor, low_hz: float = 8_000, high_hz: float = 20_000) -> Tensor:
    """Log-spectral distance from 8 to 20 kHz in tens of dB, mean over the frames [b]; levels 70 dB under the clean peak do not count. Powers [b, BINS, T]."""
    floor = 1e-7 * power_clean.amax((1, 2), keepdim=True) + 1e-9
    a, b = (torch.log10(value[:, int(low_hz / RATE_HZ * WINDOW):int(high_hz / RATE_HZ * WINDOW)] + floor) for value in (power, power_clean))
    return ((a - b).square().mean(1) + 1e-6).sqrt().mean(1)


def _normal(x: Tensor, dim: int) -> Tensor:
    x = x - x.mean(dim, keepdim=True)
    return x / (x.square().sum(dim, keepdim=True) + 1e-8).sqrt()


@lru_cache
def _thirds(device: torch.device) -> Tensor:
    """Fifteen third octaves from 150 Hz: sums over bins [15, F]."""
    hz = np.arange(int(4_400 / RATE_HZ * WINDOW)) * RATE_HZ / WINDOW
    centres = 150 * 2 ** (np.arange(15)[:, None] / 3)
    return torch.from_numpy(((hz >= centres * 2 ** (-1 / 6)) & (hz < centres * 2 ** (1 / 6))).astype(np.float32)).to(device)


@lru_cache
def _frequency_weights(device: torch.device) -> Tensor:
    """Bins under 8 kHz count twice those above, mean 1. [BINS, 1]"""
    weights = torch.where(torch.arange(BINS) * RATE_HZ / WINDOW < 8_000, 2.0, 1.0)
    return (weights / weights.mean())[:, None].to(device)


@lru_cache
def _bark(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Half-Bark bands up to 8 kHz (Traunmueller 1990): sums over bins [K, F], widths in Bark [K, 1], threshold in quiet (Terhardt 1979) as power [K, 1]."""
    hz = np.arange(1, int(8_000 / RATE_HZ * WINDOW)) * RATE_HZ / WINDOW
    band = ((26.81 * hz / (1960 + hz) - 0.53) / 0.5).clip(0).astype(int)
    used = np.unique(band)
    sums = (band == used[:, None]).astype(np.float32)
    khz = (sums @ hz) / sums.sum(1) / 1000
    quiet_db = 3.64 * khz ** -0.8 - 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz ** 4
    edges = np.r_[used, used[-1] + 1]
    made = np.pad(sums, ((0, 0), (1, 0))), 0.5 * np.diff(edges)[:, None], 10 ** (quiet_db / 10)[:, None]
    return tuple(torch.from_numpy(np.asarray(part, np.float32)).to(device) for part in made)
