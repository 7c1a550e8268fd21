"""The table benchmark: the rival's tables are taken over fairly, and a quick run says what it found or why it could not."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from core.table.labelling import label_regions
from core.table.table import Cell
from tests.bench.harness import ROOT, RivalMissing
from tests.bench.table import sides
from tests.bench.table.labelling import drawn_mask
from tests.bench.table.model import latency_rows, mobile_rows, speculative_rows
from tests.bench.table.pictures import DRAWN, REAL, load_pictures, load_real
from tests.bench.table.reading import error_rate, levenshtein
from tests.bench.table.sides import Drafts, Nets, Score, Scores, from_boxes, largest_table
from tests.bench.table.structure import figures, grouped, headline, hybrid_rows, speed_rows, wrong_rows

DATA = Path(os.environ.get("VITRINE_DATA") or ROOT.parent / "shared" / "data")
has_pictures = pytest.mark.skipif(not (DATA / "tables" / "wiki_rendered" / "cells.jsonl").is_file(), reason="tables/wiki_rendered is not in the data folder")


def boxes(*rows):
    """A grid of boxes from rows of letters: the same letter is the same box."""
    return [[[ord(letter), 0, ord(letter) + 1, 1] for letter in row] for row in rows]


def spans(table):
    return [(c.row, c.col, c.rowspan, c.colspan) for c in table.cells]


@pytest.mark.parametrize("rows, wanted", [
    (("ab", "cd"), [(0, 0, 1, 1), (0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 1, 1)]),
    (("aab", "acd"), [(0, 0, 1, 2), (0, 2, 1, 1), (1, 0, 1, 1), (1, 1, 1, 1), (1, 2, 1, 1)]),
    (("aab", "aac"), [(0, 0, 2, 2), (0, 2, 1, 1), (1, 2, 1, 1)]),
    (("aba",), [(0, 0, 1, 1), (0, 1, 1, 1), (0, 2, 1, 1)]),
    (("abc", "de"), [(0, 0, 1, 1), (0, 1, 1, 1), (0, 2, 1, 1), (1, 0, 1, 1), (1, 1, 1, 1), (1, 2, 1, 1)]),
], ids=["plain", "L shape", "block", "apart", "ragged"])
def test_merged_cells_of_the_rival(rows, wanted):
    assert spans(from_boxes(boxes(*rows))) == wanted


def test_the_largest_table_of_the_rival_counts():
    assert largest_table([boxes("ab"), boxes("ab", "cd"), []]).rows == 2
    assert largest_table([]) is None and largest_table([[]]) is None


def test_an_unanswered_picture_counts_nothing_and_is_not_wrong():
    row = figures([1.0, 0.5, float("nan"), float("nan")])
    assert row == {"TEDS-struct": 37.5, "struct100": 25.0, "answered": 50.0, "wrong": 25.0}


def score(style, name="", set=DRAWN, drafts=None, same_heads=None, **values):
    """A picture's scores, each side timed at a tenth of a second, the rival at a fifth."""
    return Scores(style, {side: Score(value, 0.2 if side == "img2table" else 0.1) for side, value in values.items()}, name, set, drafts, same_heads)


def test_the_headline_says_whose_pictures_it_is_of():
    scores = [score(style, ours=value, regions=value, img2table=0.0) for style, value in (("grid", 1.0), ("dark", 0.5), ("plain", 0.0))]
    scores.append(score("", set="pubtabnet", ours=0.25, mobile=1.0))
    wanted = {"teds_struct": 75.0, "struct100": 50.0, "n": 2, "system_teds_struct": 50.0, "system_struct100": 33.3, "system_n": 3, "open_teds_struct": 0.0,
              "open_struct100": 0.0, "open_n": 1, "pubtabnet_teds_struct": 25.0, "pubtabnet_struct100": 0.0, "pubtabnet_n": 1}
    assert headline(scores) == wanted
    assert headline(scores[2:]) is None
    assert [(row["name"], row["side"], row["ours / rival"].median) for row in speed_rows(scores)] == [
        (name, side, 0.5) for name in ("ruled", "all others") for side in ("ours", "regions")]


def test_groups_are_of_the_right_pictures():
    scores = [score(style, ours=1.0) for style in ("grid", "dark", "lines", "plain", "stripes")] + [score("", set="icdar2013", ours=1.0)]
    sizes = {name: len(group) for name, group in grouped(scores).items()}
    assert sizes == {"dark": 1, "grid": 1, "lines": 1, "plain": 1, "stripes": 1, "ruled: grid + dark": 2, "partly ruled: boxhead + lines + threeline": 1,
                     "borderless": 2, "all others": 3, "all": 5, "icdar2013": 1}


def test_our_faults_are_named_worst_first():
    nan = float("nan")
    made = [("a", "grid", 1.0, 0.0), ("b", "grid", 0.5, nan), ("c", "dark", nan, 1.0), ("d", "plain", 0.5, nan), ("e", "plain", 1.0, 0.25), ("f", "lines", 0.0, 1.0)]
    rows = wrong_rows([score(style, name, ours=ours, regions=regions) for name, style, ours, regions in made])
    assert [row["name"] for row in rows] == ["c", "e", "b"]


def test_the_hybrid_is_held_against_the_better_of_its_paths():
    scores = [score("grid", ours=0.9, regions=0.9, model=1.0), score("plain", ours=0.8, regions=float("nan"), model=0.8)]
    below = {row["name"]: row["below"] for row in hybrid_rows(scores)}
    assert below["grid"] == pytest.approx(10) and below["plain"] == 0 and below["all"] == pytest.approx(5)
    assert hybrid_rows([score("grid", ours=1.0, regions=1.0)]) == []


def test_speculative_decoding_is_counted_over_all_tokens():
    drafts = [Drafts(30, dict(greedy=30, rules=10, heads=5), dict(greedy=0.3, rules=0.1, heads=0.1), dict(greedy=0.6, rules=0.3, heads=0.1), True),
              Drafts(10, dict(greedy=10, rules=10, heads=5), dict(greedy=0.1, rules=0.1, heads=0.1), dict(greedy=0.2, rules=0.1, heads=0.1), False)]
    rows = speculative_rows([score("grid", drafts=d, ours=1.0) for d in drafts] + [score("grid", ours=1.0)])
    assert [(row["draft"], row["identical"], row["tokens per call"]) for row in rows] == [("greedy", 1, 1.0), ("rules", 1, 2.0), ("heads", 1, 4.0)]
    assert rows[1]["times faster, CPU"].median == pytest.approx(2) and rows[1]["times faster, wall"].median == pytest.approx(2)


def test_the_mobile_model_is_held_against_the_whole_model():
    nan = float("nan")
    made = [score("grid", same_heads=True, model=1.0, decoder=0.5, heads=1.0, mobile=1.0),
            score("plain", same_heads=False, model=nan, decoder=1.0, heads=0.5, mobile=0.5)]
    row, = mobile_rows(made)
    assert (row["n"], row["full"], row["mobile"], row["lost"], row["same"]) == (2, 50.0, 75.0, -25.0, 50.0) and row["times faster"].median == 1
    assert {row["side"]: row["median"] for row in latency_rows(made)} == dict.fromkeys(("heads", "decoder", "mobile"), pytest.approx(100))
    assert mobile_rows([score("grid", ours=1.0, regions=1.0)]) == []


def test_error_rate_counts_edits_over_the_truth():
    assert levenshtein("kitten", "sitting") == 3 and levenshtein("", "ab") == 2
    assert error_rate([("abc", "abd"), ("", "xy")]) == pytest.approx(3 / 5)


def test_the_drawn_mask_looks_like_a_table():
    found = label_regions(drawn_mask(512))
    assert len(found) > 22 * 6                                         # every cell, and the insides of letters
    assert 0.5 < found[:, 4].sum() / 512 ** 2 < 0.95


class LostRival:
    """Answers the warm-up and one picture, then is gone."""

    def __init__(self):
        self.left = 2 * len(sides.RIVALS)

    def ask(self, **question):
        if not self.left:
            raise RivalMissing("Its process has ended.")
        self.left -= 1
        return dict(seconds=0.5, tables=[boxes("ab", "cd")])


class Drawn:
    """A picture of two by two cells with rules."""

    path, style, set, ruled = Path("drawn.png"), "grid", DRAWN, True
    true = from_boxes(boxes("ab", "cd"))

    @property
    def rgb(self):
        picture = np.full((140, 240, 3), 255, np.uint8)
        picture[[20, 70, 120], 20:221] = 0
        picture[20:121, [20, 120, 220]] = 0
        return picture


def test_a_rival_lost_on_the_way_keeps_what_it_did_and_is_named():
    scores, lost = sides.measure([Drawn(), Drawn(), Drawn()], LostRival(), Nets())
    ours, rivals = ["ours", "regions", "model"], list(sides.RIVALS)
    assert [[side for side in s.sides if side != "model"] for s in scores] == [["ours", "regions", *rivals], ["ours", "regions"], ["ours", "regions"]]
    assert lost == "Its process has ended. (picture 2 of 3)"
    assert all(s.sides["ours"].score == 1.0 for s in scores) and scores[0].sides["img2table"].score == 1.0 and set(scores[1].sides) <= set(ours)


def test_missing_models_leave_their_sides_out_and_are_named(monkeypatch):
    from core.errors import EngineError
    from core.table import reader

    def missing():
        raise EngineError("There are no weights.")
    monkeypatch.setattr(reader, "full_net", missing)
    monkeypatch.setattr(reader, "mobile_net", missing)
    assert Nets.load() == Nets(None, None, "There are no weights. There are no weights.")


def test_a_rival_that_fails_to_install_is_named(monkeypatch):
    def fail(name):
        raise RivalMissing("It could not be installed: ERROR: no network")
    monkeypatch.setattr(sides, "prepare", fail)
    assert sides.start_rival(Namespace(no_rival=False)) == (None, "It could not be installed: ERROR: no network")


def bench(*options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-P", "-m", "tests.bench", *options], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)


def test_without_data_it_says_so_and_measures_the_rest(tmp_path):
    result = bench("table", "--quick", "--no-rival", "--data", str(tmp_path), "--json", str(tmp_path / "deep" / "figures.json"))
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "deep" / "figures.json").read_text(encoding="utf8"))
    rows = {section["key"]: section["rows"] for section in report["sections"]}
    assert report["headline"] is None and "no folder tables/wiki_rendered" in rows["structure"][0]["reason"]
    assert rows["labelling"][0]["name"] == "1024 x 1024, drawn" and len(rows["teds_speed"]) == 3
    assert "no folder tables/wiki_rendered" in result.stdout


@has_pictures
def test_a_quick_run_has_every_section(tmp_path):
    result = bench("table", "--quick", "--no-rival", "--data", str(DATA), "--json", str(tmp_path / "figures.json"))
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "figures.json").read_text(encoding="utf8"))
    rows = {section["key"]: section["rows"] for section in report["sections"]}
    assert set(rows) == {"structure", "structure_wrong", "structure_speed", "hybrid", "speculative", "latency", "mobile", "labelling", "labelling_same", "ocr",
                         "whole", "teds_speed"}
    assert report["headline"]["n"] == 2 and report["headline"]["teds_struct"] > 50 and report["headline"]["system_n"] == 7
    assert rows["structure"][-1] == {"name": "img2table", "reason": "skipped: left out (--no-rival)."}
    assert {row["side"] for row in rows["structure"] if row["name"] == "all"} == {"ours", "regions", "model", "heads", "decoder", "mobile"}
    assert rows["speculative"] and all(row["identical"] == row["n"] for row in rows["speculative"])
    assert all(row["same"] == row["masks"] == 14 for row in rows["labelling_same"])


@has_pictures
def test_the_real_samples_come_with_tables_that_tile():
    if not all((DATA / "tables" / name / "cells.jsonl").is_file() for name in REAL):
        pytest.skip("tables/pubtabnet and tables/icdar2013 are not both in the data folder")
    pictures = load_real(DATA)
    assert {p.set for p in pictures} == set(REAL) and not any(p.ruled for p in pictures)
    assert [p.set for p in load_real(DATA, quick=True)] == list(REAL)
    empty = [c for p in pictures if p.set == "icdar2013" for c in p.true.cells if not c.text]
    assert len(empty) > 20                                             # places ICDAR does not annotate


@has_pictures
def test_pictures_come_with_tables_that_tile():
    pictures = load_pictures(DATA)
    assert len(pictures) > 100 and {"grid", "dark"} <= {p.style for p in pictures}
    assert all(isinstance(p.true.cells[0], Cell) for p in pictures)


@pytest.mark.parametrize("options, words", [(("paintings",), "invalid choice"), (("table", "--quick", "--record"), "not --quick")])
def test_wrong_options_are_refused(options, words):
    result = bench(*options)
    assert result.returncode == 2 and words in result.stderr
