"""Complex STFT at 48 kHz with compressed magnitudes, and back: the representation of SGMSE+ at 48 kHz (EARS, Richter et al. 2024), which LAFUFU keeps."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

RATE_HZ = 48_000
WINDOW, HOP, BINS = 1534, 384, 768
"""Samples of the periodic Hann window, samples between frames, frequency bins."""
EXPONENT, FACTOR = 0.667, 0.065
"""X -> FACTOR * |X| ** EXPONENT * e^(j angle X)."""
PATCH = 4
"""Frames and bins of a patch of the autoencoder: frame counts are multiples of it."""


@lru_cache
def _window(device: torch.device) -> Tensor:
    return torch.hann_window(WINDOW, periodic=True, device=device)


def frames_of(samples: int) -> int:
    """Frames of a signal: enough to cover it, a multiple of PATCH."""
    return -(-(samples // HOP + 2) // PATCH) * PATCH


def samples_of(frames: int) -> int:
    """The longest signal that has this many frames."""
    return (frames - 1) * HOP - 1


def stft(wave: Tensor) -> Tensor:
    """Samples [..., n] at 48 kHz -> real and imaginary parts, magnitudes compressed, float32 [..., 2, BINS, frames_of(n)]."""
    padded = F.pad(wave.float(), (0, (frames_of(wave.shape[-1]) - 1) * HOP - wave.shape[-1]))
    flat = padded.reshape(-1, padded.shape[-1])
    spectrum = torch.stft(flat, WINDOW, HOP, window=_window(wave.device), center=True, pad_mode="reflect", return_complex=True)
    parts = torch.view_as_real(spectrum).permute(0, 3, 1, 2)
    return compress(parts).reshape(*wave.shape[:-1], *parts.shape[1:])


def istft(parts: Tensor, samples: int) -> Tensor:
    """The samples [..., samples] of compressed parts [..., 2, BINS, frames]; inverts `stft` to rounding."""
    flat = expand(parts.float()).reshape(-1, *parts.shape[-3:]).permute(0, 2, 3, 1).contiguous()
    full = (parts.shape[-1] - 1) * HOP
    wave = torch.istft(torch.view_as_complex(flat), WINDOW, HOP, window=_window(parts.device), center=True, length=full)
    return wave[:, :samples].reshape(*parts.shape[:-3], samples)


def compress(parts: Tensor) -> Tensor:
    """Linear real and imaginary parts [..., 2, F, T] -> compressed ones."""
    return parts * (FACTOR * _magnitude(parts) ** (EXPONENT - 1))


def expand(parts: Tensor) -> Tensor:
    """Undo `compress`."""
    return parts * ((_magnitude(parts) / FACTOR) ** (1 / EXPONENT - 1) / FACTOR)


def _magnitude(parts: Tensor) -> Tensor:
    return (parts.square().sum(-3, keepdim=True) + 1e-24).sqrt()  # the sum keeps the gradient finite at zero
