"""The reading of a table's cells: all text lines go to the OCR engine in one go, equal ones once, and come back as the texts of the cells."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.exhibit import Progress, silent
from core.table.ink import CellInk, cut, line_crop, line_height, runs_vertically, split_tall
from core.table.mending import arc_marks, measure_dashes, spaced, word_gaps
from core.table.ocr import OcrEngine, Reading
from core.table.table import Box, Cell, Table

FIRST_SHARE = 0.9  # of the progress; few lines are read a second time
VERTICAL = "Most of the text seems to run vertically, which is not read. Rotate the picture by 90 degrees and try again."


def read_cells(rgb: np.ndarray, table: Table, boxes: Sequence[Box], engine: OcrEngine, progress: Progress = silent) -> tuple[Table, list[str]]:
    """Read every cell of a table.

    rgb    uint8[H, W, 3], upright
    boxes  one per cell of `table`, in pixels of rgb
    Returns the table with texts and confidences (the smaller of the cell's own and the reader's; an empty cell keeps its own) and notes;
    where most texts run vertically nothing is read, and the note says so.
    """
    inks = [cut(rgb, box) for box in boxes]
    height = line_height(inks)
    inks = [replace(ink, lines=split_tall(ink, height)) for ink in inks]
    if runs_vertically(inks):
        return table, [VERTICAL]
    places = [(index, span) for index, ink in enumerate(inks) for span in ink.lines]
    readings = _read_unique([line_crop(inks[index], span, height) for index, span in places], engine,
                            lambda fraction, message: progress(FIRST_SHARE * fraction, message))
    readings = _with_spaces(readings, [inks[index] for index, _ in places], [span for _, span in places], height, engine,
                            lambda fraction, message: progress(FIRST_SHARE + (1 - FIRST_SHARE) * fraction, message))
    per_cell: list[list[Reading]] = [[] for _ in inks]
    for (index, span), (text, confidence) in zip(places, readings):
        if text.strip():
            per_cell[index].append(measure_dashes(arc_marks(text.strip()), confidence, inks[index].ink[slice(*span)], height))
    cells = tuple(_filled(cell, lines) for cell, lines in zip(table.cells, per_cell))
    return replace(table, cells=cells), []


def _filled(cell: Cell, lines: Sequence[Reading]) -> Cell:
    known = [c for c in (cell.confidence, *(c for _, c in lines)) if c is not None]
    return replace(cell, text=flowed([t for t, _ in lines]), confidence=round(min(known), 4) if known else None)


def flowed(lines: Sequence[str]) -> str:
    """The lines of one cell; what was broken at a hyphen within a word or date ("1958-04-" "01") runs on, its hyphen kept."""
    return re.sub(r"(?<=[^\W_]-)\n(?=[^\W_])", "", "\n".join(lines))


def _read_unique(crops: Sequence[np.ndarray], engine: OcrEngine, progress: Progress) -> list[Reading]:
    """Equal crops (a column of "-" or "0") are read once."""
    keys = [(crop.shape, crop.tobytes()) for crop in crops]
    first = {key: index for index, key in reversed(list(enumerate(keys)))}
    chosen = sorted(first.values())
    readings = dict(zip((keys[i] for i in chosen), engine.read([crops[i] for i in chosen], progress)))
    return [readings[key] for key in keys]


def _with_spaces(readings: Sequence[Reading], inks: Sequence[CellInk], spans: Sequence[tuple[int, int]], height: float,
                 engine: OcrEngine, progress: Progress) -> list[Reading]:
    """Blanks the reader dropped ("PremiereDate"): lines with more wide gaps than blanks are read again word by word."""
    gaps_of = [word_gaps(ink.ink[slice(*span)], height) for ink, span in zip(inks, spans)]
    cuts = {i: gaps for i, gaps in enumerate(gaps_of) if len(gaps) > readings[i][0].count(" ")}
    pieces = [(i, piece) for i, gaps in cuts.items() for piece in zip([0, *gaps], [*gaps, inks[i].ink.shape[1]])]
    words = _read_unique([line_crop(inks[i], spans[i], height, piece) for i, piece in pieces], engine, progress)
    found = list(readings)
    for i in cuts:
        found[i] = (spaced(readings[i][0], [word for (owner, _), (word, _) in zip(pieces, words) if owner == i]), readings[i][1])
    return found
