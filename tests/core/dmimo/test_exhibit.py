"""The D-MIMO exhibit as a run: what it writes, that a seed repeats it, that a stop keeps what there is, and how a plan is changed by hand."""

import csv
import io
import json
from dataclasses import replace

import pytest

from core.dmimo import exhibit
from core.dmimo.config import Config, changed, snr_grid
from core.dmimo.link import SCHEMES
from core.dmimo.presets import PRESETS
from core.dmimo.scenario import from_json, to_json
from core.errors import Cancelled, ConfigError, EngineError, InputError
from core.exhibit import Source

QUICK = Config(drops=2, snr_points=2, snr_low_db=10.0, extras=False)
FIRST = ["scheme", "snr_db", "throughput_bps", "throughput_low_bps", "throughput_high_bps", "spectral_efficiency", "fronthaul_bps", "flops_per_slot"]


def fails_at_ten(scenario, snr_db, drops, schemes, seed):
    """A link that breaks at one point."""
    if snr_db == 10.0:
        raise InputError("Ten is too many.")
    return exhibit._one(scenario) or [{"scheme": s, "snr_db": snr_db, "throughput_bps": 1.0, "throughput_low_bps": 1.0, "throughput_high_bps": 1.0,
                                       "fronthaul_bps": 2.0, "flops_per_slot": 3.0} for s in schemes]


@pytest.fixture(scope="module")
def quick():
    return exhibit.run([], QUICK)


def table(outcome) -> list[dict]:
    return list(csv.DictReader(io.StringIO(outcome.files["sweep.csv"].decode())))


def test_a_run_writes_a_row_per_point_and_scheme_and_the_ratios_of_them(quick):
    rows = table(quick)
    assert list(rows[0])[:8] == FIRST and "seed" in rows[0]
    assert [(float(r["snr_db"]), r["scheme"]) for r in rows] == [(snr, s) for snr in (10.0, 26.0, 30.0) for s in SCHEMES]
    at = {r["scheme"]: r for r in rows if float(r["snr_db"]) == 26.0}
    for name, column in exhibit.PAPER_METRICS.items():
        for scheme in ("deqc", "llrc"):
            assert quick.metrics[name][scheme] == pytest.approx(float(at[scheme][column]) / float(at["iqc"][column]))
    assert set(quick.files) == {"sweep.csv", "scenario.json", "report.html"} and quick.seed == QUICK.seed


def test_the_scenario_that_is_written_runs_to_the_same_numbers(quick):
    again = exhibit.run([Source("mine.json", quick.files["scenario.json"])], QUICK)
    assert again.files["sweep.csv"] == quick.files["sweep.csv"]
    other = exhibit.run([], replace(QUICK, seed=2, snr_points=1))
    assert table(other)[0]["throughput_bps"] != table(quick)[0]["throughput_bps"]


def test_the_report_is_one_file_that_fetches_nothing(quick):
    page = quick.files["report.html"].decode()
    assert page.startswith("<!doctype html>") and "DEQC" in page and "<svg" in page
    assert "<script" not in page and "<link" not in page and "src=" not in page and "url(" not in page


def test_points_are_shown_as_they_come():
    shown = []

    def progress(fraction, message):
        assert 0 <= fraction <= 1

    progress.show = shown.append
    outcome = exhibit.run([], QUICK, progress)
    assert len(shown) == 3 and shown[0]["rows"][0]["snr_db"] == shown[0]["reference_snr_db"] == 26.0
    assert sum(len(s["rows"]) for s in shown) == len(json.loads(outcome.trace["trace.json"])["rows"])


def test_a_stop_keeps_what_there_is_and_before_the_first_point_is_a_stop():
    said = []

    def after_one_point(fraction, message):
        if said and not said[-1] == "stopped":
            said.append("stopped")
            raise Cancelled("The work was stopped.")

    after_one_point.show = said.append
    outcome = exhibit.run([], QUICK, after_one_point)
    assert 1 <= outcome.metrics["points"] < 3 and "Stopped" in outcome.notes[0]

    def at_once(fraction, message):
        raise Cancelled("The work was stopped.")

    with pytest.raises(Cancelled):
        exhibit.run([], replace(QUICK, seed=99), at_once)


def test_a_point_that_fails_is_a_row_with_its_reason(monkeypatch):
    monkeypatch.setattr(exhibit, "LINK", "tests.core.dmimo.test_exhibit:fails_at_ten")
    outcome = exhibit.run([], QUICK)
    bad = [r for r in table(outcome) if r["error"]]
    assert len(bad) == 1 and bad[0]["snr_db"] == "10.0" and "Ten is too many." in bad[0]["error"]
    assert outcome.metrics["failed"] == 1 and any("Ten is too many." in note for note in outcome.notes)
    with pytest.raises(EngineError, match="Ten is too many"):
        exhibit.run([Source("s.json", to_json(exhibit.with_radio(PRESETS["post"], snr_db=10.0)).encode())], replace(QUICK, snr_points=1))


def test_the_extras_find_deqc_exact_with_a_stream_per_layer():
    outcome = exhibit.run([], replace(QUICK, snr_points=1, extras=True, map_drops=2))
    story = json.loads(outcome.trace["trace.json"])
    assert story["exact"]["streams"] == 8 and story["exact"]["ratio"] == pytest.approx(1.0, abs=0.02)
    assert {"regimes.csv", "schedulers.csv", "adaptation.csv", "walk.csv"} <= set(outcome.files)
    assert {r["adapter"] for r in story["adaptation"]["rows"]} == {"genie", "predicted", "blind", "measured"}
    regime = list(csv.DictReader(io.StringIO(outcome.files["regimes.csv"].decode())))
    assert len(regime) == len(story["regime"]["spreads_deg"]) * len(story["regime"]["streams"])


def test_settings_change_the_scenario_and_nothing_else():
    post = PRESETS["post"]
    assert changed(post, Config()) is post
    other = changed(post, Config(streams="4", angular_spread="45", weight_form="layer", iq_bits=8)).radio
    assert (other.streams_per_trp, other.angular_spread_deg, other.weight_form, other.iq_bits) == (4, 45.0, "layer", 8)
    assert replace(other, streams_per_trp=2, angular_spread_deg=2.0, weight_form="antenna", iq_bits=9) == post.radio


def test_the_grid_begins_with_the_point_that_is_compared():
    grid = snr_grid(Config(), 26.0)
    assert grid[:3] == [26.0, 30.0, 0.0] and sorted(grid) == [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 26.0, 30.0]
    with pytest.raises(ConfigError, match="20 dB, lies above"):
        snr_grid(Config(snr_low_db=20.0, snr_high_db=10.0), 26.0)


def test_a_plan_is_changed_by_hand():
    post = PRESETS["post"]
    radios, users = [[t.x_m, t.y_m] for t in post.trps], [[u.x_m, u.y_m] for u in post.ues]
    one = exhibit.moved(post, [[5.0, 6.0], *radios[1:]], users)
    assert (one.trps[0].x_m, one.trps[0].y_m) == (5.0, 6.0) and one.trps[1:] == post.trps[1:] and one.radio.placement == "clustered"
    assert exhibit.moved(one, radios, users).name == one.name and one.name.endswith(", edited")
    assert exhibit.moved(post, radios, [[1.0, 9.0], *users[1:]]).radio.placement == "fixed"
    for wrong, words in (([[*users[0]], *radios[1:]], "on top of"), ([[41.0, 2.0], *radios[1:]], "outside the plan"), (radios[1:], "4 radios")):
        with pytest.raises(InputError, match=words):
            exhibit.moved(post, wrong, users)


@pytest.mark.parametrize("name", PRESETS)
def test_the_samples_are_the_presets(name):
    from app.registry import exhibit as row

    sample = next(s for s in row("dmimo").samples if s.file == f"dmimo-{name.replace('_', '-')}.json")
    assert from_json(sample.path.read_bytes()) == PRESETS[name]
