"""A recognised table held against a true one: TEDS with and without text (PubTabNet), and where the two differ, row by row and cell by cell."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import LimitError
from core.table.metrics import teds
from core.table.table import Cell, Table

MAX_CELLS = 4_000
"""TEDS costs the product of both tables' cells: two of this size take seconds."""
ROW_MISSING, ROW_ADDED, COLUMN_MISSING, COLUMN_ADDED, SPAN, TEXT = "row missing", "row added", "column missing", "column added", "span", "text"
MAX_PAIRS = 100_000
"""Lines of ours times lines of the truth that are compared, each with each."""
ALIKE = 1e-3
"""What a pair of lines is worth that has nothing in common: lines pair up in order rather than not at all."""


@dataclass(frozen=True)
class Difference:
    """One place where two tables differ.

    kind         row or column missing or added, span, text
    row, col     grid place in our table; in the true one where ours lacks the row or column; -1 where a whole row or column is meant
    ours, truth  what stands there: texts, or spans as "2 x 1"
    """

    kind: str
    row: int
    col: int
    ours: str
    truth: str


@dataclass(frozen=True)
class Score:
    """TEDS and TEDS-struct, 1 where equal (seldom below 0), and the differences in reading order."""

    teds: float
    teds_struct: float
    differences: tuple[Difference, ...]


def compare(table: Table, truth: Table) -> Score:
    """Score our table by a true one. Rows and columns are paired by their texts, in order; what stays alone is missing or added.

    Raises LimitError where either has more than 4,000 cells.
    """
    for one in (table, truth):
        if len(one.cells) > MAX_CELLS:
            raise LimitError(f"A table of {len(one.cells):,} cells is not scored; the limit is {MAX_CELLS:,}. Cut it into smaller tables.")
    rows = pairs(_lines(table, by_row=True), _lines(truth, by_row=True))
    cols = pairs(_lines(table, by_row=False), _lines(truth, by_row=False))
    found = [*_alone(rows, ROW_MISSING, ROW_ADDED, _lines(table, True), _lines(truth, True), by_row=True),
             *_alone(cols, COLUMN_MISSING, COLUMN_ADDED, _lines(table, False), _lines(truth, False), by_row=False),
             *_cells(table, truth, dict(p for p in rows if None not in p), dict(p for p in cols if None not in p))]
    return Score(teds(table, truth), teds(table, truth, structure_only=True), tuple(found))


def _lines(table: Table, by_row: bool) -> list[list[str]]:
    """Texts of the cells that begin in each row (column)."""
    lines: list[list[str]] = [[] for _ in range(table.rows if by_row else table.cols)]
    for cell in table.cells:
        lines[cell.row if by_row else cell.col].append(collapsed(cell.text))
    return lines


def collapsed(text: str) -> str:
    """White space collapsed, as TEDS reads it."""
    return " ".join(text.split())


def pairs(ours: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]) -> list[tuple[int | None, int | None]]:
    """Lines paired in order so that they have most text in common; (i, None) is added, (None, j) missing. Very many are paired by their number."""
    if len(ours) * len(truth) > MAX_PAIRS:
        longest = max(len(ours), len(truth))
        return [(i if i < len(ours) else None, i if i < len(truth) else None) for i in range(longest)]
    worth = _likeness(ours, truth) + ALIKE
    n, m = worth.shape
    best = np.zeros((n + 1, m + 1))
    for i in range(n):
        for j in range(m):
            best[i + 1, j + 1] = max(best[i, j] + worth[i, j], best[i, j + 1], best[i + 1, j])
    found, i, j = [], n, m
    while i or j:
        if i and j and best[i, j] == best[i - 1, j - 1] + worth[i - 1, j - 1]:
            i, j = i - 1, j - 1
            found.append((i, j))
        elif j and (not i or best[i, j] == best[i, j - 1]):
            j -= 1
            found.append((None, j))
        else:
            i -= 1
            found.append((i, None))
    return found[::-1]


def _likeness(ours: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]) -> np.ndarray:
    """float [n, m] in [0, 1]: letters and neighbours of letters two lines share (Dice)."""
    one, other = ([_grams(line) for line in lines] for lines in (ours, truth))
    sizes = [np.array([sum(bag.values()) for bag in bags], float) for bags in (one, other)]
    shared = np.array([[sum((a & b).values()) for b in other] for a in one], float)
    both = sizes[0][:, None] + sizes[1][None]
    return np.divide(2 * shared, both, out=np.ones_like(shared), where=both > 0)


def _grams(line: Sequence[str]) -> Counter:
    text = "\n".join(line)
    return Counter([*text, *(text[i:i + 2] for i in range(len(text) - 1))])


def _alone(found: Sequence[tuple], missing: str, added: str, ours: list, truth: list, by_row: bool) -> list[Difference]:
    """Lines without a partner."""
    def at(line: int) -> tuple[int, int]:
        return (line, -1) if by_row else (-1, line)
    return [Difference(missing, *at(j), "", " | ".join(truth[j])) if i is None else Difference(added, *at(i), " | ".join(ours[i]), "")
            for i, j in found if i is None or j is None]


def _cells(table: Table, truth: Table, rows: dict[int, int], cols: dict[int, int]) -> list[Difference]:
    """Spans and texts of the cells that begin at paired places."""
    grid, found = truth.grid(), []
    for cell in table.cells:
        if cell.row not in rows or cell.col not in cols:
            continue
        place = rows[cell.row], cols[cell.col]
        other = truth.cells[grid[place[0]][place[1]]]
        if (other.row, other.col) != place:
            found.append(Difference(SPAN, cell.row, cell.col, _span(cell), f"inside {_span(other)}"))
        elif _span(cell) != _span(other):
            found.append(Difference(SPAN, cell.row, cell.col, _span(cell), _span(other)))
        if (other.row, other.col) == place and collapsed(cell.text) != collapsed(other.text):
            found.append(Difference(TEXT, cell.row, cell.col, cell.text, other.text))
    return found


def _span(cell: Cell) -> str:
    return f"{cell.rowspan} x {cell.colspan}"
