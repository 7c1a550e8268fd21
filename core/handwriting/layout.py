"""How two neighbouring letters meet: merge, bridge or lift, how far apart, and the points that a join may bend (gate study, section 6)."""

from dataclasses import dataclass

import numpy as np

from core.handwriting.anatomy import BAND, BANDS, BOWL, CLOSED, CURLED, FALLEN, LOOK, RISING, RUNNING, STEM, TOP, Anatomy, arc, profile
from core.handwriting.hand import Letter

MERGE, BRIDGE, LIFT = "merge", "bridge", "lift"
BRIDGE_STEP = 0.09
"""Distance of the points of a bridge, in x-heights."""
NEAR = 0.32
"""Ends nearer than this are merged as they are; further apart they get a bridge."""
CLEAR = 0.14
"""Least white between two joined bodies."""
HIGH = -0.72
"""An end above this leaves at the top of its letter."""
BODY_BANDS = slice(round((-1.1 - TOP) / BAND), round((0.15 - TOP) / BAND))


@dataclass(eq=False)
class Placed:
    """One letter of the text while it is laid out: its strokes [n, 2] (slanted and varied, own coordinates), then `x`, `y` on the page."""

    char: str
    index: int
    letter: Letter
    anatomy: Anatomy
    strokes: list[np.ndarray]
    kind: str
    borrowed: str = ""
    x: float = 0.0
    y: float = 0.0
    line: int = 0

    def on_page(self, k: int) -> np.ndarray:
        return self.strokes[k] + (self.x, self.y)

    def main(self) -> list[np.ndarray]:
        return [xy for k, xy in enumerate(self.strokes) if k not in self.anatomy.delayed]

    def body(self, side: int, bare: bool) -> np.ndarray:
        """Edge of the main strokes per band; bare: without what may bend on that side."""
        a, main = self.anatomy, self.main()
        if bare and side > 0 and a.tail:
            main[-1] = main[-1][:-a.tail]
        if bare and side < 0 and a.head:
            main[0] = main[0][a.head:]
        return profile(main, side)


@dataclass(frozen=True)
class Meeting:
    """What was decided for a pair: kind and why; distance: x of the right letter's origin minus the left one's."""

    kind: str
    reason: str
    distance: float


def decide(left: Placed, right: Placed, join: bool) -> Meeting:
    """Merge, bridge or lift, as a person would, and how far apart; spacing 1."""
    why = _why_lift(left, right, join)
    if why:
        return Meeting(LIFT, why, 0.0)
    end, rise = _leaving(left), _leaving(left)[1] - _arriving(left, right)[1]
    distance = end[0] - _arriving(left, right)[0] + _room(left, right, rise)
    gap = right.body(-1, True)[BODY_BANDS] + distance - left.body(1, True)[BODY_BANDS]
    distance += max(0.0, CLEAR - float(np.min(gap, initial=np.inf)))
    bridged = left.anatomy.end == CURLED or right.anatomy.start == STEM or abs(rise) > NEAR
    return Meeting(BRIDGE if bridged else MERGE, _reason(left, right), distance)


def _why_lift(left: Placed, right: Placed, join: bool) -> str:
    """Why the pen is lifted between two letters; empty where it is not."""
    a, b = left.anatomy, right.anatomy
    if not join:
        return "letters are written alone"
    if "print" in (left.kind, right.kind):
        return "a print hand lifts the pen"
    if not (left.char.isalpha() and right.char.isalpha()):
        return "not a letter"
    if right.char.isupper():
        return "a capital starts anew"
    if a.end == FALLEN:
        return f"{left.char} ends where nothing goes on"
    if b.start == CLOSED:
        return f"{right.char} starts where nothing leads to"
    mixed = "mixed" in (left.kind, right.kind)
    if mixed and (a.end == CURLED or _leaving(left)[1] < HIGH):
        return f"{left.char} offers no stroke to go on with"
    return ""


def _reason(left: Placed, right: Placed) -> str:
    way_out = {RUNNING: "runs out", CURLED: "goes back along its bowl"}[left.anatomy.end]
    way_in = {RISING: "comes in rising", BOWL: "is entered over the top of its bowl", STEM: "is entered at the top of its stem"}[right.anatomy.start]
    return f"{left.char} {way_out}, {right.char} {way_in}"


def _leaving(left: Placed) -> np.ndarray:
    """The point at which the pen leaves a letter."""
    xy = left.strokes[left.anatomy.last]
    return xy[-1 - left.anatomy.back] if left.anatomy.end == CURLED else xy[-1]


def _entry(left: Placed, right: Placed) -> int:
    """For a bowl: along how many of its points the pen comes in, so that it goes on smoothly from the left letter's end."""
    xy, lead = right.strokes[right.anatomy.first], right.anatomy.lead
    wanted = min(_leaving(left)[1] - 0.22, -0.35)
    top = int(xy[:lead + 1, 1].argmin())
    low = max(top + 1, 2)
    return low + int(np.abs(xy[low:lead + 1, 1] - wanted).argmin()) if low <= lead else lead


def _arriving(left: Placed, right: Placed) -> np.ndarray:
    """The point at which the pen reaches the right letter (own coordinates)."""
    xy = right.strokes[right.anatomy.first]
    return xy[_entry(left, right)] if right.anatomy.start == BOWL else xy[0]


def _room(left: Placed, right: Placed, rise: float) -> float:
    """How far the pen goes to the right between leaving and arriving: more where it has to climb or to sink."""
    if right.anatomy.start == BOWL:
        return 0.1 + 0.35 * max(rise - 0.22, 0) + 0.25 * max(-rise, 0)
    if right.anatomy.start == STEM:
        return float(np.clip(0.45 * rise, 0.12, 0.6)) if rise > 0 else 0.25
    return float(np.clip(0.45 * rise, 0, 0.6)) if rise > 0.05 else min(0.45 * -rise, 0.45)


def white(left: Placed, right: Placed, gap: float) -> float:
    """Distance of two letters between which the pen is lifted: `gap` of white where they are nearest (bands of 0.15 x-heights, each with its neighbours)."""
    a, b = profile(left.main(), 1), profile(right.main(), -1)
    a = np.maximum(np.maximum(a, np.r_[-np.inf, a[:-1]]), np.r_[a[1:], -np.inf])
    b = np.minimum(np.minimum(b, np.r_[np.inf, b[:-1]]), np.r_[b[1:], np.inf])
    nearest = float((a - b).max())
    widest = float(a.max() - b.min())
    return (max(nearest, widest - 0.9) if np.isfinite(nearest) else widest - 0.15) + gap


# ---------------------------------------------------------------- the points of a join

@dataclass(frozen=True, eq=False)
class Ends:
    """What a join bends: tail and head [n, 3] (x, y, pressure) on the page, tail[0] and head[-1] fixed.

    own_tail, own_head: how many of them are points of the letters (at the start of tail, at the end of head); the others were added (bridge, way along a bowl).
    """

    tail: np.ndarray
    head: np.ndarray
    own_tail: int
    own_head: int


def ends(left: Placed, right: Placed, kind: str) -> Ends:
    """The points of the join of two placed letters."""
    tail, own_tail = _tail(left)
    head, own_head = _head(left, right)
    if kind == BRIDGE or np.hypot(*(head[0] - tail[-1])[:2]) > 2 * NEAR:
        added = _bridge(left, right, tail, head)
        tail = np.concatenate([tail, added])
    return Ends(tail, head, own_tail, own_head)


def _column(placed: Placed, k: int) -> np.ndarray:
    return np.column_stack([placed.on_page(k), placed.letter.ink.strokes[k].pressure])


def _tail(left: Placed) -> tuple[np.ndarray, int]:
    a = left.anatomy
    points = _column(left, a.last)
    if a.end == CURLED:
        return points[-1 - a.back:][::-1], 1
    return points[-1 - a.tail:], a.tail + 1


def _head(left: Placed, right: Placed) -> tuple[np.ndarray, int]:
    a = right.anatomy
    points = _column(right, a.first)
    if a.start == BOWL:
        return points[:_entry(left, right) + 1][::-1], 1
    return points[:a.head + 1], a.head + 1


def _heading(points: np.ndarray, look: float = LOOK * 0.7) -> np.ndarray:
    """Unit vector of the last `look` of arc length."""
    back = points[::-1, :2]
    k = min(int(np.searchsorted(arc(back), look)) + 1, len(back) - 1)
    step = back[0] - back[k]
    size = float(np.hypot(*step))
    return step / size if size > 1e-9 else np.array([1.0, 0.0])


def _bridge(left: Placed, right: Placed, tail: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Points from the tail's end (left out) to the head's start (held): a cubic Hermite curve that leaves and arrives in the letters' own directions."""
    p0, p1 = tail[-1], head[0]
    out = _heading(tail) if len(tail) > 1 else np.array([1.0, 0.0])
    way = p1[:2] - p0[:2]
    size = float(np.hypot(*way))
    if p0[1] - left.y < HIGH and out[0] < 0.75 and way[1] > -0.1:
        out = np.array([0.85, 0.53])  # from the top of w or v the pen turns and dips
    if right.anatomy.start == STEM:
        arrive = np.array([0.5, -0.87]) if way[1] < -0.15 else np.array([0.95, 0.3])
    else:
        arrive = -_heading(head[::-1])
    t = np.linspace(0, 1, max(3, round(1.1 * size / BRIDGE_STEP) + 1))[1:, None]
    h00, h10, h01, h11 = 2 * t**3 - 3 * t**2 + 1, t**3 - 2 * t**2 + t, -2 * t**3 + 3 * t**2, t**3 - t**2
    xy = h00 * p0[:2] + h10 * size * out + h01 * p1[:2] + h11 * size * arrive
    return np.column_stack([xy, p0[2] + t * (p1[2] - p0[2])])
