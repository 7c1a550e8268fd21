"""Hybrid selection (PIX-TAB): the model always, the regions where the table is ruled; the choice is made by comparing both and said in words."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.table.table import Table

if TYPE_CHECKING:
    from core.table.reader import ModelReading
    from core.table.regions import RegionReading

REGIONS, MODEL = "regions", "model"


@dataclass(frozen=True)
class Choice:
    """Whose table was taken, why (one sentence with numbers), and whether both gave the same structure (None where only one gave any)."""

    taken: str
    why: str
    agree: bool | None


def choose(regions: "RegionReading | None", model: "ModelReading | None") -> Choice:
    """Whose table to take; None stands for an engine that was not asked."""
    if model is None:
        return Choice(REGIONS, "Regions: the only engine that was asked.", None)
    if regions is None:
        return Choice(MODEL, "Model: the only engine that was asked.", None)
    closed, read = regions.table, model.table
    if closed is None or read is None:
        return _single(closed, read, regions.reason)
    if closed.without_text() == read.without_text():
        return Choice(REGIONS, f"Regions: both found {_size(closed)}; the rules place the cells more exactly.", True)
    return Choice(REGIONS, f"Regions: {_closed(closed)}; the model found {_against(read, closed)}.", False)


def _single(closed: Table | None, read: Table | None, reason: str) -> Choice:
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
