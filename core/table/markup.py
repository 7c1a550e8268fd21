"""A table as HTML and back: our own HTML round-trips exactly, foreign tables are read as a browser lays them out."""

import html
import re
from collections.abc import Mapping
from html.parser import HTMLParser

from core.errors import InputError, LimitError
from core.table.table import Box, Cell, Table

MAX_PLACES = 250_000  # grid places of a foreign table: a colspan of a million is an attack, not a table
MAX_SPAN = 65_534

# What neither XML 1.0 nor HTML can hold, lone surrogates and non-characters included.
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
EXACT = "white-space:pre-wrap"


def printable(text: str) -> str:
    """Text without what XML cannot hold: control characters and lone surrogates become U+FFFD; CR LF and CR become LF."""
    return _UNSAFE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def to_html(table: Table) -> str:
    """One `<table>` of td cells; spans as attributes, line ends as `<br>`, box and confidence as data- attributes: `from_html` loses nothing."""
    rows: list[list[str]] = [[] for _ in range(table.rows)]
    for cell in table.cells:
        rows[cell.row].append(_td(cell))
    lines = "".join(f"<tr>{''.join(row)}</tr>\n" for row in rows)
    return f'<table style="{EXACT}">\n{lines}</table>\n'


def to_html_page(table: Table, title: str) -> str:
    """The table as a file of its own: UTF-8 declared, thin borders, nothing fetched from anywhere."""
    style = "table{border-collapse:collapse}td{border:1px solid #888;padding:.25em .5em;vertical-align:top}"
    name = html.escape(printable(title))
    return (f'<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n<title>{name}</title>\n<style>{style}</style>\n</head>\n'
            f"<body>\n{to_html(table)}</body>\n</html>\n")


def _td(cell: Cell) -> str:
    attributes = {"rowspan": cell.rowspan if cell.rowspan > 1 else None, "colspan": cell.colspan if cell.colspan > 1 else None,
                  "data-box": None if cell.box is None else " ".join(map(repr, cell.box)),
                  "data-confidence": None if cell.confidence is None else repr(cell.confidence)}
    given = "".join(f' {name}="{value}"' for name, value in attributes.items() if value is not None)
    return f"<td{given}>{html.escape(printable(cell.text), quote=False).replace(chr(10), '<br>')}</td>"


def from_html(text: str) -> Table:
    """The first table of an HTML text: ours exactly; a foreign one with th as td, white space collapsed, holes filled with empty cells.

    Raises InputError where there is no table, LimitError where it has more than MAX_PLACES grid places.
    """
    reader = _TableReader()
    reader.feed(text)
    reader.close()
    if not any(reader.rows):
        raise InputError("There is no table with a cell in this HTML. It needs <table>, <tr> and <td>.")
    return _lay_out(reader.rows)


class _Draft:
    """A td while it is read."""

    def __init__(self, attributes: Mapping[str, str | None], exact: bool) -> None:
        self.rowspan, self.colspan = _span(attributes.get("rowspan")), max(1, _span(attributes.get("colspan")))
        self.box, self.confidence = _box(attributes.get("data-box")), _number(attributes.get("data-confidence"))
        self.exact, self.parts = exact, []

    def add(self, data: str) -> None:
        self.parts.append(data if self.exact else re.sub(r"[ \t\r\n\f]+", " ", data))

    def text(self) -> str:
        joined = "".join(self.parts)
        return joined if self.exact else re.sub(r" *\n *", "\n", re.sub(" +", " ", joined)).strip(" \n")


def _span(value: str | None) -> int:
    """HTML's rule: a positive number up to a bound, 0 kept (a rowspan of 0 runs to the end), anything else is 1."""
    return min(int(value), MAX_SPAN) if value and re.fullmatch(r"\s*[0-9]{1,9}\s*", value) else 1


def _number(value: str | None) -> float | None:
    try:
        return None if value is None else int(value) if re.fullmatch(r"-?[0-9]{1,18}", value) else float(value)
    except ValueError:
        return None


def _box(value: str | None) -> Box | None:
    parts = tuple(_number(part) for part in (value or "").split())
    return parts if len(parts) == 4 and None not in parts else None  # type: ignore[return-value]


class _TableReader(HTMLParser):
    """Collects the cells of the first outermost table; the text of a nested table joins the cell it lies in."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[_Draft]] = []
        self._depth, self._finished, self._exact, self._hidden = 0, False, False, 0
        self._cell: _Draft | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._finished:
            return
        if tag == "table":
            self._depth += 1
            self._exact = dict(attrs).get("style") == EXACT if self._depth == 1 else self._exact
        elif tag in ("script", "style"):
            self._hidden += 1
        elif tag == "br" and self._cell:
            self._cell.parts.append("\n")
        elif self._depth == 1 and tag in ("tr", "td", "th"):
            self._begin(tag, dict(attrs))

    def _begin(self, tag: str, attributes: Mapping[str, str | None]) -> None:
        self._cell = None
        if tag == "tr" or not self.rows:
            self.rows.append([])
        if tag != "tr":
            self._cell = _Draft(attributes, self._exact)
            self.rows[-1].append(self._cell)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._hidden = max(0, self._hidden - 1)
        if tag == "table" and self._depth:
            self._depth -= 1
            self._finished = self._depth == 0
        if self._depth <= 1 and tag in ("td", "th", "tr") or self._finished:
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None and not self._hidden:
            self._cell.add(data)


def _lay_out(rows: list[list[_Draft]]) -> Table:
    """HTML's table model: a cell takes the first free place of its row; spans are cut at the table's end and where they would overlap."""
    taken: set[tuple[int, int]] = set()
    cells: list[Cell] = []
    for r, row in enumerate(rows):
        k = 0
        for draft in row:
            while (r, k) in taken:
                k += 1
            rowspan = min(draft.rowspan or len(rows), len(rows) - r)
            colspan = next((j for j in range(1, draft.colspan) if (r, k + j) in taken), draft.colspan)
            if len(taken) + rowspan * colspan > MAX_PLACES:
                raise LimitError(f"The table spans more than {MAX_PLACES:,} grid places, the limit. Cut it into smaller tables.")
            taken.update((r + i, k + j) for i in range(rowspan) for j in range(colspan))
            cells.append(Cell(r, k, rowspan, colspan, draft.text(), draft.box, draft.confidence))
            k += colspan
    return _filled(cells, taken, len(rows))


def _filled(cells: list[Cell], taken: set[tuple[int, int]], rows: int) -> Table:
    """Holes of ragged rows become empty cells."""
    cols = max(k for _, k in taken) + 1
    if rows * cols > MAX_PLACES:
        raise LimitError(f"The table has {rows:,} x {cols:,} grid places; at most {MAX_PLACES:,} are read. Cut it into smaller tables.")
    cells += [Cell(r, k) for r in range(rows) for k in range(cols) if (r, k) not in taken]
    return Table(rows, cols, tuple(cells))
