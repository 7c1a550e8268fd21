"""Separate rules from text: long, straight, one-signed contrast edges, which thin, thick, light and double rules and the borders of fills all have and glyphs have not."""

from dataclasses import dataclass

import cv2
import numpy as np

from core.table.binarise import level_quantile
from core.table.labelling import label_regions

LEAST_CONTRAST = 6.0
"""Grey levels across an edge that are still a rule; styles draw rules as faint as 10 levels on a filled header."""
NOISE_MARGIN = 2.5
"""An edge must exceed the noise of a difference of two pixels by this many standard deviations."""
SMOOTHED_NOISE = 1.5
"""Grey levels of noise from which on the picture is smoothed along the edge before it is differentiated."""
SOFT_RATIO, STRONG_QUANTILE, SOFTNESS_ROWS = 0.75, 0.995, 256
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
    return np.ones((1, 2 * int(round(length / 2)) + 1), np.uint8)


def edge_reach(text_height: float) -> int:
    """Pixels on either side between which an edge is measured: 1 for text of a screen, more where large text says that edges are soft."""
    return int(np.clip(round(text_height / 14), 1, 4))


def is_soft(grey: np.ndarray) -> bool:
    """Whether the strongest edges of uint8[H,W] take more than two pixels: the picture is blurred or enlarged."""
    step = 1 + grey.shape[0] // SOFTNESS_ROWS
    rows = np.ascontiguousarray(grey[::step])
    if rows.shape[1] < 3:
        return False
    one, two = cv2.absdiff(rows[:, 1:], rows[:, :-1]), cv2.absdiff(rows[:, 2:], rows[:, :-2])
    return level_quantile(one, STRONG_QUANTILE) < SOFT_RATIO * level_quantile(two, STRONG_QUANTILE)


def edge_strengths(grey: np.ndarray, reach: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """uint8[H,W] twice: how much brighter, and how much darker, the picture is `reach` rows below than `reach` rows above."""
    if noise > SMOOTHED_NOISE:
        grey = cv2.blur(grey, (2 * reach + 1, 1))
    padded = cv2.copyMakeBorder(grey, reach, reach, 0, 0, cv2.BORDER_REPLICATE)
    above, below = padded[: -2 * reach], padded[2 * reach :]
    return cv2.subtract(below, above), cv2.subtract(above, below)


def straight_runs(strength: np.ndarray, text_height: float, contrast: float, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """uint8[H,W] three times, 0/1: runs along the rows with the breaks between them bridged, the unbroken runs alone, and every edge."""
    beside = cv2.dilate(strength, row_element(text_height))
    limit = np.maximum(np.uint8(contrast), cv2.convertScaleAbs(beside, alpha=share))
    strong = np.greater(strength, limit).view(np.uint8)
    unbroken = cv2.morphologyEx(strong, cv2.MORPH_OPEN, row_element(RULE_RUN * text_height))
    faint = np.greater(strength, np.uint8(contrast)).view(np.uint8)
    unbroken |= cv2.dilate(unbroken, row_element(2 * FAINT_END * text_height)) & faint
    return cv2.morphologyEx(unbroken, cv2.MORPH_CLOSE, row_element(BRIDGED_GAP * text_height)), unbroken, strong


def horizontal_rules(grey: np.ndarray, text_height: float, noise: float, share: float) -> Rules:
    """Rules along the rows of uint8[H,W]; both sides of a thin rule are joined to one band."""
    reach = edge_reach(text_height)
    contrast = min(250.0, max(LEAST_CONTRAST, NOISE_MARGIN * noise * (0.7 if noise > SMOOTHED_NOISE else 1.4)))
    sides = [straight_runs(s, text_height, contrast, share) for s in edge_strengths(grey, reach, noise)]
    across = np.ones((2 * reach + 1, 1), np.uint8)
    mask, evidence, hints = (cv2.morphologyEx(cv2.bitwise_or(a, b), cv2.MORPH_CLOSE, across) for a, b in zip(*sides, strict=True))
    certain = cv2.morphologyEx(mask, cv2.MORPH_OPEN, row_element(CERTAIN_RUN * text_height))
    return Rules(cv2.bitwise_or(mask, cv2.dilate(certain, row_element(2 * reach))), evidence, hints)


def without_loose_strokes(mask: np.ndarray, text_height: float) -> np.ndarray:
    """The mask uint8[H,W] without what is connected to no row of cells: strokes and blurred words inside them."""
    labels = np.zeros(mask.shape, np.int32)
    pieces = label_regions(mask, 8, labels)
    keep = (pieces[:, 2:4] >= LEAST_FRAME * text_height).all(axis=1)
    return mask if keep.all() else np.append(np.uint8(0), keep.astype(np.uint8))[labels]


def find_rules(grey: np.ndarray, text_height: float, noise: float) -> Rules:
    """Horizontal and vertical rules of the straightened picture uint8[H,W] whose common glyph is `text_height` pixels high."""
    share = SOFT_SHARE if noise > SMOOTHED_NOISE or is_soft(grey) else LOCAL_SHARE
    level = horizontal_rules(grey, text_height, noise, share)
    upright = horizontal_rules(cv2.transpose(grey), text_height, noise, share)
    mask, evidence, hints = (cv2.bitwise_or(a, cv2.transpose(b)) for a, b in (
        (level.mask, upright.mask), (level.evidence, upright.evidence), (level.hints, upright.hints)))
    return Rules(*(m * np.uint8(255) for m in (without_loose_strokes(mask, text_height), evidence, hints)))
