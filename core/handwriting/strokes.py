"""Digital ink as the composer sees it: strokes of (x, y, t, pressure), checked when made; resampling and normalisation (2.1 of the post)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import InputError, LimitError

MOST_POINTS, MOST_STROKES = 20_000, 5_000
LARGEST_COORDINATE = 1e7
UNKNOWN_PRESSURE = 0.5
MOST_SAMPLED_STROKES = 5
"""A letter is sampled over its longest five strokes: 20 points do not carry more."""


@dataclass(frozen=True, eq=False)
class Stroke:
    """One pen-down movement: xy [n, 2] (x right, y down), t_s [n] seconds (never falling), pressure [n] in [0, 1]; float64, read only.

    `Stroke.of(xy)` fills in unknown times (0.01 s apart) and pressures (0.5).
    Raises InputError for no point, a number that is not finite or too large, a falling clock, columns of unequal length.
    """

    xy: np.ndarray
    t_s: np.ndarray
    pressure: np.ndarray

    def __post_init__(self) -> None:
        xy, t_s, pressure = (_column(name, getattr(self, name)) for name in ("xy", "t_s", "pressure"))
        if xy.ndim != 2 or xy.shape[1:] != (2,) or t_s.shape != xy.shape[:1] or pressure.shape != xy.shape[:1]:
            raise InputError(f"A stroke has {xy.shape} coordinates, {t_s.shape} times and {pressure.shape} pressures; "
                             "it takes x and y, a time and a pressure for each point.")
        if not len(xy):
            raise InputError("A stroke has no point; leave it out or draw it again.")
        if np.abs(xy).max() > LARGEST_COORDINATE:
            raise InputError(f"A stroke reaches {np.abs(xy).max():.3g}, and the limit is {LARGEST_COORDINATE:.0e}; save the ink in smaller units.")
        if np.any(np.diff(t_s) < 0):
            raise InputError("The times of a stroke run backwards; save the points in the order they were drawn.")
        if pressure.min() < 0 or pressure.max() > 1:
            raise InputError(f"A pressure is {pressure.min() if pressure.min() < 0 else pressure.max():.3g}; it has to lie between 0 and 1.")
        for name, value in (("xy", xy), ("t_s", t_s), ("pressure", pressure)):
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.xy)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stroke) and all(np.array_equal(getattr(self, name), getattr(other, name)) for name in ("xy", "t_s", "pressure"))

    @classmethod
    def of(cls, xy, t_s=None, pressure=None) -> "Stroke":
        """A stroke from points alone: times 0.01 s apart and pressure 0.5 where they are not known."""
        xy = _column("xy", xy)
        count = len(xy) if xy.ndim else 0
        return cls(xy, np.arange(count) * 0.01 if t_s is None else t_s, np.full(count, UNKNOWN_PRESSURE) if pressure is None else pressure)

    @property
    def length(self) -> float:
        """Arc length, in the unit of the coordinates."""
        return float(np.hypot(*np.diff(self.xy, axis=0).T).sum())

    def moved(self, dx: float, dy: float = 0.0, dt_s: float = 0.0) -> "Stroke":
        return Stroke(self.xy + (dx, dy), self.t_s + dt_s, self.pressure)


def _column(name: str, value) -> np.ndarray:
    try:
        found = np.array(value, dtype=float)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"The {name} of a stroke hold something that is not a number; save the ink again.") from None
    if not np.isfinite(found).all():
        raise InputError(f"The {name} of a stroke hold {found[~np.isfinite(found)][0]}; every coordinate, time and pressure has to be a finite number.")
    return found


@dataclass(frozen=True)
class Ink:
    """Strokes in the order they were drawn: at least one, at most 20,000 points in all.

    Raises InputError for an empty pad, LimitError for too much ink.
    """

    strokes: tuple[Stroke, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "strokes", tuple(self.strokes))
        if not self.strokes:
            raise InputError("The pad is empty; draw something first.")
        points = sum(map(len, self.strokes))
        if points > MOST_POINTS or len(self.strokes) > MOST_STROKES:
            raise LimitError(f"The ink has {points:,} points in {len(self.strokes):,} strokes, and the limit is {MOST_POINTS:,} points in {MOST_STROKES:,} strokes; "
                             "draw or send less at once.")

    @property
    def points(self) -> int:
        return sum(map(len, self.strokes))

    @property
    def xy(self) -> np.ndarray:
        """All points [n, 2], stroke after stroke."""
        return np.concatenate([stroke.xy for stroke in self.strokes])

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom)."""
        xy = self.xy
        return (*map(float, xy.min(0)), *map(float, xy.max(0)))

    @property
    def duration_s(self) -> float:
        return max(stroke.t_s[-1] for stroke in self.strokes) - min(stroke.t_s[0] for stroke in self.strokes)

    def scaled(self, factor: float, dx: float = 0.0, dy: float = 0.0) -> "Ink":
        """Every point times `factor`, then moved by (dx, dy)."""
        return Ink(tuple(Stroke(s.xy * factor + (dx, dy), s.t_s, s.pressure) for s in self.strokes))


def resample(xy: np.ndarray, count: int) -> np.ndarray:
    """[count, 2] points at equal steps of arc length along xy [n, 2]; first and last kept. A stroke without length gives its point `count` times."""
    xy = np.asarray(xy, float)
    steps = np.hypot(*np.diff(xy, axis=0).T)
    along = np.r_[0.0, np.cumsum(steps)]
    if along[-1] <= 0:
        return np.repeat(xy[:1], count, axis=0)
    return np.column_stack([np.interp(np.linspace(0, along[-1], count), along, xy[:, k]) for k in (0, 1)])


def point_counts(strokes: Sequence[np.ndarray], count: int) -> list[int]:
    """How many of `count` points each stroke gets: by arc length, at least two each for the longest five, none for the others."""
    lengths = np.array([np.hypot(*np.diff(xy, axis=0).T).sum() for xy in strokes])
    kept = sorted(np.argsort(-lengths, kind="stable")[:MOST_SAMPLED_STROKES])
    share = lengths[kept] / lengths[kept].sum() if lengths[kept].sum() > 0 else np.full(len(kept), 1 / len(kept))
    ideal = 2 + share * (count - 2 * len(kept))
    given = np.floor(ideal).astype(int)
    for k in np.argsort(-(ideal - given), kind="stable")[:count - given.sum()]:
        given[k] += 1
    counts = [0] * len(strokes)
    for k, n in zip(kept, given, strict=True):
        counts[k] = int(n)
    return counts


def pen_states(counts: Sequence[int]) -> np.ndarray:
    """[sum(counts)] 1 while the pen stays down to the next point, 0 at the last point of each stroke."""
    pen = np.ones(sum(counts))
    pen[np.cumsum([n for n in counts if n]) - 1] = 0
    return pen


def normalise(xy: np.ndarray) -> np.ndarray:
    """Points centred on their box and divided by half its larger side: [-1, 1]; a letter without size is all zero."""
    low, high = xy.min(0), xy.max(0)
    half = (high - low).max() / 2
    return (xy - (low + high) / 2) / (half if half > 0 else 1.0)


def features(strokes: Sequence[np.ndarray], count: int) -> tuple[np.ndarray, list[int]]:
    """What the point classifier sees of one letter: [count, 3] x, y, pen state; and how many of these points each stroke gave."""
    counts = point_counts(strokes, count)
    sampled = np.concatenate([resample(xy, n) for xy, n in zip(strokes, counts, strict=True) if n])
    return np.column_stack([normalise(sampled), pen_states(counts)]), counts
