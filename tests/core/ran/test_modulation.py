"""QAM of TS 38.211, LLRs against exhaustive search, GMI against quadrature and a real code, fixed point against its error law, CP-OFDM."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ran.fixed_point import block_float, quantise_llrs
from core.ran.modulation import QAM_BITS, level, max_log_llrs, qam_map
from core.ran.mutual_information import CODE_RATES, MARGIN, awgn_gmi, best_rate, gmi, pass_probability
from core.ran.numerology import Numerology, demodulate, modulate

SIONNA = json.loads((Path(__file__).resolve().parents[2] / "golden" / "sionna.json").read_text(encoding="utf8"))


def constellation(qam_bits: int) -> tuple[np.ndarray, np.ndarray]:
    bits = (np.arange(2 ** qam_bits)[:, None] >> np.arange(qam_bits - 1, -1, -1)) & 1
    return bits, qam_map(bits)


@pytest.mark.parametrize("qam_bits", QAM_BITS)
def test_constellation_has_power_one_and_is_gray(qam_bits) -> None:
    bits, points = constellation(qam_bits)
    assert (np.abs(points) ** 2).mean() == pytest.approx(1.0)
    apart = np.abs(points[:, None] - points[None])
    near = np.isclose(apart, 2 * level(qam_bits))
    assert near.sum() > 0 and ((bits[:, None] != bits[None]).sum(axis=2)[near] == 1).all()


def test_points_of_the_standard() -> None:
    """TS 38.211 sec. 5.1.5: 64QAM d = {(1-2b0)[4-(1-2b2)[2-(1-2b4)]] + j (1-2b1)[4-(1-2b3)[2-(1-2b5)]]} / sqrt 42."""
    assert qam_map(np.array([0, 0, 0, 0, 0, 0])) == pytest.approx((3 + 3j) / np.sqrt(42))
    assert qam_map(np.array([1, 0, 1, 0, 1, 0])) == pytest.approx((-7 + 3j) / np.sqrt(42))
    assert qam_map(np.array([0, 1, 0, 0, 1, 1])) == pytest.approx((1 - 1j) / np.sqrt(42))
    assert qam_map(np.array([1, 0])) == pytest.approx((-1 + 1j) / np.sqrt(2))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(QAM_BITS), st.floats(-3, 3), st.floats(-3, 3), st.floats(0.01, 10))
def test_closed_form_llrs_are_the_exhaustive_ones(qam_bits, real, imag, noise_var) -> None:
    bits, points = constellation(qam_bits)
    distances = np.abs(real + 1j * imag - points) ** 2
    expected = [(distances[bits[:, k] == 1].min() - distances[bits[:, k] == 0].min()) / noise_var for k in range(qam_bits)]
    assert max_log_llrs(np.array(real + 1j * imag), np.array(noise_var), qam_bits) == pytest.approx(expected, abs=1e-9 / noise_var)


@pytest.mark.parametrize("qam_bits, snr_db", [(2, 2.0), (4, 10.0), (6, 16.0), (8, 24.0)])
def test_measured_gmi_is_that_of_the_quadrature_whatever_the_scale(qam_bits, snr_db) -> None:
    rng = np.random.default_rng(4)
    bits = rng.integers(0, 2, (40_000, qam_bits))
    noise_var = 10 ** (-snr_db / 10)
    noise = np.sqrt(noise_var / 2) * (rng.standard_normal(len(bits)) + 1j * rng.standard_normal(len(bits)))
    llrs = max_log_llrs(qam_map(bits) + noise, noise_var, qam_bits)
    expected = awgn_gmi(snr_db, qam_bits)
    assert gmi(llrs, bits, axis=(0, 1)) == pytest.approx(expected, abs=0.006)
    assert gmi(llrs * 3.0, bits, axis=(0, 1)) == pytest.approx(expected, abs=0.008)
    assert gmi(rng.standard_normal(llrs.shape), bits, axis=(0, 1)) < 0.01
    per_bit = gmi(llrs, bits, axis=0)
    assert per_bit.shape == (qam_bits,) and per_bit.mean() == pytest.approx(expected, abs=0.01)


def test_gmi_of_the_quadrature_at_its_ends() -> None:
    assert awgn_gmi(40.0, 6) == pytest.approx(1.0, abs=1e-6)
    assert awgn_gmi(-20.0, 6) < 0.01
    bpsk = awgn_gmi(0.0, 2)           # QPSK at Es/N0 = 0 dB carries 2 x 0.4859 bits: capacity of BPSK at Eb/N0 = 0 dB less 3 dB
    assert bpsk == pytest.approx(0.4859, abs=2e-3)


def test_the_best_rate_passes_and_no_higher_one_would_pay() -> None:
    information = np.array([0.75, 0.76, 0.95])
    rate, carried = best_rate(information)
    assert rate == max(r for r in CODE_RATES if r + MARGIN < 0.75) and carried == pytest.approx(rate, rel=0.01)
    assert best_rate(np.full(3, 0.01))[0] == 0.0
    assert pass_probability(np.array([0.5 + MARGIN]), 0.5) == pytest.approx(0.5)


def test_the_threshold_stands_in_for_a_real_code() -> None:
    """Blocks of 5G LDPC decoded by Sionna where the GMI of our quadrature exceeds the rate by 0.02 to 0.08: the same cliff, within 0.015 of ours."""
    for rate in sorted({case["code_rate"] for case in SIONNA["decoding"]}):
        cases = [case for case in SIONNA["decoding"] if case["code_rate"] == rate]
        assert [awgn_gmi(case["snr_db"], 6) - rate for case in cases] == pytest.approx([case["margin"] for case in cases], abs=1e-4)
        passed = np.array([1 - case["block_errors"] / case["codewords"] for case in cases])
        ours = pass_probability(np.array([rate + case["margin"] for case in cases]), rate)
        assert passed[0] < 0.05 and ours[0] < 0.05 and passed[-1] > 0.95 and ours[-1] > 0.95
        assert np.interp(0.5, passed, [case["margin"] for case in cases]) == pytest.approx(MARGIN, abs=0.015)


@pytest.mark.parametrize("bits", [6, 9, 12])
def test_block_float_gains_six_db_per_bit_and_states_its_error(bits) -> None:
    rng = np.random.default_rng(5)
    samples = rng.standard_normal((20_000, 12)) + 1j * rng.standard_normal((20_000, 12))
    rounded, error_var = block_float(samples, bits)
    measured = (np.abs(rounded - samples) ** 2).mean()
    assert measured == pytest.approx(error_var.mean(), rel=0.03)
    sqnr_db = 10 * np.log10(2.0 / measured)
    # error step^2 / 6; step = peak / 2^(bits-1) rounded up to a power of two (2.16 x in power on average); peak^2 of 24 normals is 5.0 on average
    assert sqnr_db == pytest.approx(6.02 * bits - 6.0, abs=0.5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e4, 1e4), min_size=24, max_size=24), st.integers(2, 16))
def test_block_float_keeps_within_half_a_step_and_fits(values, bits) -> None:
    samples = np.array(values[:12]) + 1j * np.array(values[12:])
    rounded, error_var = block_float(samples, bits)
    step = np.sqrt(6 * error_var)
    assert np.abs((rounded - samples).real).max() <= step / 2 * (1 + 1e-9) and np.abs((rounded - samples).imag).max() <= step / 2 * (1 + 1e-9)
    mantissas = np.concatenate([rounded.real, rounded.imag]) / np.maximum(step, 1e-300)
    assert np.abs(mantissas).max() <= 2 ** (bits - 1) - 1 and np.allclose(mantissas, np.rint(mantissas))
    assert (block_float(rounded, bits)[0] == rounded).all(), "what fits stays as it is"


def test_quantised_llrs_saturate_keep_signs_and_lose_little() -> None:
    assert quantise_llrs(np.array([-100.0, -0.1, 0.0, 2.1, 100.0]), 3).tolist() == [-3, 0, 0, 1, 3]
    assert quantise_llrs(np.array([-0.0, 0.2]), 1).tolist() == [-1, 1]
    rng = np.random.default_rng(6)
    bits = rng.integers(0, 2, (20_000, 6))
    noise_var = 10 ** -1.6
    llrs = max_log_llrs(qam_map(bits) + np.sqrt(noise_var / 2) * (rng.standard_normal(20_000) + 1j * rng.standard_normal(20_000)), noise_var, 6)
    kept = [gmi(quantise_llrs(llrs, b), bits, axis=(0, 1)) for b in (1, 2, 3, 4, 8)]
    assert (np.diff(kept) > 0).all() and gmi(llrs, bits, axis=(0, 1)) - kept[2] < 0.02


def test_the_grid_of_100_mhz() -> None:
    grid = Numerology(273, 30e3)
    assert (grid.subcarriers, grid.fft_size, grid.slots_per_second) == (3276, 4096, 2000.0)
    assert [grid.prefix_samples(k) for k in (0, 1)] == [352, 288]
    assert sum(grid.prefix_samples(k) + 4096 for k in range(14)) == grid.sample_rate_hz / 2000


def test_a_channel_shorter_than_the_prefix_is_one_factor_per_subcarrier() -> None:
    numerology, rng = Numerology(4, 30e3), np.random.default_rng(7)
    grid = qam_map(rng.integers(0, 2, (14, 48, 4)))
    samples = modulate(grid, numerology)
    assert np.abs(demodulate(samples, numerology) - grid).max() < 1e-12
    taps = np.array([1.0, 0.0, 0.5j, -0.2])                    # the prefix has 4 samples or more
    received = demodulate(np.convolve(samples, taps)[:len(samples)], numerology)
    factors = received / grid
    bins = (np.arange(48) - 24) % 64
    assert np.abs(factors - np.fft.fft(taps, 64)[bins]).max() < 1e-9
