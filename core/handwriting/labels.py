"""Head, body, tail, isolated: the turning-point rule, and labels for training from words whose characters are delimited (UNIPEN; section 2.1 of the post).

U, the uniform turning-point rule: where two letters join inside a stroke, each keeps its half of the ligature, then the turning point says how far tail and head
reach. K: only what annotators marked as ligature. Both: a side of a joined letter without a join is masked from its end to the turning point (an entry stroke at
the start of a word is no body, but nobody said that it is a head); a stroke without a join is isolated; delayed dots and bars go to the nearest letter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.handwriting.strokes import features

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


def turning_rule(strokes: Sequence[np.ndarray], dot_share: float = DOT_SHARE) -> list[np.ndarray]:
    """Classes of every point of a letter by the rule alone: the baseline of the classifier, and never more than a baseline.

    The head of its first and the tail of its last stroke by `turn`; strokes with less than `dot_share` of the ink are dots and bars, isolated.
    """
    height, length = letter_height(strokes), np.array([arc_length(s)[-1] for s in strokes])
    main = np.flatnonzero((length >= dot_share * length.sum()) | (length == length.max()))
    found = [np.full(len(s), ISOLATED) for s in strokes]
    for k in main:
        found[k][:] = BODY
    first, last = strokes[main[0]], strokes[main[-1]]
    head, tail = turn(first, height), turn(last[::-1], height)
    found[main[0]][:head] = HEAD
    found[main[-1]][len(last) - tail:] = TAIL
    return found


# Labels from words whose characters are delimited

@dataclass(frozen=True)
class Word:
    """One word as its annotators left it: strokes [n, 2]; owner int[n] for each: k of the k-th character, -1 nobody's, -2 ligature, -3 a delayed stroke."""

    strokes: list[np.ndarray]
    owner: list[np.ndarray]
    chars: Sequence[str]
    writer: str
    donor: str


@dataclass
class Piece:
    """What one stroke holds of one character: points [n, 2], when it begins (stroke, point), and how it goes on at either side.

    before, after: None where there is no join, else the number of this piece's points, from that end, that annotators call ligature (0: cut at one point).
    """

    points: np.ndarray
    begins: tuple[int, int]
    before: int | None = None
    after: int | None = None


@dataclass
class Letter:
    """One character of a word with labels: points, labels and known (False: masked) of each stroke."""

    char: str
    writer: str
    donor: str
    points: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    known: list[np.ndarray] = field(default_factory=list)


def letters_of(word: Word, kind: str = "U") -> Iterator[Letter]:
    """The joined letters of a word with labels U or K (K: letters with an annotated ligature)."""
    dots = [s for s, owner in zip(word.strokes, word.owner) if np.all(owner == -3)]
    for k, pieces in _characters(word, kind).items():
        pieces.sort(key=lambda piece: piece.begins)
        if not any(_counts(side, kind) for piece in pieces for side in (piece.before, piece.after)):
            continue
        height = letter_height([piece.points for piece in pieces])
        letter = Letter(word.chars[k], word.writer, word.donor)
        for piece in pieces:
            labels, known = _labelled(piece, height, kind)
            letter.points.append(piece.points)
            letter.labels.append(labels)
            letter.known.append(known)
        for stroke in _nearest(dots, word, k, kind):
            letter.points.append(stroke)
            letter.labels.append(np.full(len(stroke), ISOLATED))
            letter.known.append(np.ones(len(stroke), bool))
        yield letter


def _counts(side: int | None, kind: str) -> bool:
    """Whether a side is a join for these labels."""
    return side is not None and (kind == "U" or side > 0)


def _characters(word: Word, kind: str) -> dict[int, list[Piece]]:
    """Character -> its pieces, with the share of the ligatures that the labels give them (U: a half each, K: all of it to both)."""
    found: dict[int, list[Piece]] = {}
    for number, (stroke, owner) in enumerate(zip(word.strokes, word.owner)):
        edges = [0, *(np.flatnonzero(np.diff(owner)) + 1), len(owner)]
        runs = [[int(owner[a]), int(a), int(b), None, None] for a, b in zip(edges, edges[1:])]
        _mark_joins(runs, kind)
        for k, start, end, before, after in runs:
            if k >= 0:
                found.setdefault(k, []).append(Piece(stroke[start:end], (number, start), before, after))
    return found


def _mark_joins(runs: list[list], kind: str) -> None:
    """Find neighbours k, k + 1 in the runs [owner, start, end, before, after] of one stroke; let them take what they get of the ligature between them."""
    characters = [n for n, run in enumerate(runs) if run[0] >= 0]
    for one, other in zip(characters, characters[1:]):
        between = runs[one + 1:other]
        if runs[other][0] != runs[one][0] + 1 or any(run[0] != -2 for run in between):
            continue
        first, last = runs[one][2], runs[other][1]
        length = last - first
        given = (length, length) if kind == "K" else (length - length // 2, length // 2)
        runs[one][2], runs[one][4] = first + given[0], given[0]
        runs[other][1], runs[other][3] = last - given[1], given[1]


def _labelled(piece: Piece, height: float, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and known of one piece."""
    labels, known = np.full(len(piece.points), BODY), np.ones(len(piece.points), bool)
    if piece.before is None and piece.after is None:
        return np.full(len(labels), ISOLATED), known
    for side, label, way in ((piece.before, HEAD, slice(None)), (piece.after, TAIL, slice(None, None, -1))):
        reach = turn(piece.points[way], height)
        if kind == "K" and _counts(side, kind):
            reach = side
        (labels if _counts(side, kind) else known)[way][:reach] = label if _counts(side, kind) else False
    return labels, known


def _nearest(dots: list[np.ndarray], word: Word, k: int, kind: str) -> list[np.ndarray]:
    """The delayed strokes that lie nearest in x to character k."""
    if not dots:
        return []
    middles = {}
    for stroke, owner in zip(word.strokes, word.owner):
        for j in set(owner[owner >= 0].tolist()):
            middles.setdefault(j, []).extend(stroke[owner == j][:, 0].tolist())
    middles = {j: (min(xs) + max(xs)) / 2 for j, xs in middles.items()}
    return [dot for dot in dots if min(middles, key=lambda j: abs(middles[j] - (dot[:, 0].min() + dot[:, 0].max()) / 2)) == k]


# Labels at 20 points

@dataclass(frozen=True)
class Sampled:
    """A letter as the classifier meets it: features float64[20, 3], labels int64[20], known bool[20]."""

    features: np.ndarray
    labels: np.ndarray
    known: np.ndarray


def sampled(points: Sequence[np.ndarray], labels: Sequence[np.ndarray], known: Sequence[np.ndarray] | None, count: int) -> Sampled:
    """Labels carried to the sampled points: that of the nearest point as drawn, along the path."""
    seen, counts = features(points, count)
    nearest = [_nearest_points(stroke, n) for stroke, n in zip(points, counts)]
    known = known or [np.ones(len(stroke), bool) for stroke in points]
    return Sampled(seen, *(np.concatenate([values[picked] for values, picked in zip(side, nearest)]) for side in (labels, known)))


def _nearest_points(stroke: np.ndarray, count: int) -> np.ndarray:
    along = arc_length(stroke)
    wanted = np.linspace(0, along[-1], count)
    return np.abs(along[None] - wanted[:, None]).argmin(1) if count else np.zeros(0, int)
