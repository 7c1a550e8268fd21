"""What the table model's input and its heads' answer are, whoever runs the net: no torch here.

The answer in one pass is ours: runs of the separator profiles are rows and columns, the merge head joins places of the grid they make.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from core.table.table import Table
from core.table.tokens import cell_choices, table_of, to_tokens

STRIDE = 4
"""Pixels per row or column token."""
BIN = 2
"""Pixels per place of a PAPP token."""
UNIT = 32
"""Sides of an input are multiples of this."""
OUTER = 3
"""Pixels outside the outermost ink where the first row and column begin (model pixels)."""

GAP = 0.5
"""A line of pixels from this probability on lies between bands."""
JOINED = 0.6
"""A separator across which the merge head joins places with this mean probability is none; chosen on held-out drawings (0.55 to 0.7 differ little)."""


# Input

def fitting(height: int, width: int, scale: float, low: int = 160, high: int = 640, area: float = 4e5) -> tuple[int, int]:
    """Input sides (multiples of 32, low to high) nearest to `scale` times the picture, at most about `area` pixels; small sides are enlarged."""
    scale = min(scale, math.sqrt(area / (height * width)))
    return tuple(int(np.clip(round(side * scale / UNIT), low // UNIT, high // UNIT)) * UNIT for side in (height, width))


def inked(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 [height, width], grey -> uint8 `size`: 0 where there is paper, up to 255 where there is ink; light-on-dark pictures are turned round."""
    shrink = size[0] < grey.shape[0] or size[1] < grey.shape[1]
    small = cv2.resize(grey, size[::-1], interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    return small if np.median(small) < 110 else 255 - small


# Answer

def separators(gaps: np.ndarray, size: int) -> np.ndarray:
    """One place per gap: its middle; for the outer two, a little outside the table. [n, 2] -> [n]"""
    places = gaps.mean(1)
    places[0], places[-1] = max(gaps[0, 1] - OUTER, 0), min(gaps[-1, 0] + OUTER, size)
    return places


def bins(places: np.ndarray, count: int) -> list[int]:
    """PAPP places of the first separator to the last but one: growing whole numbers below `count`."""
    found = np.clip((places[:-1] / BIN).astype(int), 0, count - 1)
    steps = np.arange(len(found))
    found = np.maximum.accumulate(found - steps) + steps
    return np.minimum(found, count - len(found) + steps).tolist()


def gaps_of(logits: np.ndarray, threshold: float = GAP) -> np.ndarray:
    """float [bands + 1, 2]: the gaps before, between and after the runs of pixels that belong to a band. logits [size]"""
    inside = np.concatenate([[0], (logits < np.log(threshold / (1 - threshold))).astype(int), [0]])
    changes = np.flatnonzero(np.diff(inside))
    if not len(changes):
        changes = np.array([0, len(logits)])
    return np.concatenate([[0], changes, [len(logits)]]).reshape(-1, 2).astype(float)


def legal_grid(scores: np.ndarray) -> list[list[int]]:
    """C L U X of each place, the best that the grammar allows, in reading order. scores [4, rows, cols]"""
    grid: list[list[int]] = []
    for r in range(scores.shape[1]):
        row: list[int] = []
        for k in range(scores.shape[2]):
            choices = cell_choices(row[-1] if row else None, grid[-1][k] if grid else None)
            row.append(max(choices, key=lambda t: scores[t, r, k]))
        grid.append(row)
    return grid


@dataclass(frozen=True)
class HeadsAnswer:
    """What the separator and merge heads say: the structure, its separators in input pixels, and the least sure cell's probability.

    places  float [rows, cols]: probability of what the table says at each place
    """

    table: Table
    ys: np.ndarray
    xs: np.ndarray
    tokens: tuple[int, ...]
    confidence: float
    places: np.ndarray


def shares_of(logits: np.ndarray) -> np.ndarray:
    """Probabilities of C L U X at each place. [4, rows, cols]"""
    shares = np.exp(logits - logits.max(0))
    return shares / shares.sum(0)


def joined_across(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How likely the merge head joins what lies on both sides of each inner separator: mean probabilities [rows - 1], [cols - 1]. logits [4, rows, cols]"""
    shares = shares_of(logits)
    return (shares[2] + shares[3])[1:].mean(1), (shares[1] + shares[3])[:, 1:].mean(0)


def answer_of(row_gaps: np.ndarray, col_gaps: np.ndarray, merge: Callable[[np.ndarray, np.ndarray], np.ndarray], threshold: float = GAP) -> HeadsAnswer:
    """The structure that separator logits [height], [width] and the merge head say.

    A separator across which the merge head joins nearly everything is none: it is taken out, and the merge head looks again.
    merge  separators ys [rows + 1], xs [cols + 1] in input pixels -> logits [4, rows, cols]; called once, or again without such separators
    """
    sizes = len(row_gaps), len(col_gaps)
    edges = [separators(gaps_of(line, threshold), size) for line, size in zip((row_gaps, col_gaps), sizes)]
    logits = merge(*edges)
    kept = [np.concatenate([[True], share < JOINED, [True]]) for share in joined_across(logits)]
    if not all(line.all() for line in kept):
        edges = [places[line] for places, line in zip(edges, kept)]
        logits = merge(*edges)
    grid, shares = legal_grid(logits), shares_of(logits)
    table = table_of(grid)
    tokens = tuple(to_tokens(table, *(bins(line, size // BIN) for line, size in zip(edges, sizes))))
    return HeadsAnswer(table, *edges, tokens, float(shares.max(0).min()), np.take_along_axis(shares, np.array(grid)[None], 0)[0])
