"""The handwriting kernel as the rest of the studio calls it: values are checked here, the loop runs in cython_ext."""

import numpy as np

import cython_ext
from core.errors import ConfigError, InputError


def solve_tridiagonal(lower, diagonal, upper, rhs, out: np.ndarray | None = None) -> np.ndarray:
    """Solve T x = rhs for one tridiagonal system or a batch (Thomas algorithm: Golub and Van Loan 2013, section 4.3.6), O(batch n k) time, no pivoting.

    diagonal [n] or [batch, n]; lower and upper [..., n - 1], what stands below and above it; rhs [..., n] or [..., n, k] for k right-hand sides; numbers that
    fit float64. Pass one array as lower and upper for a symmetric system. `out` float64 of the shape of rhs, in one piece, is written and returned (made when None).
    Meant for diagonally dominant or positive definite systems.
    Raises ConfigError for shapes that do not fit, InputError for values that are not finite or a pivot of 0.
    """
    try:
        return cython_ext.solve_tridiagonal(lower, diagonal, upper, rhs, out)
    except (TypeError, ValueError, BufferError, AttributeError):
        return _solve_converted(lower, diagonal, upper, rhs, out)
    except ArithmeticError:
        raise _no_solution() from None


def _solve_converted(lower, diagonal, upper, rhs, out: np.ndarray | None) -> np.ndarray:
    """The same with lists, other types and strided arrays turned into what the kernel takes."""
    symmetric = upper is lower
    lower, diagonal, rhs = (_numbers(value, name) for value, name in ((lower, "lower"), (diagonal, "diagonal"), (rhs, "rhs")))
    upper = lower if symmetric else _numbers(upper, "upper")
    try:
        return cython_ext.solve_tridiagonal(lower, diagonal, upper, rhs, out)
    except (TypeError, ValueError, BufferError, AttributeError):
        where = "" if out is None else f" and out {getattr(out, 'dtype', type(out).__name__)}{list(getattr(out, 'shape', []))}"
        raise ConfigError(f"lower{list(lower.shape)}, diagonal{list(diagonal.shape)}, upper{list(upper.shape)}, rhs{list(rhs.shape)}{where} do not fit: they are "
                          "[..., n - 1], [..., n], [..., n - 1] and [..., n] or [..., n, k] with at most one axis of systems; out is float64, in one piece.") from None
    except ArithmeticError:
        raise _no_solution() from None


def _no_solution() -> InputError:
    return InputError("A tridiagonal system has a pivot of 0 or a value that is not finite; give finite values and a diagonal that outweighs what stands beside it.")


def _numbers(value, name: str) -> np.ndarray:
    try:
        return np.ascontiguousarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} holds something that is not a number; give numbers only.") from None
