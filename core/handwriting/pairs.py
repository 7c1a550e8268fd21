"""Every pair of letters of a hand, joined and looked at: gap, fixed points, displacement, turning angle, lines that cross or turn back and did not before."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from string import ascii_lowercase

import numpy as np

from core.handwriting.anatomy import RISING
from core.handwriting.compose import ComposeConfig, Written, compose
from core.handwriting.hand import Hand
from core.handwriting.layout import BRIDGE, LIFT, TWICE_DEG

SPIKE_DEG = 110.0
"""A turn sharper than this within a join, where neither letter had one, is a spike."""
BACKWARD = 0.1
"""x-heights to the left that a bridge may not go."""


@dataclass(frozen=True)
class PairCheck:
    """What one pair came to. crossings: how many more than the two letters have by themselves; spike: a new turn back; fixed: outer points bit-equal."""

    pair: str
    kind: str
    reason: str
    gap: float
    moved: float
    turn_deg: float
    crossings: int
    spike: bool
    fixed: bool

    @property
    def clean(self) -> bool:
        return self.kind == LIFT or (self.crossings <= 0 and not self.spike)


def all_pairs(hand: Hand, chars: str = ascii_lowercase, config: ComposeConfig = ComposeConfig()) -> Iterator[PairCheck]:
    """Check every pair of `chars` that the hand has; a pair is written as a word of its own."""
    own = [char for char in chars if hand.variants(char)]
    for left, right in product(own, own):
        yield check(compose(left + right, hand, config))


def check(written: Written, at: int = 0) -> PairCheck:
    """The join number `at` of a written text."""
    join = written.joins[at]
    left, right = written.letters[join.left].placed, written.letters[join.right].placed
    pair = left.char + right.char
    if join.kind == LIFT:
        return PairCheck(pair, LIFT, join.reason, 0.0, 0.0, 0.0, 0, False, True)
    before = [left.on_page(left.anatomy.last), right.on_page(right.anatomy.first)]
    own = before[0][:len(before[0]) - join.own_tail - join.cut], before[1][join.own_head:]
    way = np.concatenate([own[0], join.tail[:, :2], join.head[1:, :2], own[1]])
    fixed = np.array_equal(join.tail[0], join.tail_was[0]) and np.array_equal(join.head[-1], join.head_was[-1])
    drawn = np.ones(len(way) - 1, bool)  # links that are not a second time on a line drawn already
    drawn[len(own[0]):len(own[0]) + join.back] = False
    drawn[len(way) - 1 - len(own[1]) - join.lead:len(way) - 1 - len(own[1])] = False
    crossings = len(crossing(way, drawn)) - sum(len(crossing(xy)) for xy in before)
    return PairCheck(pair, join.kind, join.reason, join.gap, join.moved, join.turn_deg, crossings, _spiked(join, right.anatomy.start == RISING), fixed)


def crossing(xy: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """[n, 2] indices of the links of a polyline that cross each other at TWICE_DEG or more; counted [links]: False for links to leave out."""
    link = xy[1:] - xy[:-1]
    i, j = np.triu_indices(len(link), 2)
    if counted is not None:
        i, j = i[counted[i] & counted[j]], j[counted[i] & counted[j]]
    a, b, gap = link[i], link[j], xy[j] - xy[i]
    turn = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        s = (gap[:, 0] * b[:, 1] - gap[:, 1] * b[:, 0]) / turn
        t = (gap[:, 0] * a[:, 1] - gap[:, 1] * a[:, 0]) / turn
    steep = np.abs(turn) > np.sin(np.radians(TWICE_DEG)) * np.hypot(*a.T) * np.hypot(*b.T)
    hit = steep & (s > 1e-9) & (s < 1 - 1e-9) & (t > 1e-9) & (t < 1 - 1e-9)
    return np.column_stack([i[hit], j[hit]])


def sharpest(xy: np.ndarray) -> float:
    """Largest turn in degrees between links of a polyline, links shorter than 0.01 left out."""
    link = np.diff(xy, axis=0)
    link = link[np.hypot(*link.T) > 0.01] if len(link) else link
    if len(link) < 2:
        return 0.0
    cross, dot = link[:-1, 0] * link[1:, 1] - link[:-1, 1] * link[1:, 0], (link[:-1] * link[1:]).sum(1)
    return float(np.degrees(np.abs(np.arctan2(cross, dot)).max()))


def _spiked(join, rising: bool) -> bool:
    """A turn back inside the join that neither letter had, or a bridge that goes to the left."""
    way = np.concatenate([join.tail, join.head[1:]])[:, :2]
    had = max(sharpest(join.tail_was[:join.own_tail, :2]), sharpest(join.head_was[len(join.head) - join.own_head:, :2]))
    added = join.tail[join.own_tail - 1:, 0] if join.kind == BRIDGE and rising else join.tail[:1, 0]
    left = float(np.maximum.accumulate(added)[-1] - added[-1])
    return sharpest(way) > max(SPIKE_DEG, had + 15) or left > BACKWARD
