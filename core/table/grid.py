"""From closed cell interiors to a table: common row and column lines, spans, and how completely each cell is ruled."""

from dataclasses import dataclass, replace

import numpy as np

from core.table.table import Cell, Table

SNAP_SHARE = 0.4
"""Edges closer than this share of the narrowest cell lie on one line: less than half, so that no cell can vanish."""
SNAP_LEAST = 2.0
"""Pixels that edges of one line may differ by in any case: rounding at both ends."""
SNAP_TEXT = 0.8
"""Text heights that edges of one line differ by at most: a column is wider, also one that only spanning cells have."""
UNRULED_CONFIDENCE = 0.3
"""Confidence of an empty place that no rule closes (the blank corner above row heads)."""
LARGEST_HOLE_SHARE = 0.2
"""Share of the grid's places that may lie open before the rules are not a table. Only corners may: a row or column head leaves them blank."""
NARROW_CELL, LOW_CELL = 1.7, 1.0
"""Cells narrower, or lower, than this many text heights may be cut by short rules: one letter and its margins are wider, a line of text is higher."""
CUT_INSET = 2
"""Pixels next to the neighbouring rules that a short rule need not be seen in."""
STRAY_COVER = 0.25
"""A grid line drawn over this share of its way through a cell, and yet not closing it, is a rule that the grid does not explain."""
STRAY_RUN = 2.5
"""Text heights that such a line is drawn over at least: a letter is not."""
EVIDENCE_BAND = 3
"""Pixels on either side of a grid line in which the rule may be seen."""


@dataclass(frozen=True)
class Lattice:
    """Row and column lines of a table and its cells between them.

    rows, cols  float64[R+1], float64[C+1]: y and x of the lines, in working pixels, rising
    places      int32[n,4]: first row, first column, row after the last, column after the last, of every cell
    closed      bool[n]: False where the place was open and was filled in as an empty cell
    """

    rows: np.ndarray
    cols: np.ndarray
    places: np.ndarray
    closed: np.ndarray

    def owners(self) -> np.ndarray:
        """int32[R,C]: the cell of each place of the grid."""
        owner = np.empty((len(self.rows) - 1, len(self.cols) - 1), np.int32)
        for index, (r0, c0, r1, c1) in enumerate(self.places):
            owner[r0:r1, c0:c1] = index
        return owner


def common_lines(starts: np.ndarray, ends: np.ndarray, largest_snap: float = np.inf) -> np.ndarray:
    """float64[k]: the lines between cells that reach from `starts` to `ends` (float[n] each) along one axis, rising.

    Ends and the starts of the next cells that lie within the snap distance are one line, in the middle of the two.
    largest_snap  pixels; two rows of spanning cells may be offset by less than a share of the narrowest cell
    """
    snap = max(SNAP_LEAST, min(SNAP_SHARE * float((ends - starts).min()), largest_snap))
    values = np.concatenate([ends, starts])
    order = np.argsort(values, kind="stable")
    group = np.concatenate([[0], np.cumsum(np.diff(values[order]) > snap)])
    is_start = order >= len(ends)
    end, start = (_mean_by_group(values[order][kind], group[kind], group[-1] + 1) for kind in (~is_start, is_start))
    return _line_positions(*_join_sides(end, start))


def _mean_by_group(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """float64[groups]: mean of the values of each group, nan where it has none."""
    count = np.bincount(group, minlength=groups)
    return np.bincount(group, values, groups) / np.where(count, count, np.nan)


def _join_sides(end: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A line with only ends and the line with only starts that follows it are the two sides of one thick rule."""
    second = np.flatnonzero(np.isnan(start[:-1]) & np.isnan(end[1:])) + 1
    start = start.copy()
    start[second - 1] = start[second]
    return np.delete(end, second), np.delete(start, second)


def _line_positions(end: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Middle of the rule where both its sides are known; half a rule outside the cells where the table ends (nan: no such side)."""
    halves = (start - end) / 2
    known = ~np.isnan(halves)
    half = max(0.0, float(np.median(halves[known]))) if known.any() else 1.0
    return np.where(known, (end + start) / 2, np.where(np.isnan(end), start - half, end + half))


def lattice_of(boxes: np.ndarray, text_height: float = np.inf) -> Lattice | None:
    """The lattice of cell interiors int32[n,4+] (x, y, width, height); None where they overlap or leave too much of the grid open."""
    x0, y0 = boxes[:, 0].astype(np.float64), boxes[:, 1].astype(np.float64)
    x1, y1 = x0 + boxes[:, 2], y0 + boxes[:, 3]
    rows, cols = (common_lines(start, end, SNAP_TEXT * text_height) for start, end in ((y0, y1), (x0, x1)))
    places = np.stack([_nearest(rows, y0), _nearest(cols, x0), _nearest(rows, y1), _nearest(cols, x1)], axis=1).astype(np.int32)
    if (places[:, 2:] <= places[:, :2]).any():
        return None
    return _fill_open_places(Lattice(rows, cols, places, np.ones(len(places), bool)))


def _nearest(lines: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.searchsorted((lines[1:] + lines[:-1]) / 2, values)


def _owners(places: np.ndarray, rows: int, cols: int) -> np.ndarray | None:
    """int32[rows,cols]: the cell of each place, -1 where it is open; None where two cells overlap."""
    owner = np.full((rows, cols), -1, np.int32)
    for index, (r0, c0, r1, c1) in enumerate(places.tolist()):
        owner[r0:r1, c0:c1] = index
    covered = ((places[:, 2] - places[:, 0]) * (places[:, 3] - places[:, 1])).sum()
    return owner if covered == np.count_nonzero(owner >= 0) else None


def _fill_open_places(lattice: Lattice) -> Lattice | None:
    """Give an open corner of the grid to an empty cell; None where cells overlap or anything but a corner is open."""
    rows, cols = len(lattice.rows) - 1, len(lattice.cols) - 1
    owner = _owners(lattice.places, rows, cols)
    if owner is None or (owner < 0).mean() > LARGEST_HOLE_SHARE:
        return None
    extra = []
    while (owner < 0).any():
        r, c = np.argwhere(owner < 0)[0]
        c1 = c + int(np.argmax(np.append(owner[r, c:] >= 0, True)))
        r1 = r + int(np.argmax(np.append((owner[r:, c:c1] >= 0).any(axis=1), True)))
        if not (r == 0 or r1 == rows) or not (c == 0 or c1 == cols) or (r1 - r == rows) or (c1 - c == cols):
            return None
        owner[r:r1, c:c1] = len(lattice.places) + len(extra)
        extra.append((r, c, r1, c1))
    places = np.concatenate([lattice.places, np.array(extra, np.int32).reshape(-1, 4)])
    return Lattice(lattice.rows, lattice.cols, places, np.arange(len(places)) < len(lattice.places))


def split_narrow_cells(lattice: Lattice, hints: np.ndarray, text_height: float) -> Lattice:
    """Cut cells too narrow, or too low, for text along the lines of the grid that a rule, too short to be told from a letter, follows all across them.

    hints  uint8[H,W], not zero on every contrast edge along the rows or columns, however short
    """
    places = _cut(lattice.places, lattice.cols, lattice.rows, hints, NARROW_CELL * text_height)
    places = _cut(places[:, [1, 0, 3, 2]], lattice.rows, lattice.cols, hints.T, LOW_CELL * text_height)[:, [1, 0, 3, 2]]
    return lattice if len(places) == len(lattice.places) else replace(lattice, places=places, closed=np.ones(len(places), bool))


def _cut(places: np.ndarray, cols: np.ndarray, rows: np.ndarray, hints: np.ndarray, narrow: float) -> np.ndarray:
    """Cut along row lines; `places` int32[n,4] as in Lattice."""
    candidates = (places[:, 2] - places[:, 0] > 1) & (cols[places[:, 3]] - cols[places[:, 1]] < narrow)
    if not candidates.any():
        return places
    done = [places[~candidates]]
    for r0, c0, r1, c1 in places[candidates]:
        left, right = int(cols[c0]) + CUT_INSET, int(np.ceil(cols[c1])) - CUT_INSET
        cuts = [r for r in range(r0 + 1, r1) if right > left and hints[max(0, int(rows[r]) - 1) : int(rows[r]) + 2, left:right].max(axis=0).all()]
        done.append(np.array([(top, c0, bottom, c1) for top, bottom in zip([r0, *cuts], [*cuts, r1], strict=True)], np.int32))
    return np.concatenate(done)


@dataclass(frozen=True)
class Cover:
    """Where rules are really seen along the lines of a lattice.

    across  int32[R+1,W+1]: running count of pixels along each row line at which a rule is seen
    down    int32[C+1,H+1]: the same along each column line
    """

    across: np.ndarray
    down: np.ndarray


def cover_of(lattice: Lattice, evidence: np.ndarray) -> Cover:
    """The cover of a lattice's lines on the evidence mask uint8[H,W]."""
    across = [evidence[_band(y)].max(axis=0, initial=0) for y in lattice.rows]
    down = [evidence[:, _band(x)].max(axis=1, initial=0) for x in lattice.cols]
    return Cover(_running_count(across), _running_count(down))


def _band(line: float) -> slice:
    return slice(max(0, int(line) - EVIDENCE_BAND), int(line) + EVIDENCE_BAND + 1)


def _running_count(seen: list[np.ndarray]) -> np.ndarray:
    count = np.zeros((len(seen), len(seen[0]) + 1), np.int32)
    np.cumsum(np.stack(seen) > 0, axis=1, dtype=np.int32, out=count[:, 1:])
    return count


def _share(count: np.ndarray, line: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """float64[n] in [0,1]: the seen share of each stretch [start, stop) of line number `line`, from the running counts of one direction."""
    start, stop = (np.clip(np.rint(v).astype(int), 0, count.shape[1] - 1) for v in (start, stop))
    return (count[line, stop] - count[line, start]) / np.maximum(stop - start, 1)


def has_stray_rule(lattice: Lattice, cover: Cover, text_height: float) -> bool:
    """Whether a grid line is drawn through most of some cell, over more than the strokes of a letter, although it does not part the cell."""
    down, across = _crossings(lattice.places), _crossings(lattice.places[:, [1, 0, 3, 2]])
    for count, ends, k in ((cover.across, lattice.cols, down), (cover.down, lattice.rows, across)):
        if len(k):
            way = ends[k[:, 2]] - ends[k[:, 1]]
            share = _share(count, k[:, 0], ends[k[:, 1]] + EVIDENCE_BAND, ends[k[:, 2]] - EVIDENCE_BAND)
            if ((share > STRAY_COVER) & (share * way > STRAY_RUN * text_height)).any():
                return True
    return False


def _crossings(places: np.ndarray) -> np.ndarray:
    """int[k,3]: the row line, first column and column after the last of every row line that runs through a cell."""
    tall = places[places[:, 2] - places[:, 0] > 1]
    return np.array([(r, c0, c1) for r0, c0, r1, c1 in tall.tolist() for r in range(r0 + 1, r1)], np.int64).reshape(-1, 3)


def confidences(lattice: Lattice, cover: Cover) -> np.ndarray:
    """float64[n] in [0,1]: the least completely ruled of the four sides of each cell."""
    r0, c0, r1, c1 = lattice.places.T
    x0, x1, y0, y1 = lattice.cols[c0], lattice.cols[c1], lattice.rows[r0], lattice.rows[r1]
    across = [_share(cover.across, r, x0 + EVIDENCE_BAND, x1 - EVIDENCE_BAND) for r in (r0, r1)]
    down = [_share(cover.down, c, y0 + EVIDENCE_BAND, y1 - EVIDENCE_BAND) for c in (c0, c1)]
    return np.where(lattice.closed, np.clip(np.min(across + down, axis=0), 0.0, 1.0), UNRULED_CONFIDENCE)


def table_of(lattice: Lattice, confidence: np.ndarray, to_input: np.ndarray) -> Table:
    """The Table with boxes in input pixels: each cell's centre is carried over by the affine float64[2,3], its width and height are kept."""
    x, y = lattice.cols[lattice.places[:, [1, 3]]], lattice.rows[lattice.places[:, [0, 2]]]
    centre = np.stack([x.mean(axis=1) - 0.5, y.mean(axis=1) - 0.5, np.ones(len(x))])
    cx, cy = to_input @ centre + 0.5
    scale = float(np.hypot(to_input[0, 0], to_input[1, 0]))
    half_w, half_h = scale * (x[:, 1] - x[:, 0]) / 2, scale * (y[:, 1] - y[:, 0]) / 2
    boxes = np.stack([cx - half_w, cy - half_h, cx + half_w, cy + half_h], axis=1).round(2).tolist()
    cells = [Cell(r0, c0, r1 - r0, c1 - c0, box=tuple(box), confidence=sure)
             for (r0, c0, r1, c1), box, sure in zip(lattice.places.tolist(), boxes, confidence.round(4).tolist(), strict=True)]
    return Table(len(lattice.rows) - 1, len(lattice.cols) - 1, tuple(cells))
