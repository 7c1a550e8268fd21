"""The D-MIMO exhibit's figures: pure functions of a saved run, and the values the floor plan is drawn from."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from app.execute import execute
from app.figures import dmimo as figures
from app.figures import dmimo_moving as moving
from app.figures import dmimo_plan as plan
from app.registry import exhibit
from app.report import one_page
from core.dmimo.coverage import one_against_all
from core.dmimo.presets import PRESETS

SETTINGS = {"drops": 2, "snr_points": 2, "snr_low_db": 10, "map_drops": 2}


@pytest.fixture(scope="module")
def view():
    """A small run of the post's regime with everything the page draws (what moves comes from the session's cache if it ran before)."""
    run = execute("dmimo", [], SETTINGS)
    return SimpleNamespace(id=None, record=json.loads(json.dumps(run.record)), files=run.files, trace=run.trace)


@pytest.fixture(scope="module")
def this(view):
    return figures.story(view)


def test_the_finding_holds_the_ratio_of_the_run(view, this):
    kept = this.at_reference("deqc")["throughput_bps"] / this.at_reference("iqc")["throughput_bps"]
    assert f"{100 * kept:.0f}\u00a0%" in figures.finding(view)


def test_where_soft_bits_do_better_the_finding_says_so(view):
    record = {**view.record, "metrics": {**view.record["metrics"], "throughput_ratio": {"deqc": 0.5, "llrc": 0.9}}}
    assert "LLRC keeps 90\u00a0%" in figures.finding(SimpleNamespace(record=record))
    nothing = {**view.record, "metrics": {**view.record["metrics"], "throughput_ratio": {"deqc": None, "llrc": None}}}
    assert "nothing to compare" in figures.finding(SimpleNamespace(record=nothing))


@pytest.mark.parametrize("relative", [True, False])
def test_curves_are_the_rows(this, relative):
    fig, alt = figures.throughput_figure(this.rows, figures.THREE, relative, this.reference_db, "light", 16)
    lines = {t.name: t for t in fig.data if t.mode == "lines+markers"}
    rows = {r["snr_db"]: r for r in this.of("deqc")}
    base = {r["snr_db"]: r["throughput_bps"] for r in this.of("iqc")}
    wanted = [rows[s]["throughput_bps"] / (base[s] / 100 if relative else 1e9) for s in lines["DEQC"].x]
    assert list(lines["DEQC"].x) == sorted(rows) and list(lines["DEQC"].y) == pytest.approx(wanted) and "DEQC" in alt
    assert any("paper" in (a.text or "") for a in fig.layout.annotations) == relative


def test_curves_that_are_still_coming_in_are_drawn(this):
    first = [r for r in this.rows if r["snr_db"] == this.reference_db]
    for rows in ([], first[:1], first):
        fig, _ = figures.throughput_figure(rows, figures.THREE, True, this.reference_db, "dark", 20)
        assert sum(t.mode == "lines+markers" for t in fig.data) == len({r["scheme"] for r in rows} & set(figures.THREE))


def test_names_at_the_right_do_not_lie_on_each_other():
    values = {"a": 10.0, "b": 10.5, "c": 80.0, "d": 11.0}
    shifts = figures._apart(values, 100, 17)
    places = sorted(v / 100 * 17 + shifts[k] for k, v in values.items())
    assert min(b - a for a, b in zip(places, places[1:])) > 1.3 and shifts["c"] == 0


def test_the_post_stands_beside_the_run_in_its_own_colour(this):
    fig, alt = figures.against_paper_figure(this, "light", 16)
    bars, diamonds = fig.data
    assert list(diamonds.x) == pytest.approx([72, 30, 15, 10, 64.8, 64]) and diamonds.marker.line.color == "#8F5600"
    assert list(bars.x) == pytest.approx([100 * this.metrics[k][s] for k in figures.WORDS for s in ("deqc", "llrc")]) and "paper below 30 %" in alt


def test_costs_split_radios_from_centre(this):
    fig, _ = figures.cost_figure(this, "flops", "light", 16)
    total = [a + b for a, b in zip(fig.data[0].x, fig.data[1].x)]
    assert total == pytest.approx([this.at_reference(s)["flops_per_slot"] / 1e9 for s in figures.THREE])


def test_the_map_frames_this_run_and_shows_every_cell(this):
    fig, _ = figures.regime_figure(this, "light", 16)
    regime = this.trace["regime"]
    assert len(fig.layout.annotations) == len(regime["streams"]) * len(regime["spreads_deg"]) and len(fig.layout.shapes) == 1
    assert fig.layout.shapes[0].x0 < regime["streams"].index(2) < fig.layout.shapes[0].x1


def test_the_three_findings_have_their_figures(this):
    found = figures.untold(this)
    assert [number for number, _ in found] == [0, 1, 2]
    forms = this.trace["forms"]
    assert f"{100 * (1 - forms['layer']['deqc']['flops'] / forms['layer']['iqc']['flops']):.0f}\u00a0%" in found[0][1][0]
    for draw in (figures.forms_figure, figures.streams_figure, figures.choice_figure, figures.pareto_figure):
        fig, alt = draw(this, "dark", 16)
        assert fig.data and alt.endswith(".")


def test_moving_users_are_drawn_and_said(this):
    for key, draw in moving.PARTS.items():
        fig, alt = draw(this, "light", 16)
        assert fig.data and "%" in alt or "Gb/s" in alt
        assert moving.words(this, key)[0]
    assert moving.stretches([True, True, False, True]) == [(0, 2), (3, 4)] and moving.stretches([False]) == []


def test_comparing_a_run_with_itself_finds_no_difference(view):
    _, _, between = figures.comparison(view, view, "light", 16)
    assert dict(between)["IQC, right ÷ left"] == "1.00×"


def test_the_one_page_report_holds_the_result(view):
    page = one_page(exhibit("dmimo"), view).decode()
    assert "Share of IQC" in page and "Formulas" in page and "http" not in page.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("name", PRESETS)
def test_the_plan_is_the_scenario_with_its_coverage(name):
    scenario = PRESETS[name]
    maps = one_against_all(scenario, 2.0)
    data = plan.plan_data(scenario, maps["all_per_trp"], "light")
    assert data["radios"] == [[t.x_m, t.y_m] for t in scenario.trps] and len(data["heat"]["dbm"]) == data["heat"]["nx"] * data["heat"]["ny"]
    assert json.loads(json.dumps(data)) == data
    table = plan.coverage_table(maps, "one")
    assert table.count("\n") == 4 and f"Radio {maps['one'].trps[0] + 1} alone" in table and "**" in table.splitlines()[-1]
    assert "dB" in plan.coverage_words(maps)


def test_one_radio_is_not_compared_with_itself():
    alone = replace(PRESETS["cell_edge"], trps=PRESETS["cell_edge"].trps[:1])
    assert "95 % of the floor" in plan.coverage_words(one_against_all(alone, 2.0))
