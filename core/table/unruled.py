"""Does the text show rows or columns that no rule separates? Then the closed cells are a frame, not the table, and the reader abstains."""

from dataclasses import dataclass

import numpy as np

from core.table.grid import Lattice

LETTER_SHARE = 0.5
"""Pieces of ink lower than this many text heights (dots, accents, dashes) do not start a line of text."""
LINE_STEP = 0.6
"""Text heights between the middles of two pieces on different lines: within a line they differ by 0.3, between lines by 1.4."""
LIST_LINES = 5
"""Lines of text that the middle cell of a row holds when the row is a whole list; wrapped text reaches 3 or 4."""
SHORT_LIST_LINES = 3
"""The same where the picture has no other row but a head: nothing else says how high a row is."""
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


def text_in_cells(lattice: Lattice, glyphs: np.ndarray, rules: np.ndarray, text_height: float) -> CellText:
    """Assign glyphs int32[n,5] (x, y, width, height, area) to cells by their middles; pieces of rules and of no letter's size are left out."""
    x0, y0, width, height = (glyphs[:, k].astype(np.float64) for k in range(4))
    cx, cy = x0 + width / 2, y0 + height / 2
    letter = (height >= LETTER_SHARE * text_height) & (height <= 2 * text_height) & (rules[cy.astype(int), cx.astype(int)] == 0)
    row, col = np.searchsorted(lattice.rows, cy) - 1, np.searchsorted(lattice.cols, cx) - 1
    keep = np.flatnonzero(letter & (row >= 0) & (col >= 0) & (row < len(lattice.rows) - 1) & (col < len(lattice.cols) - 1))
    cell = lattice.owners()[row[keep], col[keep]]
    order = np.argsort(cell, kind="stable")
    keep = keep[order]
    return CellText(cell[order], np.stack([x0, y0, x0 + width, y0 + height], axis=1)[keep])


def lines_per_cell(text: CellText, cells: int, text_height: float) -> np.ndarray:
    """int[cells]: lines of text in each cell."""
    middle = (text.box[:, 1] + text.box[:, 3]) / 2
    order = np.lexsort((middle, text.cell))
    cell, middle = text.cell[order], middle[order]
    if len(cell) == 0:
        return np.zeros(cells, int)
    new = np.append(True, (np.diff(cell) != 0) | (np.diff(middle) > LINE_STEP * text_height))
    return np.bincount(cell[new], minlength=cells)


def rows_are_unruled(lattice: Lattice, lines: np.ndarray) -> bool:
    """Whether most lines of text stand in rows whose cells each hold a list: a boxed head over open columns."""
    spans = np.unique(lattice.places[:, [0, 2]], axis=0)
    least = SHORT_LIST_LINES if len(lattice.rows) <= 3 else LIST_LINES
    listed = 0
    for top, bottom in spans:
        inside = lines[(lattice.places[:, 0] == top) & (lattice.places[:, 2] == bottom)]
        filled = inside[inside > 0]
        if len(filled) >= 2 and np.sort(filled)[(len(filled) - 1) // 2] >= least:
            listed += int(filled.sum())
    return listed > LIST_SHARE * max(1, int(lines.sum()))


def columns_are_unruled(lattice: Lattice, text: CellText, text_height: float) -> bool:
    """Whether some ruled column holds two or more rivers of white with text on both sides in most of its cells."""
    single = lattice.places[text.cell, 3] - lattice.places[text.cell, 1] == 1
    column = lattice.places[text.cell, 1]
    return any(_rivers(text.box[single & (column == c)], text.cell[single & (column == c)], text_height) >= LEAST_RIVERS for c in np.unique(column[single]))


def _rivers(box: np.ndarray, cell: np.ndarray, text_height: float) -> int:
    """How many gaps at least RIVER_WIDTH wide no piece of text crosses, with text on both sides in RIVER_SHARE of the cells."""
    cells = np.unique(cell)
    if len(cells) < 2:
        return 0
    order = np.argsort(box[:, 0])
    reached = np.maximum.accumulate(box[order, 2])
    gaps = np.flatnonzero(box[order[1:], 0] - reached[:-1] >= RIVER_WIDTH * text_height)
    both = [np.intersect1d(cell[order[: g + 1]], cell[order[g + 1 :]]).size for g in gaps]
    return int(sum(n >= max(2, RIVER_SHARE * len(cells)) for n in both))
