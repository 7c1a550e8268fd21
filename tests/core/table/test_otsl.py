"""OTSL: exact round trip, and every rule of the grammar refuses what breaks it."""

import itertools

import pytest
from hypothesis import given

from core.errors import InputError
from core.table.otsl import from_otsl, parse, to_otsl, validate
from core.table.table import Cell, Table
from tests.core.table.strategies import structures, tables


@given(tables())
def test_round_trip_keeps_the_structure(table):
    assert from_otsl(to_otsl(table)) == table.without_text()


@given(structures())
def test_there_are_as_many_tokens_as_places(table):
    assert sorted(map(len, parse(to_otsl(table)))) == [table.cols] * table.rows


def test_tokens_of_a_known_table():
    table = Table(3, 3, (Cell(0, 0, 2, 2), Cell(0, 2), Cell(1, 2, 2, 1), Cell(2, 0), Cell(2, 1)))
    assert to_otsl(table) == "C L C NL\nU X C NL\nC C U NL\n"


@pytest.mark.parametrize("text, place", [
    ("L NL", "row 0, column 0"), ("U NL", "row 0, column 0"), ("X NL", "row 0, column 0"),
    ("C NL L NL", "row 1, column 0"), ("C U NL", "row 0, column 1"), ("C X NL", "row 0, column 1"),
    ("C C NL U L NL", "row 1, column 1"), ("C L NL U U NL", "row 1, column 1"),
    ("C L NL C X NL", "row 1, column 1"), ("C C NL U X NL", "row 1, column 1"),
    # Allowed by rules 1 to 3 alone, but no rectangle: an X whose row and column belong to different cells, and a cell with one corner missing.
    ("C L L NL U X C NL", "row 1, column 2"), ("C L NL U X NL U C NL", "row 2, column 1"), ("C L NL C U NL", "row 1, column 1")])
def test_what_breaks_a_rule_is_refused_with_its_place(text, place):
    with pytest.raises(InputError, match=place):
        from_otsl(text)


@pytest.mark.parametrize("text, words", [("", "at least one row"), ("NL", "at least one row"),
                                         ("C C NL C NL", "row 1 has 1 tokens"), ("C C", "not ended by NL"), ("C fcel NL", "'fcel'")])
def test_what_is_no_otsl_is_refused(text, words):
    with pytest.raises(InputError, match=words):
        from_otsl(text)


def test_every_small_grid_is_valid_exactly_when_it_is_a_tiling():
    """All 4^6 token grids of 2 x 3 and 3 x 2: the accepted ones are the tilings by rectangles, each once."""
    for rows, cols in ((2, 3), (3, 2)):
        accepted = set()
        for tokens in itertools.product("CLUX", repeat=6):
            grid = [list(tokens[r * cols:(r + 1) * cols]) for r in range(rows)]
            try:
                validate(grid)
            except InputError:
                continue
            text = "".join(" ".join([*row, "NL"]) + "\n" for row in grid)
            assert to_otsl(from_otsl(text)) == text
            accepted.add(text)
        assert len(accepted) == 34  # rectangle tilings of a 2 x 3 grid, OEIS A116694
