"""The radio kernels as the rest of the studio calls them: shapes and values are checked here, outputs allocated here, loops run in cython_ext."""

from typing import NamedTuple

import numpy as np

import cython_ext
from core.errors import ConfigError, InputError

LANES = 16
"""Groups side by side in a block of planes."""


class Combined(NamedTuple):
    """Joint LMMSE of one slot: symbols complex64[symbols, sc, layers] of unit power, sinr float32[groups, layers] (linear), and how many groups were
    ill-conditioned and computed again in float64. From combine_planes: the same as planes."""

    symbols: np.ndarray
    sinr: np.ndarray
    recomputed: int


def combine_iq(y, h, noise_var) -> Combined:
    """Joint LMMSE combining of all antennas, unbiased (Kay 1993, section 12.5): A = (I + H^H R^-1 H)^-1, symbol_k = (A H^H R^-1 y)_k / (1 - A_kk).

    y complex[symbols, sc, ant]; h complex[groups, ant, layers], the channel shared by sc / groups neighbouring subcarriers; noise_var float[ant] above 0,
    the noise power of each antenna in the units of |y|^2 for layers of unit power. Computed in single precision, where ill-conditioned in double.
    Raises ConfigError for shapes that do not fit, InputError for values that are not finite.
    """
    y, h = (_numbers(value, np.complex64, name) for value, name in ((y, "y"), (h, "h")))
    noise_var = _noise(noise_var)
    if y.ndim != 3 or h.ndim != 3 or not y.shape[2] == h.shape[1] == len(noise_var) or not h.size or y.shape[1] % len(h):
        raise ConfigError(f"y{list(y.shape)}, h{list(h.shape)} and noise_var{list(noise_var.shape)} do not fit: y is [symbols, subcarriers, antennas], "
                          "h [groups, antennas, layers] with groups that divide the subcarriers.")
    symbols, sinr = np.empty((*y.shape[:2], h.shape[2]), np.complex64), np.empty((len(h), h.shape[2]), np.float32)
    recomputed = cython_ext.combine_iq(y, h, noise_var, symbols, sinr)
    _check_finite(symbols, sinr)
    return Combined(symbols, sinr, recomputed)


def combine_planes(y, h, noise_var, groups: int) -> Combined:
    """combine_iq on blocked planes (to_planes): float32 y[symbols, blocks, span, ant, 2, 16], h[blocks, ant, layers, 2, 16], `groups` of 16 x blocks in use.

    Returns planes: symbols float32[symbols, blocks, span, layers, 2, 16], sinr float32[blocks, layers, 16]. Raises as combine_iq does.
    """
    y, h = (_numbers(value, np.float32, name) for value, name in ((y, "y"), (h, "h")))
    noise_var = _noise(noise_var)
    if (y.ndim != 6 or h.ndim != 5 or y.shape[4:] != (2, LANES) or h.shape[3:] != (2, LANES) or not y.shape[3] == h.shape[1] == len(noise_var)
            or not h.size or y.shape[1] != len(h) or len(h) != -(-groups // LANES)):
        raise ConfigError(f"y{list(y.shape)}, h{list(h.shape)}, noise_var{list(noise_var.shape)} and {groups} groups do not fit: y is [symbols, blocks, span, "
                          f"antennas, 2, {LANES}], h [blocks, antennas, layers, 2, {LANES}].")
    symbols, sinr = aligned((*y.shape[:3], h.shape[2], 2, LANES), np.float32), aligned((len(h), h.shape[2], LANES), np.float32)
    recomputed = cython_ext.combine_planes(y, h, noise_var, groups, symbols, sinr)
    _check_finite(symbols, sinr)
    return Combined(symbols, sinr, recomputed)


def to_planes(rows, span: int = 1) -> np.ndarray:
    """Blocked planes float32[..., blocks, span, n, 2, 16] of complex rows [..., sc, n]: 16 groups of `span` subcarriers side by side, the last one repeated.

    For a channel [groups, ant, layers] give it as rows [groups, ant * layers] and reshape, or use channel_planes. Raises ConfigError for a span that does not divide sc.
    """
    rows = np.asarray(rows)
    *outer, subcarriers, n = rows.shape
    if span < 1 or subcarriers % span or not subcarriers:
        raise ConfigError(f"{subcarriers} subcarriers do not split into groups of {span}.")
    groups, count = subcarriers // span, int(np.prod(outer))
    planes = aligned((count, -(-groups // LANES), span, n, 2, LANES), np.float32)
    grouped = rows.reshape(count, groups, span, n)
    for block, group in enumerate(range(0, groups, LANES)):
        part = grouped[:, np.minimum(np.arange(group, group + LANES), groups - 1)].transpose(0, 2, 3, 1)
        planes[:, block, :, :, 0], planes[:, block, :, :, 1] = part.real, part.imag
    return planes.reshape(*outer, *planes.shape[1:])


def channel_planes(h) -> np.ndarray:
    """Blocked planes float32[blocks, ant, layers, 2, 16] of a channel complex[groups, ant, layers]."""
    h = np.asarray(h)
    return to_planes(h.reshape(len(h), -1)).reshape(-1, *h.shape[1:], 2, LANES)


def from_planes(planes, subcarriers: int) -> np.ndarray:
    """Rows complex64[..., sc, n] of blocked planes float32[..., blocks, span, n, 2, 16], without their padding."""
    *outer, blocks, span, n, _, _ = planes.shape
    rows = np.empty((*outer, blocks, LANES, span, n), np.complex64)
    rows.real, rows.imag = (np.moveaxis(planes[..., part, :], -1, -3) for part in (0, 1))
    return rows.reshape(*outer, -1, n)[..., :subcarriers, :]


def aligned(shape: tuple[int, ...], dtype) -> np.ndarray:
    """An empty array whose first byte lies at a multiple of 64: a row of 16 floats then is one cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.empty(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start:start + size].view(dtype).reshape(shape)


def _numbers(value, dtype, name: str) -> np.ndarray:
    """The array in one piece and this type. Raises InputError where that is not possible."""
    try:
        return np.ascontiguousarray(value, dtype=dtype)
    except (TypeError, ValueError):
        raise InputError(f"{name} holds something that is no number of type {np.dtype(dtype).name}.") from None


def _noise(noise_var) -> np.ndarray:
    noise_var = np.atleast_1d(_numbers(noise_var, np.float32, "noise_var"))
    if noise_var.ndim != 1 or not np.all((noise_var > 0) & np.isfinite(noise_var)):
        raise InputError(f"noise_var is a positive power for each antenna, not {np.min(noise_var, initial=np.inf):g} or something infinite.")
    return noise_var


def _check_finite(symbols: np.ndarray, sinr: np.ndarray) -> None:
    """What is not finite in y or h is not finite in what comes out, which is smaller and cheaper to look through."""
    if not (np.isfinite(sinr.view(np.float32)).all() and np.isfinite(symbols.view(np.float32)).all()):
        raise InputError("y or h holds a value that is not finite, or is too large for single precision. Scale them so that the noise is near 1.")
