"""Separate rules from text: long, straight, one-signed contrast edges, which thin, thick, light and double rules and the borders of fills all have and glyphs have not."""

from dataclasses import dataclass

import cv2
import numpy as np

from core.table.binarise import level_quantile
from core.table.labelling import label_regions
from cython_ext import edge_runs, long_runs

LEAST_CONTRAST = 6.0
"""Grey levels across an edge that are still a rule; styles draw rules as faint as 10 levels on a filled header."""
NOISE_MARGIN = 2.5
"""An edge must exceed the noise of a difference of two pixels by this many standard deviations."""
SMOOTHED_NOISE = 1.5
"""Grey levels of noise from which on the picture is smoothed along the edge before it is differentiated."""
SOFT_RATIO, STRONG_QUANTILE, SOFTNESS_ROWS = 0.75, 0.995, 64
"""An edge is soft when it changes less over one pixel than this share of its change over two, at the strongest half per cent of so many rows."""
LOCAL_SHARE, SOFT_SHARE = 0.3, 0.5
"""An edge must be this strong relative to the strongest edge beside it on its line: between the letters of a blurred word it is not,
and the second share is for pictures that are blurred or had to be smoothed."""
FAINT_END = 0.5
"""Text heights by which a run goes on at its ends where its edge is weaker than that: beside a letter that stands on the line."""
RULE_RUN = 1.25
"""Shortest unbroken run, in text heights. The strokes of a glyph are no longer than 1; a row is never lower than 1.6. A bracket or a J of 1.3 that
gets in does not reach the rules above and below it and closes nothing."""
CERTAIN_RUN = 2.5
"""Text heights from which on a run is a rule beyond doubt and may be lengthened by the reach of an edge, which closes the corners of a frame."""
BRIDGED_GAP = 0.5
"""Breaks bridged between two such runs on one line, in text heights: a letter that touches the rule. A rule thicker than this is not bridged over, so that
its inside stays one region."""
LEAST_FRAME = 1.6
"""Text heights that connected rules are wide and high at least: a row of cells is, the outline of a blurred word is not."""


@dataclass(frozen=True)
class Rules:
    """Rules of a picture.

    mask      uint8[H,W], 255 on rules, breaks bridged: what the flood fill may not cross
    evidence  uint8[H,W], 255 where an edge is really there: what confidence is measured on
    hints     uint8[H,W], 255 on every edge, the strokes of letters too: what may cut a cell that is narrower than a letter
    """

    mask: np.ndarray
    evidence: np.ndarray
    hints: np.ndarray


def row_element(length: float) -> np.ndarray:
    """A structuring element of one row and an odd number of columns of about `length`."""
    return np.ones((1, 2 * half_window(length) + 1), np.uint8)


def half_window(length: float) -> int:
    """Half of a window of an odd number of pixels of about `length`: it reaches so many to either side."""
    return int(round(length / 2))


def edge_reach(text_height: float) -> int:
    """Pixels on either side between which an edge is measured: 1 for text of a screen, more where large text says that edges are soft."""
    return min(4, max(1, round(text_height / 14)))


def is_soft(grey: np.ndarray) -> bool:
    """Whether the strongest edges of uint8[H,W] take more than two pixels: the picture is blurred or enlarged."""
    step = 1 + grey.shape[0] // SOFTNESS_ROWS
    rows = np.ascontiguousarray(grey[::step])
    if rows.shape[1] < 3:
        return False
    one, two = cv2.absdiff(rows[:, 1:], rows[:, :-1]), cv2.absdiff(rows[:, 2:], rows[:, :-2])
    return level_quantile(one, STRONG_QUANTILE) < SOFT_RATIO * level_quantile(two, STRONG_QUANTILE)


BRIDGED, UNBROKEN, STRONG = 1, 2, 4
"""Bits of the flags that cython_ext.edge_runs gives: a run with its breaks bridged, an unbroken run, any edge however short."""


def edge_flags(grey: np.ndarray, text_height: float, noise: float, share: float) -> np.ndarray:
    """uint8[H,W]: the flags of runs along the rows of uint8[H,W], both sides of a thin rule joined to one band."""
    reach = edge_reach(text_height)
    contrast = min(250.0, max(LEAST_CONTRAST, NOISE_MARGIN * noise * (0.7 if noise > SMOOTHED_NOISE else 1.4)))
    smooth = cv2.blur(grey, (2 * reach + 1, 1)) if noise > SMOOTHED_NOISE else np.ascontiguousarray(grey)
    flags = np.empty_like(smooth)
    edge_runs(smooth, reach, int(contrast), int(round(256 * share)), half_window(text_height), half_window(RULE_RUN * text_height),
              half_window(2 * FAINT_END * text_height), half_window(BRIDGED_GAP * text_height), flags)
    return closed_across(flags, reach)


def closed_across(flags: np.ndarray, reach: int) -> np.ndarray:
    """Close every bit of uint8[H,W] over gaps of 2 reach rows: the morphological closing, for eight masks at once."""
    height = len(flags)
    joined = flags.copy()
    for step in range(1, min(reach, height - 1) + 1):
        joined[step:] |= flags[:-step]
        joined[:-step] |= flags[step:]
    closed = joined.copy()
    for step in range(1, min(reach, height - 1) + 1):
        closed[step:] &= joined[:-step]
        closed[:-step] &= joined[step:]
    return closed


def bit(flags: np.ndarray, wanted: int) -> np.ndarray:
    """uint8[H,W], 255 where this bit of the flags is set."""
    return cv2.threshold(flags & np.uint8(wanted), 0, 255, cv2.THRESH_BINARY)[1]


def with_corners(mask: np.ndarray, text_height: float) -> np.ndarray:
    """The 0/1 mask uint8[H,W] of runs along the rows with the ends of rules beyond doubt lengthened, which closes the corners of a frame."""
    certain = np.empty_like(mask)
    long_runs(mask, half_window(CERTAIN_RUN * text_height), edge_reach(text_height), certain)
    return np.bitwise_or(mask, certain, out=certain)


def without_loose_strokes(mask: np.ndarray, text_height: float) -> np.ndarray:
    """The mask uint8[H,W] without what is connected to no row of cells: strokes and blurred words inside them."""
    keep = _is_frame(label_regions(mask, 8), text_height)
    if keep.all():
        return mask
    labels = np.empty(mask.shape, np.int32)
    pieces, mask = label_regions(mask, 8, labels), mask.copy()
    for number in np.flatnonzero(~keep):
        x, y, width, height = pieces[number, :4]
        place = slice(y, y + height), slice(x, x + width)
        mask[place][labels[place] == number + 1] = 0
    return mask


def _is_frame(pieces: np.ndarray, text_height: float) -> np.ndarray:
    return (pieces[:, 2:4] >= LEAST_FRAME * text_height).all(axis=1)


def find_rules(grey: np.ndarray, text_height: float, noise: float) -> Rules:
    """Horizontal and vertical rules of the straightened picture uint8[H,W] whose common glyph is `text_height` pixels high."""
    share = SOFT_SHARE if noise > SMOOTHED_NOISE or is_soft(grey) else LOCAL_SHARE
    level = edge_flags(grey, text_height, noise, share)
    upright = edge_flags(cv2.transpose(grey), text_height, noise, share)
    mask = with_corners(level & np.uint8(BRIDGED), text_height) | cv2.transpose(with_corners(upright & np.uint8(BRIDGED), text_height))
    either = level | cv2.transpose(upright)
    return Rules(bit(without_loose_strokes(mask, text_height), BRIDGED), bit(either, UNBROKEN), bit(either, STRONG))
