"""What a letter offers its neighbours: where the pen comes in and goes out, which strokes wait for the end of the word, how wide its body is.

The point classifier says how many points of a letter may bend; it finds a head and a tail on every letter, so what kind of start and end they are is told
here from the pen's way: what the composer needs beyond section 2.1 of the post.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.handwriting.hand import Hand, Letter
from core.handwriting.segmentation import Parts, parts_of

RISING, BOWL, STEM, CLOSED = "H", "O", "S", "-"
"""Starts: a stroke that comes in from the left and rises; inside, at the top of a bowl, going left; the top of a stem, going down; anything else."""
RUNNING, STANDING, CLOSING, CURLED, FALLEN = "T", "D", "C", "B", "X"
"""Ends: running out to the right; coming down to the line at the right (n, h without a foot); closing a bowl at its top (o); curled back at the line
(b, p, s), so that the pen can return along it; anything else (under the line, at the left)."""
LOOK = 0.28
"""Arc length, in x-heights, over which the direction of a start or end is told."""
LONGEST_SHARE, LONGEST = 0.35, 1.3
"""A head or tail is at most this share of the ink and this long (x-heights)."""
SHORTEST_POINTS = 4
MOST_COMPARED = 2000
"""Points of a stroke that are compared with each other; no letter at 12 points an x-height has more."""
BAND = 0.15
TOP, BOTTOM = -2.6, 1.6
BANDS = round((BOTTOM - TOP) / BAND)


@dataclass(frozen=True)
class Anatomy:
    """Of one letter of a hand; counts are points of the strokes named.

    first, last   strokes that carry the start and the end; delayed: strokes written after the word
    head, tail    how many points at the start of `first` and the end of `last` may bend (0: none)
    start, end    what kind they are (H O S -, T D C B X)
    lead          for a bowl how many points from its start to its left edge, for a stem those of its top: along them the pen may come in, backwards
    back          for a curled end: how many points the pen may return along before it leaves to the right
    """

    first: int
    last: int
    delayed: tuple[int, ...]
    head: int
    tail: int
    start: str
    end: str
    lead: int = 0
    back: int = 0

    @property
    def main(self) -> range:
        return range(self.first, self.last + 1)


def anatomies(hand: Hand, letters: Sequence[Letter]) -> list[Anatomy]:
    """The anatomy of each letter; each letter of a hand is looked at once, all new ones in one call of the classifier."""
    known = hand.__dict__.setdefault("_anatomies", {})  # a frozen hand may remember what follows from it
    new = {id(letter): letter for letter in letters if id(letter) not in known}
    if new:
        strokes = [[stroke.xy for stroke in letter.ink.strokes] for letter in new.values()]
        for letter, xy, parts in zip(new.values(), strokes, parts_of(strokes), strict=True):
            known[id(letter)] = (anatomy(xy, parts), letter)  # the letter is kept, so that its id stays its own
    return [known[id(letter)][0] for letter in letters]


def anatomy(strokes: Sequence[np.ndarray], parts: Parts) -> Anatomy:
    """From the strokes of a letter ([n, 2], x-heights, baseline 0) and what the classifier found."""
    delayed = _delayed(strokes)
    main = [k for k in range(len(strokes)) if k not in delayed]
    first, last = main[0], main[-1]
    left, right = _zone([strokes[k] for k in main])
    start, lead = _start(strokes[first], left)
    end, back = _end(strokes[last], right)
    head = _bounded(strokes[first], parts.head if parts.first == first else 0) if start == RISING else 0
    tail = _bounded(strokes[last][::-1], parts.tail if parts.last == last else 0) if end == RUNNING else 0
    room = max(len(strokes[first]) - 2, 0)
    if first == last and head + tail > room:
        head, tail = head * room // (head + tail), tail * room // (head + tail)
    return Anatomy(first, last, delayed, head, tail, start, end, lead, back)


def arc(xy: np.ndarray) -> np.ndarray:
    link = xy[1:] - xy[:-1]
    return np.concatenate([[0.0], np.cumsum(np.sqrt((link * link).sum(1)))])


def _delayed(strokes: Sequence[np.ndarray]) -> tuple[int, ...]:
    """Strokes for after the word: dots, and what follows the last stroke that runs out to the right without doing so itself (bar of t, second stroke of x)."""
    size = np.array([arc(xy)[-1] for xy in strokes])
    longest = int(size.argmax())
    dots = {k for k, xy in enumerate(strokes) if k != longest and size[k] < 0.45 and xy[:, 1].max() < -0.9}
    right = _zone(strokes)[1]
    running = [k for k, xy in enumerate(strokes) if k not in dots and size[k] >= 0.4 * size[longest] and _end(xy, right)[0] == RUNNING]
    if running:
        dots |= {k for k in range(running[-1] + 1, len(strokes)) if size[k] < 1.05 * size[running[-1]]}
    else:
        dots |= {k for k in range(longest + 1, len(strokes)) if size[k] < 0.3 * size.sum() and np.ptp(strokes[k][:, 1]) < 0.35 * np.ptp(strokes[k][:, 0])}
    return tuple(sorted(dots - {longest}))


def _direction(xy: np.ndarray) -> np.ndarray:
    """Unit vector from the first point to where LOOK of arc length is passed."""
    k = min(int(np.searchsorted(arc(xy), LOOK)) + 1, len(xy) - 1)
    step = xy[max(k, 1)] - xy[0] if len(xy) > 1 else np.zeros(2)
    size = float(np.hypot(*step))
    return step / size if size > 0 else step


def _zone(strokes: Sequence[np.ndarray]) -> tuple[float, float]:
    """Left and right edge of what lies between the x-height and the line, where neighbours meet; of all of it where nothing does."""
    xy = np.concatenate(strokes)
    inside = xy[(xy[:, 1] > -1.1) & (xy[:, 1] < 0.15)]
    inside = inside if len(inside) else xy
    return float(inside[:, 0].min()), float(inside[:, 0].max())


def _start(xy: np.ndarray, left: float) -> tuple[str, int]:
    """Kind of start and, for bowls and stems, how many points the pen may come in along."""
    if len(xy) < 4:
        return CLOSED, 0
    x, y = _direction(xy)
    if x > 0.25 and y < 0.35 and -1.15 < xy[0, 1] < 0.15 and xy[0, 0] < left + 0.75:
        return RISING, 0
    comes_back = _comes_back(xy)
    if y > 0.5 and not comes_back and -1.3 < xy[0, 1] < -0.5:
        return STEM, int(np.searchsorted(arc(xy), 0.6))
    if (x < -0.2 or comes_back) and -1.35 < xy[0, 1] < -0.35:
        reach = int(np.searchsorted(arc(xy), 2.4))
        least = np.minimum.accumulate(xy[:max(reach, 2), 0])
        back = np.flatnonzero(xy[:len(least), 0] > least + 0.03)
        return BOWL, int(xy[:back[0] if len(back) else len(least), 0].argmin())
    return CLOSED, 0


def _comes_back(xy: np.ndarray) -> bool:
    """Whether the pen returns to where it started after a round of 1.5 to 4.5 x-heights above the line: a bowl."""
    low, high = np.searchsorted(arc(xy), [1.5, 4.5])
    below = np.flatnonzero(xy[:, 1] > 0.3)
    away = xy[low:min(high, below[0]) if len(below) else high] - xy[0]
    return bool(len(away)) and float((away * away).sum(1).min()) < 0.3 ** 2


def _end(xy: np.ndarray, right: float) -> tuple[str, int]:
    """Kind of end and, for a curled one, how many points the pen may return along before it leaves to the right."""
    if len(xy) < 4:
        return FALLEN, 0
    x, y = -_direction(xy[::-1])
    last = xy[-1]
    if x > 0.3 and y < 0.75 and -1.3 < last[1] < 0.75 and last[0] > right - 0.4:
        return RUNNING, 0
    if y < -0.6 and -1.3 < last[1] < -0.6 and last[0] > right - 0.3:
        return RUNNING, 0  # w, v: the last upstroke
    if y > 0.6 and x > -0.45 and abs(last[1]) < 0.3 and last[0] > right - 0.35:
        return STANDING, 0
    if last[1] < -0.65 and last[1] < xy[:, 1].min() + 0.3 and xy[:, 1].max() < 0.3 and _comes_back(xy[::-1]):
        return CLOSING, 0
    back = _way_back(xy) if x < 0.3 and -0.75 < last[1] < 0.4 else 0
    return (CURLED, back) if back else (FALLEN, 0)


def _way_back(xy: np.ndarray) -> int:
    """Points to return along from a curled end: to the furthest one near the line where the way back runs to the right, flat or gently rising; 0 for none."""
    back = xy[::-1]
    reach = min(int(np.searchsorted(arc(back), 1.3)), len(back) - 2)
    step = back[2:reach + 2] - back[:reach]
    good = (step[:, 0] > 0.5 * np.abs(step[:, 1])) & (step[:, 1] < 0.15 * step[:, 0]) & (back[1:reach + 1, 1] > -0.3) & (back[1:reach + 1, 1] < 0.35)
    return int(np.flatnonzero(good)[-1]) + 1 if good.any() else 0


def _bounded(xy: np.ndarray, found: int) -> int:
    """Points that may bend at the start of xy: what the classifier found, but not beyond a turn of the pen, at most 35 % of the ink, if possible four."""
    along = arc(xy)
    most = min(int(np.searchsorted(along, min(LONGEST, LONGEST_SHARE * along[-1]))), len(xy) - 2)
    turn = max(_turn(xy) - 2, 2)  # the turn itself stays as it is
    count = min(found, turn) if found else turn
    count = int(max(min(count, most), min(SHORTEST_POINTS, turn, len(xy) - 2)))
    return min(count, _drawn_twice(xy, count))


def _drawn_twice(xy: np.ndarray, count: int) -> int:
    """Points at the start of xy before the first one over which the pen comes back along the same line: bent alone, the two would come apart."""
    if len(xy) > MOST_COMPARED:
        return count
    link = np.gradient(xy, axis=0)
    link = link / np.maximum(np.hypot(*link.T), 1e-9)[:, None]
    apart = xy[:count, None] - xy[None]
    close = (apart * apart).sum(2) < 0.05 ** 2
    parallel = np.abs(link[:count] @ link.T) > 0.87
    later = np.arange(len(xy))[None] > np.arange(count)[:, None] + 6
    twice = np.flatnonzero((close & parallel & later).any(1))
    return max(int(twice[0]), 2) if len(twice) else count


def _turn(xy: np.ndarray) -> int:
    """Points until the pen first turns between up and down by more than 0.06 x-heights."""
    y = xy[:, 1] - xy[0, 1]
    rise, fall = np.maximum.accumulate(y), np.minimum.accumulate(y)
    swing = np.where(np.abs(fall) > rise, y - fall, rise - y) > 0.06
    moved = np.maximum(rise, -fall) > 0.06
    turned = np.flatnonzero(swing & moved)
    if not len(turned):
        return len(xy)
    before = y[:turned[0]]
    return int(np.abs(before).argmax())


def profile(strokes: Sequence[np.ndarray], side: int) -> np.ndarray:
    """Outermost x in each band of 0.15 x-heights, [28]: side 1 right edges (-inf where no ink), side -1 left edges (inf)."""
    xy = np.concatenate(strokes)
    band = np.clip(((xy[:, 1] - TOP) / BAND).astype(int), 0, BANDS - 1)
    edge = np.full(BANDS, -np.inf * side)
    (np.maximum if side > 0 else np.minimum).at(edge, band, xy[:, 0])
    return edge
