"""Every preset spoils speech the same way each time, keeps its length, and does what its words say."""

import numpy as np
import pytest

from core.speech.degrade import spoil
from core.speech.metrics import si_sdr
from core.speech.presets import PRESETS, WORDS, sources


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    t = np.arange(96_000) / 48_000
    return (0.3 * sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 60)) * (np.sin(2 * np.pi * 1.5 * t) > -0.3)).astype(np.float32)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_replayed_and_is_heard(name, clean):
    made = spoil(clean, PRESETS[name](5.0, 1), sources())
    again = spoil(clean, PRESETS[name](5.0, 1), sources())
    assert np.array_equal(made.noisy, again.noisy) and made.noisy.shape == made.target.shape == clean.shape
    assert si_sdr(made.noisy, made.target) < 22 and name in WORDS


def test_the_noise_level_is_what_was_asked_and_the_telephone_has_no_treble(clean):
    loud, soft = (spoil(clean, PRESETS["street"](snr, 1), sources()) for snr in (0.0, 10.0))
    assert np.std(loud.noisy - loud.target) == pytest.approx(10 ** 0.5 * np.std(soft.noisy - soft.target), rel=0.02)
    spectrum = np.abs(np.fft.rfft(spoil(clean, PRESETS["telephone"](5.0, 1), sources()).noisy)) ** 2
    hz = np.fft.rfftfreq(len(clean), 1 / 48_000)
    assert spectrum[hz > 5000].sum() < 1e-4 * spectrum.sum()
