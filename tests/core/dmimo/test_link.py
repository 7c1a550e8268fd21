"""The link simulation: rows, seeds, and what must follow from theory whatever the seed."""

import dataclasses
import pickle

import numpy as np
import pytest

from core.dmimo import link
from core.dmimo.link import COLUMNS, SCHEMES, simulate_point
from core.dmimo.scenario import RadioConfig, Scenario, Trp, Ue, Wall
from core.errors import ConfigError

TRPS = (Trp(0, 0, antennas=4), Trp(20, 0, antennas=4), Trp(0, 20, antennas=4))
FINE = dict(iq_bits=16, stream_bits=16, llr_bits=16, prbs=24, qam_bits=6)


def small(trps=TRPS, ues=(Ue(9, 9), Ue(12, 8, layers=2)), **radio) -> Scenario:
    return Scenario("small", 20, 20, (), trps, ues, RadioConfig(**{**FINE, **radio}))


def by_scheme(scenario: Scenario, snr_db: float, drops: int, seed: int, schemes=SCHEMES) -> dict[str, dict]:
    return {row["scheme"]: row for row in simulate_point(scenario, snr_db, drops, seed, schemes)}


def test_rows_have_the_columns_and_add_up() -> None:
    scenario = small()
    rows = simulate_point(scenario, 12.0, 6, 7)
    assert [row["scheme"] for row in rows] == list(SCHEMES) and all(tuple(row) == COLUMNS for row in rows)
    for row in rows:
        assert all(np.isfinite(value) for name, value in row.items() if name != "scheme")
        assert 0 <= row["throughput_low_bps"] <= row["throughput_bps"] <= row["throughput_high_bps"]
        assert row["flops_per_slot"] == row["trp_flops_per_slot"] + row["centre_flops_per_slot"]
        assert row["spectral_efficiency"] == pytest.approx(row["throughput_bps"] / (24 * 12 * 30e3))
        assert (row["drops"], row["seed"], row["snr_db"]) == (6, 7, 12.0)
        most = 3 * 6 * 24 * 12 * 12 * 2000 * row["code_rate"]
        assert row["throughput_bps"] == pytest.approx(most * (1 - row["block_error_rate"]))
    pickle.loads(pickle.dumps(simulate_point))


def test_a_seed_says_everything_and_drops_do_not_depend_on_their_number(monkeypatch) -> None:
    scenario = small()
    first = simulate_point(scenario, 10.0, 5, 3)
    assert first == simulate_point(scenario, 10.0, 5, 3) != simulate_point(scenario, 10.0, 5, 4)
    monkeypatch.setattr(link, "_BATCH_SAMPLES", 1)          # one drop at a time
    for row, other in zip(first, simulate_point(scenario, 10.0, 5, 3)):
        assert row["gmi"] == pytest.approx(other["gmi"], rel=1e-6) and row["evm_measured_db"] == pytest.approx(other["evm_measured_db"], rel=1e-9)


def test_clusters_cover_the_plan_evenly_and_anew_for_every_seed() -> None:
    """Every sixteenth of the plan gets its share of 64 drops; fewer drops are the first of many."""
    middles = link._middles(np.random.SeedSequence(3), 64)
    counts = np.histogram2d(*middles.T, bins=4, range=((0, 1), (0, 1)))[0]
    assert 2 <= counts.min() and counts.max() <= 6
    assert (link._middles(np.random.SeedSequence(3), 10) == middles[:10]).all()
    firsts = np.array([link._middles(np.random.SeedSequence(seed), 1)[0] for seed in range(400)])
    assert firsts.mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.06) and firsts.std(axis=0) == pytest.approx(12 ** -0.5, abs=0.03)


def test_one_scheme_alone_is_what_it_was_among_all() -> None:
    scenario = small()
    assert simulate_point(scenario, 10.0, 4, 3, ("llrc",))[0] == by_scheme(scenario, 10.0, 4, 3)["llrc"]


def test_throughput_grows_with_snr() -> None:
    found = [by_scheme(small(), snr_db, 20, 1) for snr_db in (-5.0, 5.0, 15.0, 30.0)]
    for scheme in SCHEMES:
        rates = [point[scheme]["throughput_bps"] for point in found]
        assert rates[0] < rates[1] <= rates[2] * 1.02 and rates[2] <= rates[3] * 1.02, scheme


def test_streams_equal_to_layers_make_distributed_combining_joint() -> None:
    """What the post does not tell, second: the loss is that of the streams not forwarded."""
    rows = by_scheme(small(streams_per_trp=3), 14.0, 20, 5)
    assert rows["deqc"]["gmi"] == pytest.approx(rows["iqc"]["gmi"], abs=2e-4)
    assert rows["deqc_local"]["gmi"] == pytest.approx(rows["iqc"]["gmi"], abs=2e-4)
    assert rows["deqc"]["throughput_bps"] == pytest.approx(rows["iqc"]["throughput_bps"], rel=5e-3)


def test_one_radio_makes_all_schemes_equal() -> None:
    rows = by_scheme(small(trps=TRPS[:1], streams_per_trp=3), 18.0, 20, 6)
    for scheme in SCHEMES:
        assert rows[scheme]["gmi"] == pytest.approx(rows["iqc"]["gmi"], abs=3e-3), scheme
        assert rows[scheme]["evm_measured_db"] == pytest.approx(rows["iqc"]["evm_measured_db"], abs=0.01), scheme


def test_predicted_errors_are_those_measured_with_independent_fading() -> None:
    rows = by_scheme(small(channel="iid", streams_per_trp=2), 10.0, 60, 8)
    for scheme in ("iqc", "deqc", "deqc_local", "llrc", "single_trp"):
        assert rows[scheme]["evm_measured_db"] == pytest.approx(rows[scheme]["evm_predicted_db"], abs=0.35), scheme


def test_coarse_soft_bits_and_samples_cost_throughput() -> None:
    fine, coarse = (by_scheme(small(iq_bits=bits, llr_bits=bits, stream_bits=bits), 22.0, 20, 9) for bits in (12, 2))
    for scheme in ("iqc", "deqc", "llrc"):
        assert coarse[scheme]["gmi"] < fine[scheme]["gmi"] - 0.01, scheme


@pytest.mark.parametrize("radio", [dict(streams_per_trp=1), dict(qam_bits=8), dict(qam_bits=2, llr_bits=1), dict(rays=1, angular_spread_deg=0.0),
                                   dict(prbs=2)])
def test_odd_settings_work(radio) -> None:
    for row in simulate_point(small(ues=tuple(Ue(5 + k, 7, layers=1 + k % 2) for k in range(6)), **radio), 10.0, 2, 1):
        assert all(np.isfinite(value) for name, value in row.items() if name != "scheme")


def test_users_in_one_place_and_a_single_antenna() -> None:
    alone = Scenario("alone", 20, 20, (), (Trp(0, 0, antennas=1),), (Ue(5, 5),), RadioConfig(streams_per_trp=1))
    assert by_scheme(alone, 25.0, 3, 1)["iqc"]["throughput_bps"] > 0
    together = small(ues=(Ue(9, 9), Ue(9, 9)), rays=1, angular_spread_deg=0.0, streams_per_trp=1)
    assert all(np.isfinite(row["throughput_bps"]) for row in simulate_point(together, 30.0, 4, 1))


@pytest.mark.parametrize("drops, schemes, words", [(0, SCHEMES, "drops is 0"), (10 ** 6, SCHEMES, "between 1 and"),
                                                   (2, ("iqc", "magic"), "no scheme 'magic'"), (2, (), "Choose of: iqc")])
def test_what_cannot_be_run_is_said(drops, schemes, words) -> None:
    with pytest.raises(ConfigError, match=words):
        simulate_point(small(), 10.0, drops, 1, schemes)


def test_walls_and_places_reach_the_link() -> None:
    """Two of three radios behind thick walls: what they would have added is missing; a user beside a radio is heard by it alone without walls."""
    walls = (Wall(15, 0, 15, 20, 60), Wall(0, 15, 20, 15, 60))
    middle, beside = small(ues=(Ue(9, 9),)), small(ues=(Ue(1, 1),))
    walled = dataclasses.replace(middle, walls=walls)
    free, hidden, alone = (by_scheme(plan, -5.0, 20, 1, ("iqc",))["iqc"]["gmi"] for plan in (middle, walled, beside))
    assert hidden < 0.8 * free and alone < 0.8 * free
