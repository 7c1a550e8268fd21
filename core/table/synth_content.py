"""What drawn tables say: real Wikipedia tables cut to size, and made-up ones with the structures that are rare there."""

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.errors import InputError
from core.table.synth_values import random_kind, writer
from core.table.table import Cell, Table

VALIDATION_SHARE = 20
"""One source table in this many is never drawn for training."""
LONGEST_TEXT = 140
REAL = 0.55
"""Share of drawings that show a real table."""
SPANNED = 0.3
"""Share of these that are drawn from the tables with spans only."""


@dataclass(frozen=True)
class Content:
    """A table to draw: its structure with texts, and what the drawing needs to know of its parts.

    head_rows   rows of the head; stub  whether the first column names the rows
    parted      rows with an extra blank line before them; sections  rows that name a group
    """

    table: Table
    head_rows: int = 1
    stub: bool = True
    parted: frozenset[int] = field(default_factory=frozenset)
    sections: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Corpus:
    """Source tables of one split, those of them with spans, and the words in them; without source tables everything is made up."""

    tables: tuple[dict, ...]
    words: tuple[str, ...]
    spanned: tuple[dict, ...] = ()


def is_validation(source_id: str) -> bool:
    """Whether a source table belongs to the validation split (by a hash of its id: whole tables, not pictures)."""
    return zlib.crc32(source_id.encode()) % VALIDATION_SHARE == 0


def shown_in_test(folder: Path) -> frozenset[str]:
    """Ids of the source tables that the test pictures of tables/wiki_rendered show; empty where that set is absent."""
    path = folder / "wiki_rendered" / "cells.jsonl"
    if not path.is_file():
        return frozenset()
    with path.open(encoding="utf8") as lines:
        return frozenset(json.loads(line)["source_table"] for line in lines)


@lru_cache(maxsize=4)
def load_corpus(folder: Path | None, validation: bool = False) -> Corpus:
    """The complete Wikipedia tables of one split in `folder` (it holds wikitables.jsonl.gz), without those the test pictures show.

    Raises InputError where a folder is given and the file is not there.
    """
    if folder is None:
        return Corpus((), _made_words())
    path = folder / "wikitables.jsonl.gz"
    if not path.is_file():
        raise InputError(f"There is no {path.name} in {folder}. Name the folder of the table data with --data, or give none to draw made-up "
                         "tables only.")
    shown = shown_in_test(folder)
    with gzip.open(path, "rt", encoding="utf8") as lines:
        whole = (r for r in map(json.loads, lines) if r["complete"] and r["n_cols"] > 1)
        records = [r for r in whole if r["id"] not in shown and is_validation(r["id"]) == validation]
    words = {word for r in records for c in r["cells"] for word in c["text"].split() if 1 < len(word) < 15}
    spanned = tuple(r for r in records if any(c["rs"] * c["cs"] > 1 for c in r["cells"]))
    return Corpus(tuple(records), tuple(sorted(words)) or _made_words(), spanned)


def _made_words() -> tuple[str, ...]:
    """Words of no language, for machines without the corpus."""
    rng = np.random.default_rng(7)
    syllables = ["ka", "lo", "mi", "ter", "son", "ber", "a", "vi", "dun", "ham", "or", "el", "is", "ton", "gra", "pe", "qui", "fy"]
    words = ("".join(rng.choice(syllables, rng.integers(1, 5))) for _ in range(3000))
    return tuple(word.capitalize() if i % 3 == 0 else word for i, word in enumerate(words))


def make_content(corpus: Corpus, rng: np.random.Generator, real: float = REAL) -> Content:
    """One table to draw: from the corpus in this share of cases, else made up."""
    if corpus.tables and rng.random() < real:
        tables = corpus.spanned if corpus.spanned and rng.random() < SPANNED else corpus.tables
        content = _cut(tables[rng.integers(len(tables))], rng)
        return _with_scripts(_with_sections(content, corpus, rng) if rng.random() < 0.1 else content, rng)
    return _with_scripts(_made_up(corpus, rng), rng)


# Real tables, cut

def _cut(record: dict, rng: np.random.Generator) -> Content:
    """The head and a window of the body, and sometimes a window of the columns; spans are cut with them."""
    owner = np.zeros((record["n_rows"], record["n_cols"]), int)
    for index, c in enumerate(record["cells"]):
        owner[c["row"]:c["row"] + c["rs"], c["col"]:c["col"] + c["cs"]] = index
    heads = np.array([all(record["cells"][i]["head"] for i in row) for row in owner])
    head = min(int(np.argmin(heads)) if not heads.all() else 1, 4)
    body = record["n_rows"] - head
    count = min(max(body, 0), int(np.exp(rng.uniform(np.log(2), np.log(46)))))
    start = head + int(rng.integers(0, max(body - count, 0) + 1))
    rows = [*range(head), *range(start, start + count)] or [0]
    if head and rng.random() < 0.06:
        rows = rows[head:] or rows
        head = 0
    cols = record["n_cols"]
    keep = int(rng.integers(2, cols + 1)) if cols > 2 and (rng.random() < 0.25 or cols > 14) else cols
    first = int(rng.integers(0, cols - min(keep, 16) + 1))
    return Content(_regrouped(owner[rows, first:first + min(keep, 16)], record["cells"], rng), min(head, len(rows)), first == 0)


def _regrouped(owner: np.ndarray, cells: Sequence[dict], rng: np.random.Generator) -> Table:
    """A table from a grid of owners: places of one owner are one cell."""
    made = []
    empty = rng.random() * 0.25 if rng.random() < 0.2 else 0.0
    for index in np.unique(owner):
        rows, cols = np.nonzero(owner == index)
        text = "" if rng.random() < empty else _shortened(cells[index]["text"])
        made.append(Cell(int(rows[0]), int(cols[0]), int(rows[-1] - rows[0] + 1), int(cols[-1] - cols[0] + 1), text))
    return Table(*owner.shape, tuple(made))


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT].rsplit(" ", 1)[0]


# Made-up tables

def _made_up(corpus: Corpus, rng: np.random.Generator) -> Content:
    """Head of one to three levels, typed columns, groups of rows, spans, a note at the end."""
    cols = int(rng.choice([2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16], p=[.09, .13, .14, .13, .12, .1, .08, .06, .05, .04, .04, .02]))
    levels = int(rng.choice([0, 1, 2, 3], p=[.06, .47, .39, .08])) if cols > 2 else int(rng.random() < 0.9)
    head = _head(levels, cols, corpus, rng)
    kinds = _kinds(cols, rng)
    tall = sum(kind in ("lines", "bullets", "long", "paired") for kind in kinds)
    body = max(1, int(np.exp(rng.uniform(np.log(1.5), np.log(14 if tall else 64 if cols < 10 else 40)))))
    writers = [writer(kind, corpus.words, rng) for kind in kinds]
    empty = np.where(rng.random(cols) < 0.15, rng.uniform(0.3, 1.0, cols), rng.random() * 0.4 if rng.random() < 0.25 else 0.02)
    empty[0] = empty[0] if rng.random() < 0.1 else 0
    grid = [[Cell(levels + r, k, text=writers[k]() if rng.random() >= empty[k] else "") for k in range(cols)] for r in range(body)]
    content = Content(Table(levels + body, cols, tuple([*head, *(cell for row in grid for cell in row)])), levels, kinds[0] == "stub")
    if rng.random() < 0.3:
        content = _with_sections(content, corpus, rng)
    chance = rng.random()
    content = _with_spans(content, rng) if chance < 0.3 else _with_groups(content, rng) if chance < 0.5 else \
        _with_wide(content, rng) if chance < 0.58 else content
    content = _with_blank_lines(content, rng) if rng.random() < 0.06 else content
    return _with_note(content, corpus, rng) if rng.random() < 0.06 else content


def _kinds(cols: int, rng: np.random.Generator) -> list[str]:
    """Kinds of the columns: mixed, one kind for all but the first, or the first few again and again (lists set side by side)."""
    kinds = ["stub" if k == 0 and rng.random() < 0.7 else random_kind(rng) for k in range(cols)]
    chance = rng.random()
    if chance < 0.4:
        kinds[1:] = ["tiny" if cols > 5 and rng.random() < 0.4 else kinds[1]] * (cols - 1)
    elif chance < 0.5 and cols > 3:
        period = int(rng.integers(2, 4))
        kinds = [kinds[k % period] for k in range(cols)]
    return kinds


def _head(levels: int, cols: int, corpus: Corpus, rng: np.random.Generator) -> list[Cell]:
    """Column titles; above them group titles over two and more columns; a column without a group has one title over all levels."""
    cells: list[Cell] = []
    titles = writer(str(rng.choice(["year", "short", "unit", "tiny", "short", "phrase", "unit", "name"])), corpus.words, rng)
    group = writer(str(rng.choice(["phrase", "name", "short"])), corpus.words, rng)
    even = int(rng.integers(2, 5)) if rng.random() < 0.4 else 0
    again = [titles() for _ in range(even)] if rng.random() < 0.7 else []

    def fill(level: int, first: int, last: int) -> None:
        at = first
        while at < last:
            wide = even or int(rng.integers(2, 6))
            width = min(wide if level < levels - 1 and rng.random() < (0.9 if even else 0.75) else 1, last - at)
            if width > 1 and not (level == 0 and at == 0 and rng.random() < 0.85):
                cells.append(Cell(level, at, 1, width, group()))
                fill(level + 1, at, at + width)
            else:
                width = 1
                title = again[(at - first) % even] if level and again else titles()
                cells.append(Cell(level, at, levels - level, 1, title if at or rng.random() < 0.6 else ""))
            at += width
    fill(0, 0, cols) if levels else None
    return cells


def _with_sections(content: Content, corpus: Corpus, rng: np.random.Generator) -> Content:
    """Rows that name a group: one cell over all columns (or all but the first), or a first cell and empty ones; maybe a blank line before."""
    table, across, blank = content.table, rng.random() < 0.65, rng.random() < 0.4
    begin = 1 if across and table.cols > 2 and rng.random() < 0.25 else 0
    body = [r for r in range(content.head_rows, table.rows) if not any(c.row < r < c.row + c.rowspan for c in table.cells)]
    if not body:
        return content
    title = writer("phrase", corpus.words, rng)
    starts = sorted(set(rng.choice(body, min(len(body), int(rng.integers(1, 5))), replace=False).tolist()))
    shift = {r: sum(start <= r for start in starts) for r in range(table.rows)}
    moved = [replace(c, row=c.row + shift[c.row]) for c in table.cells]
    sections = [start + i for i, start in enumerate(starts)]
    for r in sections:
        spans = [*[(k, 1) for k in range(begin)], (begin, table.cols - begin)] if across else [(k, 1) for k in range(table.cols)]
        moved += [Cell(r, k, 1, width, title() if k == begin else "") for k, width in spans]
    return replace(content, table=Table(table.rows + len(starts), table.cols, tuple(moved)), sections=frozenset(sections),
                   parted=frozenset(sections if blank else ()))


def _with_spans(content: Content, rng: np.random.Generator) -> Content:
    """Some neighbouring body cells joined: down the first columns, or at random places."""
    table = content.table
    joined: dict[tuple[int, int], Cell] = {}
    single = {(c.row, c.col): c for c in table.cells if c.rowspan == c.colspan == 1 and c.row >= content.head_rows}
    down = rng.random() < 0.55
    for _ in range(int(rng.integers(1, 7))):
        if down:
            height, width = int(rng.integers(2, 6)), 1
        else:
            height, width = (1, int(rng.integers(2, 4))) if rng.random() < 0.6 else (2, int(rng.integers(1, 3)))
        r = int(rng.integers(content.head_rows, max(table.rows - height, content.head_rows) + 1))
        k = int(rng.integers(0, 2)) if down else int(rng.integers(0, max(table.cols - width, 0) + 1))
        places = [(i, j) for i in range(r, r + height) for j in range(k, k + width)]
        if all(p in single for p in places):
            joined[r, k] = replace(single[r, k], rowspan=height, colspan=width)
            for p in places:
                del single[p]
    rest = [c for c in table.cells if (c.row, c.col) in single or c.rowspan > 1 or c.colspan > 1 or c.row < content.head_rows]
    return replace(content, table=replace(table, cells=tuple([*rest, *joined.values()])))


def _with_groups(content: Content, rng: np.random.Generator) -> Content:
    """Rows in groups of one to four; the first columns and some others have one cell for a whole group."""
    table = content.table
    chosen = set(range(int(rng.integers(1, 4)))) | set(np.flatnonzero(rng.random(table.cols) < 0.25).tolist())
    chosen -= {int(rng.integers(table.cols))} if len(chosen) >= table.cols else set()
    places, r = [], content.head_rows
    while r < table.rows:
        height = min(int(rng.choice([1, 2, 2, 3, 4])), table.rows - r)
        places += [(r, k, height, 1) for k in chosen] if height > 1 else []
        r += height
    return _joined(content, places)


def _with_wide(content: Content, rng: np.random.Generator) -> Content:
    """Rows in which neighbouring columns share cells: timetables, notes, totals."""
    table, share, places = content.table, rng.uniform(0.1, 0.9), []
    for r in range(content.head_rows, table.rows):
        if rng.random() < share:
            first = int(rng.integers(0, table.cols - 1))
            last = table.cols if rng.random() < 0.4 else int(rng.integers(first + 2, table.cols + 1))
            places.append((r, first, 1, last - first))
    return _joined(content, places)


def _joined(content: Content, places: Sequence[tuple[int, int, int, int]]) -> Content:
    """Single body cells at (row, col, height, width) made one, where all of them are single."""
    table, joined = content.table, []
    single = {(c.row, c.col): c for c in table.cells if c.rowspan == c.colspan == 1 and c.row >= content.head_rows and c.row not in content.sections}
    rest = [c for c in table.cells if (c.row, c.col) not in single]
    for r, k, height, width in places:
        inside = [(i, j) for i in range(r, r + height) for j in range(k, k + width)]
        if all(p in single for p in inside):
            joined.append(replace(single[r, k], rowspan=height, colspan=width))
            for p in inside:
                del single[p]
    return replace(content, table=replace(table, cells=tuple([*rest, *single.values(), *joined])))


def _with_blank_lines(content: Content, rng: np.random.Generator) -> Content:
    """A blank line before every third to sixth row: it belongs to no row."""
    first, step = content.head_rows + int(rng.integers(1, 6)), int(rng.integers(3, 7))
    inside = {r for c in content.table.cells for r in range(c.row + 1, c.row + c.rowspan)}
    return replace(content, parted=content.parted | (frozenset(range(first, content.table.rows, step)) - inside))


def _with_note(content: Content, corpus: Corpus, rng: np.random.Generator) -> Content:
    """A last row of one cell: a note to the table."""
    table = content.table
    note = Cell(table.rows, 0, 1, table.cols, writer("long", corpus.words, rng)())
    return replace(content, table=Table(table.rows + 1, table.cols, (*table.cells, note)))


# Scripts

_LATIN = "abcdefghijklmnopqrstuvwxyz"
_SCRIPTS = ("абвгдежзиклмнопрстуфхцчшщ"[:26], "αβγδεζηθικλμνξοπρστυφχψωάέ")
_TO_SCRIPT = [str.maketrans(dict(zip(_LATIN, s)) | dict(zip(_LATIN.upper(), s.upper()))) for s in _SCRIPTS]


def _with_scripts(content: Content, rng: np.random.Generator) -> Content:
    """In 6 of 100 tables the letters are Cyrillic or Greek: the shapes of another script, not its words."""
    if rng.random() >= 0.06:
        return content
    letters = _TO_SCRIPT[rng.integers(len(_TO_SCRIPT))]
    return replace(content, table=replace(content.table, cells=tuple(replace(c, text=c.text.translate(letters)) for c in content.table.cells)))
