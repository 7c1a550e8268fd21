"""Cells: empties skipped, faint and lone marks kept, lines parted, readings mended from the ink."""

import cv2
import numpy as np
import pytest

from core.table import cells, mending
from core.table import ink as ink_module
from core.table.table import Cell, Table
from tests.core.table.drawn import draw, paper, put


class Echo:
    """Reads every line as its size, and remembers what it was asked."""

    name, version = "echo", "1"

    def __init__(self):
        self.asked = []

    def read(self, lines, progress=None):
        self.asked += lines
        return [(f"{line.shape[0]}x{line.shape[1]}", 0.5) for line in lines]


def cell_of(picture: np.ndarray) -> ink_module.CellInk:
    return ink_module.cut(picture, (0, 0, picture.shape[1], picture.shape[0]))


@pytest.mark.parametrize("mark", ["-", ".", "1", "'"])
@pytest.mark.parametrize("ink, ground", [(0, 255), (255, 40), (120, 235)])
def test_a_lone_mark_is_text(mark, ink, ground):
    cell = cell_of(put(paper(ground=(ground,) * 3), mark, colour=(ink,) * 3))
    assert len(cell.lines) == 1


def test_empty_cells_are_empty_with_fill_noise_and_rules():
    rng = np.random.default_rng(4)
    for ground in (255, 200, 30):
        noisy = (paper(ground=(ground,) * 3) + rng.normal(0, 4, (40, 160, 3))).clip(0, 255).astype(np.uint8)
        ruled = paper(ground=(ground,) * 3)
        ruled[:2] = ruled[:, :1] = ruled[-3:] = 255 - ground if ground != 200 else 0
        assert cell_of(noisy).lines == () and cell_of(ruled).lines == ()
    jpeg = cv2.imdecode(cv2.imencode(".jpg", paper(ground=(60, 90, 200)), [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1)
    assert cell_of(jpeg).lines == ()
    assert ink_module.cut(paper(), (5, 5, 6, 30)).lines == ()
    assert ink_module.cut(paper(), (-9, -9, 12, 12)).lines == ()


def test_light_text_on_a_dark_fill_is_turned_over():
    cell = cell_of(put(paper(ground=(20, 30, 90)), "Town", colour=(255, 255, 255)))
    assert cell.grey[cell.ink].mean() < 100 < np.median(cell.grey)


def test_lines_are_parted_and_marks_joined():
    picture = put(put(paper(80), "Juni", y=25), "Jag", y=55)
    table = Table(1, 1, (Cell(0, 0),))
    echo = Echo()
    read, notes = cells.read_cells(picture, table, [(0, 0, 160, 80)], echo)
    assert len(echo.asked) == 2 and read.cells[0].text.count("\n") == 1 and notes == []


def test_touching_lines_are_parted_at_the_thinnest_rows():
    ink = np.zeros((40, 60), bool)
    ink[2:14, 5:50] = ink[15:27, 5:50] = ink[28:40, 5:50] = True
    ink[14, 20] = ink[27, 20] = True
    whole = ink_module.CellInk(np.full((40, 60), 255, np.uint8), ink, ((2, 40),))
    parts = ink_module.split_tall(whole, 12.0)
    assert [(a, b) for a, b in parts] == [(2, 14), (14, 27), (27, 40)]


def test_equal_crops_are_read_once_and_confidence_is_the_smaller():
    picture, table = draw([["17", "17", "17"], ["", "17", "17"]], confidence=0.4)
    echo = Echo()
    read, _ = cells.read_cells(picture, table, [(c.box[0] + 2, c.box[1] + 2, c.box[2] - 2, c.box[3] - 2) for c in table.cells], echo)
    assert len(echo.asked) == 1
    assert [bool(c.text) for c in read.cells] == [True, True, True, False, True, True]
    assert {c.confidence for c in read.cells} == {0.4}


@pytest.mark.parametrize("lines, wanted", [
    (("1958-04-", "01"), "1958-04-01"), (("Jean-", "Paul"), "Jean-Paul"), (("one", "two"), "one\ntwo"), (("- a", "- b"), "- a\n- b"), (("up to -", "3"), "up to -\n3"),
    (("5-", "(six)"), "5-\n(six)"), ((), "")])
def test_what_was_broken_at_a_hyphen_runs_on(lines, wanted):
    assert cells.flowed(lines) == wanted


def test_text_at_90_degrees_is_noticed():
    texts = [["Town", "Year", "Population"], ["Oslo", "1990", "4611"], ["Bergen", "2004", "2377"]]
    picture, table = draw(texts)
    boxes = [c.box for c in table.cells]
    turned = np.ascontiguousarray(np.rot90(picture))
    width = picture.shape[1]
    turned_boxes = [(y0, width - x1, y1, width - x0) for x0, y0, x1, y1 in boxes]
    assert cells.read_cells(picture, table, boxes, Echo())[1] == []
    echo = Echo()
    assert cells.read_cells(turned, table, turned_boxes, echo) == (table, [cells.VERTICAL]) and echo.asked == []


def line_of(*stretches: tuple[int, int, int, int]) -> np.ndarray:
    ink = np.zeros((20, 80), bool)
    for x0, x1, y0, y1 in stretches:
        ink[y0:y1, x0:x1] = True
    return ink


@pytest.mark.parametrize("text, ink, wanted", [
    ("1-2", line_of((5, 12, 0, 20), (15, 27, 10, 12), (30, 37, 0, 20)), "1–2"),
    ("1–2", line_of((5, 12, 0, 20), (15, 21, 10, 12), (30, 37, 0, 20)), "1-2"),
    ("1-2", line_of((5, 15, 0, 20), (15, 28, 10, 12), (28, 37, 0, 20)), "1–2"),
    ("一", line_of((5, 28, 10, 12)), "—"), ("_", line_of((5, 11, 10, 12)), "-"),
    ("-5", line_of((5, 17, 10, 12), (30, 37, 0, 20)), "-5"),
    ("a-b-c", line_of((5, 17, 10, 12), (30, 37, 0, 20)), "a-b-c"), ("一号", line_of((5, 12, 0, 20)), "一号")])
def test_dashes_are_measured(text, ink, wanted):
    assert mending.measure_dashes(text, 0.5, ink, 20.0)[0] == wanted


def test_a_reading_of_a_lone_dash_is_as_sure_as_its_shape():
    assert mending.measure_dashes("一", 0.4, line_of((5, 28, 10, 12)), 20.0) == ("—", 0.9)


@pytest.mark.parametrize("read, wanted", [
    ("43\u00b010'56\"N 70\u00b052'27\"W / 43.18\u00b0N", "43\u00b010\u203256\u2033N 70\u00b052\u203227\u2033W / 43.18\u00b0N"), 
    ("59\u00b046'W", "59\u00b046\u2032W"),
    ("35\u00b029\u203220\u2032N", "35\u00b029\u203220\u2033N"), ("5'11\" tall", "5'11\" tall"), ("20\u00b0 'Nice'", "20\u00b0 'Nice'")])
def test_arc_minutes_and_seconds_get_their_signs(read, wanted):
    assert mending.arc_marks(read) == wanted


@pytest.mark.parametrize("text, words, wanted", [
    ("PremiereDate", ["Premiere", "Date"], "Premiere Date"), ("2243.6ha", ["2243.6", "ha"], "2243.6 ha"), ("a b c", ["a b", "c"], "a b c"),
    ("41,624", ["41,", "624"], "41,624"), ("1 2", ["1", "2"], "1 2"), ("women's", ["women'", "s"], "women's"), 
    ("Kazakh", ["Kaza", "kn"], "Kazakh"), ("x", ["x", ""], "x")])
def test_dropped_blanks_come_back_only_between_words(text, words, wanted):
    assert mending.spaced(text, words) == wanted


def test_a_line_with_a_wide_gap_is_read_again_word_by_word():
    class Forgetful(Echo):
        def read(self, lines, progress=None):
            self.asked.append(len(lines))
            return [("TownHall", 0.9)] if len(self.asked) == 1 else [("Town", 0.9), ("Hall", 0.9)]

    picture = put(put(paper(40, 200), "Town"), "Hall", x=90)
    reader = Forgetful()
    read, _ = cells.read_cells(picture, Table(1, 1, (Cell(0, 0),)), [(0, 0, 200, 40)], reader)
    assert read.cells[0].text == "Town Hall" and reader.asked == [1, 2]


@pytest.mark.parametrize("read, wanted", [("6-4, 3\u20136, 7\u20135", "6\u20134, 3\u20136, 7\u20135"), ("08\u201306-2012", "08\u201306\u20132012"),
                                          ("1-2-3\u20134", "1-2-3-4"), ("x-1 \u2013 2", "x-1 \u2013 2")])
def test_dashes_between_digits_are_alike_in_a_line(read, wanted):
    assert mending.measure_dashes(read, 0.9, line_of(), 20.0)[0] == wanted
