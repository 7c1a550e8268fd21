"""The figures of the table model's runs: the token stream, the two readings, the score; pure functions of a saved run."""

import json
import math
from types import SimpleNamespace

import pytest

from app.execute import execute
from app.figures import readings, scores, tokens
from app.figures import table as figures
from app.registry import exhibit
from core.exhibit import Source
from core.table.scoring import Difference, Score

ROW = exhibit("table")
STEM = "ambassadors"


@pytest.fixture(scope="module")
def view():
    """A run of both engines over the table with three lines, without text."""
    sample = next(s for s in ROW.samples if s.path.stem == STEM)
    run = execute("table", [Source(sample.file, sample.path.read_bytes())], {"ocr": "none", "race": True})
    return SimpleNamespace(id="table-aaaaaaaaaaaaaaaa", record=run.record, files=run.files, trace=run.trace)


@pytest.fixture
def this(view):
    return figures.reading(view, STEM)


def altered(view, **model):
    """The same run whose model says something else."""
    trace = json.loads(view.trace[f"{STEM}/trace.json"])
    trace["model"] |= model
    return SimpleNamespace(**{**vars(view), "trace": {**view.trace, f"{STEM}/trace.json": json.dumps(trace).encode()}})


def applied(matrix, x, y):
    """A point by a matrix as SVG writes it (a b c d e f)."""
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


# The token stream

def test_every_token_belongs_to_a_call_and_each_call_ends_with_the_decoders_own(view):
    story = tokens.story(view, STEM)
    by_call = [[t for t in story["tokens"] if t["call"] == call] for call in range(len(story["calls"]))]
    assert sum(map(len, by_call)) == len(story["tokens"]) > 10
    assert all([t["drafted"] for t in group] == [True] * call["accepted"] + [False] for group, call in zip(by_call, story["calls"], strict=True))


def test_the_stream_ends_with_an_outline_for_each_cell_of_the_model(view, this):
    story = tokens.story(view, STEM)
    last = {t["cell"]: t["grown"] for t in story["tokens"] if "cell" in t}
    assert len(last) == len(story["cells"]) == len(readings.parts(this)["model"])
    assert all(0 <= x0 < x1 <= story["size"][0] and 0 <= y0 < y1 <= story["size"][1] for x0, y0, x1, y1 in last.values())


def test_joined_places_become_one_outline():
    rows = [("r", None), ("C", [0, 0, 4, 4]), ("L", [4, 0, 8, 4]), ("r", None), ("U", [0, 4, 4, 8]), ("X", [4, 4, 8, 8]), ("r", None), ("C", [0, 8, 4, 9]), ("C", [4, 8, 8, 9])]
    stream = [{"kind": "row" if kind == "r" else kind, "box": box} for kind, box in rows]
    assert tokens._grow(stream) == [1, 7, 8]
    assert [t["cell"] for t in stream if "cell" in t] == [0, 0, 0, 0, 1, 2]
    assert stream[5]["grown"] == [0, 0, 8, 8] and stream[5]["before"] == [0, 0, 8, 8] and stream[1]["before"] is None


@pytest.mark.parametrize("degrees", [0, 3, 90, 180, 270])
def test_the_stage_lays_the_picture_as_the_net_saw_it(degrees):
    turn = math.radians(degrees)
    to_input = [[2 * math.cos(turn), -3 * math.sin(turn), 40.0], [2 * math.sin(turn), 3 * math.cos(turn), -7.0]]
    assert tokens.scales(to_input) == pytest.approx((2, 3))
    for x, y in ((0, 0), (10, 0), (5, 9)):
        there = tuple(row[0] * x + row[1] * y + row[2] for row in to_input)
        assert applied(tokens.to_stage(to_input), *there) == pytest.approx((2 * x, 3 * y))


def test_without_a_decoder_there_is_no_stream(view):
    assert tokens.story(altered(view, tokens=[], calls=[]), STEM) is None


def test_the_drafts_say_what_they_save_and_whether_the_tokens_are_the_same(this):
    drafts = {"greedy": {"calls": 60, "seconds": 0.2}, "rules": {"calls": 20, "seconds": 0.1}, "heads": {"calls": 5, "seconds": 0.02}, "identical": True}
    assert tokens.drafts_words(drafts) == "12.0× fewer calls and 10.0× less time than greedy; token for token the same"
    assert "NOT" in tokens.drafts_words(drafts | {"identical": False})
    _, alt = tokens.drafts_figure(drafts, "light", 16)
    assert "60 calls" in alt and "20.0\u00a0ms" in alt
    assert this.model["drafts"]["identical"] and this.model["drafts"]["heads"]["calls"] < this.model["drafts"]["greedy"]["calls"]


# Two readings

def cell(row, col, box, rowspan=1, colspan=1):
    return {"row": row, "col": col, "rowspan": rowspan, "colspan": colspan, "box": box}


def test_cells_are_the_same_where_they_lie_alike_and_span_alike():
    ours = [cell(0, 0, [0, 0, 10, 10]), cell(0, 1, [10, 0, 20, 10]), cell(1, 0, [0, 10, 20, 20], colspan=2)]
    theirs = [cell(0, 0, [1, 1, 11, 9]), cell(0, 1, [10, 0, 20, 10]), cell(1, 0, [0, 10, 10, 20]), cell(1, 1, [10, 10, 20, 20])]
    assert readings.counterparts(ours, theirs) == {(0, 0), (0, 1)}
    assert readings.counterparts(ours, ours) == {(0, 0), (0, 1), (1, 0)}


def test_an_engine_without_a_table_shows_the_picture_and_says_so(view, this):
    fig, alt = readings.part_figure(view, STEM, "regions", "dark", 16)
    assert not fig.data and "no table" in alt and readings.between(this) == []
    fig, alt = readings.part_figure(view, STEM, "model", "light", 16)
    assert str(len(this.cells)) in alt and sum(list(t.x).count(None) for t in fig.data if t.mode == "lines") == len(this.cells)
    assert "Model" in figures.choice_words(this) and "whole structure" in figures.choice_words(this)


def test_the_separators_bound_every_row_and_column(view, this):
    fig, alt = readings.separators_figure(view, STEM, "light", 16)
    lines = [list(t.x).count(None) for t in fig.data]
    assert lines == [len(this.model["heads"]["ys"]), len(this.model["heads"]["xs"])] and f"{lines[0] - 1} rows" in alt


def test_mobile_and_full_are_told_apart():
    mobile = {"seconds": 0.01, "full_seconds": 0.04, "cells": 38, "same_structure": False}
    assert "another structure than" in readings.mobile_words(mobile) and "the same structure as" in readings.mobile_words(mobile | {"same_structure": True})
    assert "4.0×" in readings.mobile_figure(mobile, "light", 16)[0].layout.annotations[1].text


def test_what_was_not_recorded_is_not_shown():
    row = {"name": "drawn", "n": 600, "full": 93.44, "mobile": 92.0}
    assert readings.recorded_words([]) == "" and readings.recorded_words([{"name": "model", "reason": "skipped"}]) == ""
    assert "drawn (600 pictures) full 93.4\u00a0%, mobile 92.0\u00a0%" in readings.recorded_words([row])


def test_the_stages_of_the_model_say_what_came_out(this):
    told = {step: outcome for step, outcome, _ in figures.stages(this)}
    assert told[figures.STEPS["decode"]] == f"{len(this.model['tokens'])} tokens in {len(this.model['calls'])} calls"
    assert set(told) <= set(figures.STEPS.values())


@pytest.mark.parametrize("degrees, corner", [(0, (0, 0)), (90, (100, 0)), (180, (200, 100)), (270, (0, 200))])
def test_a_picture_that_lay_on_a_side_is_shown_upright(degrees, corner):
    lying = figures.Reading("x", {"image": {"width": 200, "height": 100}}, {"rotation_degrees": degrees})
    assert lying.size == ((100, 200) if degrees in (90, 270) else (200, 100))
    assert lying.upright(0, 0) == corner
    turned = [lying.upright(x, y) for x, y in ((0, 0), (200, 0), (200, 100), (0, 100))]
    assert {(x, y) for x, y in turned} == {(x, y) for x in (0, lying.size[0]) for y in (0, lying.size[1])}
    assert figures.Reading("x", lying.result, {}).upright(3, 4) == (3, 4)


# Against a ground truth

DIFFERENCES = (Difference("text", 3, 1, "a", "b"), Difference("row added", 5, -1, "x", ""), Difference("column missing", -1, 2, "", "y"), Difference("span", 0, 0, "1 x 1", "1 x 2"))


def test_differences_have_addresses_and_marks():
    score = Score(0.9, 0.95, DIFFERENCES)
    assert [line["Where"] for line in scores.lines(score)] == ["B4", "row 6", "column C of the truth", "A1"]
    cells = [cell(r, k, None) for r in range(7) for k in range(3)]
    assert scores.marked(cells, score) == {(3, 1), (5, 0), (5, 1), (5, 2), (0, 0)}
    assert "1 text differs" in scores.finding(score) and "Nothing differs" in scores.finding(Score(1, 1, ()))


def test_only_what_is_perfect_is_a_hundred_percent():
    assert scores.percent(1.0) == "100 %" and scores.percent(0.99999) == "99.9 %" and scores.percent(0.5) == "50.0 %"


@pytest.mark.parametrize("sample", [s for s in ROW.samples if s.truth], ids=lambda s: s.label)
def test_the_ground_truth_of_a_sample_is_a_table(sample):
    from core.table.markup import from_html

    assert from_html(sample.truth_path.read_text("utf8")).rows > 5
    assert sample.truth in (sample.path.parent / "SOURCES.md").read_text("utf8")
