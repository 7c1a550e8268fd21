"""Combining: exactness where theory asks for it, predicted error variance against the measured one, and the order that theory puts the schemes in."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.dmimo import channel, combining
from core.dmimo.link import receive
from core.dmimo.presets import PRESETS
from core.ran import fading
from core.ran.modulation import max_log_llrs, qam_map

GOLDEN = json.loads((Path(__file__).resolve().parents[2] / "golden" / "sionna.json").read_text(encoding="utf8"))
TRPS, ANTENNAS, LAYERS, ELEMENTS = 3, 8, 4, 48


class Air:
    """Independent fading, 8 antennas a TRP, 4 layers: y [P, M, T, Nr], h [P, M, Nr, L], noise_var [P, M], sent [P, T, L]; P is `blocks`."""

    def __init__(self, seed: int, snr_db: float = 10.0, blocks: int = 60, dmrs_symbols: int | None = None, trps: int = TRPS, gains=1.0) -> None:
        rng = np.random.default_rng(seed)
        power = np.broadcast_to(10 ** (snr_db / 10) * np.asarray(gains), (trps, LAYERS))
        true = np.sqrt(power)[:, None, :] * fading.iid(blocks, trps, ANTENNAS, LAYERS, rng)
        self.h, noise_var = (true, np.ones(trps)) if dmrs_symbols is None else channel.estimate(true, power, dmrs_symbols, rng)
        self.noise_var = np.broadcast_to(noise_var, (blocks, trps))
        self.sent = qam_map(rng.integers(0, 2, (blocks, ELEMENTS, LAYERS, 4)))
        noise = rng.standard_normal((2, blocks, trps, ELEMENTS, ANTENNAS)) * np.sqrt(0.5)
        self.y = self.sent[:, None] @ np.swapaxes(true, -1, -2) + noise[0] + 1j * noise[1]

    @property
    def received(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.y, self.h, self.noise_var

    @property
    def local(self) -> combining.Local:
        return combining.local_mmse(*self.received)


def close(one: combining.Combined, other: combining.Combined, tolerance: float = 1e-9) -> bool:
    return np.allclose(one.symbols, other.symbols, rtol=tolerance, atol=tolerance) and np.allclose(one.sinr, other.sinr, rtol=tolerance)


# Exactness

def test_weights_are_those_of_the_antenna_form() -> None:
    """(H^H R^-1 H + I)^-1 H^H R^-1 = H^H (H H^H + R)^-1, unbiased by the diagonal of W H."""
    rng = np.random.default_rng(1)
    h, noise_var = fading.iid(5, 1, 6, 3, rng)[:, 0], rng.uniform(0.1, 2.0, (5, 6))
    weights, sinr = combining.mmse_weights(h, noise_var)
    adjoint = np.conj(np.swapaxes(h, -1, -2))
    direct = adjoint @ np.linalg.inv(h @ adjoint + noise_var[..., None] * np.eye(6))
    share = np.diagonal(direct @ h, axis1=-2, axis2=-1).real
    assert np.allclose(weights, direct / share[..., None])
    assert np.allclose(sinr, share / (1 - share))


def test_weights_are_those_of_sionna() -> None:
    case = GOLDEN["equalising"]
    h, y, symbols = (np.array(case[name]) @ [1, 1j] for name in ("h", "y", "symbols"))
    weights, sinr = combining.mmse_weights(h.reshape(8, 4), np.array(case["noise_var"]))
    assert np.allclose(weights @ y, symbols, rtol=1e-9) and np.allclose(1 / sinr, case["error_var"], rtol=1e-9)


@pytest.mark.parametrize("case", GOLDEN["demapping"], ids=lambda case: f"{2 ** case['qam_bits']}QAM")
def test_points_and_llrs_are_those_of_sionna(case) -> None:
    bits = (np.arange(2 ** case["qam_bits"])[:, None] >> np.arange(case["qam_bits"] - 1, -1, -1)) & 1
    assert np.allclose(qam_map(bits), np.array(case["points"]) @ [1, 1j])
    llrs = max_log_llrs(np.array(case["received"]) @ [1, 1j], case["noise_var"], case["qam_bits"])
    assert np.allclose(llrs, case["llrs"], rtol=1e-9, atol=1e-9)


def test_a_stream_per_layer_makes_distributed_combining_joint_combining() -> None:
    air = Air(2, dmrs_symbols=2)
    joint = combining.iq_combining(*air.received)
    assert close(combining.distributed_combining(*air.received, LAYERS), joint)
    assert close(combining.distributed_combining(*air.received, ANTENNAS), joint), "more streams than layers add nothing"
    everything = np.ones((1, TRPS, LAYERS), dtype=bool)
    local = combining.Local(*(part[None] for part in vars(air.local).values()))
    of_outputs = combining.combine_local(local, air.h[None], air.noise_var[None], everything)
    assert close(combining.Combined(of_outputs.symbols[0], of_outputs.sinr[0]), joint, 1e-6)


def test_a_stream_per_layer_is_exact_for_users_whom_no_radio_can_separate() -> None:
    """The post's regime: Gram matrices of a condition beyond 1e4."""
    reception = receive(PRESETS["post"], 26.0, 4, [np.random.default_rng(3)])
    joint = combining.iq_combining(reception.y, reception.h, reception.noise_var)
    assert close(combining.distributed_combining(reception.y, reception.h, reception.noise_var, 8), joint, 1e-7)


def test_one_radio_makes_all_schemes_equal() -> None:
    air = Air(4, dmrs_symbols=1, trps=1)
    joint = combining.iq_combining(*air.received)
    everything = np.ones((1, LAYERS), dtype=bool)
    assert close(combining.distributed_combining(*air.received, LAYERS), joint)
    assert close(combining.combine_weighted(air.local, everything), joint)
    assert np.allclose(air.local.symbols[:, 0], joint.symbols) and np.allclose(air.local.sinr[:, 0], joint.sinr)


# Predicted against measured

def ratio(combined: combining.Combined, sent: np.ndarray) -> float:
    """Measured over predicted error variance, the mean over resource blocks and layers of each normalised error."""
    return float((np.abs(combined.symbols - sent) ** 2 * combined.sinr[..., None, :]).mean())


@pytest.mark.parametrize("snr_db", [0.0, 15.0])
@pytest.mark.parametrize("scheme", ["iqc", "deqc", "deqc_local", "local"])
def test_predicted_error_variance_is_the_measured_one(scheme, snr_db) -> None:
    """With estimated channels and coarse fronthaul: 300 blocks x 48 elements x 4 layers give the mean to about 1 %."""
    air = Air(5, snr_db=snr_db, blocks=300, dmrs_symbols=2, gains=[[1.0], [0.5], [0.1]])
    if scheme == "local":
        local = air.local
        found = ratio(combining.Combined(local.symbols, local.sinr), air.sent[:, None])
    elif scheme == "deqc_local":
        chosen = combining.assign(local_scores(air), 2)[None]
        local = combining.Local(*(part[None] for part in vars(air.local).values()))
        found = ratio(combining.combine_local(local, air.h[None], air.noise_var[None], chosen, 6), air.sent[None])
    else:
        found = ratio(combining.iq_combining(*air.received, 5) if scheme == "iqc" else combining.distributed_combining(*air.received, 2, 5), air.sent)
    assert found == pytest.approx(1.0, abs=0.05)


def local_scores(air: Air) -> np.ndarray:
    return np.log2(1 + air.local.sinr).mean(axis=0)


def test_block_float_costs_what_is_predicted() -> None:
    air = Air(6, snr_db=20.0, blocks=200)
    exact, coarse = combining.iq_combining(*air.received), combining.iq_combining(*air.received, 3)
    assert (coarse.sinr < exact.sinr).all() and np.log10(exact.sinr / coarse.sinr).mean() > 0.2, "three bits are felt"
    assert ratio(coarse, air.sent) == pytest.approx(1.0, abs=0.05)


def test_better_pilots_leave_less_noise() -> None:
    rng = np.random.default_rng(7)
    power = np.full((2, 3), 4.0)
    true = 2.0 * fading.iid(2000, 2, 4, 3, rng)
    for dmrs_symbols in (1, 4):
        known, noise_var = channel.estimate(true, power, dmrs_symbols, rng)
        left = (np.abs(true - known) ** 2).mean(axis=(0, 2)).sum(axis=1)
        assert noise_var == pytest.approx(1.0 + left, rel=0.02)
        assert abs((np.conj(known) * (true - known)).mean()) < 0.01, "what is left is orthogonal to what is known"


def test_adding_by_sinr_is_optimistic_where_interference_is_shared() -> None:
    """Two TRPs hear the same strong interferers: their errors are alike in kind, and a joint MMSE does better than the sum of SINRs can hold."""
    reception = receive(PRESETS["post"], 20.0, 4, [np.random.default_rng(k) for k in range(10)])
    chosen = np.ones((10, 4, 8), dtype=bool)
    combined = combining.combine_weighted(reception.local, chosen)
    measured = (np.abs(combined.symbols - reception.sent) ** 2 * combined.sinr[..., None, :]).mean()
    assert measured > 1.2


# Order

@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.floats(-5.0, 30.0))
def test_what_is_dropped_is_never_gained(seed, streams, snr_db) -> None:
    """With channels known: joint combining has the largest SINR of every layer, more streams have more, a radio alone has less."""
    air = Air(seed, snr_db=snr_db, blocks=4)
    joint = combining.iq_combining(*air.received).sinr * (1 + 1e-9)
    some, more = (combining.distributed_combining(*air.received, count).sinr for count in (streams, streams + 1))
    assert (some <= more * (1 + 1e-9)).all() and (more <= joint).all()
    assert (air.local.sinr <= joint[:, None]).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 4), st.integers(0, 1000))
def test_every_layer_is_forwarded_while_there_is_room(trps, layers, streams, seed) -> None:
    scores = np.random.default_rng(seed).exponential(size=(trps, layers))
    chosen = combining.assign(scores, streams)
    assert (chosen.sum(axis=1) == min(streams, layers)).all(), "no stream is left empty"
    assert (chosen.any(axis=0)).sum() == min(layers, trps * streams)


def test_a_radio_forwards_what_it_hears_best() -> None:
    scores = np.array([[3.0, 2.0, 0.1], [2.5, 1.0, 0.2]])
    assert combining.assign(scores, 2).tolist() == [[True, True, False], [True, False, True]]
    assert combining.best_trp(scores).tolist() == [[True, True, False], [False, False, True]]


def test_best_beams_are_orthonormal_and_hold_the_most_power() -> None:
    h = fading.iid(1, 1, 8, 4, np.random.default_rng(8))[0, 0]
    beams = combining.best_subspace(h, 2)
    assert np.allclose(beams.conj().T @ beams, np.eye(2))
    held = np.linalg.norm(beams.conj().T @ h)
    others = [np.linalg.norm(np.linalg.qr(fading.iid(1, 1, 8, 2, np.random.default_rng(k))[0, 0])[0].conj().T @ h) for k in range(50)]
    assert held == pytest.approx(np.sqrt((np.linalg.svd(h)[1][:2] ** 2).sum())) and held > max(others)


def test_clustered_users_are_ill_conditioned_at_a_radio_and_not_at_the_centre() -> None:
    """SINR in single precision against complex128, the post's regime: why local equalisation is done in complex128, and the joint one need not be."""
    reception = receive(PRESETS["post"], 26.0, 4, [np.random.default_rng(k) for k in range(10)])
    off, worst = {}, {}
    for where, h in (("centre", reception.h.reshape(10, 4, -1, 8)), ("radio", reception.h)):
        exact = combining.mmse_weights(h, np.ones(h.shape[:-1]))[1]
        single = h.astype(np.complex64)
        gram = np.conj(np.swapaxes(single, -1, -2)) @ single + np.eye(8, dtype=np.complex64)
        left = np.diagonal(np.linalg.inv(gram), axis1=-2, axis2=-1).real
        off[where], worst[where] = np.abs((1 / left - 1) / exact - 1).max(), np.linalg.cond(gram.astype(complex)).max()
    assert worst["centre"] < 2e3 < 1e4 < worst["radio"]
    assert off["centre"] < 1e-4 < off["radio"]
