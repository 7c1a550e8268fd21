"""Picture in, table out, with the real region engine and reader: upright, skewed, halved, without rules, without a reader."""

from functools import partial

import cv2
import numpy as np
import pytest

from core.errors import Cancelled
from core.exhibit import Source
from core.io.pictures import Picture, read_picture
from core.table.config import TableConfig
from core.table.recognise import insides, recognise
from core.table.table import Cell, Table
from tests.core.table.drawn import KnownReading, draw, png

REGIONS = partial(TableConfig, engine="regions")
TEXTS = [["Town", "Year", "Share"], ["Oslo", "1990", "17"], ["Bergen", "2004", ""], ["Narvik", "1888", "3"]]


def opened(picture: np.ndarray) -> Picture:
    return read_picture(Source("drawn.png", png(picture)))


def texts(table: Table) -> list[list[str]]:
    found = [[""] * table.cols for _ in range(table.rows)]
    for cell in table.cells:
        found[cell.row][cell.col] = cell.text
    return found


@pytest.mark.parametrize("ink, ground", [(20, 250), (250, 40)])
def test_a_drawn_table_is_read(ink, ground):
    picture, table = draw(TEXTS, ink, ground)
    result = recognise(opened(picture), REGIONS())
    assert not result.abstained and result.engine == "regions" and result.reason == ""
    assert texts(result.table) == TEXTS
    assert max(abs(a - b) for got, drawn in zip(result.table.cells, table.cells) for a, b in zip(got.box, drawn.box)) <= 3
    assert all(0 <= c.confidence <= 1 for c in result.table.cells)
    assert "ocr" in result.seconds and len(result.seconds) > 1 and set(result.models) == {"rapidocr"}


@pytest.mark.parametrize("degrees", [-2.0, 1.3])
def test_a_skewed_table_is_read_cell_by_cell(degrees):
    picture, table = draw(TEXTS)
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    skewed = cv2.warpAffine(picture, turn, (width, height), flags=cv2.INTER_CUBIC, borderValue=(250, 250, 250))
    result = recognise(opened(skewed), REGIONS())
    assert texts(result.table) == TEXTS and abs(result.reading.skew_degrees - degrees) < 0.2
    for got, drawn in zip(result.table.cells, table.cells):
        centre = turn @ [(drawn.box[0] + drawn.box[2]) / 2, (drawn.box[1] + drawn.box[3]) / 2, 1]
        assert np.abs([(got.box[0] + got.box[2]) / 2 - centre[0], (got.box[1] + got.box[3]) / 2 - centre[1]]).max() < 4


def test_boxes_of_a_halved_picture_are_in_pixels_of_the_input():
    picture, table = draw(TEXTS)
    whole = opened(picture)
    halved = Picture(**{**vars(whole), "rgb": np.ascontiguousarray(picture[::2, ::2]), "scale": 0.5})
    result = recognise(halved, REGIONS(ocr="none"))
    assert max(abs(a - b) for got, drawn in zip(result.table.cells, table.cells) for a, b in zip(got.box, drawn.box)) <= 6


@pytest.mark.parametrize("ground", [0, 255])
def test_a_blank_picture_abstains_with_a_reason(ground):
    result = recognise(opened(np.full((200, 300, 3), ground, np.uint8)), REGIONS())
    assert result.abstained and result.table is None and result.reason and "ocr" not in result.seconds


def test_without_a_reader_the_structure_stands_alone():
    result = recognise(opened(draw(TEXTS)[0]), REGIONS(ocr="none"))
    assert (result.table.rows, result.table.cols) == (4, 3) and {c.text for c in result.table.cells} == {""}
    assert result.models == {} and "ocr" not in result.seconds


def test_progress_rises_and_stops_the_work():
    seen = []
    recognise(opened(draw(TEXTS)[0]), REGIONS(), progress=lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen) and 0 <= seen[0] and seen[-1] <= 1 and len(seen) > 4

    def stop(fraction, message):
        raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        recognise(opened(draw(TEXTS)[0]), REGIONS(), progress=stop)


def test_a_cell_without_a_region_is_cut_at_its_own_box():
    table = Table(1, 1, (Cell(0, 0, box=(1, 2, 30, 40)),))
    blank = np.zeros((50, 50), np.uint8)
    assert insides(table, KnownReading(table, blank, blank, blank)) == [(1, 2, 30, 40)]
