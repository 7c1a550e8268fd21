"""Fading: its power, the correlation that an angular spread leaves between antennas, delays, and layers of one terminal."""

import numpy as np
import pytest

from core.ran import fading


def draws(count: int = 3000, spread_deg: float = 5.0, towards: float = 0.4, layers=(1,), offsets=(0.0,)) -> np.ndarray:
    """[count, P, Nr, L] at one TRP of 8 antennas."""
    rng = np.random.default_rng(2)
    return np.array([fading.geometric(np.full((1, len(layers)), towards), np.array(layers), 8, np.array(offsets),
                                      spread_deg=spread_deg, rays=12, carrier_hz=3.5e9, rng=rng)[:, 0] for _ in range(count)])


def test_a_wave_from_broadside_meets_all_antennas_at_once() -> None:
    assert fading.steering(0.0, 4) == pytest.approx(np.ones(4))
    assert fading.steering(np.pi / 6, 3) == pytest.approx(np.exp(1j * np.pi * 0.5 * np.arange(3)))


def test_power_and_distribution() -> None:
    h = draws()
    assert (np.abs(h) ** 2).mean() == pytest.approx(1.0, rel=0.05)
    assert (np.abs(h) ** 4).mean() == pytest.approx(2.0 - 1.0 / 12, rel=0.1), "12 rays are nearly Rayleigh"


@pytest.mark.parametrize("spread_deg", [2.0, 5.0])
def test_correlation_between_antennas_is_that_of_the_angular_spectrum(spread_deg) -> None:
    """E h_n h_0* = e^{j pi n sin a} E e^{j pi n cos a d}, d Laplacian of this rms: 1 / (1 + (pi n cos a s)^2 / 2), for small spreads."""
    h, towards = draws(spread_deg=spread_deg), 0.4
    n = np.arange(8)
    found = (h[:, 0, :, 0] * np.conj(h[:, 0, :1, 0])).mean(axis=0)
    expected = np.exp(1j * np.pi * n * np.sin(towards)) / (1 + (np.pi * n * np.cos(towards) * np.radians(spread_deg)) ** 2 / 2)
    assert np.abs(found - expected).max() < 0.07


def test_delays_decorrelate_frequencies() -> None:
    """Exponential delays of rms s: E h(f) h(0)* = 1 / (1 + j 2 pi f s)."""
    spread_s = 10 ** (-0.01 * np.log10(4.5) - 7.692)
    offsets = np.array([0.0, 4e6, 30e6])
    h = draws(offsets=offsets)
    found = (h[:, :, 0, 0] * np.conj(h[:, :1, 0, 0])).mean(axis=0)
    assert np.abs(found - 1 / (1 + 2j * np.pi * offsets * spread_s)).max() < 0.06


def test_layers_of_one_terminal_share_directions_not_fading() -> None:
    h = draws(layers=(2, 1), spread_deg=0.5)
    same = np.abs((h[:, 0, :, 0] * np.conj(h[:, 0, :, 1])).mean(axis=1))          # per draw: arrays nearly collinear
    norms = np.sqrt((np.abs(h[:, 0]) ** 2).mean(axis=1))
    assert np.median(same / (norms[:, 0] * norms[:, 1])) > 0.9
    assert abs((h[:, 0, 0, 0] * np.conj(h[:, 0, 0, 1])).mean()) < 0.4, "J0(pi) at half a wavelength"
    assert abs((h[:, 0, 0, 0] * np.conj(h[:, 0, 0, 2])).mean()) < 0.06


def test_iid_is_white() -> None:
    h = fading.iid(500, 2, 4, 3, np.random.default_rng(3)).reshape(500, -1)
    covariance = h.conj().T @ h / 500
    assert np.abs(covariance - np.eye(24)).max() < 0.2
