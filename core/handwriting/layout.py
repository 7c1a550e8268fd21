"""How two neighbouring letters meet: merge, bridge or lift, how far apart, and the points that a join may bend (gate study, section 6)."""

from dataclasses import dataclass

import numpy as np

from core.handwriting.anatomy import BAND, BOWL, CLOSED, CLOSING, CURLED, FALLEN, LOOK, RISING, RUNNING, STANDING, STEM, TOP, Anatomy, arc, profile
from core.handwriting.hand import Letter

MERGE, BRIDGE, LIFT = "merge", "bridge", "lift"
BRIDGE_STEP = 0.09
"""Distance of the points of a bridge, in x-heights."""
NEAR = 0.32
"""Ends nearer than this are merged as they are; further apart they get a bridge."""
MOST_FALL = 0.85
"""An end that is at most this much higher than the start of the next letter is merged with it: both give way."""
SPREAD = 0.1
"""x-heights that joined letters stand further apart than their strokes need: with it, words are as wide as those of five real writers, and nearest in style."""
CLEAR = 0.14
"""Least white between two joined bodies."""
CLIMB = 0.22
"""x-heights the pen climbs to meet a bowl or a stem."""
BESIDE = 0.03
"""Least white between a tail and the bowl or stem it goes to."""
HIGH = -0.72
"""An end above this leaves at the top of its letter."""
MOST_RISE = 0.7
"""A writer who joins only some letters does not climb more than this (x-heights) to the next."""
LOW = 0.1
"""A capital that ends below this is left as it is."""
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
    end, rise = _leaving(left, right), _leaving(left, right)[1] - _arriving(left, right)[1]
    distance = end[0] - _arriving(left, right)[0] + _room(right, rise)
    edge = right.body(-1, True)[BODY_BANDS]
    distance = max(distance, CLEAR - float(np.min(edge - left.body(1, True)[BODY_BANDS], initial=np.inf)))
    if right.anatomy.start != RISING:  # a tail must not run into the bowl it is going to meet
        out = _heading(left.strokes[left.anatomy.last])[0]
        beside = BESIDE + 0.25 * max(out - 0.6, 0.0)  # flat tails need room to turn up
        distance = max(distance, beside - float(np.min(edge - _spread(left.body(1, False), 1)[BODY_BANDS], initial=np.inf)))
    if left.anatomy.end != RUNNING:  # the way out lies beside or under the letter: nothing of the next letter may
        out = _heading(left.strokes[left.anatomy.last])[0]
        beside = BESIDE + 0.25 * max(out - 0.6, 0.0)  # flat tails need room to turn up
        distance = max(distance, beside - float(np.min(right.body(-1, False)[BODY_BANDS] - _spread(left.body(1, False), 1)[BODY_BANDS], initial=np.inf)))
    bridged = left.anatomy.end != RUNNING or right.anatomy.start != RISING or not -MOST_FALL < rise < NEAR
    return Meeting(BRIDGE if bridged else MERGE, _reason(left, right), distance + SPREAD)


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
    if left.char.isupper() and (a.end != RUNNING or not HIGH < _leaving(left, right)[1] < LOW):
        return f"{left.char} ends with a flourish of its own"
    mixed, leaving = "mixed" in (left.kind, right.kind), _leaving(left, right)[1]
    if mixed and (a.end != RUNNING or leaving < HIGH or leaving - _arriving(left, right)[1] > MOST_RISE):
        return f"{left.char} offers no stroke to go on with"
    return ""


def _reason(left: Placed, right: Placed) -> str:
    way_out = {RUNNING: "runs out", STANDING: "ends on the line", CLOSING: "ends at the top of its bowl", CURLED: "goes back along its bowl"}[left.anatomy.end]
    way_in = {RISING: "comes in rising", BOWL: "is entered over the top of its bowl", STEM: "is entered at the top of its stem"}[right.anatomy.start]
    return f"{left.char} {way_out}, {right.char} {way_in}"


def _leaving(left: Placed, right: Placed) -> np.ndarray:
    """The point at which the pen leaves a letter."""
    xy = left.strokes[left.anatomy.last]
    return xy[-1 - left.anatomy.back] if left.anatomy.end == CURLED else xy[-1 - _cut(left, right)]


def _cut(left: Placed, right: Placed) -> int:
    """Points at the end of a rising tail that are left out, because the next letter starts lower (e): as many as lie above its start, four stay."""
    a, b = left.anatomy, right.anatomy
    if a.end != RUNNING or b.start != RISING or a.tail < 6 or left.strokes[a.last][-1, 1] < HIGH:
        return 0  # the last upstroke of w or v is no tail to shorten
    tail, start = left.strokes[a.last][-a.tail:], right.strokes[b.first][0, 1]
    rising = (np.diff(tail[3:, 1]) < 0).all() and tail[3, 1] > start
    return min(int((tail[:, 1] < start - 0.03).sum()), a.tail - 4) if rising else 0


def _entry(left: Placed, right: Placed) -> int:
    """For a bowl or stem: the point of it the pen comes to, to go up to its start from there: a little higher than where it left the letter before."""
    xy, lead = right.strokes[right.anatomy.first], right.anatomy.lead
    leaving, top = _leaving(left, right)[1], int(xy[:lead + 1, 1].argmin())
    if right.anatomy.start == STEM and leaving < xy[top, 1] + 0.3:
        return 0  # from so high the pen goes to the top itself
    wanted = min(leaving - CLIMB, -0.35)
    low = max(top + 1, 2)
    return low + int(np.abs(xy[low:lead + 1, 1] - wanted).argmin()) if low <= lead else lead


def _arriving(left: Placed, right: Placed) -> np.ndarray:
    """The point at which the pen reaches the right letter (own coordinates)."""
    xy = right.strokes[right.anatomy.first]
    return xy[0] if right.anatomy.start == RISING else xy[_entry(left, right)]


def _room(right: Placed, rise: float) -> float:
    """How far the pen goes to the right between leaving and arriving: more where it has to climb or to sink."""
    if right.anatomy.start != RISING:
        return 0.1 + 0.4 * max(rise - CLIMB, 0) + 0.25 * max(-rise, 0)
    return float(np.clip(0.45 * rise, 0, 0.6)) if rise > 0.05 else min(0.3 * -rise, 0.45)


def white(left: Placed, right: Placed, gap: float) -> float:
    """Distance of two letters between which the pen is lifted: `gap` of white where they are nearest (bands of 0.15 x-heights, each with its neighbours)."""
    a, b = _spread(profile(left.main(), 1), 1), _spread(profile(right.main(), -1), -1)
    nearest = float((a - b).max())
    widest = float(a.max() - b.min())
    return (max(nearest, widest - 1.3) if np.isfinite(nearest) else widest - 0.15) + gap


def _spread(edge: np.ndarray, side: int) -> np.ndarray:
    """Each band with its neighbours: the outermost of the three."""
    outer, none = (np.maximum, -np.inf) if side > 0 else (np.minimum, np.inf)
    return outer(outer(edge, np.r_[none, edge[:-1]]), np.r_[edge[1:], none])


# ---------------------------------------------------------------- the points of a join

@dataclass(frozen=True, eq=False)
class Ends:
    """The points of a join, [n, 3] each (x, y, pressure), on the page, in the order of drawing: back, tail | head, lead.

    tail, head   what may bend; tail[0] and head[-1] are fixed
    back, lead   ways along lines that are drawn already, exactly on them: back from a curled end, up to the start of a bowl or stem
    own_tail, own_head   how many points at the start of (back, tail) and at the end of (head, lead) the letters drew themselves
    cut          points at the end of the left letter that are left out
    """

    back: np.ndarray
    tail: np.ndarray
    head: np.ndarray
    lead: np.ndarray
    own_tail: int
    own_head: int
    cut: int = 0


def ends(left: Placed, right: Placed, kind: str) -> Ends:
    """The points of the join of two placed letters."""
    out, into = _column(left, left.anatomy.last), _column(right, right.anatomy.first)
    none = out[:0]
    cut = _cut(left, right)
    back, tail, own_tail = none, out[len(out) - 1 - left.anatomy.tail:len(out) - cut], left.anatomy.tail + 1 - cut
    if left.anatomy.end == CURLED:
        back, tail, own_tail = out[len(out) - left.anatomy.back:][::-1], out[len(out) - 1 - left.anatomy.back:][:1], 1
    head, lead, own_head = into[:right.anatomy.head + 1], none, right.anatomy.head + 1
    if right.anatomy.start != RISING:
        way = into[:_entry(left, right) + 1][::-1]
        head, lead, own_head = way[:1], way[1:], 1
    if kind == BRIDGE or abs(head[0, 0] - tail[-1, 0]) > 2 * NEAR:
        tail = np.concatenate([tail, _bridge(left, right, np.concatenate([back, tail]), np.concatenate([head, lead]))])
    return Ends(back, tail, head, lead, own_tail, own_head, cut)


def _column(placed: Placed, k: int) -> np.ndarray:
    return np.column_stack([placed.on_page(k), placed.letter.ink.strokes[k].pressure])


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
    if left.anatomy.end == STANDING:
        out = np.array([0.55, 0.45])
    elif left.anatomy.end == CLOSING:
        out = np.array([0.95, 0.2])
    elif p0[1] - left.y < HIGH and out[0] < 0.75 and way[1] > -0.1:
        out = np.array([0.85, 0.53])  # from the top of w or v the pen turns and dips
    arrive = -_heading(head[::-1]) if len(head) > 1 else np.array([0.97, 0.26])
    t = np.linspace(0, 1, max(3, round(1.1 * size / BRIDGE_STEP) + 1))[1:, None]
    h00, h10, h01, h11 = 2 * t**3 - 3 * t**2 + 1, t**3 - 2 * t**2 + t, -2 * t**3 + 3 * t**2, t**3 - t**2
    xy = h00 * p0[:2] + h10 * size * out + h01 * p1[:2] + h11 * size * arrive
    return np.column_stack([xy, p0[2] + t * (p1[2] - p0[2])])


TWICE_DEG = 20.0
"""Lines that cross at less than this are one line drawn twice."""


def crosses(way: np.ndarray, line: np.ndarray) -> bool:
    """Whether two polylines [n, 2] and [m, 2] cross, ends left out, at TWICE_DEG or more."""
    a, b = (way[1:] - way[:-1])[:, None], (line[1:] - line[:-1])[None]
    gap = line[None, :-1] - way[:-1, None]
    turn = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        s = (gap[..., 0] * b[..., 1] - gap[..., 1] * b[..., 0]) / turn
        t = (gap[..., 0] * a[..., 1] - gap[..., 1] * a[..., 0]) / turn
    steep = np.abs(turn) > np.sin(np.radians(TWICE_DEG)) * np.hypot(a[..., 0], a[..., 1]) * np.hypot(b[..., 0], b[..., 1])
    return bool((steep & (s > 1e-9) & (s < 1 - 1e-9) & (t > 1e-9) & (t < 1 - 1e-9)).any())
