"""Exports: exact round trips, safe spreadsheets, foreign HTML, the same bytes each time, and golden files of one table."""

import csv
import io
import json
import os
import re
import time
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError, LimitError
from core.table.export import (
    Record,
    as_number,
    files_of,
    from_html,
    from_json,
    harmless,
    to_csv,
    to_html,
    to_html_page,
    to_json,
    to_markdown,
    to_xlsx,
)
from core.table.markup import printable
from core.table.merge import Choice
from core.table.table import Cell, Table
from tests.core.table.strategies import any_text, tables

GOLDEN = Path(__file__).parents[2] / "golden"
STOCK = Table(4, 3, (
    Cell(0, 0, 2, 1, "Town", (10, 10, 110, 70.5), 0.99), Cell(0, 1, 1, 2, "Share | of <all> & \"rest\"", (110, 10, 300, 40), 0.75),
    Cell(1, 1, text="1990", box=(110, 40, 200, 70.5), confidence=1.0), Cell(1, 2, text="2004\n(est.)", box=(200, 40, 300, 70.5), confidence=0.875),
    Cell(2, 0, text="Ås"), Cell(2, 1, text="-5.2"), Cell(2, 2, text="=SUM(A1)"), Cell(3, 0, 1, 2, "@cmd"), Cell(3, 2, text="3.10")))


@given(tables())
def test_html_round_trips_exactly(table):
    assert from_html(to_html(table)) == table
    assert from_html(to_html_page(table, "a </title> & b")) == table


@given(tables(any_text))
def test_html_of_any_text_keeps_what_can_be_printed(table):
    html = to_html(table)
    html.encode()
    assert [c.text for c in from_html(html).cells] == [printable(c.text) for c in table.cells]


@given(tables(any_text), st.text(max_size=9), st.integers(1, 10**6))
def test_json_round_trips_exactly(table, name, width):
    record = Record(printable(name), width, 7, "regions", table, "")
    text = to_json(record)
    text.encode()
    again = from_json(text)
    whole = table.with_texts({(c.row, c.col): re.sub("[\ud800-\udfff]", "\ufffd", c.text) for c in table.cells})
    assert again == Record(printable(name), width, 7, "regions", whole, "")


def test_json_has_the_named_shape():
    value = json.loads(to_json(Record("a.png", 300, 200, "regions", STOCK)))
    assert list(value) == ["image", "engine", "abstained", "reason", "confidence", "choice", "rows", "cols", "decoder_calls", "tokens_per_call",
                           "tokens", "cells"]
    assert value["image"] == {"name": "a.png", "width": 300, "height": 200} and (value["rows"], value["cols"], value["abstained"]) == (4, 3, False)
    assert value["cells"][0] == {"row": 0, "col": 0, "rowspan": 2, "colspan": 1, "box": [10, 10, 110, 70.5], "text": "Town", "confidence": 0.99}


def test_json_says_how_the_table_was_chosen_and_decoded():
    record = Record("a.png", 300, 200, "model", STOCK, "", 0.75, Choice("model", "Model: it found 4 rows.", None), ("<r000>", "C", "</table>"), 2)
    value = json.loads(to_json(record))
    assert value["choice"] == {"taken": "model", "why": "Model: it found 4 rows.", "agree": None} and value["confidence"] == 0.75
    assert value["tokens"] == ["<r000>", "C", "</table>"] and value["decoder_calls"] == 2 and value["tokens_per_call"] == 1.5
    assert from_json(to_json(record)) == record


def test_json_of_the_first_version_is_still_read():
    record = Record("a.png", 300, 200, "regions", STOCK)
    value = json.loads(to_json(record))
    old = {name: value[name] for name in ("image", "engine", "abstained", "reason", "rows", "cols", "cells")}
    assert from_json(json.dumps(old)) == record


def test_an_abstention_has_no_cells_and_round_trips():
    record = Record("a.png", 3, 2, "regions", None, "No closed cells.")
    value = json.loads(to_json(record))
    assert value["abstained"] is True and value["cells"] == [] and value["rows"] == value["cols"] == 0
    assert from_json(to_json(record)) == record
    assert list(files_of(record, "a")) == ["a.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"image": 3}',
                                  '{"image":{"name":"a","width":1,"height":1},"engine":"e","abstained":false,"reason":"",'
                                  '"rows":1,"cols":2,"cells":[{"row":0,"col":0,"rowspan":1,"colspan":1,"box":null,"text":"","confidence":null}]}'])
def test_other_json_is_refused(text):
    with pytest.raises(InputError):
        from_json(text)


FORMULAS = ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", " =1", "-", "-A1", "\n=1", "\xa0=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_do_not_run(text):
    table = Table(1, 1, (Cell(0, 0, text=text),))
    cell = openpyxl.load_workbook(io.BytesIO(to_xlsx(table))).active["A1"]
    assert cell.data_type == "s" and cell.value == printable(text)
    field = next(csv.reader(io.StringIO(to_csv(table).decode("utf-8-sig"), newline="")))[0]
    assert field == "'" + printable(text)


@given(tables(any_text, side=3))
def test_no_field_of_any_table_is_a_formula(table):
    sheet = openpyxl.load_workbook(io.BytesIO(to_xlsx(table))).active
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n"}
    for row in csv.reader(io.StringIO(to_csv(table).decode("utf-8-sig"), newline="")):
        assert len(row) == table.cols
        assert [f for f in row if f.lstrip(" \n\xa0").startswith(("=", "+", "-", "@", "\t", "\r")) and not re.fullmatch(r"-[0-9.]+", f)] == []


@pytest.mark.parametrize("text, number, shown", [("-5.2", -5.2, "0.0"), ("1990", 1990, "0"),
                                                 ("3.10", 3.1, "0.00"), ("0", 0, "0"), ("0.001", 0.001, "0.000"), ("-12", -12, "0")])
def test_plain_numbers_become_numbers_that_look_the_same(text, number, shown):
    cell = openpyxl.load_workbook(io.BytesIO(to_xlsx(Table(1, 1, (Cell(0, 0, text=text),))))).active["A1"]
    assert (cell.value, cell.data_type, cell.number_format) == (number, "n", shown)
    assert f"{number:.{len(shown.partition('.')[2])}f}" == text
    assert harmless(text) == text


@pytest.mark.parametrize("text", ["007", "1,234", "1.234.567", "+5", "1e5", "5 %", "½", "٣", "1234567890123456",
                                  "-0", ".5", "5.", "nan", "", "1990\n1991", "0.1234567890123456"])
def test_what_would_lose_something_stays_text(text):
    assert as_number(text) is None


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,5})?", fullmatch=True).filter(lambda t: t.isascii()))
def test_numbers_are_loss_free(text):
    number = as_number(text)
    if number is not None:
        assert f"{number:.{len(text.partition('.')[2])}f}" == text


def test_xlsx_keeps_spans_texts_and_escapes():
    sheet = openpyxl.load_workbook(io.BytesIO(to_xlsx(STOCK))).active
    assert {str(r) for r in sheet.merged_cells.ranges} == {"A1:A2", "B1:C1", "A4:B4"}
    assert sheet["C2"].value == "2004\n(est.)" and sheet["C2"].alignment.wrap_text and sheet["C3"].quotePrefix
    table = Table(1, 1, (Cell(0, 0, text="_x0041_ \x01"),))
    with zipfile.ZipFile(io.BytesIO(to_xlsx(table))) as book:
        assert "_x005F_x0041_ \ufffd" in "".join(ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml")).itertext())


def test_the_same_bytes_each_time():
    record = Record("a.png", 300, 200, "regions", STOCK)
    first = files_of(record, "a")
    time.sleep(2.1)  # zip times have a step of two seconds
    assert files_of(record, "a") == first


def test_csv_and_markdown_of_a_known_table():
    lines = to_csv(STOCK).decode("utf-8-sig").split("\r\n")
    assert lines == ['Town,"Share | of <all> & ""rest""",', ',1990,"2004\n(est.)"', "Ås,-5.2,'=SUM(A1)", "'@cmd,,3.10", ""]
    lines = to_markdown(STOCK).split("\n")
    assert lines[:3] == ['| Town | Share \\| of &lt;all> &amp; "rest" |  |', "| --- | --- | --- |", "|  | 1990 | 2004<br>(est.) |"]
    assert "row 1, column 1: 2 x 1; row 1, column 2: 1 x 2; row 4, column 1: 1 x 2" in lines[-2]


@given(tables(any_text))
def test_markdown_has_one_line_a_row_and_unescaped_pipes_only_between_cells(table):
    body = to_markdown(table).split("\n")[:table.rows + 1]
    assert len(body) == table.rows + 1
    assert all(len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == table.cols + 1 for line in body)


FOREIGN = """<p>before<table class=x><caption>Not a cell</caption><thead><tr><th colspan=2>A <b>bold</b>
  head<th>C</thead><tbody><tr><td rowspan="0">1<br/> 2 </td><td>x &amp; y<td><table><tr><td>in</td><td>ner</td></tr></table>
</td></tr><tr><td>only<script>alert(1)</script></tr></tbody></table><table><tr><td>second</table>"""


def test_a_foreign_table_is_read_as_browsers_lay_it_out():
    table = from_html(FOREIGN)
    cells = [(c.row, c.col, c.rowspan, c.colspan, c.text) for c in table.cells]
    assert cells == [(0, 0, 1, 2, "A bold head"), (0, 2, 1, 1, "C"), (1, 0, 2, 1, "1\n2"),
                     (1, 1, 1, 1, "x & y"), (1, 2, 1, 1, "inner"), (2, 1, 1, 1, "only"), (2, 2, 1, 1, "")]


@pytest.mark.parametrize("html", ["", "<table></table>", "<p>1", "<table><tr></tr></table>"])
def test_html_without_a_cell_is_refused(html):
    with pytest.raises(InputError):
        from_html(html)


@pytest.mark.parametrize("html", ["<table><tr><td colspan=60000><td colspan=60000><td colspan=60000><td colspan=60000><td colspan=60000></table>",
                                  "<table>" + "<tr><td rowspan=9999 colspan=999>" * 999 + "</table>"])
def test_a_table_of_giant_spans_is_refused(html):
    with pytest.raises(LimitError):
        from_html(html)


def test_broken_spans_and_attributes_count_as_one():
    table = from_html('<table><tr><td colspan="x" rowspan="-2" data-box="1 2" data-confidence="high">a</table>')
    assert table == Table(1, 1, (Cell(0, 0, text="a"),))


def test_overlapping_spans_are_cut():
    table = from_html("<table><tr><td>a<td rowspan=2>b<tr><td colspan=3>c</table>")
    assert [(c.row, c.col, c.rowspan, c.colspan) for c in table.cells] == [(0, 0, 1, 1), (0, 1, 2, 1), (1, 0, 1, 1)]


TAGS = ["<table>", "</table>", "<tr>", "<td>", "<th colspan=2>", "<td rowspan=3>", "<br>", "</td>", "a", "&lt;"]


@given(st.text(max_size=60), st.lists(st.sampled_from(TAGS), max_size=30))
def test_any_html_gives_a_table_or_a_sentence(noise, parts):
    try:
        table = from_html(noise + "".join(parts))
    except InputError:
        return
    assert from_html(to_html(table)) == table


@pytest.mark.parametrize("ending", ["html", "csv", "md", "otsl.txt", "json"])
def test_golden_files(ending):
    """Update: VITRINE_GOLDEN=write pytest tests/core/table/test_export.py"""
    name = f"table.{ending}"
    record = Record("table.png", 300, 200, "regions", STOCK, "", 0.75, Choice("regions", "Regions: 4 closed rows; the model found 3.", False), ("<r000>", "</table>"), 1)
    data = files_of(record, "table")[name]
    path = GOLDEN / name
    if os.environ.get("VITRINE_GOLDEN") == "write":
        path.write_bytes(data)
    assert data == path.read_bytes()


def test_golden_workbook():
    """The workbook's sheet as openpyxl reads it; its zip bytes differ between zlib versions."""
    data = to_xlsx(STOCK)
    path = GOLDEN / "table.xlsx"
    if os.environ.get("VITRINE_GOLDEN") == "write":
        path.write_bytes(data)

    def content(raw: bytes):
        with zipfile.ZipFile(io.BytesIO(raw)) as book:
            return {n: book.read(n) for n in book.namelist() if n.startswith("xl/worksheets") or n in ("xl/styles.xml", "docProps/core.xml")}

    assert content(data) == content(path.read_bytes())
