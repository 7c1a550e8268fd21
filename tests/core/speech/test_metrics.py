"""Measures against values that follow from their definitions, and losses that order what is better and worse."""

import numpy as np
import pytest
import torch

from core.speech import losses, metrics
from core.speech.stft import compress, stft
from core.speech.wiener import wiener
from tests.core.speech.voices import voice

CLEAN = voice(2.0)
NOISE = np.random.default_rng(1).standard_normal(len(CLEAN)).astype(np.float32)


def noisy(snr_db: float) -> np.ndarray:
    """Clean speech and noise at this ratio of mean powers."""
    return CLEAN + NOISE * np.sqrt(np.mean(CLEAN ** 2) / np.mean(NOISE ** 2)) * 10 ** (-snr_db / 20)


@pytest.mark.parametrize("snr_db", [0, 10, 30])
def test_si_sdr_is_the_ratio_and_ignores_gain(snr_db):
    assert metrics.si_sdr(noisy(snr_db), CLEAN) == pytest.approx(snr_db, abs=0.3)
    assert metrics.si_sdr(0.1 * noisy(snr_db), CLEAN) == pytest.approx(metrics.si_sdr(noisy(snr_db), CLEAN), abs=1e-3)


def test_high_band_measures_see_what_lies_above_8_khz_only():
    hz = np.fft.rfftfreq(len(NOISE), 1 / 48_000)
    low, high = (np.fft.irfft(np.fft.rfft(NOISE) * keep, len(NOISE)).astype(np.float32) for keep in (hz < 6_000, hz > 10_000))
    assert metrics.spectral_distance_db(CLEAN, CLEAN) == 0
    assert metrics.high_mrstft(CLEAN, CLEAN) == 0
    for measure in (metrics.spectral_distance_db, metrics.high_mrstft):
        assert measure(CLEAN + 0.1 * high, CLEAN) > 10 * measure(CLEAN + 0.1 * low, CLEAN)


def test_estoi_falls_with_noise():
    assert metrics.estoi(noisy(20), CLEAN) > metrics.estoi(noisy(0), CLEAN)


def test_dnsmos_gives_three_opinions_without_a_reference():
    found = metrics.dnsmos(noisy(5))
    assert set(found) == {"ovrl", "sig", "bak"}
    assert all(1 <= value <= 5 for value in found.values())


def test_pesq_is_none_where_it_is_not_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pesq", None)
    assert metrics.pesq(noisy(5), CLEAN) is None
    assert "pesq" not in metrics.measure(noisy(5), CLEAN, quick=True)


def test_the_wiener_filter_lowers_steady_noise():
    quiet = np.concatenate([np.zeros(24_000, np.float32), CLEAN])
    spoilt = quiet + 0.02 * np.resize(NOISE, len(quiet))
    assert metrics.si_sdr(wiener(spoilt), quiet) > metrics.si_sdr(spoilt, quiet) + 2


def test_every_loss_term_grows_with_the_noise_and_vanishes_without():
    parts = [stft(torch.from_numpy(wave))[None] * 5 for wave in (CLEAN, noisy(20), noisy(5))]
    none, little, much = (losses.terms(found, parts[0], found[:, :, ::4, ::4], parts[0][:, :, ::4, ::4]) for found in parts)
    assert float(none["unlike"]) == pytest.approx(0, abs=2e-3)
    for name in little:
        assert float(none[name]) < float(little[name]) < float(much[name]), name
    assert float(none["loudness"]) == pytest.approx(0, abs=2e-3)
    assert float(none["sdr"]) == pytest.approx(-30, abs=0.1)


def test_left_over_noise_disturbs_more_than_lost_speech():
    """The asymmetry of P.862: what was added weighs more than what was taken away."""
    spectrum = stft(torch.from_numpy(CLEAN))[None].square().sum(1) + 1e-6
    assert float(losses.disturbance(spectrum * 8 + 1e-4, spectrum)) > float(losses.disturbance(spectrum / 8, spectrum))


def test_the_intelligibility_term_follows_estoi():
    """The loss works on other frames and rates than ESTOI, but the two order and space noisy speech alike."""
    power = [stft(torch.from_numpy(noisy(snr_db)))[None].square().sum(1) ** (1 / 0.667) for snr_db in (-5, 5, 15)]
    clean = stft(torch.from_numpy(CLEAN))[None].square().sum(1) ** (1 / 0.667)
    found = [float(losses.intelligibility(value, clean)) for value in power]
    assert found == pytest.approx([metrics.estoi(noisy(snr_db), CLEAN) for snr_db in (-5, 5, 15)], abs=0.12)


def test_losses_have_finite_gradients_at_silence():
    found = torch.zeros(1, 2, 768, 4, requires_grad=True)
    losses.total(losses.terms(found, compress(torch.randn(1, 2, 768, 4)), found[:, :, ::4], torch.randn(1, 2, 192, 4))).sum().backward()
    assert torch.isfinite(found.grad).all()
