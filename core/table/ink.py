"""The ink of one cell: cut out of the picture, rules at its border trimmed, light text turned over, parted into text lines by projection."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.table.table import Box

MIN_CONTRAST = 40  # grey levels between ink and ground below which a cell counts as empty
GROUND_SAMPLE = 4096  # pixels that vote for the colour of the ground
EDGE_RULE = 0.85  # share of a border row or column that is ink: then it is a rule, not a bracket or a letter
PAD = 0.25  # margin around a line's crop, in text heights


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


def cut(rgb: np.ndarray, box: Box) -> CellInk:
    """The inside of one cell: rules at its border trimmed, ground estimated, light text on a dark fill turned over."""
    x0, y0, x1, y1 = (int(round(v)) for v in box)
    crop = np.ascontiguousarray(rgb[max(0, y0):max(0, y1), max(0, x0):max(0, x1)])
    if min(crop.shape[:2]) < 3:
        return CellInk(np.full((3, 3), 255, np.uint8), np.zeros((3, 3), bool), ())
    grey, ink = ink_of(crop)
    top, bottom, left, right = _trim(ink)
    grey, ink = grey[top:bottom, left:right], ink[top:bottom, left:right]
    return CellInk(grey, ink, runs(ink.any(axis=1)) if ink.any() else ())


def ink_of(crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def runs(filled: np.ndarray) -> tuple[tuple[int, int], ...]:
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


def line_crop(ink: CellInk, span: tuple[int, int], height: float, between: tuple[int, int] | None = None) -> np.ndarray:
    """uint8[h, w, 3] of one text line, or of its part between two columns, with a margin.

    At least a typical line high, so that a lone dash is not blown up.
    """
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


def runs_vertically(inks: Sequence[CellInk]) -> bool:
    """True where most texts run along the columns: one narrow column of ink cut into many short runs of rows, in most cells that can tell."""
    votes = []
    for ink in inks:
        rows, columns = runs(ink.ink.any(axis=1)), runs(ink.ink.any(axis=0))
        if len(rows) + len(columns) < 4:
            continue
        letter = float(np.median([b - a for a, b in rows]))
        votes.append(len(rows) >= 3 and len(rows) > len(columns) and max(b - a for a, b in columns) <= 2.2 * letter)
    return len(votes) >= 3 and sum(votes) > 0.6 * len(votes)
