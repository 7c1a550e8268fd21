"""Scheduling: the SINR that decides, clusters that hold, and what each scheduler may and may not do."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.dmimo.combining import mmse_weights
from core.dmimo.scheduling import SCHEDULERS, Subband, compare, exhaustive_evaluations, schedule, select_trps, summary, trp_changes
from core.dmimo.walk import walk
from core.errors import ConfigError, LimitError
from tests.core.dmimo.walks import hall


def channel(seed: int, trps: int = 3, antennas: int = 4, users: int = 4, snr_db: float = 15.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    h = rng.standard_normal((2, trps, antennas, users))
    return 10 ** (snr_db / 20) * (h[0] + 1j * h[1]) / np.sqrt(2) * rng.uniform(0.1, 1, (trps, 1, users))


def subband(h: np.ndarray, room: int = 2, allowed: np.ndarray | None = None, error: float = 0.0, weights=None, most: float = 9.0, size: int = 2) -> Subband:
    users = h.shape[-1]
    gram = np.conj(np.swapaxes(h, -1, -2)) @ h
    allowed = np.ones((len(h), users), bool) if allowed is None else allowed
    return Subband(gram, np.full((len(h), users), error), np.ones(users) if weights is None else np.asarray(weights), room, most, allowed, size)


# ---------------------------------------------------------------- what a choice is worth

@pytest.mark.parametrize("error", [0.0, 0.2])
def test_rates_are_those_of_joint_mmse_over_the_users_trps(error):
    h = channel(1)
    taking = np.array([[1, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 1]], bool)
    rates = subband(h, error=error).of(taking)
    sending = [0, 1, 3]
    for k in sending:
        heard = np.concatenate([h[m][:, sending] for m in np.flatnonzero(taking[:, k])])
        sinr = mmse_weights(heard, np.full(len(heard), 1 + 3 * error))[1][sending.index(k)]
        assert rates[k] == pytest.approx(np.log2(1 + sinr))
    assert rates[2] == 0.0


def test_rates_stop_at_the_largest_modulation():
    assert subband(channel(1, snr_db=60.0), most=5.0).of(np.eye(3, 4, dtype=bool)).max() == 5.0


# ---------------------------------------------------------------- clusters

def test_a_trp_is_kept_until_another_is_clearly_better():
    swing = np.array([1.0, -1.0] * 20)
    gain = np.stack([swing, -swing], axis=1)[:, :, None]
    assert not (np.diff(select_trps(gain, 1, hysteresis_db=3.0), axis=0)).any()
    assert np.diff(select_trps(gain, 1, hysteresis_db=0.0), axis=0).any(axis=(1, 2)).all()
    drift = np.stack([np.linspace(5, -5, 41), np.linspace(-5, 5, 41)], axis=1)[:, :, None]
    assert np.flatnonzero(np.diff(select_trps(drift, 1, hysteresis_db=3.0)[:, 0, 0])).tolist() == [26]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), size=st.integers(1, 4), window=st.floats(0, 20), hysteresis=st.floats(0, 6))
def test_clusters_are_never_empty_nor_too_large_nor_out_of_the_window(seed, size, window, hysteresis):
    gain = np.cumsum(np.random.default_rng(seed).normal(0, 2, (30, 4, 3)), axis=0)
    chosen = select_trps(gain, size, window, hysteresis)
    count = chosen.sum(axis=1)
    assert count.min() >= 1 and count.max() <= size
    behind = gain.max(axis=1, keepdims=True) - gain
    assert behind[chosen].max() <= max(window, 0) + hysteresis + 1e-9


def test_changes_are_listed_with_time_and_place():
    way = walk(hall(), steps=60, step_s=1.0, subbands=1)
    clusters = select_trps(way.gain_db)
    rows = trp_changes(way, clusters)
    assert rows and len(rows) == (clusters[1:] != clusters[:-1]).any(axis=1).sum()
    row = rows[0]
    assert clusters[row["step"], :, row["ue"]].nonzero()[0].tolist() == row["after"] != row["before"]
    assert (row["x_m"], row["y_m"]) == tuple(way.places_m[row["step"], row["ue"], :2]) and row["time_s"] == row["step"]


# ---------------------------------------------------------------- who shares a subband

@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), room=st.integers(1, 3), name=st.sampled_from(sorted(SCHEDULERS)))
def test_no_trp_takes_more_users_than_it_has_room_for(seed, room, name):
    allowed = np.random.default_rng(seed).random((3, 4)) < 0.6
    allowed[0] |= ~allowed.any(axis=0)
    taking = SCHEDULERS[name](subband(channel(seed), room, allowed, error=0.05))
    assert taking.sum(axis=1).max() <= max(room, 1) and taking.any()
    if name != "joint":
        assert not (taking & ~allowed).any()


@pytest.mark.parametrize("seed", range(4))
def test_joint_selection_comes_near_the_best_of_all_allocations(seed):
    band = subband(channel(seed, trps=2, antennas=2, users=3), room=2, weights=[1.0, 0.5, 2.0])
    everything = (np.array(bits, bool).reshape(2, 3) for bits in product((0, 1), repeat=6))
    possible = [float(band.weights @ band.of(taking)) for taking in everything if taking.sum(axis=1).max() <= 2]
    assert len(possible) < exhaustive_evaluations(2, 3) == 64
    found = float(band.weights @ band.of(SCHEDULERS["joint"](band)))
    assert 0.9 * max(possible) <= found <= max(possible) + 1e-9


def test_users_that_cannot_be_told_apart_do_not_share_a_subband():
    h = channel(3, users=2, antennas=8)
    h[..., 1] = h[..., 0]
    for name in ("joint", "two_stage", "orthogonal"):
        assert SCHEDULERS[name](subband(h)).any(axis=0).sum() == 1
    assert SCHEDULERS["two_stage"](subband(channel(3, users=2, antennas=8))).any(axis=0).sum() == 2


def test_weights_decide_who_goes_first():
    for name in ("one_at_a_time", "two_stage", "orthogonal", "joint"):
        taking = SCHEDULERS[name](subband(channel(5, antennas=2), room=1, weights=[0.01, 0.01, 100.0, 0.01]))
        assert taking[:, 2].any(), name


def test_selection_that_looks_at_more_costs_more():
    spent = {}
    for name in SCHEDULERS:
        band = subband(channel(7, users=6), allowed=np.random.default_rng(0).random((3, 6)) < 0.9)
        SCHEDULERS[name](band)
        spent[name] = (band.tally.evaluations, band.tally.flops)
    assert spent["joint"] > spent["two_stage"] > spent["one_at_a_time"] > spent["round_robin"] == (0, 0.0)
    assert spent["orthogonal"][0] == 0 < spent["orthogonal"][1] < spent["two_stage"][1]


# ---------------------------------------------------------------- over a walk

@pytest.fixture(scope="module")
def way():
    return walk(hall(users=6), steps=40, subbands=1, seed=2)


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_every_user_is_served_over_a_walk(way, name):
    found = schedule(way, name, select_trps(way.gain_db))
    row = summary(way, found)
    assert found.rates.mean(axis=0).min() > 0 and row["worst_user_bps"] > 0
    assert row["throughput_bps"] == pytest.approx(found.rates.mean(axis=0).sum() * 273 * 12 * 30e3 * 12 / 14)
    assert 1 / 6 <= row["fairness"] <= 1 and row["p5_user_bps"] <= row["worst_user_bps"] + row["throughput_bps"] / 6
    assert (found.rates[~found.taking.any(axis=(1, 2))] == 0).all()


def test_pairing_beats_one_user_at_a_time_and_a_group_beats_single_cells_where_users_stand_together():
    rows = {row["scheduler"]: row for row in compare(hall(users=6, placement="clustered", cluster_radius_m=1.0), steps=40, subbands=1, seed=3)}
    assert rows["one_at_a_time"]["throughput_bps"] < 0.7 * rows["single_cell"]["throughput_bps"] < 0.7 * rows["two_stage"]["throughput_bps"]
    assert rows["joint"]["throughput_bps"] > 0.95 * rows["two_stage"]["throughput_bps"]
    assert rows["joint"]["evaluations_per_step"] > 2 * rows["two_stage"]["evaluations_per_step"]
    assert all(row["seed"] == 3 and row["changes_per_minute"] >= 0 for row in rows.values())


def test_an_unknown_scheduler_is_a_sentence(way):
    with pytest.raises(ConfigError, match="There is no scheduler 'best'. There are: joint, two_stage"):
        schedule(way, "best", select_trps(way.gain_db))


def test_a_group_that_takes_minutes_is_refused():
    large = walk(hall(users=16, antennas=8), steps=1, subbands=1)
    assert schedule(large, "orthogonal", select_trps(large.gain_db)).rates.any()
    many = walk(hall(users=18, antennas=8), steps=1, subbands=1)
    with pytest.raises(LimitError, match="4 TRPs and 18 users is more than the 12 and 16"):
        schedule(many, "two_stage", select_trps(many.gain_db))
