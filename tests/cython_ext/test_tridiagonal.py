"""Tridiagonal systems: kernel and twin against a dense solve, the same bits alone and in a batch, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cython_ext
from cython_ext import reference

KERNELS = [pytest.param(cython_ext.solve_tridiagonal, id="kernel"), pytest.param(reference.solve_tridiagonal, id="twin")]


def systems(seed, batch, n, columns=None):
    """Bands and right-hand sides; the diagonal outweighs what stands beside it."""
    rng = np.random.default_rng(seed)
    lower, upper = rng.uniform(-1, 1, (2, batch, n - 1))
    diagonal = rng.choice([-1, 1], (batch, n)) * (2.05 + rng.random((batch, n)))
    return lower, diagonal, upper, rng.standard_normal((batch, n) if columns is None else (batch, n, columns))


def dense(lower, diagonal, upper, rhs):
    """Each system by numpy.linalg.solve."""
    found = [np.linalg.solve(np.diag(d) + np.diag(low, -1) + np.diag(up, 1), b) for low, d, up, b in zip(lower, diagonal, upper, rhs)]
    return np.reshape(found, rhs.shape)


@given(seed=st.integers(0, 2 ** 32 - 1), batch=st.integers(0, 19), n=st.integers(1, 40), columns=st.sampled_from([None, 1, 2, 3, 5]))
@settings(max_examples=40, deadline=None)
def test_kernel_and_twin_equal_a_dense_solve(seed, batch, n, columns):
    given_systems = systems(seed, batch, n, columns)
    found, wanted = cython_ext.solve_tridiagonal(*given_systems), dense(*given_systems)
    assert np.abs(found - wanted).max(initial=0) <= 1e-10
    assert np.array_equal(found, reference.solve_tridiagonal(*given_systems))


@pytest.mark.parametrize("columns", [None, 2, 3])
def test_a_system_has_the_same_bits_alone_and_in_a_batch(columns):
    lower, diagonal, upper, rhs = systems(1, 21, 17, columns)
    together = cython_ext.solve_tridiagonal(lower, diagonal, upper, rhs)
    alone = [cython_ext.solve_tridiagonal(*(values[k] for values in (lower, diagonal, upper, rhs))) for k in range(21)]
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("solve", KERNELS)
@pytest.mark.parametrize("batch", [1, 11])
def test_a_symmetric_system_takes_one_array_for_both_bands(solve, batch):
    lower, diagonal, _, rhs = systems(2, batch, 20, 2)
    assert np.array_equal(solve(lower, diagonal, lower, rhs), solve(lower, diagonal, lower.copy(), rhs))


@pytest.mark.parametrize("solve", KERNELS)
def test_out_is_filled_and_may_be_the_right_hand_side(solve):
    given_systems = systems(3, 9, 12, 2)
    wanted, out = solve(*given_systems), np.full((9, 12, 2), np.nan)
    assert solve(*given_systems, out) is out and np.array_equal(out, wanted)
    rhs = given_systems[3].copy()
    assert np.array_equal(solve(*given_systems[:3], rhs, rhs), wanted)


@pytest.mark.parametrize("solve", KERNELS)
def test_long_systems_leave_the_stack(solve):
    given_systems = systems(4, 2, 3000)
    found = solve(*given_systems)
    lower, diagonal, upper, rhs = (values[1] for values in given_systems)
    assert np.abs(diagonal * found[1] + np.r_[0, lower * found[1, :-1]] + np.r_[upper * found[1, 1:], 0] - rhs).max() <= 1e-12


@pytest.mark.parametrize("solve", KERNELS)
@pytest.mark.parametrize("batch", [1, 8, 13])
@pytest.mark.parametrize("band, value", [(1, 0.0), (1, np.nan), (3, np.inf), (0, np.nan)])
def test_no_solution_is_said(solve, batch, band, value):
    given_systems = systems(5, batch, 6, 2)
    given_systems[band][batch // 2, 0] = value
    with pytest.raises(ArithmeticError, match="pivot"):
        solve(*given_systems)


@pytest.mark.parametrize("solve", KERNELS)
def test_shapes_that_do_not_fit_are_refused(solve):
    lower, diagonal, upper, rhs = systems(6, 3, 5, 2)
    for wrong in ((diagonal, diagonal, upper, rhs), (lower, diagonal, upper[:2], rhs), (lower, diagonal, upper, rhs[:, :4].copy()),
                  (lower, diagonal, upper, rhs, np.empty((3, 5))), (lower[0], diagonal, upper[0], rhs), (lower, diagonal, upper, rhs[..., None])):
        with pytest.raises(ValueError, match="do not fit"):
            solve(*wrong)


def test_the_kernel_takes_doubles_in_one_piece():
    lower, diagonal, upper, rhs = systems(7, 3, 5)
    with pytest.raises(ValueError):
        cython_ext.solve_tridiagonal(lower, diagonal.astype(np.float32), upper, rhs)
    with pytest.raises(ValueError):
        cython_ext.solve_tridiagonal(lower, diagonal, upper, np.asfortranarray(rhs))
