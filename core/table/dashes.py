"""Dashed and dotted rules: thin strokes in a row with an even beat, which neither text nor leader dots between words keep up."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from core.table.labelling import label_regions
from core.table.rules import Rules, row_element

THICKNESS = 0.2
"""Text heights that a dash is thick at most; the paper must show on both sides of it at this distance."""
LEAST_CONTRAST = 16
"""Grey levels between a dash and the paper; dashes give less evidence than a rule, so they must be clearer."""
DASH_GAP = 0.6
"""Widest gap between two dashes, in text heights."""
LONG, SHORT = 3.0, 1.2
"""Text heights: a dashed rule shows its beat on a long run; shorter ones count with the beat of the long ones."""
EVEN_SHARE = 0.7
"""Share of the steps from dash to dash that must be the usual step, give or take a pixel and a tenth; crossings disturb the others."""
LEAST_DASHES = 3
"""Dashes in a run without which there is no beat."""
SAME_LINE = 2
"""Pixels by which a short run may lie off the line of a long one."""
INK_BESIDE = 0.7
"""Share of a run that may have ink right beside it: text that stands close to a rule, and the dashes that cross it."""
FREE_INK = 0.15
"""The same for a short run that lies on the line of no long one."""
LONGEST_BEAT = 1.5
"""Text heights from dash to dash; lines of text, whose strokes also keep a beat down a column, are 1.6 apart."""
BEAT_TOLERANCE = 0.2
"""Share by which the beat of a short run may differ from that of the long ones."""


@dataclass(frozen=True)
class Dashes:
    """Dashed runs along the rows: box int[n,4] is x0, y0, x1, y1; beat float[n] is the usual step from dash to dash in pixels, 0 where there is none."""

    box: np.ndarray
    beat: np.ndarray


def thin_strokes(grey: np.ndarray, text_height: float, polarity: int) -> np.ndarray:
    """uint8[H,W], 1 where the picture is darker (polarity 1) or lighter (-1) than the paper a dash's thickness above and below."""
    reach = max(3, round(THICKNESS * text_height))
    padded = cv2.copyMakeBorder(grey, reach, reach, 0, 0, cv2.BORDER_REPLICATE)
    above, below = padded[: -2 * reach], padded[2 * reach :]
    ridge = cv2.subtract(cv2.min(above, below), grey) if polarity > 0 else cv2.subtract(grey, cv2.max(above, below))
    return np.greater(ridge, LEAST_CONTRAST).view(np.uint8)


def beat_of(profile: np.ndarray) -> float:
    """The usual step between the starts of the dashes in a run bool[n], in pixels; 0 where the steps are not even."""
    starts = np.flatnonzero(np.diff(profile.astype(np.int8), prepend=0) == 1)
    if len(starts) < LEAST_DASHES:
        return 0.0
    steps = np.diff(starts)
    usual = float(np.median(steps))
    return usual if (np.abs(steps - usual) <= 1 + 0.1 * usual).mean() >= EVEN_SHARE else 0.0


def dashed_runs(strokes: np.ndarray, text_height: float) -> Dashes:
    """Runs of thin strokes uint8[H,W] along the rows, with their beats."""
    joined = cv2.morphologyEx(strokes, cv2.MORPH_CLOSE, row_element(DASH_GAP * text_height))
    runs = label_regions(cv2.morphologyEx(joined, cv2.MORPH_OPEN, row_element(SHORT * text_height)), 8)
    runs = runs[runs[:, 3] <= max(3.0, THICKNESS * text_height) + 1]
    box = np.stack([runs[:, 0], runs[:, 1], runs[:, 0] + runs[:, 2], runs[:, 1] + runs[:, 3]], axis=1)
    return Dashes(box, np.array([beat_of(strokes[y0:y1, x0:x1].max(axis=0)) for x0, y0, x1, y1 in box]))


def ink_beside(box: np.ndarray, ink: np.ndarray, text_height: float) -> float:
    """Share of a run that has ink (uint8[H,W]) right above it or right below it, whichever is more; the strokes of letters have much."""
    x0, y0, x1, y1 = box
    depth = max(3, round(THICKNESS * text_height))
    beside = (ink[max(0, y0 - 1 - depth) : max(0, y0 - 1), x0:x1], ink[y1 + 1 : y1 + 1 + depth, x0:x1])
    return max(float((band.max(axis=0, initial=0) > 0).mean()) for band in beside)


def dashed_rules(grey: np.ndarray, ink: np.ndarray, text_height: float) -> np.ndarray:
    """int[n,4]: x0, y0, x1, y1 of the dashed and dotted rules along the rows of uint8[H,W], dark or light; ink uint8[H,W] is the binary picture."""
    found = []
    for polarity in (1, -1):
        dashes = dashed_runs(thin_strokes(grey, text_height, polarity), text_height)
        even = (dashes.beat > 0) & (dashes.beat <= LONGEST_BEAT * text_height)
        beside = np.array([ink_beside(box, ink, text_height) if ok else 1.0 for box, ok in zip(dashes.box, even, strict=True)])
        even &= beside <= INK_BESIDE
        long = even & (dashes.box[:, 2] - dashes.box[:, 0] >= LONG * text_height)
        if long.any():
            beat = float(np.median(dashes.beat[long]))
            alike = even & (np.abs(dashes.beat - beat) <= max(1.0, BEAT_TOLERANCE * beat))
            on_line = (np.abs(dashes.box[:, 1][:, None] - dashes.box[long, 1][None, :]) <= SAME_LINE).any(axis=1)
            found.append(dashes.box[alike & (on_line | (beside <= FREE_INK))])
    return np.concatenate(found) if found else np.zeros((0, 4), int)


def with_dashes(rules: Rules, grey: np.ndarray, ink: np.ndarray, text_height: float) -> Rules | None:
    """The rules with dashed and dotted ones of the straightened picture uint8[H,W] drawn through; None where there are none."""
    level, upright = dashed_rules(grey, ink, text_height), dashed_rules(cv2.transpose(grey), cv2.transpose(ink), text_height)
    if len(level) + len(upright) == 0:
        return None
    mask, evidence = rules.mask.copy(), rules.evidence.copy()
    end = max(1, round(DASH_GAP * text_height / 2))
    for x0, y0, x1, y1 in level:
        mask[y0:y1, max(0, x0 - end) : x1 + end] = 255
        evidence[y0:y1, x0:x1] = 255
    for y0, x0, y1, x1 in upright:
        mask[max(0, y0 - end) : y1 + end, x0:x1] = 255
        evidence[y0:y1, x0:x1] = 255
    return replace(rules, mask=mask, evidence=evidence)
