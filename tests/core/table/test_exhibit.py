"""The table exhibit as a whole: files, trace, metrics, names, correction, progress and cancelling."""

import json
import subprocess
import sys
import types
from functools import partial

import cv2
import numpy as np
import pytest

from core.errors import Cancelled, InputError
from core.exhibit import Source
from core.table import exhibit
from core.table.config import TableConfig
from core.table.export import from_html, from_json, from_otsl
from tests.core.table.drawn import draw, known, png

REGIONS = partial(TableConfig, engine="regions")
TEXTS = [["Town", "Year", "Share"], ["Oslo", "1990", "-5.2"], ["Bergen", "2004", ""]]


@pytest.fixture
def regions(monkeypatch):
    """The region engine replaced by one that knows what was drawn: what is under test here is everything around it."""
    def use(table_of):
        module = types.ModuleType("core.table.regions")
        module.read_regions = lambda rgb, progress: table_of(rgb)
        monkeypatch.setitem(sys.modules, "core.table.regions", module)
    return use


@pytest.fixture
def drawn(regions):
    picture, table = draw(TEXTS)
    regions(lambda rgb: known(rgb, table))
    return Source("scans/report.v2.png", png(picture))


def test_one_table_gives_every_file_with_the_same_content(drawn):
    outcome = exhibit.run([drawn], REGIONS())
    assert sorted(outcome.files) == ["report.v2.csv", "report.v2.html", "report.v2.json", "report.v2.md", "report.v2.otsl.txt", "report.v2.xlsx"]
    record = from_json(outcome.files["report.v2.json"].decode())
    assert [c.text for c in record.table.cells] == [t for line in TEXTS for t in line]
    assert from_html(outcome.files["report.v2.html"].decode()) == record.table
    assert from_otsl(outcome.files["report.v2.otsl.txt"].decode()) == record.table.without_text()
    assert outcome.metrics == {"pictures": 1, "tables": 1, "cells": 9, "spans": 0, "to_check": 0, "abstained": 0, "by_model": 0,
                               "tokens": 0, "decoder_calls": 0, "tokens_per_call": None}
    assert list(outcome.seconds)[0] == "open" and {"binarise", "label", "ocr", "export"} <= set(outcome.seconds)
    assert "rapidocr" in outcome.models


def test_trace_has_the_pictures_and_the_story(drawn):
    trace = exhibit.run([drawn], REGIONS(ocr="none", race=True)).trace
    assert sorted(trace) == [f"report.v2/{n}" for n in ("binary.png", "picture.png", "regions.png", "rules.png", "trace.json")]
    for name in ("picture", "binary", "rules", "regions"):
        decoded = cv2.imdecode(np.frombuffer(trace[f"report.v2/{name}.png"], np.uint8), cv2.IMREAD_UNCHANGED)
        assert decoded is not None and max(decoded.shape) <= exhibit.DISPLAY_SIDE
    story = json.loads(trace["report.v2/trace.json"])
    assert len(story["regions"]) == story["regions_total"] == 0 and story["other_tables"] == 0
    assert story["display_scale"] == 1 and story["to_input"] == [[1, 0, 0], [0, 1, 0]] and len(story["race"]) >= 3


def test_regions_picture_gives_neighbours_different_colours():
    mask = np.zeros((40, 40), np.uint8)
    mask[2:10, 2:10] = mask[20:30, 2:10] = mask[20:30, 20:30] = 255
    colours = {tuple(exhibit.coloured(mask)[place]) for place in ((5, 5), (25, 5), (25, 25), (0, 0))}
    assert len(colours) == 4


def test_dropped_regions_are_grey():
    mask = np.zeros((40, 40), np.uint8)
    mask[2:10, 2:10] = mask[20:30, 2:10] = 1
    picture = exhibit.coloured(mask, [False, True])
    assert len(set(picture[5, 5])) == 1 and len(set(picture[25, 5])) > 1


def test_large_pictures_are_shown_small_and_the_scale_is_told(regions):
    picture = np.full((1200, 3600, 3), 255, np.uint8)
    regions(lambda rgb: known(rgb, None, "There are no rules in it."))
    trace = exhibit.run([Source("wide.png", png(picture))], REGIONS(ocr="none")).trace
    assert json.loads(trace["wide/trace.json"])["display_scale"] == 0.5
    assert cv2.imdecode(np.frombuffer(trace["wide/picture.png"], np.uint8), 1).shape == (600, 1800, 3)


def test_an_abstention_writes_its_json_and_no_cells(regions):
    regions(lambda rgb: known(rgb, None, "There are no rules in it."))
    outcome = exhibit.run([Source("a.png", png(np.full((50, 60, 3), 255, np.uint8)))], REGIONS())
    assert list(outcome.files) == ["a.json"]
    value = json.loads(outcome.files["a.json"])
    assert value["abstained"] is True and value["cells"] == [] and value["reason"] == "There are no rules in it." and value["rows"] == 0
    assert outcome.metrics["abstained"] == 1 and outcome.metrics["tables"] == 0


def test_a_bad_source_among_good_ones_is_named(drawn):
    with pytest.raises(InputError, match="bad.png"):
        exhibit.run([drawn, Source("bad.png", b"PK\x03\x04rest")], REGIONS(ocr="none"))


def test_amend_writes_all_files_again(drawn):
    outcome = exhibit.run([drawn], REGIONS(ocr="none"))
    again = exhibit.amend(outcome.files, "report.v2", {(0, 0): "=cmd()", (2, 2): "7.5"})
    assert set(again) == set(outcome.files)
    cells = {(c.row, c.col): c for c in from_json(again["report.v2.json"].decode()).table.cells}
    assert cells[0, 0].text == "=cmd()" and cells[0, 0].confidence == 1.0 and cells[0, 1].confidence == 0.97
    assert again["report.v2.csv"].decode("utf-8-sig").startswith("'=cmd()")
    assert exhibit.amend(again, "report.v2", {})["report.v2.xlsx"] == again["report.v2.xlsx"]


@pytest.mark.parametrize("stem, texts, words", [("other", {}, "report.v2"), ("report.v2", {(9, 9): "x"}, "row 10, column 10")])
def test_amend_refuses_what_is_not_there(drawn, stem, texts, words):
    files = exhibit.run([drawn], REGIONS(ocr="none")).files
    with pytest.raises(InputError, match=words):
        exhibit.amend(files, stem, texts)


def test_cancelling_stops_between_batches(drawn):
    seen = []

    def stop(fraction, message):
        seen.append((fraction, message))
        if message.startswith("Reading text"):
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        exhibit.run([drawn], REGIONS(), stop)
    fractions = [f for f, _ in seen]
    assert fractions == sorted(fractions) and 0 <= fractions[0] <= fractions[-1] <= 1


def test_import_is_cheap():
    heavy = "[m for m in ('onnxruntime', 'rapidocr', 'cv2', 'openpyxl', 'pypdfium2', 'streamlit') if m in sys.modules]"
    done = subprocess.run([sys.executable, "-c", f"import sys, core.table.exhibit; print({heavy})"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_compiled_kernels_large_pictures_are_halved_and_boxes_stay_in_input_pixels():
    from core.io.pictures import Picture

    large = Picture("a.png", np.zeros((3000, 4000, 3), np.uint8), "PNG", 4000, 3000, 1, 1, "0")
    assert exhibit.within_reach(large, "compiled") is large
    halved = exhibit.within_reach(large, "numpy")
    assert halved.rgb.shape == (1500, 2000, 3) and halved.scale == 0.5 and (halved.width, halved.height) == (4000, 3000)
    assert "8,000,000" in halved.notes[-1]
    small = Picture("a.png", np.zeros((300, 400, 3), np.uint8), "PNG", 400, 300, 1, 1, "0")
    assert exhibit.within_reach(small, "numpy") is small
