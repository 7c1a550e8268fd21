"""Region-based image segmentation (RBIS of PIX-TAB): rules, flood fill of the cell interiors, filtering of the regions, and the grid they make."""

import time
from dataclasses import dataclass

import cv2
import numpy as np

from core.exhibit import Progress, silent
from core.table.binarise import binarise, glyph_boxes, level_quantile, noise_level, text_height, to_grey
from core.table.dashes import with_dashes
from core.table.deskew import estimate_skew, straighten
from core.table.grid import Cover, Lattice, confidences, cover_of, has_stray_rule, lattice_of, split_narrow_cells, table_of
from core.table.labelling import label_regions
from core.table.open_sides import close_open_sides
from core.table.rules import Rules, edge_reach, find_rules
from core.table.table import Box, Table
from core.table.unruled import columns_are_unruled, lines_per_cell, rows_are_unruled, text_in_cells

CELL, OUTSIDE, SMALL, CROOKED, NESTED, FRAME, OTHER, THIN = (
    "cell", "outside the table", "too small for a cell", "not rectangular", "inside another cell", "a frame around other regions", "another table",
    "the inside of a thick rule")
SMALL_SIDE = 0.35
"""Narrower than this many text heights is the inside of a thick or double rule, or of a letter."""
SLIM_SIDE, RULE_CONTRAST = 0.7, 40
"""A region narrower than so many text heights is a spacer where it has the picture's common grey level, and the inside of a thick rule where it
differs by this many levels."""
RECTANGULAR = 0.65
"""Least share of its box that a cell interior fills: letters that touch a rule may bite some off. Cells that run into each other
and still pass overlap their neighbours, which no grid allows."""
FRAMED_REGIONS = 4
"""A region that holds this many others is a frame around a table; one that holds fewer is a cell with check boxes in it."""
THICKEST_RULE = 1.4
"""Text heights; a region that is nowhere wider and higher than this is the inside of the rules of a whole table."""
COMMON_ROWS = 64
"""Rows of the picture in which its common grey level is looked for."""
LEAST_CELLS = 2
"""A single closed rectangle is a box, not a table."""
COUNTED_CELLS = 4
"""Closed cells that another group needs to be counted as a table."""
STICK_OUT = 1.2
"""Text heights by which rules may go on beyond the closed cells; an open cell is wider."""
INFERRED_CONFIDENCE = 0.8
"""Confidence is scaled by this where outer rules had to be inferred."""
RULE_RIM = 0.2
"""Text heights around a rule in which ink is taken for its soft rim and not for text."""
LEAST_COVER = 0.6
"""Mean confidence under which the common lines of the cells do not follow their rules: what was closed is no grid."""
NO_CELLS = "No closed cells were found: the rules of this picture, if it has any, do not meet around its cells."
ONE_BOX = "The rules close a single box, which is a frame and not a table."
OPEN_CELLS = "The rules close some cells, but others run into each other, so they do not make a grid."
OPEN_SIDES = "The rules go on beyond the closed cells, so the table has cells at its sides that no rule closes."
SIDES_CLOSED = "The table is drawn without all of its outer rules; they were taken to run where the inner ones end."
ONE_COLUMN = "The rules separate rows but no columns, so the columns cannot be read from them."
UNRULED_ROWS = "The rules frame whole columns of text lines, so the rows between them cannot be read from the rules."
UNRULED_COLUMNS = "Some ruled columns hold several columns of text, so the rules do not show the whole table."


@dataclass(frozen=True)
class Region:
    """One region that the flood fill found: its box in input pixels, its area in pixels, whether it became a cell, and why (not)."""

    box: Box
    area: int
    kept: bool
    reason: str


@dataclass(frozen=True)
class RegionReading:
    """What was read from a picture and every intermediate picture of it.

    table         structure, boxes in input pixels, no text, confidence per cell in [0, 1]; None when abstained
    abstained     no closed grid was found; `reason` says why in one sentence
    skew_degrees  by how much the lines fell to the right
    binary        uint8[H',W'] 0/255: ink, in working (straightened) pixels
    rules         uint8[H',W'] 0/255: rules
    interior      uint8[H',W'] 0/1: the mask that was flood filled
    to_input      float64[2,3]: affine from working to input pixels
    regions       every region the flood fill found
    other_tables  further closed grids in the picture that were not read
    notes         sentences a visitor should know
    seconds       by stage: deskew, binarise, rules, flood fill, grid
    """

    table: Table | None
    abstained: bool
    reason: str
    skew_degrees: float
    binary: np.ndarray
    rules: np.ndarray
    interior: np.ndarray
    to_input: np.ndarray
    regions: tuple[Region, ...]
    other_tables: int
    notes: tuple[str, ...]
    seconds: dict[str, float]


def sort_regions(regions: np.ndarray, shape: tuple[int, int], small_side: float, notch: int) -> np.ndarray:
    """object[n]: CELL or the reason against it, for regions int32[n,5] (x, y, width, height, area) of a picture of `shape`.

    small_side  pixels that a cell is wide and high at least
    notch       pixels by which a rectangle may reach into its rules here and there: where two rules meet, neither edge is seen
    """
    x, y, width, height, area = regions.T
    reason = np.full(len(regions), CELL, object)
    inner_area = np.maximum(width - 2 * notch, 1).astype(np.int64) * np.maximum(height - 2 * notch, 1)
    reason[area < RECTANGULAR * inner_area] = CROOKED
    reason[np.minimum(width, height) < small_side] = SMALL
    reason[(x == 0) | (y == 0) | (x + width == shape[1]) | (y + height == shape[0])] = OUTSIDE
    return _sort_nested(regions, reason)


def _sort_nested(regions: np.ndarray, reason: np.ndarray) -> np.ndarray:
    """Of cells inside cells, the outer is a frame when it holds many, otherwise the inner ones are check boxes or letters."""
    index = np.flatnonzero((reason == CELL) | (reason == CROOKED))
    x0, y0 = regions[index, 0], regions[index, 1]
    x1, y1 = x0 + regions[index, 2], y0 + regions[index, 3]
    filled = regions[index, 4] == regions[index, 2].astype(np.int64) * regions[index, 3]
    for outer in np.flatnonzero(~filled & (reason[index] == CELL)):
        inside = (x0 > x0[outer]) & (y0 > y0[outer]) & (x1 < x1[outer]) & (y1 < y1[outer])
        if inside.sum() >= FRAMED_REGIONS:
            reason[index[outer]] = FRAME
        else:
            reason[index[inside]] = NESTED
    return reason


def sort_slim(regions: np.ndarray, reason: np.ndarray, grey: np.ndarray, slim_side: float) -> None:
    """Set the reason of slim rectangles that are pieces of a thick rule, between its crossings, to THIN; grey uint8[H,W] is the working picture."""
    slim = np.flatnonzero((reason == CELL) & (regions[:, 2:4].min(axis=1) < slim_side))
    if len(slim):
        common = level_quantile(grey[:: 1 + len(grey) // COMMON_ROWS], 0.5)
        level = np.array([grey[y : y + height, x : x + width].mean() for x, y, width, height in regions[slim, :4]])
        reason[slim[np.abs(level - common) > RULE_CONTRAST]] = THIN


def sort_thin(regions: np.ndarray, reason: np.ndarray, interior: np.ndarray, thickest: float) -> np.ndarray:
    """uint8[H,W], 1 on regions that are no rectangle and nowhere thicker than `thickest` pixels; their reason becomes THIN."""
    crooked = np.flatnonzero(reason == CROOKED)
    if len(crooked) == 0:
        return np.zeros_like(interior)
    labels = np.zeros(interior.shape, np.int32)
    label_regions(interior, 8, labels)
    core = cv2.erode(interior, np.ones((int(thickest) | 1, int(thickest) | 1), np.uint8))
    thick = np.bincount(labels[core > 0], minlength=len(regions) + 1)[1:] > 0
    thin = (reason == CROOKED) & ~thick
    reason[thin] = THIN
    return np.append(np.uint8(0), thin.astype(np.uint8))[labels]


def group_cells(regions: np.ndarray, reason: np.ndarray, body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int32[n]: the number, from 1, of the ruled body each cell lies in (cells that share rules share it), 0 for regions that are no cells.

    The second result is the box of every body, int32[m,5] as from the flood fill.

    body  uint8[H,W], 1 on rules and in their insides; the cells are painted into it
    """
    solid = regions[:, 4] == regions[:, 2].astype(np.int64) * regions[:, 3]
    for x, y, width, height, _ in regions[(reason == CELL) | (reason == SMALL) | (reason == THIN) & solid].tolist():
        body[y : y + height, x : x + width] = 1
    labels = np.zeros(body.shape, np.int32)
    bodies = label_regions(body, 8, labels)
    group = np.zeros(len(regions), np.int32)
    cell = reason == CELL
    group[cell] = labels[(regions[cell, 1] + regions[cell, 3] // 2), (regions[cell, 0] + regions[cell, 2] // 2)]
    return group, bodies


def largest_group(group: np.ndarray) -> tuple[int, int]:
    """The group with most cells (0 when there is none), and how many others have enough cells to be tables."""
    counts = np.bincount(group[group > 0]) if (group > 0).any() else np.zeros(1, int)
    best = int(np.argmax(counts))
    return (best if counts[best] else 0), int((np.delete(counts, best) >= COUNTED_CELLS).sum())


def describe_regions(regions: np.ndarray, reason: np.ndarray, to_input: np.ndarray) -> tuple[Region, ...]:
    """Regions with boxes in input pixels."""
    centre = np.stack([regions[:, 0] + (regions[:, 2] - 1) / 2, regions[:, 1] + (regions[:, 3] - 1) / 2, np.ones(len(regions))])
    cx, cy = to_input @ centre + 0.5
    half_w, half_h = regions[:, 2] / 2, regions[:, 3] / 2
    boxes = np.stack([cx - half_w, cy - half_h, cx + half_w, cy + half_h], axis=1).round(2).tolist()
    return tuple(Region(tuple(box), area, why == CELL, why) for box, area, why in zip(boxes, regions[:, 4].tolist(), reason, strict=True))


class _Clock:
    """Wall-clock times of the stages: `lap(name)` books the seconds since the last lap."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


@dataclass(frozen=True)
class _Found:
    """What was found in the working picture before it is judged: a lattice, or the sentence that says why there is none."""

    rules: Rules
    interior: np.ndarray
    regions: np.ndarray
    reason: np.ndarray
    others: int
    lattice: Lattice | None
    sure: np.ndarray | None
    why: str
    inferred: bool


def _lattice_in(regions: np.ndarray, reason: np.ndarray, rules: Rules, text_height: float) -> tuple[Lattice | None, str]:
    """The lattice of the kept cells, or why they make none."""
    cells = regions[reason == CELL]
    if len(cells) == 0:
        return None, NO_CELLS if not (reason == OTHER).any() else ONE_BOX
    if len(cells) < LEAST_CELLS:
        return None, ONE_BOX
    if _crooked_beside(regions, reason, cells, text_height):
        return None, OPEN_CELLS
    lattice = lattice_of(cells, text_height)
    return (None, OPEN_CELLS) if lattice is None else (split_narrow_cells(lattice, rules.hints, text_height), "")


def _crooked_beside(regions: np.ndarray, reason: np.ndarray, cells: np.ndarray, reach: float) -> bool:
    """Whether a region that is no rectangle and could hold text lies among or beside the cells: cells joined through a missing rule.

    A frame that holds all of the cells is not meant.
    """
    x0, y0 = cells[:, :2].min(axis=0) - reach
    x1, y1 = (cells[:, :2] + cells[:, 2:4]).max(axis=0) + reach
    loose = regions[(reason == CROOKED) & (regions[:, 2:4].min(axis=1) >= reach)]
    left, top = loose[:, 0], loose[:, 1]
    right, bottom = left + loose[:, 2], top + loose[:, 3]
    touches = (left < x1) & (top < y1) & (right > x0) & (bottom > y0)
    around = (left < x0 + reach) & (top < y0 + reach) & (right > x1 - reach) & (bottom > y1 - reach)
    return bool((touches & ~around).any())


def _judge(lattice: Lattice, cover: Cover, sure: np.ndarray, binary: np.ndarray, rules: Rules, text_height: float) -> str:
    """Why the lattice is not the whole table although its cells are closed; "" where nothing speaks against it."""
    if len(lattice.cols) == 2:
        return ONE_COLUMN
    if has_stray_rule(lattice, cover, text_height) or sure.mean() < LEAST_COVER:
        return OPEN_CELLS
    margin = 2 * max(edge_reach(text_height), round(RULE_RIM * text_height)) + 1
    ink = cv2.subtract(binary, cv2.dilate(rules.mask, np.ones((margin, margin), np.uint8)))
    text = text_in_cells(lattice, label_regions(ink, 8), text_height)
    if rows_are_unruled(lattice, lines_per_cell(text, len(lattice.places), text_height)):
        return UNRULED_ROWS
    return UNRULED_COLUMNS if columns_are_unruled(lattice, text, text_height) else ""


def _sticks_out(lattice: Lattice, body: np.ndarray, reach: float) -> bool:
    """Whether rules go on beyond the outermost lines of the grid: there are cells out there that are not closed."""
    x0, y0, width, height, _ = body
    outside = (lattice.cols[0] - x0, lattice.rows[0] - y0, x0 + width - lattice.cols[-1], y0 + height - lattice.rows[-1])
    return max(outside) > reach


def _search(rules: Rules, working: np.ndarray, binary: np.ndarray, text_height: float, clock: _Clock, inferred: bool = False) -> _Found:
    """Fill, sort and arrange the regions between the rules."""
    interior = (rules.mask == 0).view(np.uint8)
    regions = label_regions(interior, 8)
    reason = sort_regions(regions, interior.shape, max(2.0, SMALL_SIDE * text_height), 2 * edge_reach(text_height))
    sort_slim(regions, reason, working, SLIM_SIDE * text_height)
    thin = sort_thin(regions, reason, interior, THICKEST_RULE * text_height)
    group, bodies = group_cells(regions, reason, cv2.bitwise_or(thin, 1 - interior))
    best, others = largest_group(group)
    reason[(reason == CELL) & (group != best)] = OTHER
    clock.lap("flood fill")
    lattice, why = _lattice_in(regions, reason, rules, text_height)
    sure = None
    if not why and _sticks_out(lattice, bodies[best - 1], STICK_OUT * text_height):
        why = OPEN_SIDES
    if not why:
        cover = cover_of(lattice, rules.evidence)
        sure = confidences(lattice, cover)
        why = _judge(lattice, cover, sure, binary, rules, text_height)
    clock.lap("grid")
    return _Found(rules, interior, regions, reason, others, lattice, sure, why, inferred)


def _search_all(working: np.ndarray, binary: np.ndarray, text_height: float, noise: float, clock: _Clock) -> _Found:
    """Look between the rules as they are; where that gives no table, with open outer sides closed, then with dashed rules drawn through.

    The first reading that holds, or the first of all.
    """
    rules = find_rules(working, text_height, noise)
    clock.lap("rules")
    first = _search(rules, working, binary, text_height, clock)
    if not first.why:
        return first
    for change, inferred in ((lambda: close_open_sides(rules, text_height), True), (lambda: with_dashes(rules, working, binary, text_height), False)):
        changed = change()
        clock.lap("rules")
        found = first if changed is None else _search(changed, working, binary, text_height, clock, inferred)
        if not found.why:
            return found
    return first


def read_regions(rgb: np.ndarray, progress: Progress = silent) -> RegionReading:
    """Read the structure of the ruled table in a picture uint8[H,W,3]; abstains where there are no closed cells that make a grid.

    Source: PIX-TAB, section Region-Based Image Segmentation.
    """
    clock = _Clock()
    progress(0.0, "Straightening the picture")
    grey = to_grey(rgb)
    skew = estimate_skew(grey)
    working, to_input = straighten(grey, skew)
    clock.lap("deskew")
    progress(0.3, "Separating ink from paper")
    noise = noise_level(working)
    binary = binarise(working, noise)
    height = text_height(glyph_boxes(binary), working.shape)
    clock.lap("binarise")
    progress(0.5, "Finding rules and filling the cells between them")
    found = _search_all(working, binary, height, noise, clock)
    progress(0.9, "Building the grid")
    table = None if found.why else _table(found, to_input)
    described = describe_regions(found.regions, found.reason, to_input)
    clock.lap("grid")
    return RegionReading(table, table is None, found.why, skew, binary, found.rules.mask, found.interior, to_input, described, found.others,
                         _notes(found), clock.seconds)


def _table(found: _Found, to_input: np.ndarray) -> Table:
    return table_of(found.lattice, found.sure * (INFERRED_CONFIDENCE if found.inferred else 1.0), to_input)


def _notes(found: _Found) -> tuple[str, ...]:
    """What a visitor should know about a table that was read."""
    if found.why:
        return ()
    more = f"The picture has {found.others} more ruled table{'s' if found.others > 1 else ''}; the one with most cells was read."
    return ((SIDES_CLOSED,) if found.inferred else ()) + ((more,) if found.others else ())
