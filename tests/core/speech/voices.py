"""Made-up speech for tests: a voiced source through moving resonances, with pauses. It is no recording and says nothing."""

import numpy as np
from scipy.signal import lfilter

from core.speech.stft import RATE_HZ


def voice(seconds: float = 2.0, seed: int = 0, pitch_hz: float = 140.0) -> np.ndarray:
    """Float32 [n] at 48 kHz with a peak of 0.5: syllables of harmonics, hiss between them."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE_HZ)
    made = np.zeros(count)
    for start in range(0, count, RATE_HZ // 4):
        length = min(int(RATE_HZ * rng.uniform(0.12, 0.22)), count - start)
        pitch = pitch_hz * (1 + 0.2 * np.sin(np.linspace(0, rng.uniform(1, 4), length)))
        pulses = np.diff(np.floor(np.cumsum(pitch) / RATE_HZ), prepend=0)
        for centre_hz in rng.uniform((300, 900, 2200), (800, 1800, 3200)):
            pole = np.exp(-np.pi * 90 / RATE_HZ) * np.exp(2j * np.pi * centre_hz / RATE_HZ)
            pulses = pulses + 0.5 * lfilter([1], np.real(np.poly([pole, pole.conj()])), pulses) * 0.05
        made[start:start + length] += pulses * np.hanning(length) + 0.01 * rng.normal(size=length) * np.hanning(length)
    return (0.5 * made / np.abs(made).max()).astype(np.float32)
