"""Cell crops and their reading: cut each cell out of the picture, find its text lines by projection, read all lines of a table in one batch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.exhibit import Progress, silent
from core.table.ocr import OcrEngine, Reading
from core.table.table import Box, Table

MIN_CONTRAST = 40  # grey levels between ink and ground below which a cell counts as empty
GROUND_SAMPLE = 4096  # pixels that vote for the colour of the ground
EDGE_RULE = 0.85  # share of a border row or column that is ink: then it is a rule, not a bracket or a letter


@dataclass(frozen=True)
class CellInk:
    """What lies in one cell: grey crop with dark ink on a light ground, the ink mask, and the text lines.

    grey   uint8[h, w]
    ink    bool[h, w]
    lines  (top, bottom) rows of each text line, bottom exclusive
    """

    grey: np.ndarray
    ink: np.ndarray
    lines: tuple[tuple[int, int], ...]


def read_cells(rgb: np.ndarray, table: Table, boxes: Sequence[Box], engine: OcrEngine, progress: Progress = silent) -> tuple[Table, list[str]]:
    """Read every cell of a table.

    rgb    uint8[H, W, 3], upright
    boxes  one per cell of `table`, in pixels of rgb
    Returns the table with texts and confidences (the smaller of the cell's own and the reader's; an empty cell keeps its own) and notes.
    """
    inks = [cut(rgb, box) for box in boxes]
    height = line_height(inks)
    inks = [replace(ink, lines=split_tall(ink, height)) for ink in inks]
    places = [(index, span) for index, ink in enumerate(inks) for span in ink.lines]
    readings = _read_unique([line_crop(inks[index], span, height) for index, span in places], engine, progress)
    readings = _with_spaces(readings, [inks[index] for index, _ in places], [span for _, span in places], height, engine)
    per_cell: list[list[Reading]] = [[] for _ in inks]
    for (index, span), (text, confidence) in zip(places, readings):
        if text.strip():
            per_cell[index].append(measure_dashes(arc_marks(text.strip()), confidence, inks[index].ink[slice(*span)], height))
    cells = tuple(_filled(cell, lines) for cell, lines in zip(table.cells, per_cell))
    return replace(table, cells=cells), ([VERTICAL] if runs_vertically(inks) else [])


VERTICAL = "Most of the text seems to run vertically, which is not read. Rotate the picture by 90 degrees and try again."


def _filled(cell, lines: Sequence[Reading]):
    known = [c for c in (cell.confidence, *(c for _, c in lines)) if c is not None]
    return replace(cell, text="\n".join(t for t, _ in lines), confidence=round(min(known), 4) if known else None)


def _read_unique(crops: Sequence[np.ndarray], engine: OcrEngine, progress: Progress) -> list[Reading]:
    """Equal crops (a column of "-" or "0") are read once."""
    keys = [(crop.shape, crop.tobytes()) for crop in crops]
    first = {key: index for index, key in reversed(list(enumerate(keys)))}
    chosen = sorted(first.values())
    readings = dict(zip((keys[i] for i in chosen), engine.read([crops[i] for i in chosen], progress)))
    return [readings[key] for key in keys]


WORD_GAP = 0.36  # text heights; of gaps between letters 1 in 50 lines has a wider one, of blanks nearly all are
CLEAR_GAP = 2.0  # a blank is this many times wider than the gaps between letters of its line


def _with_spaces(readings: Sequence[Reading], inks: Sequence[CellInk], spans: Sequence[tuple[int, int]], height: float, engine: OcrEngine) -> list[Reading]:
    """Blanks the reader dropped ("PremiereDate"): lines with more wide gaps than blanks are read again word by word."""
    cuts = {i: gaps for i, (ink, span) in enumerate(zip(inks, spans)) if len(gaps := word_gaps(ink.ink[slice(*span)], height)) > readings[i][0].count(" ")}
    pieces = [(i, piece) for i, gaps in cuts.items() for piece in zip([0, *gaps], [*gaps, inks[i].ink.shape[1]])]
    words = _read_unique([line_crop(inks[i], spans[i], height, piece) for i, piece in pieces], engine, silent)
    found = list(readings)
    for i in cuts:
        found[i] = (spaced(readings[i][0], [word for (owner, _), (word, _) in zip(pieces, words) if owner == i]), readings[i][1])
    return found


def spaced(text: str, words: Sequence[str]) -> str:
    """The text with a blank between words that were read apart, where they spell the same; not between digits or at punctuation, which may stand wide."""
    words = [word.strip() for word in words]
    if "".join(words).replace(" ", "") != text.replace(" ", "") or not all(words):
        return text
    joined = words[0]
    for word in words[1:]:
        already = sum(map(len, joined.split()))  # characters so far: was there a blank here in the text?
        ends = joined[-1] + word[0]
        blank = ends.isalnum() and not ends.isdigit() or _blank_after(text, already)
        joined += " " + word if blank else word
    return joined


def _blank_after(text: str, characters: int) -> bool:
    seen = 0
    for c in text:
        if seen == characters:
            return c == " "
        seen += c != " "
    return False


def word_gaps(ink: np.ndarray, height: float) -> list[int]:
    """Columns in the middle of the gaps between words: ink-free, at least WORD_GAP text heights wide, clearly wider than those between letters."""
    runs = _runs(ink.any(axis=0))
    gaps = [(b[0] - a[1], (a[1] + b[0]) // 2) for a, b in zip(runs, runs[1:])]
    close = [width for width, _ in gaps if width < WORD_GAP * height]
    least = max(WORD_GAP * height, CLEAR_GAP * float(np.percentile(close, 75)) if close else 0.0)
    return [middle for width, middle in gaps if width >= least]


def cut(rgb: np.ndarray, box: Box) -> CellInk:
    """The inside of one cell: rules at its border trimmed, ground estimated, light text on a dark fill turned over."""
    x0, y0, x1, y1 = (int(round(v)) for v in box)
    crop = np.ascontiguousarray(rgb[max(0, y0):max(0, y1), max(0, x0):max(0, x1)])
    if min(crop.shape[:2]) < 3:
        return CellInk(np.full((3, 3), 255, np.uint8), np.zeros((3, 3), bool), ())
    grey, ink = _ink(crop)
    top, bottom, left, right = _trim(ink)
    grey, ink = grey[top:bottom, left:right], ink[top:bottom, left:right]
    return CellInk(grey, ink, _runs(ink.any(axis=1)) if ink.any() else ())


def _ink(crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8[h, w, 3] -> (grey with dark ink, ink mask). The ground is the median colour; ink is what differs from it."""
    import cv2

    step = max(1, int((crop.size / 3 / GROUND_SAMPLE) ** 0.5))
    ground = np.median(crop[1:-1:step, 1:-1:step].reshape(-1, 3), axis=0).astype(np.uint8)
    distance = cv2.absdiff(crop, np.full_like(crop, ground)).max(axis=2)
    contrast = int(distance[2:-2, 2:-2].max(initial=0))
    ink = distance > max(MIN_CONTRAST / 2, 0.4 * contrast) if contrast >= MIN_CONTRAST else np.zeros(distance.shape, bool)
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    if ink.any() and grey[ink].mean() > ground.mean():
        grey = 255 - grey
    return grey, ink


def _trim(ink: np.ndarray) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) without the rules that touch the border."""
    height, width = ink.shape
    rows, columns = ink.mean(axis=1) > EDGE_RULE, ink.mean(axis=0) > EDGE_RULE
    top, bottom = _border(rows, height), height - _border(rows[::-1], height)
    left, right = _border(columns, width), width - _border(columns[::-1], width)
    return top, max(bottom, top + 1), left, max(right, left + 1)


def _border(filled: np.ndarray, length: int) -> int:
    """How many entries from the start belong to a rule: up to the last filled one among the first few."""
    near = np.flatnonzero(filled[:max(1, min(4, length // 6))])
    end = int(near[-1]) + 1 if near.size else 1
    while end < length // 3 and filled[end]:
        end += 1
    return end if near.size else 1


def _runs(filled: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Runs of True in bool[n] as (begin, end), end exclusive."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], filled, [False])).astype(np.int8)))
    return tuple((int(a), int(b)) for a, b in zip(edges[::2], edges[1::2]))


def line_height(inks: Sequence[CellInk]) -> float:
    """Height in pixels of a typical text line: the median of the ink runs, small ones (dots, dashes) left out; 12 when there is no text."""
    heights = np.array([bottom - top for ink in inks for top, bottom in ink.lines])
    if not heights.size:
        return 12.0
    tall = heights[heights >= 0.4 * np.percentile(heights, 75)]
    return float(np.median(tall))


def split_tall(ink: CellInk, height: float) -> tuple[tuple[int, int], ...]:
    """Text lines of one cell: marks (dots, accents) joined to their line, runs of several touching lines parted at the thinnest rows."""
    joined = _join_marks(ink.lines, height)
    profile = ink.ink.sum(axis=1)
    return tuple(part for span in joined for part in _part(profile, span, height))


def _join_marks(runs: Sequence[tuple[int, int]], height: float) -> list[tuple[int, int]]:
    lines: list[tuple[int, int]] = []
    for top, bottom in runs:
        if lines:
            gap, small = top - lines[-1][1], min(bottom - top, lines[-1][1] - lines[-1][0]) < 0.45 * height
            if gap <= max(1, 0.12 * height) or (small and gap <= 0.3 * height and bottom - lines[-1][0] <= 1.5 * height):
                lines[-1] = (lines[-1][0], bottom)
                continue
        lines.append((top, bottom))
    return lines


def _part(profile: np.ndarray, span: tuple[int, int], height: float) -> list[tuple[int, int]]:
    top, bottom = span
    count = round((bottom - top) / (1.25 * height))
    if bottom - top < 1.9 * height or count < 2:
        return [span]
    cuts, step = [top], (bottom - top) / count
    for k in range(1, count):
        middle, reach = top + k * step, max(1, 0.3 * step)
        low, high = int(middle - reach), int(middle + reach) + 1
        cuts.append(low + int(np.argmin(profile[low:high])))
    return [(a, b) for a, b in zip(cuts, [*cuts[1:], bottom]) if b - a > 1]


PAD = 0.25


def line_crop(ink: CellInk, span: tuple[int, int], height: float, between: tuple[int, int] | None = None) -> np.ndarray:
    """uint8[h, w, 3] of one text line (or of its part between two columns) with a margin, at least a typical line high so that a lone dash is not blown up."""
    top, bottom = span
    begin, end = between or (0, ink.ink.shape[1])
    columns = np.flatnonzero(ink.ink[top:bottom, begin:end].any(axis=0)) + begin
    left, right = (int(columns[0]), int(columns[-1]) + 1) if columns.size else (begin, end)
    missing = max(0.0, height - (bottom - top))
    pad = max(1, round(PAD * max(height, bottom - top)))
    above = below = pad + round(missing / 2)
    return _window(ink.grey, top - above, bottom + below, left - pad, right + pad)


def _window(grey: np.ndarray, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    """A window that may leave the crop; outside is the ground (its median)."""
    height, width = grey.shape
    out = np.full((bottom - top, right - left), np.uint8(np.median(grey)), np.uint8)
    a, b, c, d = max(0, top), min(height, bottom), max(0, left), min(width, right)
    out[a - top:b - top, c - left:d - left] = grey[a:b, c:d]
    return np.repeat(out[:, :, None], 3, axis=2)


DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212_\u4e00\u30fc\uff0d\u2500"
SHORTEST_DASH, THICKEST_DASH = 0.17, 0.25  # in text heights
HYPHEN, EN_DASH, EM_DASH = 0.4, 0.5, 0.9  # a hyphen is narrower than the first, in text heights; the other two are least widths; between, the reader decides
LONE_EM_DASH = 0.77  # no letter touches a lone one: en dashes reach 0.73, em dashes begin at 0.77


def measure_dashes(text: str, confidence: float, ink: np.ndarray, height: float) -> Reading:
    """Hyphen, en dash and em dash look alike to a recogniser that sees every line at one height; here their lengths are measured.

    ink     bool[h, w] of the line
    height  of a typical text line, in pixels
    The text is left alone unless it has as many dashes as the ink, and so is a dash before a number: that is its sign, whatever its
    length. A text that is one dash is as sure as its shape.
    """
    places = [i for i, c in enumerate(text) if c in DASHES]
    if not places:
        return text, confidence
    widths = next((w for find in (dash_pieces, dash_stretches) if len(w := find(ink, height)) == len(places)), None)
    if widths is None:
        return text, confidence
    letters, em = list(text), LONE_EM_DASH if len(text) == 1 else EM_DASH
    for place, width in zip(places, widths):
        if place or not text[1:2].isdigit():
            letters[place] = _dash(letters[place], width / height, em)
    return "".join(letters), (max(confidence, 0.9) if len(places) == len(text) else confidence)


def arc_marks(text: str) -> str:
    """Degrees, minutes and seconds before a compass letter with their own signs (ISO 6709): a reader takes the primes for quotes of many kinds."""
    return re.sub(r"(\d{1,3})\u00b0 ?(\d{1,2})['\u2019\u2032\u00b4`] ?(?:(\d{1,2}(?:\.\d+)?)(?:[\"\u201d\u2033'\u2032\u00b0\u2122]|'') ?)?([NSEWO])(?![a-z])", _arc, text)


def _arc(match: re.Match) -> str:
    degrees, minutes, seconds, compass = match.groups()
    return f"{degrees}\u00b0{minutes}\u2032{seconds + chr(0x2033) if seconds else ''}{compass}"


def _dash(read: str, width: float, em: float) -> str:
    """The dash of a width in text heights; in the band where fonts overlap the reading stands, if it is a dash of that size at all."""
    if HYPHEN < width < EN_DASH and read in "-\u2013":
        return read
    return "\u2014" if width >= em else "\u2013" if width >= (HYPHEN + EN_DASH) / 2 else "-"


def dash_pieces(ink: np.ndarray, height: float) -> list[int]:
    """Widths in pixels, from left to right, of the connected pieces of ink that are flat, straight and at mid height."""
    import cv2

    _, _, pieces, centres = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    found = []
    for (x, y, width, tall, area), (_, cy) in zip(pieces[1:], centres[1:]):
        flat = width >= max(2, 1.5 * tall, SHORTEST_DASH * height) and tall <= THICKEST_DASH * height + 1 and area >= 0.7 * width * tall
        if flat and _at_mid_height(cy, ink.shape[0], height):
            found.append((int(x), int(width)))
    return [width for _, width in sorted(found)]


def dash_stretches(ink: np.ndarray, height: float) -> list[int]:
    """The same for dashes that touch their neighbours: stretches of columns whose ink is flat and at mid height."""
    tops, bottoms = ink.argmax(axis=0), ink.shape[0] - ink[::-1].argmax(axis=0)
    flat = ink.any(axis=0) & (bottoms - tops <= THICKEST_DASH * height + 1)
    flat &= _at_mid_height((tops + bottoms) / 2, ink.shape[0], height)
    longest = int(EM_DASH * height) - 1  # what touches adds to the width: never enough to tell an em dash
    return [min(end - begin, longest) for begin, end in _runs(flat) if end - begin >= max(2, SHORTEST_DASH * height) and np.ptp(tops[begin:end]) <= 1]


def _at_mid_height(y, tall: int, height: float):
    """Between 0.3 and 0.8 of the line; everything is where the line is nothing but a dash."""
    return (0.3 * tall < y) & (y < 0.8 * tall) | (tall < 0.4 * height)


def runs_vertically(inks: Sequence[CellInk]) -> bool:
    """True where most texts run along the columns: one narrow column of ink cut into many short runs of rows, in most cells that can tell."""
    votes = []
    for ink in inks:
        rows, columns = _runs(ink.ink.any(axis=1)), _runs(ink.ink.any(axis=0))
        if len(rows) + len(columns) < 4:
            continue
        letter = float(np.median([b - a for a, b in rows]))
        votes.append(len(rows) >= 3 and len(rows) > len(columns) and max(b - a for a, b in columns) <= 2.2 * letter)
    return len(votes) >= 3 and sum(votes) > 0.6 * len(votes)
