"""What the wrapper of the handwriting kernel takes and refuses."""

import numpy as np
import pytest

from core.errors import ConfigError, InputError
from core.handwriting.kernels import solve_tridiagonal

LOWER, DIAGONAL, RHS = [1.0, 1.0], [4.0, 5.0, 6.0], [1.0, 2.0, 3.0]
MATRIX = np.diag(DIAGONAL) + np.diag(LOWER, 1) + np.diag(LOWER, -1)


def test_lists_whole_numbers_and_strides_are_taken():
    wanted = np.linalg.solve(MATRIX, RHS)
    np.testing.assert_allclose(solve_tridiagonal(LOWER, DIAGONAL, LOWER, RHS), wanted, atol=1e-14)
    np.testing.assert_allclose(solve_tridiagonal([1, 1], [4, 5, 6], [1, 1], [1, 2, 3]), wanted, atol=1e-14)
    both = np.asfortranarray(np.column_stack([RHS, RHS]))
    np.testing.assert_allclose(solve_tridiagonal(LOWER, DIAGONAL, LOWER, both), np.column_stack([wanted, wanted]), atol=1e-14)


@pytest.mark.parametrize("wrong", [([1.0], DIAGONAL, LOWER, RHS), (LOWER, DIAGONAL, LOWER, RHS[:2]), (LOWER, 3.0, LOWER, RHS),
                                   (LOWER, DIAGONAL, LOWER, RHS, np.empty(3, np.float32))])
def test_shapes_are_named(wrong):
    with pytest.raises(ConfigError, match="do not fit"):
        solve_tridiagonal(*wrong)


@pytest.mark.parametrize("wrong", [(LOWER, [0.0, 5, 6], LOWER, RHS), (LOWER, DIAGONAL, LOWER, [1, np.nan, 3]), (LOWER, ["a", "b", "c"], LOWER, RHS)])
def test_values_without_a_solution_are_refused(wrong):
    with pytest.raises(InputError):
        solve_tridiagonal(*wrong)
