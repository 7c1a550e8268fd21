"""The representation comes back exactly, at any length."""

import numpy as np
import pytest
import torch

from core.speech.stft import BINS, EXPONENT, FACTOR, HOP, PATCH, compress, expand, frames_of, istft, stft


@pytest.mark.parametrize("samples", [1, 383, 1534, 9_601, 48_000])
def test_round_trip_is_exact_to_rounding(samples):
    wave = torch.from_numpy(np.random.default_rng(samples).uniform(-1, 1, (2, samples))).float()
    parts = stft(wave)
    assert parts.shape == (2, 2, BINS, frames_of(samples))
    assert frames_of(samples) % PATCH == 0
    assert torch.allclose(istft(parts, samples), wave, atol=2e-6)


def test_compression_has_the_published_form():
    parts = torch.tensor([3.0, -4.0]).reshape(2, 1, 1)
    small = compress(parts)
    assert small.norm().item() == pytest.approx(FACTOR * 5 ** EXPONENT, rel=1e-6)
    assert torch.allclose(small / small.norm(), parts / 5)
    assert torch.allclose(expand(small), parts, rtol=1e-5)


def test_silence_has_a_finite_gradient():
    wave = torch.zeros(1, HOP * 8, requires_grad=True)
    istft(stft(wave), HOP * 8).sum().backward()
    assert torch.isfinite(wave.grad).all()
