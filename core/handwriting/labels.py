"""Head, body, tail, isolated: the turning-point rule, and labels for training from words whose characters are delimited (UNIPEN; section 2.1 of the post).

U, the uniform turning-point rule: where two letters join inside a stroke, each keeps its half of the ligature, then the turning point says how far tail and head
reach. K: only what annotators marked as ligature. Both: a side of a joined letter without a join is masked from its end to the turning point (an entry stroke at
the start of a word is no body, but nobody said that it is a head); a stroke without a join is isolated; delayed dots and bars go to the nearest letter.
"""

from collections.abc import Sequence

import numpy as np

HEAD, BODY, TAIL, ISOLATED = range(4)
CLASSES = ("head", "body", "tail", "isolated")
REVERSAL = 0.06
"""Share of the letter's height by which the pen has to turn back up or down before a turning point counts."""
LONGEST_SHARE = 0.45
"""Share of a stroke's length that a head or tail may take at most."""
DOT_SHARE = 0.4
"""Share of a letter's ink below which the rule takes a further stroke for a dot or bar."""


# The turning-point rule

def arc_length(points: np.ndarray) -> np.ndarray:
    """Length of the path up to each point, float64[n], from 0."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])


def letter_height(strokes: Sequence[np.ndarray]) -> float:
    """max(height, width / 2) of a letter: what the rule measures turns by."""
    low, high = np.min([s.min(0) for s in strokes], axis=0), np.max([s.max(0) for s in strokes], axis=0)
    return max(float(high[1] - low[1]), float(high[0] - low[0]) / 2, 1e-9)


def turn(points: np.ndarray, height: float) -> int:
    """How many points from the start come before the first turning point of y: where the pen has gone back by more than 6 % of the height.

    points [n, 2], y smoothed over 3 points; at most 45 % of the length; 0 for a single point. Reverse the points for the other end.
    """
    count = len(points)
    if count < 2:
        return 0
    y = points[:, 1].copy()
    y[1:-1] = (y[:-2] + y[1:-1] + y[2:]) / 3
    length = arc_length(points)
    most = int(np.searchsorted(length, LONGEST_SHARE * length[-1], side="right"))
    return min(_extremum(y, REVERSAL * height), most)


def _extremum(y: np.ndarray, least: float) -> int:
    """Index of the extremum where y first turns back by more than `least`, after it has gone that far at all; len(y) where there is none."""
    high = low = way = 0
    for i in range(1, len(y)):
        high, low = (i if y[i] > y[high] else high), (i if y[i] < y[low] else low)
        if way >= 0 and y[high] - y[i] > least:
            if way:
                return high
            way, low = -1, i
        elif way <= 0 and y[i] - y[low] > least:
            if way:
                return low
            way, high = 1, i
    return len(y)


def turning_rule(strokes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Classes of every point of a letter by the rule alone: the baseline of the classifier, and never more than a baseline.

    The head of its first and the tail of its last stroke by `turn`; strokes with less than 40 % of the ink are dots and bars, isolated.
    """
    height, length = letter_height(strokes), np.array([arc_length(s)[-1] for s in strokes])
    main = np.flatnonzero((length >= DOT_SHARE * length.sum()) | (length == length.max()))
    found = [np.full(len(s), ISOLATED) for s in strokes]
    for k in main:
        found[k][:] = BODY
    first, last = strokes[main[0]], strokes[main[-1]]
    head, tail = turn(first, height), turn(last[::-1], height)
    found[main[0]][:head] = HEAD
    found[main[-1]][len(last) - tail:] = TAIL
    return found
