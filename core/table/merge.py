"""Hybrid selection (PIX-TAB): the model always, the regions where the table is ruled; the choice is made by comparing both and said in words.

Closed cells are the stronger sign: where the rules close a grid, its cells are drawn. Three things speak against them: rules that close only a head
or a frame around open rows, rules that run several cells together, and rules that are seen in part only. The limits were chosen on drawings.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.table.table import Table

if TYPE_CHECKING:
    from core.table.reader import ModelReading
    from core.table.regions import RegionReading

REGIONS, MODEL = "regions", "model"
FEW_ROWS = 3
"""So few closed rows may be a head and a frame around open rows."""
MORE_ROWS = 2
"""So many times more rows does the model find then, at least."""

MORE_CELLS, SURE = 1.25, 0.5
"""Where the model finds so many times more cells and is surer than this, the rules have run cells together."""

PARTLY_SEEN = 0.8
"""Rules of which no more than this share was seen, on average around the cells, or whose sides were inferred, yield to a surer model."""


@dataclass(frozen=True)
class Choice:
    """Whose table was taken, why (one sentence with numbers), and whether both gave the same structure (None where only one gave any)."""

    taken: str
    why: str
    agree: bool | None


def choose(regions: "RegionReading | None", model: "ModelReading | None") -> Choice:
    """Whose table to take; None stands for an engine that was not asked."""
    if model is None or regions is None:
        asked = REGIONS if model is None else MODEL
        return Choice(asked, f"{asked.capitalize()}: no other engine read the picture.", None)
    closed, read = regions.table, model.table
    if closed is None or read is None:
        return _single(closed, read)
    if closed.without_text() == read.without_text():
        return Choice(REGIONS, f"Regions: both found {_size(closed)}; the rules place the cells more exactly.", True)
    ruled = round(float(np.mean([c.confidence for c in closed.cells])), 4)
    if closed.rows <= FEW_ROWS and read.rows >= MORE_ROWS * closed.rows:
        return Choice(MODEL, f"Model: it found {_count(read.rows, 'row')}; the rules close only {closed.rows:,}.", False)
    if len(read.cells) >= MORE_CELLS * len(closed.cells) and model.confidence > SURE:
        return Choice(MODEL, f"Model: {_count(len(read.cells), 'cell')}, {_percent(model.confidence)} sure; "
                             f"the rules close only {len(closed.cells):,}.", False)
    if ruled <= PARTLY_SEEN and model.confidence > ruled:
        return Choice(MODEL, f"Model: {_against(read, closed)}, {_percent(model.confidence)} sure; "
                             f"of the rules around the {_count(len(closed.cells), 'closed cell')} only {_percent(ruled)} were seen.", False)
    return Choice(REGIONS, f"Regions: {_closed(closed)}; the model found {_against(read, closed)}.", False)


def _single(closed: Table | None, read: Table | None) -> Choice:
    if read is not None:
        return Choice(MODEL, f"Model: it found {_size(read)}; the rules close no table.", None)
    if closed is not None:
        return Choice(REGIONS, f"Regions: {_closed(closed)}; the model found no table.", None)
    return Choice(MODEL, "Neither the model nor the regions found a table.", None)


def _closed(table: Table) -> str:
    return f"{_count(table.rows, 'closed row')} and {_count(table.cols, 'column')}"


def _against(table: Table, other: Table) -> str:
    """What differs, in numbers: rows and columns, else cells."""
    if (table.rows, table.cols) != (other.rows, other.cols):
        return f"{_count(table.rows, 'row')} and {_count(table.cols, 'column')}"
    if len(table.cells) != len(other.cells):
        return f"{_count(len(table.cells), 'cell')} in them instead of {len(other.cells):,}"
    return "the same number of cells joined otherwise"


def _size(table: Table) -> str:
    return f"{_count(table.rows, 'row')}, {_count(table.cols, 'column')} and {_count(len(table.cells), 'cell')}"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%"
