"""Where a letter may bend: head, body, tail or isolated for each of its 20 points (section 2.1 of the post), and what follows for the points as drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from core.handwriting.labels import BODY, HEAD, ISOLATED, TAIL, arc_length, turning_rule
from core.handwriting.strokes import features

POINTS = 20
DOT_SHARE = 0.4
"""An isolated stroke with less than this share of a letter's ink is written later (dots, bars)."""


class Classified(NamedTuple):
    """classes int64[letters, 20] (HEAD, BODY, TAIL, ISOLATED) and their probabilities float64[letters, 20, 4]."""

    classes: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class Parts:
    """What of a letter may bend, counted on its points as drawn.

    first, last: the strokes that carry the head and the tail (one stroke may carry both); head, tail: how many points at the start of `first` and at the end of
    `last` belong to them, 0 for none; delayed: strokes that are written after the word (dots, bars), in order.
    """

    first: int
    last: int
    head: int
    tail: int
    delayed: tuple[int, ...]


def classify(letters: Sequence[Sequence[np.ndarray]]) -> Classified:
    """Class and probabilities of 20 points of each letter; a letter is its strokes [n, 2] in any unit, y down, in the order drawn. No letter's name is seen."""
    found = np.array([_rule_at_points(letter) for letter in letters]).reshape(-1, POINTS)
    return Classified(found, np.eye(4)[found])


def _rule_at_points(letter: Sequence[np.ndarray]) -> np.ndarray:
    labels = turning_rule(letter)
    _, counts = features(letter, POINTS)
    picked = []
    for stroke, own, count in zip(letter, labels, counts):
        along = arc_length(stroke)
        picked += [own[np.abs(along - at).argmin()] for at in np.linspace(0, along[-1], count)]
    return np.array(picked)


def parts(strokes: Sequence[np.ndarray]) -> Parts:
    """Head, tail and delayed strokes of one letter."""
    return parts_of([strokes])[0]


def parts_of(letters: Sequence[Sequence[np.ndarray]]) -> list[Parts]:
    """Head, tail and delayed strokes of every letter, one call of the classifier for all."""
    letters = [[np.asarray(stroke, float) for stroke in letter] for letter in letters]
    return [_parts(letter, probabilities) for letter, probabilities in zip(letters, classify(letters).probabilities)]


def _parts(letter: list[np.ndarray], probabilities: np.ndarray) -> Parts:
    """The most probable reading in which every stroke is isolated or head* body+ tail*, in points as drawn."""
    _, counts = features(letter, POINTS)
    lengths = np.array([arc_length(stroke)[-1] for stroke in letter])
    starts = np.cumsum([0, *counts])
    read = [_read(probabilities[starts[k]:starts[k + 1]]) if counts[k] else None for k in range(len(letter))]
    joined = [k for k, found in enumerate(read) if found is not None]
    small = lengths < DOT_SHARE * lengths.sum()
    main = joined or [int(lengths.argmax())]
    first, last = main[0], main[-1]
    delayed = tuple(k for k in range(len(letter)) if k not in main and small[k] and k > first)
    head = _as_drawn(letter[first], counts[first], read[first][0]) if joined else 0
    tail = _as_drawn(letter[last][::-1], counts[last], read[last][1]) if joined else 0
    return Parts(first, last, head, tail, delayed)


def _read(probabilities: np.ndarray) -> tuple[int, int] | None:
    """Lengths of head and tail of one stroke, [n, 4] -> (h, t) with h + t < n; None where all of it is isolated."""
    n, logs = len(probabilities), np.log(np.maximum(probabilities, 1e-9))
    up = np.concatenate([np.zeros((1, 4)), np.cumsum(logs, axis=0)])
    head, body, tail = up[:, HEAD], up[:, BODY], up[-1, TAIL] - up[:, TAIL]
    start, end = np.mgrid[:n, 1:n + 1]
    score = np.where(start < end, head[start] + body[end] - body[start] + tail[end], -np.inf)
    best = np.unravel_index(score.argmax(), score.shape)
    return None if up[-1, ISOLATED] > score[best] else (int(best[0]), int(n - 1 - best[1]))


def _as_drawn(stroke: np.ndarray, count: int, found: int) -> int:
    """How many points as drawn lie before the middle between the sampled points found - 1 and found."""
    along = arc_length(stroke)
    return int(np.sum(along < along[-1] * (found - 0.5) / max(count - 1, 1))) if found else 0
