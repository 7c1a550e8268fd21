"""Hybrid selection: which engine is taken, and that the sentence says so with the numbers of both."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings

from core.table.merge import MODEL, REGIONS, choose
from core.table.table import Cell, Table
from tests.core.table.strategies import tables


def grid(rows: int, cols: int, sure: float = 1.0, joined: int = 0) -> Table:
    """A plain grid whose first row joins `joined` more places to its first cell."""
    cells = [Cell(r, k, confidence=sure) for r in range(rows) for k in range(cols) if not (r == 0 and 0 < k <= joined)]
    return Table(rows, cols, tuple(replace(c, colspan=joined + 1) if (c.row, c.col) == (0, 0) else c for c in cells))


def seen(table: Table | None, confidence: float = 0.5) -> SimpleNamespace:
    return SimpleNamespace(table=table, confidence=confidence, reason="" if table else "No table.")


@pytest.mark.parametrize("regions, model, taken, words", [
    (grid(14, 3), seen(grid(13, 3)), REGIONS, ["14 closed rows", "the model found 13 rows"]),
    (grid(8, 4), seen(grid(8, 4, joined=2)), REGIONS, ["8 closed rows", "30 cells in them instead of 32"]),
    (grid(2, 5), seen(grid(9, 5), 0.1), MODEL, ["9 rows", "close only 2"]),
    (grid(5, 4, joined=3), seen(grid(9, 4), 0.8), MODEL, ["36 cells, 80\u00a0% sure", "close only 17"]),
    (grid(5, 4), seen(grid(9, 4), 0.3), REGIONS, ["5 closed rows"]),
    (grid(6, 4, sure=0.4), seen(grid(6, 3), 0.7), MODEL, ["6 rows and 3 columns, 70\u00a0% sure", "24 closed cells only 40\u00a0%"]),
    (grid(6, 4, sure=0.9), seen(grid(6, 3), 0.97), REGIONS, ["6 closed rows and 4 columns", "6 rows and 3 columns"]),
    (None, seen(grid(6, 3)), MODEL, ["6 rows, 3 columns and 18 cells", "close no table"]),
    (grid(6, 3), seen(None), REGIONS, ["6 closed rows", "the model found no table"]),
])
def test_the_choice_and_its_sentence(regions, model, taken, words):
    choice = choose(seen(regions), model)
    assert choice.taken == taken and choice.why.startswith(taken.capitalize()) and choice.why.endswith(".")
    assert all(word in choice.why for word in words) and choice.agree is (None if None in (regions, model.table) else False)


def test_where_both_agree_the_regions_place_the_cells():
    choice = choose(seen(grid(4, 3)), seen(grid(4, 3, sure=0.2), 0.99))
    assert choice.taken == REGIONS and choice.agree is True and "4 rows, 3 columns and 12 cells" in choice.why


def test_an_engine_that_was_asked_alone_is_taken():
    assert (choose(seen(grid(2, 2)), None).taken, choose(None, seen(grid(2, 2))).taken) == (REGIONS, MODEL)
    assert choose(None, seen(None)).agree is None


def test_two_abstentions_are_no_choice():
    choice = choose(seen(None), seen(None))
    assert choice.why == "Neither the model nor the regions found a table." and choice.agree is None


@settings(max_examples=25, deadline=None)
@given(tables(), tables())
def test_any_two_tables_give_one_of_them_and_numbers(one, other):
    one, other = (replace(t, cells=tuple(replace(c, confidence=0.9) for c in t.cells)) for t in (one, other))
    choice = choose(seen(one), seen(other))
    assert choice.taken in (REGIONS, MODEL) and choice.agree == (one.without_text() == other.without_text())
    assert re.search(r"\d", choice.why) and choice.why.count(". ") == 0
