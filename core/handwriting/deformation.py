"""Trace deformation (section 2.2 of the post): the tail of one letter and the head of the next bend until they meet; one tridiagonal system for x, y and pressure.

The chain of points is the tail, then the head; its first and last point are fixed. With p_i as drawn, f_i as found, link i from point i to i + 1:
E = w_connection |f_m - f_m+1|^2 + SUM_(links but m) s_i |(f_i+1 - f_i) - t_i|^2 + w_displacement SUM |f_i - p_i|^2, in x-heights, at about 9 points per x-height.
t_i is the letter's own link p_i+1 - p_i, so that smoothness acts on the displacement and loops stay loops; within BEND links of the join t passes over from one
letter to the other, so that the direction does not break. s_i = w_smoothness x mean(b) / b_i with b_i = sin^2 over the chain: a link gives way as b_i, nothing at
the fixed ends, so that no kink moves there. dE/df = 0 is symmetric, tridiagonal and positive definite: one solution, O(N). "merge" is the limit
w_connection -> infinity taken exactly: f_m and f_m+1 become one unknown and the gap is 0 to the last bit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from core.errors import ConfigError, InputError
from core.handwriting.kernels import solve_tridiagonal

MODES = ("merge", "solve")
CAP = 0.8
"""x-heights a point may move; a join that needs more is refused (lift the pen)."""
BEND = 4
"""Links to either side of the join over which the direction passes over; the links at the fixed ends stay."""
PASSES = 8
"""Passes of (1/4, 1/2, 1/4) over the links there."""


@dataclass(frozen=True)
class Weights:
    """Weights of the three terms, each above 0 (connection matters in "solve" only). Raises ConfigError for others.

    smoothness / displacement says how far from the join a letter gives way: about its root in points.
    """

    connection: float = 1000.0
    smoothness: float = 5.0
    displacement: float = 0.05

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (isinstance(value, int | float) and 1e-9 <= value <= 1e9):
                raise ConfigError(f"The weight of {name} is {value}; it takes a number from 0.000000001 to 1,000,000,000.")


@dataclass(frozen=True)
class Terms:
    """The energy where it sits: connection (the one link m), smoothness float64[m + n - 2] (links of the tail, then of the head),
    displacement float64[m + n] (points of the tail, then of the head)."""

    connection: float
    smoothness: np.ndarray
    displacement: np.ndarray

    @property
    def total(self) -> float:
        return self.connection + float(self.smoothness.sum() + self.displacement.sum())


@dataclass(frozen=True)
class Joined:
    """What a join made of two letters.

    tail float64[m, k], head float64[n, k]; gap: distance of their ends (0.0 in "merge"); moved: the largest displacement of a point, x-heights.
    fits is False where a point would have moved by more than the cap: then tail and head are as given, and moved says what it would have taken.
    """

    tail: np.ndarray
    head: np.ndarray
    gap: float
    moved: float
    fits: bool
    terms: Terms


def join(tail: np.ndarray, head: np.ndarray, weights: Weights = Weights(), mode: str = "merge", cap: float = CAP) -> Joined:
    """Bend the end of one letter and the start of the next until they meet.

    tail [m, k] and head [n, k], 1 or more points each in the order of drawing: columns x, y, in x-heights, then what goes along (pressure).
    tail[0] and head[-1] stay, bit by bit. Raises ConfigError for a mode or cap that is none, InputError for points that do not fit.
    """
    return join_batch([(tail, head)], weights, mode, cap)[0]


def join_batch(pairs: Sequence[tuple[np.ndarray, np.ndarray]], weights: Weights = Weights(), mode: str = "merge", cap: float = CAP) -> list[Joined]:
    """join for many pairs with one call of the solver: the same bits as one by one. All pairs have the same columns."""
    if mode not in MODES:
        raise ConfigError(f"The mode of a join is {' or '.join(MODES)}, not {mode!r}.")
    if not cap > 0:
        raise ConfigError(f"The cap on displacement is above 0 x-heights, not {cap:g}.")
    pairs = [(_points(tail, "tail"), _points(head, "head")) for tail, head in pairs]
    if len({part.shape[1] for pair in pairs for part in pair}) > 1:
        raise InputError("Tails and heads differ in their columns; give x, y and pressure for all of them, or x and y.")
    return [_joined(chain, weights, mode, cap) for chain in _solved([_Chain.of(*pair, weights, mode) for pair in pairs])]


def _points(value, name: str) -> np.ndarray:
    points = np.asarray(value, float)
    if points.ndim != 2 or not len(points) or points.shape[1] < 2 or not np.isfinite(points).all():
        raise InputError(f"The {name} of a join is {list(points.shape)} numbers; it takes one or more points of finite x and y.")
    return points


@dataclass
class _Chain:
    """One join as a chain of `count` points of which the first and last are fixed.

    drawn [count, k]; wanted [count - 1, k]: t_i; stiff [count - 1]: weights of the links; anchor [count]: weights of the displacement;
    found [count, k] once solved. In "merge" the meeting point stands once, between the two that were drawn, with twice the weight.
    """

    tail: np.ndarray
    head: np.ndarray
    drawn: np.ndarray
    wanted: np.ndarray
    stiff: np.ndarray
    anchor: np.ndarray
    found: np.ndarray | None = None

    @classmethod
    def of(cls, tail: np.ndarray, head: np.ndarray, weights: Weights, mode: str) -> "_Chain":
        m, links = len(tail), len(tail) + len(head) - 2
        wanted = _passing_over(np.concatenate([tail[1:] - tail[:-1], head[1:] - head[:-1]]), m - 1)
        stiff = weights.smoothness * _stiffness(links)
        if mode == "solve":
            drawn, anchor = np.concatenate([tail, head]), np.full(links + 2, weights.displacement)
            wanted = np.concatenate([wanted[:m - 1], np.zeros((1, tail.shape[1])), wanted[m - 1:]])
            stiff = np.concatenate([stiff[:m - 1], [weights.connection], stiff[m - 1:]])
        else:
            drawn, anchor = np.concatenate([tail, head[1:]]), np.full(links + 1, weights.displacement)
            drawn[m - 1] = _meeting(tail, head)
            anchor[m - 1] *= 2
        return cls(tail, head, drawn, wanted, stiff, anchor)


def _meeting(tail: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Where the merged point stands before the solve: half way, or on the one point that must not move."""
    if len(tail) == 1:
        return tail[0]
    return head[0] if len(head) == 1 else (tail[-1] + head[0]) / 2


def _passing_over(links: np.ndarray, at: int) -> np.ndarray:
    """The links t [n, k] with the break between at - 1 and at smoothed; links further away than BEND stay, and those at the fixed ends where there are others."""
    low, high = max(at - BEND, min(1, at - 1), 0), min(at + BEND, max(len(links) - 1, at + 1), len(links))
    if not low < at < high:
        return links
    smooth = links.copy()
    smooth[low:high] = _smoothing(low > 0, high - low, high < len(links)) @ links[max(low - 1, 0):high + 1]
    return smooth


@lru_cache
def _smoothing(before: bool, count: int, after: bool) -> np.ndarray:
    """PASSES of (1/4, 1/2, 1/4) as one matrix [count, before + count + after]; the links beside the window are held, at an end of all links nothing is beside it."""
    size = before + count + after
    once = np.eye(size)
    for i in range(before, before + count):
        for beside in (i - 1, i + 1):
            if 0 <= beside < size:
                once[i, i] -= 0.25
                once[i, beside] += 0.25
    return np.linalg.matrix_power(once, PASSES)[before:before + count]


@lru_cache
def _stiffness(links: int) -> np.ndarray:
    """mean(b) / b_i with b_i = sin^2(pi (i + 1/2) / links)."""
    give = np.sin(np.pi * (np.arange(links) + 0.5) / max(links, 1)) ** 2
    return give.mean() / give if links else give


def _solved(chains: list[_Chain]) -> list[_Chain]:
    """Find every chain's points: the displacements u of the free points solve T u = b, all systems in one call, padded with rows of the identity."""
    free = max((len(chain.drawn) - 2 for chain in chains), default=0)
    if free > 0:
        columns = chains[0].drawn.shape[1]
        beside, diagonal, rhs = np.zeros((len(chains), free - 1)), np.ones((len(chains), free)), np.zeros((len(chains), free, columns))
        for row, chain in enumerate(chains):
            n = max(len(chain.drawn) - 2, 0)
            pull = chain.stiff[:, None] * (chain.wanted - (chain.drawn[1:] - chain.drawn[:-1]))
            diagonal[row, :n] = chain.anchor[1:1 + n] + chain.stiff[:n] + chain.stiff[1:1 + n]
            beside[row, :n - 1 if n else 0] = -chain.stiff[1:n]
            rhs[row, :n] = pull[:n] - pull[1:1 + n]
        moves = solve_tridiagonal(beside, diagonal, beside, rhs)
    for row, chain in enumerate(chains):
        chain.found = chain.drawn.copy()
        if len(chain.drawn) > 2:
            chain.found[1:-1] += moves[row, :len(chain.drawn) - 2]
    return chains


def _joined(chain: _Chain, weights: Weights, mode: str, cap: float) -> Joined:
    """Split a solved chain, or refuse it where a point moves further than the cap (or where two single points have nothing to bend)."""
    m, shared = len(chain.tail), mode == "merge"
    tail, head = chain.found[:m].copy(), chain.found[m - shared:].copy()
    moves = np.concatenate([tail - chain.tail, head - chain.head])
    moved = float(np.hypot(moves[:, 0], moves[:, 1]).max())
    fits = moved <= cap and np.array_equal(tail[0], chain.tail[0]) and np.array_equal(head[-1], chain.head[-1])
    if not fits:
        tail, head, moves = chain.tail.copy(), chain.head.copy(), np.zeros_like(moves)
    gap = math.hypot(*(tail[-1] - head[0])[:2])
    own = np.ones(len(chain.stiff), bool) if shared else np.arange(len(chain.stiff)) != m - 1
    links = np.concatenate([tail[1:] - tail[:-1], head[1:] - head[:-1]]) - chain.wanted[own]
    return Joined(tail, head, gap, moved, bool(fits), Terms(
        0.0 if shared and fits else weights.connection * gap ** 2,
        chain.stiff[own] * (links ** 2).sum(1), weights.displacement * (moves ** 2).sum(1)))
