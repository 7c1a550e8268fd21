"""Scoring by a ground truth: equal tables score 1 and differ nowhere; each kind of difference is named at its place; bad HTML is refused."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from core.errors import InputError, LimitError
from core.table import exhibit
from core.table.export import Record, files_of
from core.table.markup import to_html
from core.table.scoring import (COLUMN_ADDED, COLUMN_MISSING, MAX_CELLS, ROW_ADDED, ROW_MISSING, SPAN, TEXT, Difference, collapsed, compare, pairs)
from core.table.table import Cell, Table
from tests.core.table.strategies import tables

TOWNS = [["Town", "Year", "Share"], ["Oslo", "1990", "17"], ["Bergen", "2004", "8"], ["Narvik", "1888", "3"]]


def table_of(texts: list[list[str]]) -> Table:
    return Table(len(texts), len(texts[0]), tuple(Cell(r, k, text=t) for r, line in enumerate(texts) for k, t in enumerate(line)))


@settings(max_examples=40, deadline=None)
@given(tables())
def test_a_table_differs_nowhere_from_itself(table):
    score = compare(table, table)
    assert (score.teds, score.teds_struct, score.differences) == (1, 1, ())


@settings(max_examples=40, deadline=None)
@given(tables(), tables())
def test_what_differs_nowhere_is_equal(one, other):
    score = compare(one, other)
    same = one.without_text() == other.without_text() and [collapsed(c.text) for c in one.cells] == [collapsed(c.text) for c in other.cells]
    assert same == (not score.differences) and (score.teds == 1) == same


def test_a_missing_and_an_added_line_are_found_by_their_text():
    without = table_of([TOWNS[0], *TOWNS[2:]])
    assert compare(without, table_of(TOWNS)).differences == (Difference(ROW_MISSING, 1, -1, "", "Oslo | 1990 | 17"),)
    assert compare(table_of(TOWNS), without).differences == (Difference(ROW_ADDED, 1, -1, "Oslo | 1990 | 17", ""),)
    narrow = table_of([line[:1] + line[2:] for line in TOWNS])
    assert compare(narrow, table_of(TOWNS)).differences == (Difference(COLUMN_MISSING, -1, 1, "", "Year | 1990 | 2004 | 1888"),)
    assert [d.kind for d in compare(table_of(TOWNS), narrow).differences] == [COLUMN_ADDED]


def test_texts_and_spans_are_named_at_their_place():
    read = table_of(TOWNS).with_texts({(2, 0): "Bergon"})
    score = compare(read, table_of(TOWNS))
    assert score.differences == (Difference(TEXT, 2, 0, "Bergon", "Bergen"),) and score.teds_struct == 1 > score.teds
    spanned = Table(4, 3, tuple(replace(c, colspan=2) if (c.row, c.col) == (1, 0) else c for c in table_of(TOWNS).cells if (c.row, c.col) != (1, 1)))
    assert Difference(SPAN, 1, 0, "1 x 2", "1 x 1") in compare(spanned, table_of(TOWNS)).differences
    assert Difference(SPAN, 1, 1, "1 x 1", "inside 1 x 2") in compare(table_of(TOWNS), spanned).differences


def test_lines_pair_in_order_and_every_line_is_told_once():
    found = pairs([["a"], ["b"], ["x"]], [["b"], ["y"]])
    assert found == [(0, None), (1, 0), (2, 1)]
    many = pairs([["x"]] * 400, [["x"]] * 300)
    assert many[299] == (299, 299) and many[300] == (300, None) and len(many) == 400


def run_files(table: Table) -> dict[str, bytes]:
    return files_of(Record("a.png", 10, 10, "model", table), "a")


def test_a_ground_truth_in_html_is_scored():
    foreign = b"\xef\xbb\xbf<html><table><thead><tr><th>Town<th>Year</thead><tr><td><b>Oslo</b> <td>1990</table>"
    score = exhibit.score(run_files(table_of([["Town", "Year"], ["Oslo", "199O"]])), "a", foreign)
    assert score.teds_struct == 1 and score.differences == (Difference(TEXT, 1, 1, "199O", "1990"),)
    assert exhibit.score(run_files(table_of(TOWNS)), "a", to_html(table_of(TOWNS)).encode()).teds == 1


@pytest.mark.parametrize("html, words", [(b"", "no table"), (b"<p>text</p>", "no table"), (b"\xff\xfe\x00", "UTF-8"), (b"\x89PNG\r\n\x1a\n", "UTF-8")])
def test_what_is_no_table_is_refused(html, words):
    with pytest.raises(InputError, match=words):
        exhibit.score(run_files(table_of(TOWNS)), "a", html)


def test_too_much_is_refused_before_it_is_compared():
    with pytest.raises(LimitError, match="at most 5 MB"):
        exhibit.score(run_files(table_of(TOWNS)), "a", b" " * (exhibit.MAX_HTML_BYTES + 1))
    with pytest.raises(LimitError, match="4,000"):
        compare(table_of(TOWNS), table_of([["x"] * 100] * (MAX_CELLS // 100 + 1)))


def test_an_abstention_cannot_be_scored():
    files = files_of(Record("a.png", 10, 10, "model", None, "No table."), "a")
    with pytest.raises(InputError, match="no table to score"):
        exhibit.score(files, "a", b"<table><tr><td>x</table>")
    with pytest.raises(InputError, match="no table 'b'"):
        exhibit.score(files, "b", b"<table><tr><td>x</table>")
