"""Decision-directed Wiener filter (Ephraim and Malah 1984) with minimum statistics: the classical bar, and the gate that cleans training targets."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from core.speech.stft import HOP, RATE_HZ, expand, istft, stft

Wave = NDArray[np.float32]


def wiener(noisy: Wave, floor_db: float = -20.0, smoothing: float = 0.97) -> Wave:
    """Noisy samples [n] at 48 kHz -> filtered samples [n]. floor_db: least gain; smoothing: weight of the last frame in the a-priori SNR."""
    parts = stft(torch.from_numpy(np.asarray(noisy, np.float32)))
    power = expand(parts).square().sum(0).numpy()
    gains = _gains(power, noise_power(power), 10 ** (floor_db / 20), smoothing)
    return istft(_scaled(parts, gains), len(noisy)).numpy()


def gated(wave: Wave, floor_db: float = -24.0) -> Wave:
    """Take down the steady noise of a clean recording: noise from the quietest tenth of the frames, a gentle Wiener gain."""
    parts = stft(torch.from_numpy(np.asarray(wave, np.float32)))
    power = expand(parts).square().sum(0).numpy()
    noise = 1.6 * np.quantile(power, 0.1, axis=1, keepdims=True) + 1e-12
    gains = _gains(power, np.broadcast_to(noise, power.shape), 10 ** (floor_db / 20), 0.9)
    return istft(_scaled(parts, gains), len(wave)).numpy()


def noise_power(power: NDArray, seconds: float = 1.2) -> NDArray:
    """Noise estimate [F, T]: the minimum of the smoothed power over a sliding window, corrected for its bias (Martin 2001, simplified)."""
    frames = max(3, int(seconds * RATE_HZ / HOP))
    smooth = uniform_filter1d(power, 9, axis=1)
    lowest = minimum_filter1d(smooth, frames, axis=1)
    return 1.8 * uniform_filter1d(lowest, 25, axis=1) + 1e-12


def _gains(power: NDArray, noise: NDArray, floor: float, smoothing: float) -> NDArray:
    after = np.minimum(power / noise, 1e4)
    gains = np.empty_like(power)
    last = np.maximum(after[:, 0] - 1, 0)
    for frame in range(power.shape[1]):
        before = smoothing * last + (1 - smoothing) * np.maximum(after[:, frame] - 1, 0)
        gain = np.maximum(before / (1 + before), floor)
        gains[:, frame] = gain
        last = gain ** 2 * after[:, frame]
    return gains


def _scaled(parts: torch.Tensor, gains: NDArray) -> torch.Tensor:
    """Linear gains on compressed parts."""
    from core.speech.stft import EXPONENT
    return parts * torch.from_numpy(gains ** EXPONENT).float()
