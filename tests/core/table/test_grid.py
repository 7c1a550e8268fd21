"""From cell boxes to a lattice and a Table, and the doubts that text raises."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.table.grid import Lattice, UNRULED_CONFIDENCE, common_lines, confidences, cover_of, has_stray_rule, lattice_of, split_narrow_cells, table_of
from core.table.regions import CELL, CROOKED, FRAME, NESTED, OUTSIDE, SMALL, sort_regions
from core.table.unruled import CellText, columns_are_unruled, lines_per_cell, rows_are_unruled
from tests.core.table.ruled_drawings import merged

IDENTITY = np.float64([[1, 0, 0], [0, 1, 0]])


def boxes_of(cells, width: int = 40, height: int = 20, rule: int = 3) -> np.ndarray:
    return np.array([(c * width, r * height, cs * width - rule, rs * height - rule, 1) for r, c, rs, cs in cells], np.int32)


def lattice(rows: int, cols: int) -> Lattice:
    return lattice_of(boxes_of([(r, c, 1, 1) for r in range(rows) for c in range(cols)]))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 10), st.integers(2, 10), st.integers(0, 8), st.integers(0, 2))
def test_any_spans_come_back_from_their_boxes(seed: int, rows: int, cols: int, merges: int, jitter: int) -> None:
    rng = random.Random(seed)
    cells = merged(rng, rows, cols, merges)
    boxes = boxes_of(cells)
    boxes[:, :2] += np.array([[rng.randint(0, jitter), rng.randint(0, jitter)] for _ in cells], np.int32)
    table = table_of(lattice_of(boxes), np.ones(len(cells)), IDENTITY)
    assert sorted((c.row, c.col, c.rowspan, c.colspan) for c in table.cells) == cells


def test_lines_lie_in_the_middle_of_the_rules() -> None:
    assert common_lines(np.array([10.0, 53.0]), np.array([50.0, 90.0])).tolist() == [8.5, 51.5, 91.5]


def test_both_sides_of_a_thick_rule_are_one_line() -> None:
    assert common_lines(np.array([0.0, 60.0]), np.array([30.0, 90.0])).tolist() == [-15.0, 45.0, 105.0]


def test_overlapping_cells_make_no_lattice() -> None:
    boxes = boxes_of([(0, 0, 2, 2), (1, 1, 1, 1), (0, 2, 1, 1), (1, 2, 1, 1)])
    assert lattice_of(boxes) is None


def test_an_open_corner_is_an_empty_cell_of_little_confidence() -> None:
    found = lattice_of(boxes_of([(r, c, 1, 1) for r in range(3) for c in range(3) if (r, c) != (0, 0)]))
    assert found.closed.sum() == 8 and len(found.places) == 9
    assert confidences(found, cover_of(found, np.full((70, 130), 255, np.uint8)))[-1] == UNRULED_CONFIDENCE


@pytest.mark.parametrize("missing", [{(1, 1)}, {(0, 0), (0, 1), (0, 2)}, {(0, 1)}])
def test_other_holes_make_no_lattice(missing: set) -> None:
    places = [(r, c, 1, 1) for r in range(4) for c in range(3) if (r, c) not in missing]
    found = lattice_of(boxes_of(places))
    assert found is None or len(found.rows) == 4


def test_confidence_is_the_least_ruled_side() -> None:
    grid = lattice(2, 2)
    evidence = np.full((60, 100), 255, np.uint8)
    evidence[:, int(grid.cols[1]) - 6 : int(grid.cols[1]) + 7] = 0
    assert confidences(grid, cover_of(grid, evidence)).max() == 0.0
    assert confidences(grid, cover_of(grid, np.full((60, 100), 255, np.uint8))).min() == 1.0


def test_a_rule_that_ends_inside_a_cell_is_stray() -> None:
    found = lattice_of(boxes_of([(0, 0, 1, 1), (0, 1, 1, 1), (1, 0, 1, 2), (2, 0, 1, 2), (3, 0, 1, 1), (3, 1, 1, 1)], height=60))
    evidence = np.zeros((260, 100), np.uint8)
    assert not has_stray_rule(found, cover_of(found, evidence), 10.0)
    evidence[60:100, int(found.cols[1])] = 255
    assert has_stray_rule(found, cover_of(found, evidence), 10.0)


def test_narrow_cells_are_cut_by_short_rules() -> None:
    narrow = np.array([[0, 0, 7, 77, 1]] + [[10, 20 * r, 60, 17, 1] for r in range(4)], np.int32)
    found = lattice_of(narrow)
    hints = np.zeros((90, 90), np.uint8)
    assert len(split_narrow_cells(found, hints, 10.0).places) == 5
    hints[[18, 38, 58]] = 255
    assert len(split_narrow_cells(found, hints, 10.0).places) == 8


def test_boxes_are_carried_to_input_pixels() -> None:
    table = table_of(lattice(2, 2), np.ones(4), np.float64([[2, 0, 5], [0, 2, 7]]))
    x0, y0, x1, y1 = table.cells[0].box
    assert (x1 - x0, y1 - y0) == (80.0, 40.0)


def test_regions_are_sorted_with_reasons() -> None:
    regions = np.array([[0, 0, 300, 200, 9000], [20, 20, 60, 30, 1790], [100, 20, 60, 3, 180], [100, 40, 90, 60, 1500], [30, 25, 8, 8, 64]], np.int32)
    assert sort_regions(regions, (200, 300), 4.0, 2).tolist() == [OUTSIDE, CELL, SMALL, CROOKED, NESTED]


def test_a_region_around_many_others_is_a_frame() -> None:
    inner = [[20 + 30 * (k % 3), 20 + 20 * (k // 3), 27, 17, 459] for k in range(6)]
    regions = np.array([[5, 5, 200, 150, 28000]] + inner, np.int32)
    assert sort_regions(regions, (200, 300), 4.0, 2).tolist() == [FRAME] + [CELL] * 6


def test_rows_of_lists_are_unruled_and_wrapped_rows_are_not() -> None:
    grid = lattice(2, 4)
    assert rows_are_unruled(grid, np.array([1, 1, 1, 1, 9, 8, 9, 9]))
    assert rows_are_unruled(grid, np.array([1, 1, 1, 1, 3, 3, 3, 3]))
    assert not rows_are_unruled(grid, np.array([1, 1, 1, 1, 2, 1, 3, 1]))
    assert not rows_are_unruled(lattice(6, 4), np.array([1] * 8 + [2, 3, 2, 4] * 4))


def test_lines_of_text_are_counted_per_cell() -> None:
    box = np.array([[0, 0, 8, 10], [10, 1, 18, 10], [0, 18, 8, 28], [50, 0, 58, 10]], float)
    assert lines_per_cell(CellText(np.array([0, 0, 0, 1]), box), 3, 10.0).tolist() == [2, 1, 0]


def test_columns_of_text_side_by_side_in_one_column_are_unruled() -> None:
    grid = lattice_of(boxes_of([(r, c, 1, 1) for r in range(4) for c in range(2)], width=200))
    rows = [(2 * r, [[x, 20 * r, x + 20, 20 * r + 10] for x in (0, 60, 120)]) for r in range(4)]
    text = CellText(np.repeat([cell for cell, _ in rows], 3), np.array([b for _, bs in rows for b in bs], float))
    assert columns_are_unruled(grid, text, 10.0)
    assert not columns_are_unruled(grid, CellText(text.cell[::3], text.box[::3]), 10.0)
