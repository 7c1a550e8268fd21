"""Does the text show rows or columns that no rule separates? Then the closed cells are a frame, not the table, and the reader abstains."""

from dataclasses import dataclass

import numpy as np

from core.table.grid import Lattice

LETTER_SHARE, LETTER_LIMIT = 0.5, 2.0
"""Pieces of ink smaller than this many text heights (dots, accents) or higher than that (pictures) do not start a line of text."""
SHRED = 0.45
"""Ink that stays within this many text heights of the line above or below its cell is the soft rim of a rule."""
LINE_STEP = 0.6
"""Text heights between the middles of two pieces on different lines: within a line they differ by 0.3, between lines by 1.4."""
LIST_LINES = 5
"""Lines of text that the middle cell of a row holds when the row is a whole list; wrapped text reaches 3 or 4."""
SHORT_LIST_LINES = 3
"""The same where nothing else says how high a row is: there is no other row but a head, or nearly all cells of the row hold just as many lines."""
EVEN_SHARE, EVEN_CELLS = 0.75, 4
"""Share of a row's filled cells with equally many lines, and the least number of filled cells, that make a list of a short one."""
LIST_SHARE = 0.5
"""Share of all text lines that stand in such rows."""
RIVER_WIDTH = 1.2
"""Text heights of white between two columns of text; a word space is 0.4."""
RIVER_SHARE = 0.6
"""Share of a column's filled cells that have text on both sides of a river."""
LEAST_RIVERS = 2
"""Rivers in one ruled column; a single one may part a currency sign from its amount."""


@dataclass(frozen=True)
class CellText:
    """The pieces of ink inside cells, sorted by cell: cell int[n] indexes the lattice's places, box float[n,4] is x0, y0, x1, y1."""

    cell: np.ndarray
    box: np.ndarray


def text_in_cells(lattice: Lattice, pieces: np.ndarray, text_height: float) -> CellText:
    """Assign pieces of ink int32[n,5] (x, y, width, height, area; the rules taken out) to cells by their middles; shreds of the rules are left out."""
    x0, y0, width, height = (pieces[:, k].astype(np.float64) for k in range(4))
    row = np.searchsorted(lattice.rows, y0 + height / 2) - 1
    col = np.searchsorted(lattice.cols, x0 + width / 2) - 1
    keep = np.flatnonzero((row >= 0) & (col >= 0) & (row < len(lattice.rows) - 1) & (col < len(lattice.cols) - 1))
    cell = lattice.owners()[row[keep], col[keep]]
    top, bottom = lattice.rows[lattice.places[cell, 0]], lattice.rows[lattice.places[cell, 2]]
    inside = (y0[keep] + height[keep] > top + SHRED * text_height) & (y0[keep] < bottom - SHRED * text_height)
    keep, cell = keep[inside], cell[inside]
    order = np.argsort(cell, kind="stable")
    keep = keep[order]
    return CellText(cell[order], np.stack([x0, y0, x0 + width, y0 + height], axis=1)[keep])


def lines_per_cell(text: CellText, cells: int, text_height: float) -> np.ndarray:
    """int[cells]: lines of text in each cell."""
    wide, high = text.box[:, 2] - text.box[:, 0], text.box[:, 3] - text.box[:, 1]
    letter = (np.maximum(wide, high) >= LETTER_SHARE * text_height) & (high <= LETTER_LIMIT * text_height)
    cell, middle = text.cell[letter], ((text.box[:, 1] + text.box[:, 3]) / 2)[letter]
    order = np.lexsort((middle, cell))
    cell, middle = cell[order], middle[order]
    if len(cell) == 0:
        return np.zeros(cells, int)
    new = np.append(True, (np.diff(cell) != 0) | (np.diff(middle) > LINE_STEP * text_height))
    return np.bincount(cell[new], minlength=cells)


def rows_are_unruled(lattice: Lattice, lines: np.ndarray) -> bool:
    """Whether most lines of text stand in rows whose cells each hold a list: a boxed head over open columns."""
    if lines.max(initial=0) < SHORT_LIST_LINES:
        return False
    listed = 0
    for top, bottom in np.unique(lattice.places[:, [0, 2]], axis=0):
        inside = lines[(lattice.places[:, 0] == top) & (lattice.places[:, 2] == bottom)]
        if _is_list(np.sort(inside[inside > 0]), only_row=len(lattice.rows) <= 3):
            listed += int(inside.sum())
    return listed > LIST_SHARE * max(1, int(lines.sum()))


def _is_list(counts: np.ndarray, only_row: bool) -> bool:
    """Whether the filled cells of a row, holding so many lines each (int[n], rising), are whole columns of a table."""
    if len(counts) < 2:
        return False
    middle = counts[(len(counts) - 1) // 2]
    even = len(counts) >= EVEN_CELLS and (counts == middle).mean() >= EVEN_SHARE
    return bool(middle >= (SHORT_LIST_LINES if only_row or even else LIST_LINES))


def columns_are_unruled(lattice: Lattice, text: CellText, text_height: float) -> bool:
    """Whether some ruled column holds two or more rivers of white with text on both sides in most of its cells."""
    single = lattice.places[text.cell, 3] - lattice.places[text.cell, 1] == 1
    column = lattice.places[text.cell, 1]
    return any(_rivers(text.box[single & (column == c)], text.cell[single & (column == c)], text_height) >= LEAST_RIVERS for c in np.unique(column[single]))


def _rivers(box: np.ndarray, cell: np.ndarray, text_height: float) -> int:
    """How many gaps at least RIVER_WIDTH wide no piece of text crosses, with text on both sides in RIVER_SHARE of the cells."""
    order = np.argsort(box[:, 0])
    reached = np.maximum.accumulate(box[order, 2])
    gaps = np.flatnonzero(box[order[1:], 0] - reached[:-1] >= RIVER_WIDTH * text_height)
    if len(gaps) == 0:
        return 0
    cells = np.unique(cell)
    both = [np.intersect1d(cell[order[: g + 1]], cell[order[g + 1 :]]).size for g in gaps]
    return int(sum(n >= max(2, RIVER_SHARE * len(cells)) for n in both))
