"""TEDS against the official values, values by hand, an independent tree edit distance, and its laws."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cython_ext
from core.errors import InputError
from core.table.metrics import summary, teds, teds_html
from core.table.table import Cell, Table
from cython_ext import reference
from tests.cython_ext.test_tree_distance import plain_tree_distance

GOLDEN = json.loads((Path(__file__).resolve().parents[2] / "golden" / "teds.json").read_text(encoding="utf8"))["pairs"]


@pytest.fixture(params=["kernels", "twins"])
def backend(request, monkeypatch):
    if request.param == "twins":
        for name in ("rename_costs", "tree_distance"):
            monkeypatch.setattr(cython_ext, name, getattr(reference, name))


def simple(*rows):
    """A table without spans from rows of texts."""
    return Table(len(rows), len(rows[0]), tuple(Cell(r, c, text=text) for r, row in enumerate(rows) for c, text in enumerate(row)))


def page(inner):
    return f"<html><body><table>{inner}</table></body></html>"


@pytest.mark.parametrize("pair", GOLDEN, ids=[pair["origin"] for pair in GOLDEN])
def test_official_values(pair, backend):
    assert teds_html(pair["pred"], pair["true"]) == pytest.approx(pair["teds"], abs=1e-9)
    assert teds_html(pair["pred"], pair["true"], structure_only=True) == pytest.approx(pair["teds_struct"], abs=1e-9)


@pytest.mark.parametrize("pred, true, score, structure", [
    # one of four characters differs in one of 1 + 2 nodes: 1 - (1/4)/3
    ("<tr><td>abcd</td><td>x</td></tr>", "<tr><td>abce</td><td>x</td></tr>", 1 - 0.25 / 3, 1.0),
    # one td of 3 nodes is missing
    ("<tr><td>a</td></tr>", "<tr><td>a</td><td>b</td></tr>", 1 - 1 / 3, 1 - 1 / 3),
    # a whole row, tr and two td, of 6 nodes is missing
    ("<tr><td>a</td><td>b</td></tr>", "<tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr>", 0.5, 0.5),
    # another span is another node: rename at 1, of 2
    ("<tr><td colspan=2>a</td></tr>", "<tr><td>a</td></tr>", 0.5, 0.5),
    # both cells say nothing of the other's: Levenshtein(ab, xyz) = 3 of 3
    ("<tr><td>ab</td></tr>", "<tr><td>xyz</td></tr>", 0.5, 1.0),
    # an empty cell against a full one costs 1
    ("<tr><td></td></tr>", "<tr><td>xyz</td></tr>", 0.5, 1.0),
    # thead is a node: one insertion, of 3
    ("<thead><tr><td>a</td></tr></thead>", "<tr><td>a</td></tr>", 1 - 1 / 3, 1 - 1 / 3),
    # <b> counts as a node (3) and as two of three content tokens: 1 - (2/3)/3; it is no node of the tree itself
    ("<tr><td><b>a</b></td></tr>", "<tr><td>a</td></tr>", 1 - (2 / 3) / 3, 1.0),
], ids=["letter", "cell", "row", "span", "other text", "empty", "thead", "bold"])
def test_values_by_hand(pred, true, score, structure, backend):
    assert teds_html(page(pred), page(true)) == pytest.approx(score, abs=1e-12)
    assert teds_html(page(true), page(pred), structure_only=True) == pytest.approx(structure, abs=1e-12)


def test_th_is_td_on_both_sides():
    assert teds_html(page("<tr><th>a</th></tr>"), page("<tr><td>a</td></tr>")) == 1.0
    assert teds_html(page("<tr><th>a</th></tr>"), page("<tr><th>b</th></tr>")) == 0.5


def test_a_bare_table_is_read():
    assert teds_html("<table><tr><td>a</td></tr></table>", page("<tr><td>a</td></tr>")) == 1.0


def test_white_space_is_collapsed_and_trimmed():
    assert teds_html(page("\n <tr>\n<td>\n  a \t b</td> </tr>"), page("<tr><td>a b</td></tr>")) == 1.0
    assert teds_html(page("<tr><td>ab</td></tr>"), page("<tr><td>a b</td></tr>")) == pytest.approx(1 - (1 / 3) / 2)


def test_end_tags_may_be_left_out_and_comments_do_not_count():
    assert teds_html("<table><tr><td>a<!-- x --><td>b<tr><td>c<td>d</table>", page("<tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr>")) == 1.0


def test_entities_are_characters():
    assert teds_html(page("<tr><td>&lt;&eacute;&#228;</td></tr>"), page("<tr><td>&#60;éä</td></tr>")) == 1.0


def test_a_nested_table_stays_inside_its_cell():
    nested = page("<tr><td>a<table><tr><td>x</td></tr></table></td><td>b</td></tr>")
    assert teds_html(nested, nested) == 1.0
    assert teds_html(nested, page("<tr><td>a</td><td>b</td></tr>"), structure_only=True) == 1.0


@pytest.mark.parametrize("text", ["", "<p>no table</p>", "plain"])
def test_no_table_scores_nothing(text):
    assert teds_html(text, page("<tr><td>a</td></tr>")) == teds_html(page("<tr><td>a</td></tr>"), text) == teds_html(text, text) == 0.0


def test_empty_tables():
    assert teds_html(page(""), page("")) == 1.0
    assert teds_html(page(""), page("<tr><td>a</td></tr>")) == 0.0


def test_too_deep_html_is_named():
    with pytest.raises(InputError, match="more than 200 deep"):
        teds_html(page("<div>" * 5000), page(""))


def test_five_by_four_with_a_merged_header():
    """By hand: two td of the header (cost 2) and one rename to colspan 3 (cost 1), of 5 + 20 nodes; text "x" each, so nothing else differs."""
    true = simple(*[["x"] * 4] * 5)
    pred = Table(5, 4, (Cell(0, 0, 1, 3, "x"), *(c for c in true.cells if c.row or c.col == 3)))
    assert teds(pred, true) == pytest.approx(1 - 3 / 25, abs=1e-12)
    assert teds(pred, true, structure_only=True) == pytest.approx(1 - 3 / 25, abs=1e-12)


def test_table_and_html_agree():
    table = Table(2, 2, (Cell(0, 0, 1, 2, "a  b"), Cell(1, 0, text="c\nd"), Cell(1, 1)))
    other = simple(["a b", "x"], ["c", "d"])
    html = "<table><tr><td colspan='2'>a b</td></tr><tr><td>c d</td><td></td></tr></table>"
    other_html = "<table><tr><td>a b</td><td>x</td></tr><tr><td>c</td><td>d</td></tr></table>"
    assert teds(table, other) == teds_html(html, other_html)


def test_summary_counts_only_perfect_tables():
    truth = simple(["ab", "c"])
    result = summary([(truth, truth), (simple(["ax", "c"]), truth), (simple(["ab"]), truth), (None, truth)])
    assert result["n"] == 4
    assert result["teds"] == pytest.approx((1 + (1 - 0.5 / 3) + (1 - 1 / 3) + 0) / 4)
    assert result["teds_struct"] == pytest.approx((1 + 1 + (1 - 1 / 3) + 0) / 4)
    assert (result["teds_100"], result["teds_struct100"]) == (0.25, 0.5)


def test_summary_reads_html_and_says_nothing_of_nothing():
    assert summary([(page("<tr><td>a</td></tr>"), page("<tr><th>a</th></tr>"))])["teds_100"] == 1.0
    empty = summary([])
    assert empty["n"] == 0 and empty["teds"] != empty["teds"]


def test_a_score_below_nothing_is_kept_as_the_official_code_has_it():
    """One row of three against three rows of one: keep a row and its cell, remove two cells, add two rows of two nodes: 6, of 6 nodes; texts cost the rest."""
    assert teds(simple(["a", "b", "c"]), simple(["x"], ["y"], ["z"])) == pytest.approx(1 - 7 / 6)


# Laws, and an independent oracle

texts = st.text(alphabet="ab ", max_size=4)


@st.composite
def tables(draw):
    rows, cols = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    cells, taken = [], set()
    for r in range(rows):
        for c in range(cols):
            if (r, c) in taken:
                continue
            wide = draw(st.booleans()) and c + 1 < cols and (r, c + 1) not in taken
            tall = draw(st.booleans()) and r + 1 < rows and (not wide or (r + 1, c + 1) not in taken)
            cells.append(Cell(r, c, 1 + tall, 1 + wide, draw(texts)))
            taken |= {(r + i, c + j) for i in range(1 + tall) for j in range(1 + wide)}
    return Table(rows, cols, tuple(cells))


def plain_levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        row, above = [i], row
        for j, y in enumerate(b, start=1):
            row.append(min(row[-1] + 1, above[j] + 1, above[j - 1] + (x != y)))
    return row[-1]


def plain_teds(pred, true, structure_only):
    """1 - forest edit distance / nodes, straight from the definition."""
    def tree(table):
        rows = [tuple((("td", c.colspan, c.rowspan, "" if structure_only else " ".join(c.text.split())), ()) for c in table.cells if c.row == r)
                for r in range(table.rows)]
        return (("table",), tuple((("tr",), row) for row in rows))

    def rename(a, b):
        if a[:3] != b[:3]:
            return 1.0
        return plain_levenshtein(a[3], b[3]) / max(len(a[3]), len(b[3])) if len(a) == 4 and (a[3] or b[3]) else 0.0

    nodes = max(table.rows + len(table.cells) for table in (pred, true))
    return 1 - plain_tree_distance(tree(pred), tree(true), rename) / nodes


@given(pred=tables(), true=tables(), structure_only=st.booleans())
@settings(max_examples=100, deadline=None)
def test_equal_to_the_definition(pred, true, structure_only):
    assert teds(pred, true, structure_only) == pytest.approx(plain_teds(pred, true, structure_only), abs=1e-9)


@given(one=tables(), other=tables(), structure_only=st.booleans())
@settings(max_examples=100, deadline=None)
def test_identity_symmetry_bounds(one, other, structure_only):
    assert teds(one, one, structure_only) == 1.0
    score = teds(one, other, structure_only)
    assert score == pytest.approx(teds(other, one, structure_only), abs=1e-12)
    assert -1.0 <= score <= 1.0
    assert teds(one.without_text(), other.without_text()) == teds(one, other, structure_only=True)
