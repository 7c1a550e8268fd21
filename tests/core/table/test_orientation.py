"""Pictures turned by quarter turns are read as if they stood upright, boxes and affines lead back to the picture as given, upright ones are left alone."""

import json
from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.exhibit import Source
from core.io.pictures import read_picture
from core.table import exhibit, orientation
from core.table.config import TableConfig
from core.table.orientation import back, box_back, find_turn, joined, turned
from core.table.recognise import recognise
from tests.core.table.drawn import draw, png

REGIONS = partial(TableConfig, engine="regions")
TEXTS = [["Town", "Year", "Share"], ["Oslo", "1990", "17"], ["Bergen", "2004", "8"], ["Narvik", "1888", "3"]]
SAMPLES = exhibit.__file__.rsplit("/core/", 1)[0] + "/assets/samples/"
TURNS = (0, 90, 180, 270)


def laid(picture: np.ndarray, degrees: int) -> np.ndarray:
    """The picture lying so that it has to be turned clockwise by `degrees` to stand upright."""
    return np.ascontiguousarray(np.rot90(picture, degrees // 90))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TURNS), st.integers(2, 40), st.integers(2, 40), st.data())
def test_boxes_and_pixels_lead_back(degrees, height, width, data):
    given_picture = np.arange(height * width, dtype=np.int32).reshape(height, width)
    upright = turned(given_picture, degrees)
    y, x = data.draw(st.integers(0, upright.shape[0] - 1)), data.draw(st.integers(0, upright.shape[1] - 1))
    px, py = (back(degrees, height, width) @ [x, y, 1]).round().astype(int)
    assert given_picture[py, px] == upright[y, x]
    x0, y0, x1, y1 = box_back((x, y, x + 1, y + 1), degrees, height, width)
    assert (x0, y0, x1, y1) == (px, py, px + 1, py + 1)


def test_affines_are_joined_inner_first():
    shift, double = np.float64([[1, 0, 5], [0, 1, 7]]), np.float64([[2, 0, 0], [0, 2, 0]])
    assert joined(double, shift).tolist() == [[2, 0, 10], [0, 2, 14]]


@pytest.mark.parametrize("degrees", [90, 180])
def test_a_turned_ruled_table_is_read_as_if_upright(degrees):
    picture, table = draw(TEXTS)
    result = recognise(read_picture(Source("a.png", png(laid(picture, degrees)))), REGIONS())
    assert result.structure.rotation_degrees == degrees and any("turned by" in note for note in result.notes)
    assert [c.text for c in result.table.cells] == [t for line in TEXTS for t in line]
    for cell, drawn in zip(result.table.cells, table.cells):
        wanted = box_back(drawn.box, degrees, *laid(picture, degrees).shape[:2])
        assert max(abs(a - b) for a, b in zip(cell.box, wanted)) <= 3


@pytest.mark.parametrize("sample, degrees", [("item-format.png", 0), ("item-format.png", 270), ("superbike-1990.png", 0), ("superbike-1990.png", 90),
                                             ("data-gov.png", 0), ("data-gov.png", 180)])
def test_samples_are_turned_upright(sample, degrees):
    assert find_turn(laid(cv2.imread(SAMPLES + sample, cv2.IMREAD_GRAYSCALE), degrees)) == degrees


@pytest.mark.parametrize("picture", [np.full((60, 90), 255, np.uint8), np.zeros((3, 3), np.uint8), np.full((1, 1), 9, np.uint8),
                                     np.full((20, 3000), 128, np.uint8), np.random.default_rng(1).integers(0, 256, (150, 200, 3), dtype=np.uint8)],
                         ids=["blank", "tiny", "pixel", "strip", "noise"])
def test_what_has_no_text_is_left_as_it_is(picture):
    assert find_turn(picture) == 0


def test_without_the_classifier_text_that_runs_across_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(orientation, "_classifier", lambda: None)
    picture = draw(TEXTS)[0]
    assert find_turn(laid(picture, 180)) == 0 and find_turn(picture) == 0


def test_the_story_tells_the_turn_and_the_way_back():
    picture, _ = draw(TEXTS)
    outcome = exhibit.run([Source("a.png", png(laid(picture, 90)))], REGIONS(ocr="none"))
    story = json.loads(outcome.trace["a/trace.json"])
    assert story["rotation_degrees"] == 90 and story["working_size"] == [picture.shape[1], picture.shape[0]]
    region = next(r for r in story["regions"] if r["kept"])
    inverse = cv2.invertAffineTransform(np.float64(story["to_input"]))
    centre = inverse @ [(region["box"][0] + region["box"][2]) / 2, (region["box"][1] + region["box"][3]) / 2, 1]
    assert 0 <= centre[0] < picture.shape[1] and 0 <= centre[1] < picture.shape[0]
    assert any("90 degrees" in note for note in outcome.notes)
