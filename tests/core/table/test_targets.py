"""Grids with separators too many: what the merge head is taught to take out again, and that the answer takes it out."""

import numpy as np
import pytest

from core.table.heads import answer_of, joined_across
from core.table.synth import Drawing
from core.table.table import Cell, Table
from core.table.targets import make_batch, overcut, profile, runs, split_grid, with_false_edges
from core.table.tokens import table_of

GAPS = np.array([[0, 10], [40, 50], [90, 110], [150, 160]], float)
"""Gaps of three bands on an axis of 160 pixels."""
EDGES = np.array([7, 45, 100, 153], float)


def likely(*parts: tuple[int, int]) -> np.ndarray:
    line = np.zeros(160, bool)
    for begin, end in parts:
        line[begin:end] = True
    return line


def test_runs() -> None:
    assert runs(likely((0, 3), (7, 8), (150, 160))).tolist() == [[0, 3], [7, 8], [150, 160]]
    assert runs(np.zeros(4, bool)).shape == (0, 2)


@pytest.mark.parametrize("parts, places, true", [
    ([(0, 10), (40, 50), (90, 110), (150, 160)], [7, 45, 100, 153], [1, 1, 1, 1]),      # as it is
    ([(0, 10), (42, 50), (90, 110), (150, 160)], [7, 46, 100, 153], [1, 1, 1, 1]),      # the net's own place
    ([(0, 10), (20, 24), (40, 50), (150, 160)], [7, 22, 45, 100, 153], [1, 0, 1, 1, 1]),    # one too many, one not seen
    ([(40, 50), (90, 94), (104, 110)], [7, 45, 92, 107, 153], [1, 1, 0, 1, 1]),         # one gap in two pieces: the last is true
    ([(30, 130)], [7, 45, 100, 153], [1, 1, 1, 1]),                                     # two gaps in one: the true places stay
    ([(2, 4), (156, 158)], [7, 45, 100, 153], [1, 1, 1, 1])])                           # pieces of the margins are no separators
def test_false_separators_are_told_from_true_ones(parts: list[tuple[int, int]], places: list[float], true: list[int]) -> None:
    found, kind = with_false_edges(EDGES, profile(GAPS, 160), likely(*parts))
    assert found.tolist() == places and kind.astype(int).tolist() == true


def test_cut_off_parts_belong_to_what_stands_before_them() -> None:
    grid = np.array([[0, 1], [0, 0], [2, 0]], np.int8)      # a cell over both columns; a cell over two rows
    cut = split_grid(grid, np.array([True, False, True, True, True]), np.array([True, True, False, True]))
    assert cut.tolist() == [[0, 1, 1], [2, 3, 3], [0, 0, 1], [2, 0, 1]]
    assert table_of(cut.tolist()).cells == (Cell(0, 0, 2, 3), Cell(2, 0, 2, 1), Cell(2, 1, 1, 2), Cell(3, 1, 1, 2))


def test_without_false_separators_a_grid_stays() -> None:
    grid = np.array([[0, 1], [0, 3]], np.int8)
    assert np.array_equal(split_grid(grid, np.ones(3, bool), np.ones(3, bool)), grid)


def _drawing() -> Drawing:
    cells = [Cell(r, k, text="x", box=(10 + 50 * k, 10 + 50 * r, 60 + 50 * k, 60 + 50 * r)) for r in range(3) for k in range(3)]
    inks = tuple((c.box[0] + 5, c.box[1] + 5, c.box[2] - 5, c.box[3] - 5) for c in cells)
    bare = np.full(4, np.nan)
    return Drawing(np.full((160, 160), 255, np.uint8), Table(3, 3, tuple(cells)), inks, GAPS, GAPS, bare, bare, "plain")


def test_a_batch_with_false_separators_holds_its_shape() -> None:
    rng = np.random.default_rng(3)
    batch = make_batch([_drawing()] * 8, (160, 160), rng)
    logits = np.where(likely((0, 10), (20, 22), (40, 50), (90, 110), (150, 160)), 4.0, -4.0)[None].repeat(8, 0)
    (ys, xs), grid = overcut(batch, logits, logits, rng)
    assert grid.shape == (8, 4, 4) and ys.shape == xs.shape == (8, 5) and (np.diff(xs) >= 0).all()
    shapes = {((g >= 0).any(1).sum(), (g >= 0).any(0).sum()) for g in grid}
    assert shapes == {(3, 3), (4, 4)}, "some pictures with the false separators, some without"
    for g in grid:
        inside = g[(g >= 0).any(1)][:, (g >= 0).any(0)]
        joins = [k for k in range(1, inside.shape[1]) if np.isin(inside[:, k], (1, 3)).all()]
        assert joins == ([1] if inside.shape[1] == 4 else [])


def test_the_answer_takes_out_what_the_merge_head_joins() -> None:
    """Three columns by the separators, the third cut off the second by a river: one look finds it, the next has two columns."""
    seen = []

    def merge(ys: np.ndarray, xs: np.ndarray) -> np.ndarray:
        seen.append((len(ys) - 1, len(xs) - 1))
        logits = np.zeros((4, len(ys) - 1, len(xs) - 1))
        logits[0] = 6
        if len(xs) == 4:
            logits[1, :, 2] = 12
        return logits
    rows, cols = (np.where(line, 5.0, -5.0) for line in (likely((0, 10), (40, 50), (90, 110), (150, 160)), likely((0, 10), (60, 70), (90, 95), (150, 160))))
    answer = answer_of(rows, cols, merge)
    assert seen == [(3, 3), (3, 2)] and (answer.table.rows, answer.table.cols) == (3, 2) and all(c.colspan == 1 for c in answer.table.cells)
    assert answer.xs.tolist() == [7, 65, 153] and answer.confidence == pytest.approx(1 / (1 + 3 * np.exp(-6)))


def test_how_joined_a_separator_is() -> None:
    logits = np.zeros((4, 2, 2))
    logits[1, 0, 1] = logits[0, 1, 1] = 50
    across_rows, across_cols = joined_across(logits)
    assert across_cols == pytest.approx([0.5]) and across_rows == pytest.approx([0.25])
