"""Link adaptation: what each adapter believes, that the outer loop holds its target, and when to know the TRPs is worth something."""

import numpy as np
import pytest

from core.dmimo.link_adaptation import (
    ADAPTERS, MCS, TARGET_BLER, Blocks, adapt, blocks, choose_sets, compare, group_sinr_db, last_sets, mcs_information, summary)
from core.dmimo.scheduling import Subband, select_trps
from core.dmimo.walk import walk
from core.errors import ConfigError
from tests.core.dmimo.walks import hall


@pytest.fixture(scope="module")
def way():
    return walk(hall(users=4), steps=150, step_s=0.01, subbands=2, seed=1)


def test_mcs_grow_in_efficiency_within_a_constellation():
    efficiency = [bits * rate for bits, rate in MCS]
    assert len(MCS) == 28 and efficiency == sorted(efficiency) and efficiency[-1] == pytest.approx(7.4063, abs=1e-4)


def test_the_combined_sinr_is_that_of_the_scheduler(way):
    rng = np.random.default_rng(0)
    taking = rng.random((3, 2, 4, 4)) < 0.4
    found = group_sinr_db(way.gram[:3], way.error[:3], taking, taking.any(axis=2))
    for t in range(3):
        for f in range(2):
            rates = Subband(way.gram[t, f], way.error[t], np.ones(4), 9, 99.0, taking[t, f]).of(taking[t, f])
            sends = taking[t, f].any(axis=0)
            np.testing.assert_allclose(np.log2(1 + 10 ** (found[t, f] / 10))[sends], rates[sends], rtol=1e-6)


def test_the_set_of_the_last_block_is_the_one_before_the_delay():
    taking = np.zeros((5, 1, 2, 1), bool)
    for t, trp in enumerate((0, 1, None, 0, 1)):
        if trp is not None:
            taking[t, 0, trp, 0] = True
    before, step = last_sets(taking, taking.any(axis=2), 1)
    assert step[:, 0, 0].tolist() == [-1, 0, 1, 1, 3]
    assert before[:, 0, :, 0].argmax(axis=1).tolist() == [0, 0, 1, 1, 0]
    assert last_sets(taking, taking.any(axis=2), 2)[1][:, 0, 0].tolist() == [-1, -1, 0, 1, 1]


def test_information_is_the_mean_over_the_subbands_a_block_has():
    sinr = np.array([[10.0, 10.0], [-10.0, 30.0]])
    both = mcs_information(sinr, np.ones((2, 2), bool), 4)
    first = mcs_information(sinr, np.array([[True, True], [False, False]]), 4)
    assert both.shape == (2, 11) and (first[0] > both[0]).all() and (first[1] < both[1]).all()
    np.testing.assert_allclose(first[0], first[1])


def _synthetic(bias_db: float, spread_db: float, steps: int = 900) -> Blocks:
    rng = np.random.default_rng(5)
    true = np.clip(12 + rng.normal(0, 1, (steps, 1, 3)), -20, 40)
    believed = true + bias_db + rng.normal(0, spread_db, true.shape)
    return Blocks(np.ones((steps, 1, 3), bool), np.zeros((steps, 3), bool), {name: true if name == "genie" else believed for name in ADAPTERS})


@pytest.mark.parametrize("bias", [-6.0, 0.0, 6.0])
def test_the_outer_loop_holds_the_error_rate_whatever_the_bias(way, bias):
    result = adapt(way, _synthetic(bias, 2.0), ["predicted"])[0]
    assert 1 - result.acked[300:].mean() == pytest.approx(TARGET_BLER, abs=0.03)
    assert result.offset_db[300:].mean() == pytest.approx(-bias - 2.5, abs=2.0)
    without = adapt(way, _synthetic(bias, 2.0), ["predicted"], outer_loop=False)[0]
    assert (without.offset_db == 0).all() and without.efficiency.mean() < result.efficiency.mean() + 0.05


def test_nobody_beats_the_genie_and_who_believes_the_truth_comes_near(way):
    exact, rough = (adapt(way, _synthetic(0.0, spread)) for spread in (0.0, 4.0))
    for results in (exact, rough):
        best = results[0].efficiency.mean()
        assert all(r.efficiency.mean() <= best * 1.01 for r in results)
    assert exact[1].efficiency.mean() > 0.9 * exact[0].efficiency.mean() > rough[1].efficiency.mean()


def test_blind_and_predicted_are_the_same_where_the_trps_stay(way):
    taking = np.repeat(select_trps(way.gain_db)[:1], len(way.times_s), axis=0)[:, None].repeat(2, axis=1)
    found = blocks(way, taking)
    np.testing.assert_array_equal(found.sinr_db["blind"], found.sinr_db["predicted"])
    assert not found.changed.any()
    rows = {row["adapter"]: row for row in summary(way, found, adapt(way, found))}
    assert rows["blind"]["throughput_bps"] == rows["predicted"]["throughput_bps"] and np.isnan(rows["blind"]["ratio_after_change"])


def test_to_know_the_trps_pays_after_every_change(way):
    taking = np.zeros((len(way.times_s), 2, 4, 4), bool)
    best, worst = way.gain_db.mean(axis=0).argmax(axis=0), way.gain_db.mean(axis=0).argmin(axis=0)
    for t in range(len(taking)):
        taking[t, :, best if t % 4 < 2 else worst, np.arange(4)] = True
    found = blocks(way, taking)
    assert found.changed[2::2].all() and not found.changed[3::2].any()
    rows = {row["adapter"]: row for row in summary(way, found, adapt(way, found))}
    assert rows["predicted"]["error_db"] < rows["blind"]["error_db"] < 40
    assert rows["predicted"]["ratio_after_change"] > rows["blind"]["ratio_after_change"] + 0.1
    assert rows["genie"]["throughput_ratio"] == 1.0 and rows["predicted"]["changed_share"] == found.changed.mean()


def test_older_sounding_is_worth_less(way):
    taking = choose_sets(way, "cluster")
    error = [summary(way, found, adapt(way, found, ["genie", "predicted"]))[1]["error_db"] for found in (blocks(way, taking, d) for d in (1, 8))]
    assert error[0] < error[1]


def test_a_comparison_is_one_row_per_adapter_and_the_same_for_a_seed():
    settings = dict(steps=60, subbands=1, seed=9)
    rows = compare(hall(users=4), "scheduled", **settings)
    assert [row["adapter"] for row in rows] == list(ADAPTERS) and rows == compare(hall(users=4), "scheduled", **settings)
    assert all(0 <= row["bler"] <= 1 and row["sets"] == "scheduled" for row in rows)


def test_what_cannot_be_compared_is_a_sentence(way):
    with pytest.raises(ConfigError, match="scheduled or cluster"):
        choose_sets(way, "all")
    with pytest.raises(ConfigError, match="delay is 0"):
        choose_sets(way, "cluster", 0)
    with pytest.raises(ConfigError, match="There is no adapter 'oracle'"):
        adapt(way, blocks(way, choose_sets(way, "cluster")), ["oracle"])
