"""Real writers: the hand cut from half of a writer's delimited words, and the other half to be written again.

A visitor draws each letter on guide lines, whole. So are letters cut here: turned level with their word, put where that writer's letter of this kind stands, with the
dots and bars that annotators left to nobody, and of all instances those that are most like the others. Letters are cut in half of the words; nothing of the words that
are written again is in them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.handwriting.hand import DESCENDERS, X_LETTERS, Hand, Letter
from core.handwriting.labels import Word, _characters, arc_length, letters_of
from core.handwriting.metrics import turn_deg
from core.handwriting.strokes import Ink, Stroke, resample

SPACING = 1 / 9
"""x-heights between points of letters cut from words: what the joins are weighed for."""
FEWEST_JOINED, WORDS, VARIANTS = 50, 20, 3
"""Joined letters a writer has to have; words of theirs that are written again; instances of one letter that a hand keeps."""
CURSIVE = 0.6
"""A writer who joins less than this share of neighbours joins some letters only."""
MARKED = frozenset("ijtxfAEFHITX")
"""Letters with dots or bars that are strokes of their own."""
STEEPEST, OFF_LINE = 0.25, 0.15
"""Slope of a line of writing at most; x-heights that a letter without a descender stands off it at most."""
TUNED_ON = ("kai:b17087", "kai:7ca6b6", "ce:9bff73", "ce:23c5b5", "kai:4fc216")
"""Writers whose words were looked at while layout and pictures were tuned; figures for the others say what that is worth."""


@dataclass
class Joins:
    """neighbours within words, how many of them joined, the turn at each join (degrees)."""

    pairs: int
    joined: int
    turns: list[float]

    @property
    def row(self) -> dict:
        turns = np.percentile(self.turns, [50, 95]) if self.turns else [float("nan")] * 2
        return dict(joined=100 * self.joined / max(self.pairs, 1), turn_median=float(turns[0]), turn_95=float(turns[1]))


@dataclass(frozen=True)
class Writer:
    """One real writer: the hand cut from half of the words, the other half (text, strokes in x-heights), every join met in real words."""

    name: str
    hand: Hand
    words: list[tuple[str, list[np.ndarray]]]
    joins: Joins


def load_writers(data: Path, most: int) -> list[Writer]:
    """The writers with most joined letters. Raises InputError without the data."""
    from core.handwriting.train import ink_folder, load_table, strokes_of
    by_writer: dict[str, list[tuple[str, Word]]] = defaultdict(list)
    for row in load_table(ink_folder(data), "unipen_words_segmented").itertuples():
        owner = np.split(np.asarray(row.char_idx), np.cumsum(row.stroke_len)[:-1])
        if row.complete:
            by_writer[row.writer].append((row.label, Word(strokes_of(row), owner, list(row.chars), row.writer, row.contributor)))
    count = Counter({name: sum(sum(1 for _ in letters_of(word)) for _, word in words) for name, words in by_writer.items()})
    return [writer_of(name, by_writer[name]) for name, joined in count.most_common(most) if joined >= FEWEST_JOINED]


def writer_of(name: str, words: list[tuple[str, Word]]) -> Writer:
    """Letters from the words of even number, words to write again from those of odd number that need no other letters."""
    x_height = float(np.median([np.ptp(points[:, 1]) for _, word in words for k, points in _owned(word) if word.chars[k] in X_LETTERS]))
    joins = real_joins([word for _, word in words], x_height)
    kind = "cursive" if joins.joined >= CURSIVE * joins.pairs else "mixed"
    pool: dict[str, list[Cut]] = defaultdict(list)
    for _, word in words[::2]:
        for cut in cuts(word, x_height):
            pool[cut.char].append(cut)
    letters = [letter for char, found in pool.items() for letter in _letters(char, found, kind)]
    again = [(text, [s / x_height for s in word.strokes]) for text, word in words[1::2] if len(text) >= 3 and all(char in pool for char in text)]
    return Writer(name, Hand(name, tuple(letters), kind, x_height=x_height), again, joins)


# Letters from words

@dataclass(frozen=True)
class Cut:
    """One instance of a letter: strokes in x-heights, level, the line at y = 0; whether it is joined to a neighbour."""

    char: str
    strokes: list[np.ndarray]
    joined: bool

    @property
    def bottom(self) -> float:
        return max(float(stroke[:, 1].max()) for stroke in self.strokes)

    @property
    def shape(self) -> np.ndarray:
        """What instances are compared by: the way of the longest stroke, how long it is, how many there are; float64[53]."""
        longest = max(self.strokes, key=lambda stroke: arc_length(stroke)[-1])
        along = arc_length(longest)
        at = np.linspace(0, along[-1], 24)
        return np.concatenate([*(np.interp(at, along, longest[:, k]) for k in (0, 1)), np.full(4, 0.7 * len(self.strokes)), [0.4 * along[-1]]])


def cuts(word: Word, x_height: float) -> Iterator[Cut]:
    """Every character of a word with its half of each ligature and its dots and bars; nothing where no letter tells the line."""
    line = writing_line(word)
    if line is None:
        return
    found = {k: sorted(pieces, key=lambda piece: piece.begins) for k, pieces in _characters(word, "U").items()}
    strokes = {k: [piece.points for piece in pieces] for k, pieces in found.items()}
    for stroke, owner in zip(word.strokes, word.owner):
        if (owner < 0).all() and (k := _marked(stroke, word, strokes, x_height)) is not None:
            strokes[k].append(stroke)
    for k, own in strokes.items():
        if len(word.chars[k]) == 1 and word.chars[k].isprintable():
            left = min(points[:, 0].min() for points in own)
            level = [np.column_stack([points[:, 0] - left, points[:, 1] - line[0] - line[1] * points[:, 0]]) / x_height for points in own]
            yield Cut(word.chars[k], level, any(side is not None for piece in found[k] for side in (piece.before, piece.after)))


def _marked(stroke: np.ndarray, word: Word, strokes: dict[int, list[np.ndarray]], x_height: float) -> int | None:
    """The letter that a stroke of nobody's belongs to: of those with dots or bars the one whose top is nearest in x, within an x-height."""
    middle = (stroke[:, 0].min() + stroke[:, 0].max()) / 2
    tops = {}
    for k, own in strokes.items():
        if word.chars[k] in MARKED:
            points = np.concatenate(own)
            tops[k] = abs(points[points[:, 1].argmin(), 0] - middle)
    nearest = min(tops, key=tops.get, default=None)
    return nearest if nearest is not None and tops[nearest] < x_height else None


def writing_line(word: Word) -> tuple[float, float] | None:
    """(y at x = 0, slope) of the line under the letters without a descender: medians, level for fewer than three of them."""
    low = np.array([[*points[points[:, 1].argmax()], np.ptp(points[:, 1])] for k, points in _owned(word) if word.chars[k] in X_LETTERS])
    if not len(low):
        return None
    x, y, height = low.T
    i, j = np.triu_indices(len(x), 1)
    apart = x[j] - x[i]
    far = np.abs(apart) > 0.5 * np.median(height)
    slope = float(np.clip(np.median((y[j] - y[i])[far] / apart[far]), -STEEPEST, STEEPEST)) if len(x) >= 3 and far.any() else 0.0
    return float(np.median(y - slope * x)), slope


def _letters(char: str, found: list[Cut], kind: str) -> Iterator[Letter]:
    """The instances that are most like the others, each put where this writer's letter of this kind stands."""
    found = ([cut for cut in found if cut.joined] or found) if kind == "cursive" else found
    bottom = float(np.median([cut.bottom for cut in found]))
    if char.islower() and char not in DESCENDERS | set("fz"):
        bottom = float(np.clip(bottom, -OFF_LINE, OFF_LINE))
    shapes = np.array([cut.shape for cut in found])
    unlike = np.median(np.sqrt(((shapes[:, None] - shapes[None]) ** 2).mean(2)), axis=1)
    for variant, k in enumerate(np.argsort(unlike, kind="stable")[:VARIANTS]):
        placed = [stroke + (0, bottom - found[k].bottom) for stroke in found[k].strokes]
        yield Letter(char, Ink(tuple(Stroke.of(resample(s, max(round(arc_length(s)[-1] / SPACING), 1) + 1)) for s in placed)), variant)


def _owned(word: Word) -> Iterator[tuple[int, np.ndarray]]:
    for k in range(len(word.chars)):
        points = np.concatenate([s[owner == k] for s, owner in zip(word.strokes, word.owner)])
        if len(points) > 2:
            yield k, points


# Joins of real words

def real_joins(words: Sequence[Word], x_height: float) -> Joins:
    """Joins as the annotators delimit them: the middle of the ligature, or the cut."""
    found = Joins(0, 0, [])
    for word in words:
        found.pairs += len(word.chars) - 1
        for stroke, owner in zip(word.strokes, word.owner):
            along, named = arc_length(stroke) / x_height, np.flatnonzero(owner >= 0)
            for i, j in zip(named, named[1:]):
                if owner[j] == owner[i] + 1 and np.all(owner[i + 1:j] == -2):
                    found.joined += 1
                    at = (along[i] + along[j]) / 2
                    found.turns += [turn_deg(stroke / x_height, at)] if 0.2 < at < along[-1] - 0.2 else []
    return found
