"""The parts of the D-MIMO benchmark about sweeps and moving users, at sizes that show only that they run and what they say."""

import pytest

from tests.bench.dmimo import adaptation, sweep
from tests.bench.harness import as_json, as_text


def test_a_curve_is_timed_cold_warm_and_from_the_cache():
    section = sweep.curve_section((2, 1), 1)
    rows = {row["name"]: row for row in section.rows}
    assert list(rows) == ["cold pool", "warm pool", "repeat from the cache"]
    assert all(0 < row["first_point_s"] <= row["all_points_s"] for row in section.rows)


def test_the_overhead_is_what_the_work_does_not_account_for():
    section = sweep.overhead_section((2, 1), 1)
    assert [row["name"] for row in section.rows] == ["no cache", "cache", "empty points"]
    assert section.rows[0]["overhead_percent"] > 0 and section.rows[2]["ms_per_point"] > 0


def test_adapters_and_schedulers_are_compared_in_every_scene(monkeypatch):
    monkeypatch.setattr(adaptation, "ADAPTATION_SCENES", adaptation.ADAPTATION_SCENES[:3])
    monkeypatch.setattr(adaptation, "SCHEDULING_SCENES", ("cell_edge",))
    section = adaptation.adaptation_section([1, 2], 12)
    assert [row["name"] for row in section.rows] == ["post, scheduled, 1.2 m/s", "post, scheduled, 5 m/s", "post, cluster, 1.2 m/s"]
    assert "[" in as_text(section) and as_json(section)["rows"][2]["predicted_over_blind"]["mean"] == pytest.approx(1.0, abs=0.05)
    rows = {row["name"]: row for row in adaptation.scheduling_section([1], 6).rows}
    assert rows["cell_edge: two_stage"]["throughput"]["mean"] == 1.0 and rows["cell_edge: joint"]["evaluations"] > rows["cell_edge: two_stage"]["evaluations"]


def test_the_band_of_a_mean_holds_the_mean_and_narrows():
    wide, narrow = adaptation.mean_band([0.0, 1.0]), adaptation.mean_band([0.4, 0.6] * 20)
    assert wide["low"] <= wide["mean"] <= wide["high"] and narrow["high"] - narrow["low"] < wide["high"] - wide["low"]
    assert str(narrow).startswith("0.500 [")
