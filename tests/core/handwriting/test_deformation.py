"""The join of two letters: against a dense solve and BFGS, its limits, what stays bit by bit, and what moves with the page."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from core.errors import ConfigError, InputError
from core.handwriting.deformation import BEND, Weights, join, join_batch

MODES = pytest.mark.parametrize("mode", ["merge", "solve"])


def ends(seed=0, m=9, n=7, gap=0.4, columns=3):
    """A tail that rises to the right and a head that goes on from about there, with some unsteadiness."""
    rng = np.random.default_rng(seed)
    s, r = np.linspace(0, 1, m), np.linspace(0, 0.8, n)
    tail, head = np.column_stack([s, -0.3 * s ** 2]), np.column_stack([1 + gap + 0.4 * r, -0.2 - r])
    tail, head = (part + 0.02 * rng.standard_normal(part.shape) for part in (tail, head))
    return tuple(np.column_stack([part, rng.uniform(0.2, 0.8, (len(part), columns - 2))]) for part in (tail, head))


def energy(points, tail, head, joined_terms):
    """The objective written out once more, from points [m + n, k]: own links, with the targets that the smoothness terms of an identity would show."""
    m, stiff, wanted, weights = len(tail), *joined_terms
    links = np.concatenate([np.diff(points[:m], axis=0), np.diff(points[m:], axis=0)])
    return (weights.connection * ((points[m - 1] - points[m]) ** 2).sum() + (stiff[:, None] * (links - wanted) ** 2).sum()
            + weights.displacement * ((points - np.concatenate([tail, head])) ** 2).sum())


def objective(tail, head, weights):
    """Stiffness and wanted links of the join, told from the formula and not from the module: sin^2 and eight passes of (1/4, 1/2, 1/4)."""
    links, at = np.concatenate([np.diff(tail, axis=0), np.diff(head, axis=0)]), len(tail) - 1
    give = np.sin(np.pi * (np.arange(len(links)) + 0.5) / len(links)) ** 2
    wanted = links.copy()
    for _ in range(8):
        before = wanted.copy()
        for i in range(max(at - BEND, 1), min(at + BEND, len(links) - 1)):
            wanted[i] = 0.25 * before[i - 1] + 0.5 * before[i] + 0.25 * before[i + 1]
    return weights.smoothness * give.mean() / give, wanted, weights


@pytest.mark.parametrize("weights", [Weights(), Weights(20, 2, 0.3), Weights(1, 0.5, 2)])
def test_the_solve_is_the_minimum(weights):
    """BFGS from the letters as drawn finds nothing lower, and the same points."""
    tail, head = ends(columns=2)
    terms, drawn = objective(tail, head, weights), np.concatenate([tail, head])

    def cost(free):
        return energy(np.concatenate([drawn[:1], free.reshape(-1, 2), drawn[-1:]]), tail, head, terms)

    joined = join(tail, head, weights, "solve")
    found = np.concatenate([joined.tail, joined.head])
    best = minimize(cost, drawn[1:-1].ravel(), method="BFGS", options=dict(gtol=1e-9))
    assert cost(found[1:-1].ravel()) <= best.fun * (1 + 1e-9)
    np.testing.assert_allclose(found[1:-1].ravel(), best.x, atol=2e-5)
    assert joined.terms.total == pytest.approx(cost(found[1:-1].ravel()), rel=1e-9)


@MODES
def test_the_solve_equals_a_dense_one(mode):
    """The Hessian and gradient of the objective by differences of a quadratic, exact but for rounding; "merge" with the two ends as one unknown."""
    tail, head = ends(3, columns=2)
    weights = Weights(50, 5, 0.05)
    terms, m = objective(tail, head, weights), len(tail)
    drawn = np.concatenate([tail, head])
    size = len(drawn) - 2 - (mode == "merge")
    spread = np.zeros((len(drawn), size))
    for k in range(1, len(drawn) - 1):
        spread[k, k - 1 - (mode == "merge" and k >= m)] = 1
    start = np.zeros_like(drawn)
    start[[0, -1]] = drawn[[0, -1]]

    def cost(free):
        points = start.copy()
        points[:, 0] += spread @ free
        return energy(points, tail, head, terms)

    unit = np.eye(size)
    zero, single = cost(np.zeros(size)), np.array([cost(e) for e in unit])
    hessian = np.array([[cost(a + b) for b in unit] for a in unit]) - single[:, None] - single[None] + zero
    gradient = single - zero - np.diag(hessian) / 2
    assert np.linalg.eigvalsh(hessian).min() >= 2 * weights.displacement * (1 - 1e-6)
    assert np.abs(hessian[np.abs(np.subtract.outer(range(size), range(size))) > 1]).max() < 1e-8
    joined = join(tail, head, weights, mode)
    np.testing.assert_allclose(np.concatenate([joined.tail, joined.head])[1:-1, 0], (spread @ np.linalg.solve(hessian, -gradient))[1:-1], atol=1e-10)


@given(seed=st.integers(0, 2 ** 32 - 1), m=st.integers(1, 14), n=st.integers(1, 14), gap=st.floats(-0.5, 0.7))
@settings(max_examples=40, deadline=None)
@MODES
def test_what_every_join_promises(mode, seed, m, n, gap):
    tail, head = ends(seed, m, n, gap)
    joined = join(tail, head, mode=mode)
    assert np.array_equal(joined.tail[0], tail[0]) and np.array_equal(joined.head[-1], head[-1])
    assert joined.tail.shape == tail.shape and joined.head.shape == head.shape and np.isfinite(joined.terms.total)
    moves = np.concatenate([joined.tail - tail, joined.head - head])[:, :2]
    assert np.hypot(*moves.T).max() <= 0.8
    if joined.fits and mode == "merge":
        assert joined.gap == 0 and np.array_equal(joined.tail[-1], joined.head[0])
    if not joined.fits:
        assert np.array_equal(joined.tail, tail) and np.array_equal(joined.head, head)


@MODES
def test_pairs_together_have_the_bits_of_pairs_alone(mode):
    pairs = [ends(k, 1 + k % 7, 1 + k % 5, 0.1 * k) for k in range(1, 12)]
    for pair, found in zip(pairs, join_batch(pairs, mode=mode)):
        alone = join(*pair, mode=mode)
        assert np.array_equal(alone.tail, found.tail) and np.array_equal(alone.head, found.head) and alone.moved == found.moved and alone.fits == found.fits
    assert join_batch([], mode=mode) == []


@MODES
def test_reversed_letters_are_joined_the_same(mode):
    tail, head = ends(5)
    one, other = join(tail, head, mode=mode), join(head[::-1], tail[::-1], mode=mode)
    np.testing.assert_allclose(other.tail[::-1], one.head, atol=1e-12)
    np.testing.assert_allclose(other.head[::-1], one.tail, atol=1e-12)


@MODES
def test_a_join_moves_turns_and_grows_with_the_page(mode):
    tail, head = ends(6, columns=2)
    c, s = np.cos(0.7), np.sin(0.7)
    placed = [1.7 * part @ np.array([[c, s], [-s, c]]) + (30, -4) for part in (tail, head)]
    one, other = join(tail, head, mode=mode), join(*placed, mode=mode, cap=2)
    np.testing.assert_allclose(other.tail, 1.7 * one.tail @ np.array([[c, s], [-s, c]]) + (30, -4), atol=1e-12)
    np.testing.assert_allclose(other.head, 1.7 * one.head @ np.array([[c, s], [-s, c]]) + (30, -4), atol=1e-12)


def test_pressure_goes_along_and_changes_nothing_else():
    tail, head = ends(7)
    with_pressure, without = join(tail, head), join(tail[:, :2], head[:, :2])
    assert np.array_equal(with_pressure.tail[:, :2], without.tail) and with_pressure.moved == without.moved
    assert with_pressure.tail[-1, 2] == with_pressure.head[0, 2] and 0 < with_pressure.tail[-1, 2] < 1


def test_limits_of_the_weights():
    """A heavy connection is the exact merge; a heavy displacement leaves the letters alone but for the meeting point."""
    tail, head = ends(8, columns=2)
    merged, near = join(tail, head), join(tail, head, Weights(connection=1e9), "solve")
    assert near.gap < 1e-8
    np.testing.assert_allclose(near.tail, merged.tail, atol=1e-7)
    stiff = join(tail, head, Weights(1, 1e-6, 1e6), "solve")
    np.testing.assert_allclose(stiff.tail, tail, atol=1e-5)
    gaps = [join(tail, head, Weights(connection=w), "solve").gap for w in (1, 10, 100, 1000)]
    assert gaps == sorted(gaps)[::-1] and gaps[-1] < 0.01 * gaps[0]


def test_ends_that_meet_already_in_one_direction_stay():
    line = np.column_stack([np.linspace(0, 2, 21), np.zeros(21)])
    joined = join(line[:11], line[10:])
    assert joined.moved < 1e-12 and joined.terms.total < 1e-20


def test_the_direction_does_not_break_at_the_join_nor_at_the_fixed_ends():
    """Two lines, 0.3 apart and 60 degrees from each other: the turn spreads over the join instead of standing in one point."""
    tail = np.column_stack([np.linspace(0, 1, 12), np.zeros(12)])
    head = np.column_stack([np.linspace(0, 0.5, 12), -np.linspace(0, 0.866, 12)]) + (1.2, -0.25)
    joined = join(tail, head)
    links = np.diff(np.concatenate([tail[:1] - (0.09, 0), joined.tail, joined.head[1:], head[-1:] + (0.045, -0.078)]), axis=0)
    turns = np.abs(np.diff(np.unwrap(np.arctan2(links[:, 1], links[:, 0]))))
    assert np.degrees(turns.max()) < 20 and np.degrees(turns[[0, -1]]).max() < 3


@MODES
def test_a_join_beyond_the_cap_is_refused_whole(mode):
    tail, head = ends(9, gap=3.0)
    joined = join(tail, head, mode=mode)
    assert not joined.fits and joined.moved > 0.8 and np.array_equal(joined.tail, tail) and np.array_equal(joined.head, head) and joined.gap > 2
    assert join(tail, head, mode=mode, cap=5).fits


@pytest.mark.parametrize("tail", [np.zeros((0, 2)), np.zeros(4), np.zeros((3, 1)), np.array([[0, np.nan]]), np.zeros((3, 3))])
def test_points_that_do_not_fit_are_refused(tail):
    with pytest.raises(InputError):
        join(tail, np.zeros((3, 2)))


def test_settings_out_of_range_are_refused():
    tail, head = ends()
    for wrong in (dict(mode="glue"), dict(cap=0.0), dict(cap=float("nan"))):
        with pytest.raises(ConfigError):
            join(tail, head, **wrong)
    for wrong in (0.0, -1.0, float("nan"), 1e12, "1"):
        with pytest.raises(ConfigError):
            Weights(displacement=wrong)
