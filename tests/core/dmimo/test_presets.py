"""The presets: the six figures of the post's regime on a seed that no choice was made on, and the lessons of the other regimes."""

import dataclasses

import pytest

from core.dmimo import channel, cost
from core.dmimo.link import simulate_point
from core.dmimo.presets import PRESETS
from core.dmimo.scenario import Scenario, from_json, to_json

FRESH = 20_260


def throughput(name: str, drops: int, **changed) -> dict[str, float]:
    """Throughput of every scheme over that of IQC, at the preset's own SNR."""
    scenario = PRESETS[name] if not changed else dataclasses.replace(PRESETS[name], radio=dataclasses.replace(PRESETS[name].radio, **changed))
    rows = simulate_point(scenario, scenario.radio.snr_db, drops, FRESH)
    return {row["scheme"]: row["throughput_bps"] / rows[0]["throughput_bps"] for row in rows}


def shares(scenario: Scenario, scheme: str) -> tuple[float, float]:
    load = cost.load_of(scenario)
    return (cost.fronthaul_bits(scheme, load) / cost.fronthaul_bits("iqc", load), cost.flops(scheme, load).total / cost.flops("iqc", load).total)


@pytest.mark.parametrize("scheme, fronthaul, flops", [("llrc", 0.10, 0.64), ("deqc", 0.15, 0.648)])
def test_the_posts_costs(scheme, fronthaul, flops) -> None:
    found = shares(PRESETS["post"], scheme)
    assert found[0] == pytest.approx(fronthaul, abs=0.01) and found[1] == pytest.approx(flops, abs=0.03)


def test_the_posts_throughput_on_fresh_drops_and_which_streams_decide_it() -> None:
    """DEQC 0.72, LLRC below 0.30; and what the post does not tell, third: the same fronthaul with other streams is worth a fraction."""
    found = throughput("post", 120)
    assert found["deqc"] == pytest.approx(0.72, abs=0.08)
    assert found["llrc"] < 0.30
    assert found["deqc_combined"] < found["deqc_local"] < 0.5 * found["deqc"]


def test_layer_weights_take_the_posts_saving_away() -> None:
    layer = dataclasses.replace(PRESETS["post"], radio=dataclasses.replace(PRESETS["post"].radio, weight_form="layer"))
    assert shares(layer, "deqc")[1] > 0.85 > 0.68 > shares(PRESETS["post"], "deqc")[1]


def test_streams_equal_to_layers_are_joint_combining_at_six_times_the_fronthaul() -> None:
    post = PRESETS["post"]
    whole = dataclasses.replace(post, radio=dataclasses.replace(post.radio, streams_per_trp=8))
    assert throughput("post", 20, streams_per_trp=8)["deqc"] == pytest.approx(1.0, abs=0.01)
    assert shares(whole, "deqc")[0] > 0.55


def test_spread_users_need_no_distributed_combining() -> None:
    found = throughput("spread", 30)
    assert found["single_trp"] > found["deqc"], "one well-placed radio beats two streams of the best subspace"
    assert found["llrc"] > 0.5


def test_overload_with_independent_fading_needs_most_of_the_fronthaul() -> None:
    found = throughput("iid", 30)
    assert found["deqc"] > 3 * found["llrc"] and shares(PRESETS["iid"], "deqc")[0] > 0.85


def test_users_at_the_cell_edge_gain_most() -> None:
    found = throughput("cell_edge", 30)
    assert found["single_trp"] < 0.7 and found["single_trp"] < found["llrc"] < found["deqc"]


def test_presets_are_files_and_users_are_reached() -> None:
    for name, scenario in PRESETS.items():
        assert from_json(to_json(scenario)) == scenario, name
        assert channel.gain_db(scenario, scenario.ue_xyz_m).max(axis=0).min() > -100, name
