"""A table as JSON, CSV, Markdown and XLSX (HTML: markup.py, OTSL: otsl.py): JSON round-trips exactly, every format gives the same bytes each time."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from core.errors import InputError
from core.table.markup import from_html, printable, to_html, to_html_page
from core.table.merge import Choice
from core.table.otsl import from_otsl, to_otsl
from core.table.table import Box, Cell, Table

__all__ = ["Record", "files_of", "from_html", "from_json", "from_otsl", "printable",
           "to_csv", "to_html", "to_html_page", "to_json", "to_markdown", "to_otsl", "to_xlsx"]

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")
_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")  # spreadsheets read _x0041_ as "A"; _x005F_ is the underscore itself
_EPOCH = datetime(2000, 1, 1)
MAX_XLSX_TEXT = 32_767  # characters a cell holds


@dataclass(frozen=True)
class Record:
    """What STEM.json holds: the picture's name and size in pixels, the engine, and the table or the reason why there is none.

    engine          which engine the table is from
    confidence      of the whole table, 0 to 1; None where there is none
    choice          how the engine was chosen
    tokens          the decoder's PAPP tokens, and the calls it took; None where it did not run
    """

    name: str
    width: int
    height: int
    engine: str
    table: Table | None
    reason: str = ""
    confidence: float | None = None
    choice: Choice | None = None
    tokens: tuple[str, ...] | None = None
    decoder_calls: int | None = None

    @property
    def tokens_per_call(self) -> float | None:
        return round(len(self.tokens) / self.decoder_calls, 3) if self.tokens and self.decoder_calls else None


def files_of(record: Record, stem: str) -> dict[str, bytes]:
    """All files of one picture; an abstention has its JSON only."""
    files = {f"{stem}.json": to_json(record).encode()}
    if record.table is None:
        return files
    return {f"{stem}.html": to_html_page(record.table, stem).encode(), f"{stem}.xlsx": to_xlsx(record.table), f"{stem}.csv": to_csv(record.table),
            f"{stem}.md": to_markdown(record.table).encode(), f"{stem}.otsl.txt": to_otsl(record.table).encode(), **files}


# JSON

def to_json(record: Record) -> str:
    """One object: image, engine, abstained, reason, confidence, choice, rows, cols, decoder_calls, tokens_per_call, tokens, cells.

    Boxes are in pixels of the input picture; an abstention has no cells.
    """
    table = record.table
    cells = [{"row": c.row, "col": c.col, "rowspan": c.rowspan, "colspan": c.colspan, "box": None if c.box is None else list(c.box),
              "text": _encodable(c.text), "confidence": c.confidence} for c in (table.cells if table else ())]
    value = {"image": {"name": _encodable(record.name), "width": record.width, "height": record.height}, "engine": record.engine,
             "abstained": table is None, "reason": record.reason, "confidence": record.confidence,
             "choice": None if record.choice is None else asdict(record.choice),
             "rows": table.rows if table else 0, "cols": table.cols if table else 0,
             "decoder_calls": record.decoder_calls, "tokens_per_call": record.tokens_per_call}
    head = json.dumps(value, ensure_ascii=False, indent=1)[:-2]
    tokens = json.dumps(None if record.tokens is None else list(record.tokens))
    lines = ",\n".join("  " + json.dumps(cell, ensure_ascii=False) for cell in cells)
    return f'{head},\n "tokens": {tokens},\n "cells": [' + (f"\n{lines}\n ]" if cells else "]") + "\n}\n"


def _encodable(text: str) -> str:
    """Lone surrogates cannot be written as UTF-8."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def from_json(text: str) -> Record:
    """Read what `to_json` wrote. Raises InputError where the shape is another or the cells do not tile the grid."""
    try:
        value = json.loads(text)
        image = value["image"]
        table = None if value["abstained"] else Table(int(value["rows"]), int(value["cols"]), tuple(_cell(c) for c in value["cells"]))
        return Record(str(image["name"]), int(image["width"]), int(image["height"]), str(value["engine"]), table, str(value["reason"]), **_decided(value))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"This is not the JSON of a table: {error.__class__.__name__} at {error}. It needs image, engine, abstained, "
                         "reason, rows, cols and cells, as the studio writes them.") from error


def _decided(value: Mapping) -> dict:
    """What the JSON of the first version did not have yet: confidence, choice, tokens and calls."""
    choice, tokens, sure, calls = (value.get(name) for name in ("choice", "tokens", "confidence", "decoder_calls"))
    return dict(confidence=None if sure is None else 0.0 + sure, tokens=None if tokens is None else tuple(map(str, tokens)),
                choice=None if choice is None else Choice(str(choice["taken"]), str(choice["why"]), None if choice["agree"] is None else bool(choice["agree"])),
                decoder_calls=None if calls is None else int(calls))


def _cell(value: Mapping) -> Cell:
    box, confidence = value["box"], value["confidence"]
    return Cell(int(value["row"]), int(value["col"]), int(value["rowspan"]), int(value["colspan"]), str(value["text"]),
                None if box is None else _box(box), None if confidence is None else 0.0 + confidence)


def _box(values) -> Box:
    x0, y0, x1, y1 = (value + 0 for value in values)
    return x0, y0, x1, y1


# CSV and Markdown

def texts(table: Table) -> list[list[str]]:
    """[rows][cols] of texts; a spanning cell's text at its top left place, blanks elsewhere."""
    grid = [[""] * table.cols for _ in range(table.rows)]
    for cell in table.cells:
        grid[cell.row][cell.col] = printable(cell.text)
    return grid


def to_csv(table: Table) -> bytes:
    """UTF-8 with a byte order mark (Excel needs it), CRLF line ends; what a spreadsheet would run as a formula gets an apostrophe in front."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([[harmless(text) for text in row] for row in texts(table)])
    return out.getvalue().encode("utf-8-sig")


def harmless(text: str) -> str:
    """Text that no spreadsheet runs: an apostrophe in front of = + - @ tab and CR, except where the whole is a plain number such as -5.2."""
    begins = text.lstrip(" \n\u00a0").startswith(FORMULA_STARTS) or text.startswith(FORMULA_STARTS)
    return f"'{text}" if begins and not _NUMBER.fullmatch(text) else text


def to_markdown(table: Table) -> str:
    """A pipe table (its first row stands as the head, as Markdown demands); pipes escaped, line ends as <br>, spans stated below."""
    rows = ["| " + " | ".join(_escaped(text) for text in row) + " |" for row in texts(table)]
    rows.insert(1, "|" + " --- |" * table.cols)
    spans = [f"row {c.row + 1}, column {c.col + 1}: {c.rowspan} x {c.colspan}" for c in table.cells if c.rowspan * c.colspan > 1]
    note = f"\nSpans (rows x columns), which Markdown cannot draw: {'; '.join(spans)}.\n" if spans else ""
    return "\n".join(rows) + "\n" + note


def _escaped(text: str) -> str:
    return re.sub(r"([\\|*_`])", r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;").replace("\n", "<br>")


# XLSX

def to_xlsx(table: Table) -> bytes:
    """A workbook of one sheet: merged ranges kept, text as text (never a formula), numbers that lose nothing as numbers, the same bytes each time."""
    from openpyxl import Workbook
    from openpyxl.styles import Alignment
    from openpyxl.utils import get_column_letter

    book = Workbook()
    book.properties.created = book.properties.modified = _EPOCH
    sheet = book.active
    sheet.title = "Table"
    for cell in table.cells:
        place = sheet.cell(cell.row + 1, cell.col + 1)
        _write(place, printable(cell.text)[:MAX_XLSX_TEXT])
        place.alignment = Alignment(wrap_text="\n" in cell.text, vertical="top")
        if cell.rowspan * cell.colspan > 1:
            sheet.merge_cells(start_row=cell.row + 1, start_column=cell.col + 1, end_row=cell.row + cell.rowspan, end_column=cell.col + cell.colspan)
    for col, width in enumerate(_widths(table), start=1):
        sheet.column_dimensions[get_column_letter(col)].width = width
    out = io.BytesIO()
    book.save(out)
    return _timeless(out.getvalue())


def _write(place, text: str) -> None:
    number = as_number(text)
    if number is None:
        if text:
            place.value, place.data_type = _ESCAPE.sub("_x005F_", text), "s"  # said to be text: openpyxl would make a formula of "=..."
            place.quotePrefix = text.startswith(FORMULA_STARTS)
        return
    place.value, decimals = number, len(text.partition(".")[2])
    place.number_format = "0." + "0" * decimals if decimals else "0"


def as_number(text: str) -> int | float | None:
    """The number a text says, where nothing is lost: -5.2, 1990, 3.10 (shown with its decimals); not 007, 1,234, +5, 1e5 or more than 15 digits."""
    if not _NUMBER.fullmatch(text) or sum(c.isdigit() for c in text) > 15 or (text.startswith("-") and float(text) == 0):
        return None
    return float(text) if "." in text else int(text)


def _widths(table: Table) -> list[float]:
    """Characters per column: the longest line of its unspanned cells, 8 to 60."""
    widths = [8.0] * table.cols
    for cell in table.cells:
        if cell.colspan == 1:
            widths[cell.col] = max(widths[cell.col], min(60.0, 1.1 * max(map(len, cell.text.split("\n"))) + 2))
    return [round(width, 1) for width in widths]


def _timeless(workbook: bytes) -> bytes:
    """The same workbook with fixed times: those of the zip entries and the time of saving that openpyxl writes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as read, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as write:
        for name in read.namelist():
            data = read.read(name)
            if name == "docProps/core.xml":
                data = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", _EPOCH.strftime("%Y-%m-%dT%H:%M:%SZ").encode(), data)
            entry = zipfile.ZipInfo(name, date_time=(2000, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            write.writestr(entry, data)
    return out.getvalue()
