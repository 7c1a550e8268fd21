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
from tests.bench.table import structure
from tests.bench.table.labelling import drawn_mask
from tests.bench.table.pictures import load_pictures
from tests.bench.table.reading import error_rate, levenshtein
from tests.bench.table.structure import Score, Scores, figures, from_boxes, headline, largest_table, speed_rows, wrong_rows

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


def test_the_headline_is_ours_on_ruled_pictures_only():
    scores = [Scores(style, {"ours": Score(value, 0.1), "img2table": Score(0.0, 0.2)}) for style, value in (("grid", 1.0), ("dark", 0.5), ("plain", 0.0))]
    assert headline(scores) == {"teds_struct": 75.0, "struct100": 50.0, "n": 2}
    assert headline(scores[2:]) is None
    assert [(row["name"], row["ours / rival"].median) for row in speed_rows(scores)] == [("ruled", 0.5), ("all others", 0.5)]


def test_our_faults_are_named_worst_first():
    nan = float("nan")
    made = [("a", "grid", 1.0), ("b", "grid", 0.5), ("c", "dark", nan), ("d", "plain", nan), ("e", "plain", 0.25), ("f", "lines", 1.0)]
    rows = wrong_rows([Scores(style, {"ours": Score(value, 0.1)}, name) for name, style, value in made])
    assert [row["name"] for row in rows] == ["c", "e", "b"]


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
        self.left = 2 * len(structure.SIDES)

    def ask(self, **question):
        if not self.left:
            raise RivalMissing("Its process has ended.")
        self.left -= 1
        return dict(seconds=0.5, tables=[boxes("ab", "cd")])


class Drawn:
    """A picture of two by two cells with rules."""

    path, style, ruled = Path("drawn.png"), "grid", True
    true = from_boxes(boxes("ab", "cd"))

    @property
    def rgb(self):
        picture = np.full((140, 240, 3), 255, np.uint8)
        picture[[20, 70, 120], 20:221] = 0
        picture[20:121, [20, 120, 220]] = 0
        return picture


def test_a_rival_lost_on_the_way_keeps_what_it_did_and_is_named():
    scores, lost = structure.measure([Drawn(), Drawn(), Drawn()], LostRival(), repeats=1)
    assert [sorted(s.sides) for s in scores] == [["img2table", "img2table, borderless", "ours"], ["ours"], ["ours"]]
    assert lost == "Its process has ended. (picture 2 of 3)"
    assert all(s.sides["ours"].score == 1.0 for s in scores) and scores[0].sides["img2table"].score == 1.0


def test_a_rival_that_fails_to_install_is_named(monkeypatch):
    def fail(name):
        raise RivalMissing("It could not be installed: ERROR: no network")
    monkeypatch.setattr(structure, "prepare", fail)
    assert structure.start_rival(Namespace(no_rival=False)) == (None, "It could not be installed: ERROR: no network")


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
    assert set(rows) == {"structure", "structure_wrong", "structure_speed", "labelling", "labelling_same", "ocr", "whole", "teds_speed"}
    assert report["headline"]["n"] == 4 and report["headline"]["teds_struct"] > 50
    assert rows["structure"][-1] == {"name": "img2table", "reason": "skipped: left out (--no-rival)."}
    assert all(row["same"] == row["masks"] == 28 for row in rows["labelling_same"])


@has_pictures
def test_pictures_come_with_tables_that_tile():
    pictures = load_pictures(DATA)
    assert len(pictures) > 100 and {"grid", "dark"} <= {p.style for p in pictures}
    assert all(isinstance(p.true.cells[0], Cell) for p in pictures)


@pytest.mark.parametrize("options, words", [(("paintings",), "invalid choice"), (("table", "--quick", "--record"), "not --quick")])
def test_wrong_options_are_refused(options, words):
    result = bench(*options)
    assert result.returncode == 2 and words in result.stderr
