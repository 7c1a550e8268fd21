"""Every rival gives the same length back, in step with its input, and does what it is for."""

import numpy as np
import pytest

from core.errors import EngineError
from core.speech.peers import PEERS, RATE_HZ, peer


def voice(seconds: float = 2.0) -> np.ndarray:
    """Something voiced and syllabic: harmonics of a gliding pitch under a slow envelope, with pauses."""
    t = np.arange(int(RATE_HZ * seconds)) / RATE_HZ
    pitch = 2 * np.pi * np.cumsum(140 + 30 * np.sin(2 * np.pi * 0.7 * t)) / RATE_HZ
    sound = sum(np.sin(k * pitch) / k for k in range(1, 25))
    return (0.12 * sound * np.clip(np.sin(2 * np.pi * 2.2 * t), 0, None)).astype(np.float32)


def lag(late: np.ndarray, early: np.ndarray) -> int:
    """Samples by which the first comes after the second, from their cross-correlation."""
    n = 2 * len(early)
    product = np.fft.irfft(np.fft.rfft(late, n) * np.conj(np.fft.rfft(early, n)))
    shift = int(np.argmax(product))
    return shift if shift < n // 2 else shift - n


@pytest.mark.parametrize("rival", PEERS, ids=lambda p: p.key)
def test_length_and_place_are_kept(rival):
    clean = voice()[:-77]
    noisy = clean + 0.003 * np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    try:
        made = rival.call(noisy)
    except EngineError as reason:
        pytest.skip(str(reason))
    assert made.shape == noisy.shape and np.isfinite(made).all()
    assert abs(lag(made, clean)) <= 2


def test_rnnoise_takes_noise_out():
    try:
        made = peer("rnnoise").call(0.05 * np.random.default_rng(1).standard_normal(2 * RATE_HZ).astype(np.float32))
    except EngineError as reason:
        pytest.skip(str(reason))
    assert np.std(made[RATE_HZ:]) < 0.01


def test_an_unknown_rival_is_named_with_those_there_are():
    with pytest.raises(EngineError, match="rnnoise, noisereduce, wiener, nara_wpe"):
        peer("magic")
