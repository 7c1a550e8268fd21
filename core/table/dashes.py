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
LONG, SHORT = 4.5, 1.2
"""Text heights: a dashed rule shows its beat on a long run; shorter ones count with the beat of the long ones."""
EVEN_SHARE = 0.7
"""Share of the steps from dash to dash that must be the usual step, give or take a pixel and a tenth; crossings disturb the others."""
LEAST_DASHES = 3
"""Dashes in a run without which there is no beat."""
LEAST_LONG = 2
"""Long dashed rules without which there is no dashed table."""
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
    """Runs along the rows.

    box     int[n,4]: x0, y0, x1, y1
    beat    float[n]: usual step from dash to dash in pixels, 0 where there is none
    beside  float[n]: share of the run that has ink right above or below it
    """

    box: np.ndarray
    beat: np.ndarray
    beside: np.ndarray


def thin_strokes(grey: np.ndarray, text_height: float, polarity: int) -> np.ndarray:
    """uint8[H,W], 1 where the picture is darker (polarity 1) or lighter (-1) than the paper a dash's thickness above and below."""
    reach = max(3, round(THICKNESS * text_height))
    padded = cv2.copyMakeBorder(grey, reach, reach, 0, 0, cv2.BORDER_REPLICATE)
    above, below = padded[: -2 * reach], padded[2 * reach :]
    ridge = cv2.subtract(cv2.min(above, below), grey) if polarity > 0 else cv2.subtract(grey, cv2.max(above, below))
    return np.greater(ridge, LEAST_CONTRAST).view(np.uint8)


def beats(box: np.ndarray, strokes: np.ndarray) -> np.ndarray:
    """float[n]: the usual step between the starts of the dashes in each run int[n,4] of uint8[H,W], in pixels, 0 where the steps are not even.

    All runs are laid end to end and measured at once, as a page of text has hundreds of them.
    """
    count = len(box)
    length = box[:, 2] - box[:, 0]
    run = np.repeat(np.arange(count), length)
    offset = np.arange(len(run)) - np.repeat(np.cumsum(length) - length, length)
    drawn = strokes[((box[:, 1] + box[:, 3] - 1) // 2)[run], box[run, 0] + offset] > 0
    starts = np.flatnonzero(drawn & (~np.concatenate([[False], drawn[:-1]]) | (offset == 0)))
    same = run[starts[1:]] == run[starts[:-1]]
    step, owner = np.diff(starts)[same], run[starts[1:]][same]
    steps = np.bincount(owner, minlength=count)
    usual = np.zeros(count)
    measured = steps >= LEAST_DASHES - 1
    usual[measured] = step[np.lexsort((step, owner))][(np.cumsum(steps) - steps + steps // 2)[measured]]
    even = np.bincount(owner, weights=np.abs(step - usual[owner]) <= 1 + 0.1 * usual[owner], minlength=count) / np.maximum(steps, 1)
    return np.where(measured & (even >= EVEN_SHARE), usual, 0.0)


def dashed_runs(strokes: np.ndarray, text_height: float) -> np.ndarray:
    """int[n,4]: x0, y0, x1, y1 of the runs of thin strokes uint8[H,W] along the rows, breaks between them closed."""
    joined = cv2.morphologyEx(strokes, cv2.MORPH_CLOSE, row_element(DASH_GAP * text_height))
    runs = label_regions(cv2.morphologyEx(joined, cv2.MORPH_OPEN, row_element(SHORT * text_height)), 8)
    runs = runs[runs[:, 3] <= max(3.0, THICKNESS * text_height) + 1]
    return np.stack([runs[:, 0], runs[:, 1], runs[:, 0] + runs[:, 2], runs[:, 1] + runs[:, 3]], axis=1)


def measure_runs(box: np.ndarray, strokes: np.ndarray, ink: np.ndarray, text_height: float) -> Dashes:
    """Beat and surroundings of the runs int[n,4]."""
    beat = beats(box, strokes)
    beat[beat > LONGEST_BEAT * text_height] = 0.0
    return Dashes(box, beat, np.array([ink_beside(b, ink, text_height) if even else 1.0 for b, even in zip(box, beat, strict=True)]))


def ink_beside(box: np.ndarray, ink: np.ndarray, text_height: float) -> float:
    """Share of a run that has ink (uint8[H,W]) right above it or right below it, whichever is more; the strokes of letters have much."""
    x0, y0, x1, y1 = box
    depth = max(3, round(THICKNESS * text_height))
    beside = (ink[max(0, y0 - 1 - depth) : max(0, y0 - 1), x0:x1], ink[y1 + 1 : y1 + 1 + depth, x0:x1])
    return max(float((band.max(axis=0, initial=0) > 0).mean()) for band in beside)


def dashed_rules(grey: np.ndarray, ink: np.ndarray, text_height: float) -> np.ndarray:
    """int[n,4]: x0, y0, x1, y1 of the dashed and dotted rules along the rows of uint8[H,W], dark or light; ink uint8[H,W] is the binary picture."""
    found = [_rules_of_polarity(thin_strokes(grey, text_height, polarity), ink, text_height) for polarity in (1, -1)]
    return np.concatenate(found)


def _rules_of_polarity(strokes: np.ndarray, ink: np.ndarray, text_height: float) -> np.ndarray:
    """int[n,4]: the long dashed runs among thin strokes, and the short ones that keep their beat; the long ones are sought first, as most pictures have none."""
    box = dashed_runs(strokes, text_height)
    is_long = box[:, 2] - box[:, 0] >= LONG * text_height
    long = measure_runs(box[is_long], strokes, ink, text_height)
    sure = (long.beat > 0) & (long.beside <= INK_BESIDE)
    if sure.sum() < LEAST_LONG:
        return box[:0]
    usual = float(np.median(long.beat[sure]))
    runs = measure_runs(box, strokes, ink, text_height)
    alike = (runs.beat > 0) & (np.abs(runs.beat - usual) <= max(1.0, BEAT_TOLERANCE * usual))
    on_line = (np.abs(box[:, 1][:, None] - long.box[sure, 1][None, :]) <= SAME_LINE).any(axis=1)
    return box[alike & (runs.beside <= np.where(on_line, INK_BESIDE, FREE_INK))]


def with_dashes(rules: Rules, grey: np.ndarray, ink: np.ndarray, text_height: float) -> Rules | None:
    """The rules with dashed and dotted ones of the straightened picture uint8[H,W] drawn through; None where no level one is dashed."""
    level = dashed_rules(grey, ink, text_height)
    if len(level) == 0:
        return None
    upright = dashed_rules(cv2.transpose(grey), cv2.transpose(ink), text_height)
    mask, evidence = rules.mask.copy(), rules.evidence.copy()
    end = max(1, round(DASH_GAP * text_height / 2))
    for x0, y0, x1, y1 in level:
        mask[y0:y1, max(0, x0 - end) : x1 + end] = 255
        evidence[y0:y1, x0:x1] = 255
    for y0, x0, y1, x1 in upright:
        mask[max(0, y0 - end) : y1 + end, x0:x1] = 255
        evidence[y0:y1, x0:x1] = 255
    return replace(rules, mask=mask, evidence=evidence)
