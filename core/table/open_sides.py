"""Close the outer sides of a grid that is drawn without them: where its rules end at one common line, that line is the side."""

from dataclasses import replace

import cv2
import numpy as np

from core.table.labelling import label_regions
from core.table.rules import CERTAIN_RUN, Rules, row_element

COMMON_END = 0.6
"""Text heights by which the ends of rules that reach the same side may differ."""
LEAST_ENDS = 2
"""Rules that must end at a side before it is drawn."""
CROSSING_SHARE = 0.5
"""Share of the way between the outermost rules that some inner rule runs unbroken, so that the rules are a grid and not the edges of stripes."""
COVERED_SIDE = 0.8
"""Share of a side that is ruled already when nothing needs to be drawn."""


def long_lines(mask: np.ndarray, text_height: float) -> np.ndarray:
    """float[n,4]: x0, y0, x1, y1 of the level rules in uint8[H,W] that are rules beyond doubt and thin."""
    level = cv2.morphologyEx(mask, cv2.MORPH_OPEN, row_element(CERTAIN_RUN * text_height))
    x, y, width, height, _ = label_regions(level, 8).T
    thin = height <= text_height
    return np.stack([x, y, x + width, y + height], axis=1)[thin].astype(np.float64)


def side_ends(level: np.ndarray, upright: np.ndarray, text_height: float) -> list[tuple[float, float, float]]:
    """(x, first y, last y) of the left and right sides that level rules reach and no upright rule draws; none without upright rules between them.

    level, upright  float[n,4]: rules as from `long_lines`
    """
    if len(level) < LEAST_ENDS or len(upright) == 0:
        return []
    left, right = level[:, 0].min(), level[:, 2].max()
    middle = (upright[:, 0] + upright[:, 2]) / 2
    first, last = min(level[:, 1].min(), upright[:, 1].min()), max(level[:, 3].max(), upright[:, 3].max())
    inner = (middle > left + 2 * text_height) & (middle < right - 2 * text_height)
    if not (inner & (upright[:, 3] - upright[:, 1] >= CROSSING_SHARE * (last - first))).any():
        return []
    sides = []
    for x, gap in ((left, level[:, 0] - left), (right, right - level[:, 2])):
        drawn = upright[np.abs(middle - x) <= COMMON_END * text_height]
        reaching = level[gap <= COMMON_END * text_height]
        amid = (reaching[:, 1] > first + text_height) & (reaching[:, 3] < last - text_height)
        unbroken = (amid & (reaching[:, 2] - reaching[:, 0] >= CROSSING_SHARE * (right - left))).any()
        if unbroken and len(reaching) >= LEAST_ENDS and (drawn[:, 3] - drawn[:, 1]).sum() < COVERED_SIDE * (last - first):
            sides.append((x, first, last))
    return sides


def close_open_sides(rules: Rules, text_height: float) -> Rules | None:
    """The rules with their open sides drawn in; None where no side is open or nothing says where it runs."""
    level = long_lines(rules.mask, text_height)
    upright = long_lines(cv2.transpose(rules.mask), text_height)[:, [1, 0, 3, 2]]
    flanks = side_ends(level, upright, text_height)
    caps = side_ends(upright[:, [1, 0, 3, 2]], level[:, [1, 0, 3, 2]], text_height)
    if not flanks and not caps:
        return None
    mask, evidence = rules.mask.copy(), rules.evidence.copy()
    segments = [((x, y0), (x, y1 - 1)) for x, y0, y1 in flanks] + [((x0, y), (x1 - 1, y)) for y, x0, x1 in caps]
    for start, stop in segments:
        for picture in (mask, evidence):
            cv2.line(picture, tuple(map(int, start)), tuple(map(int, stop)), 255, 3)
    return replace(rules, mask=mask, evidence=evidence)
