"""Words to cells: a word belongs where most of it lies, rules are no words, light text on dark fills counts too."""

import numpy as np
import pytest

from core.table.placing import EMPTY, cell_crop, crops_of, words_in
from core.table.table import Cell, Table
from tests.core.table.drawn import paper, put

ROWS, COLS = np.array([0.0, 44, 84, 120]), np.array([0.0, 150, 290])
TABLE = Table(3, 2, tuple(Cell(r, k) for r in range(3) for k in range(2)))


def page(ground: int = 255, ink: int = 0) -> np.ndarray:
    """Five words in three rows and two columns; the second column of the last row is empty."""
    rgb = paper(120, 300, (ground,) * 3)
    for r, (left, right) in enumerate((("Harbour", "Depth"), ("Bergen", "17"), ("Narvik", ""))):
        put(rgb, left, 20, 30 + 40 * r, (ink,) * 3)
        put(rgb, right, 170, 30 + 40 * r, (ink,) * 3)
    return rgb


def ink_box(rgb: np.ndarray, x0: int, x1: int, y0: int, y1: int) -> tuple[int, int, int, int]:
    ys, xs = np.nonzero(np.abs(rgb[y0:y1, x0:x1, 0].astype(int) - int(rgb[0, 0, 0])) > 60)
    return x0 + xs.min(), y0 + ys.min(), x0 + xs.max() + 1, y0 + ys.max() + 1


def holds(crop, box) -> bool:
    return crop[0] <= box[0] and crop[1] <= box[1] and crop[2] >= box[2] and crop[3] >= box[3]


@pytest.mark.parametrize("ground, ink", [(255, 0), (30, 240)])
def test_every_crop_holds_its_words_and_no_others(ground, ink):
    rgb = page(ground, ink)
    crops = crops_of(rgb, TABLE, ROWS, COLS)
    for crop, (x0, x1, y0, y1) in zip(crops, ((0, 150, 0, 44), (150, 290, 0, 44), (0, 150, 44, 84), (150, 290, 44, 84), (0, 150, 84, 120))):
        assert holds(crop, ink_box(rgb, x0, x1, y0, y1))
        assert crop[2] - crop[0] < 140 and crop[3] - crop[1] < 40
    assert crops[5] == EMPTY


@pytest.mark.parametrize("cut", [92, 165, 178])
def test_a_separator_through_a_word_gives_it_to_one_cell_whole(cut):
    rgb = page()
    left, right = crops_of(rgb, Table(1, 2, (Cell(0, 0), Cell(0, 1))), ROWS[:2], np.array([0.0, cut, 290.0]))
    first, second = ink_box(rgb, 0, 150, 0, 44), ink_box(rgb, 150, 290, 0, 44)
    assert holds(left, first) and holds(right, second) and left[2] < second[0] and right[0] > first[2]


def test_rules_and_dirt_are_no_words():
    ink = np.zeros((40, 200), bool)
    ink[5, :] = ink[:, 3] = ink[30:32, 20:180] = True
    ink[20, 100] = True
    assert len(words_in(ink, 12.0)) == 0
    ink[14:26, 50:58] = ink[14:26, 60:68] = True
    assert words_in(ink, 12.0).tolist() == [[50, 14, 68, 26]]


@pytest.mark.parametrize("box", [(0, 0, 2, 2), (290, 110, 300, 120), (-50, -50, -10, -10), (500, 500, 600, 600)])
def test_boxes_at_and_beyond_the_edge_are_empty(box):
    assert cell_crop(paper(120, 300), box, 12.0) == EMPTY
