"""The radio kernels as the rest of the studio calls them: shapes and values are checked here, outputs allocated here, loops run in cython_ext."""

from typing import NamedTuple

import numpy as np

import cython_ext
from core.errors import ConfigError, InputError

LANES = 16
"""Groups side by side in a block of planes."""
PRB_VALUES = 24
"""I and Q of the 12 subcarriers of a resource block."""
QAM_BITS = (2, 4, 6, 8)
CHUNK_BLOCKS = 12
"""Blocks the chain works on at a time, so that what lies between its steps stays in the cache; a multiple of 3 ends with a resource block."""


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


def demap_planes(x, sinr, qam_bits: int) -> np.ndarray:
    """Exact max-log LLRs ln P(bit = 0) / P(bit = 1) of Gray QAM (3GPP TS 38.211, 5.1.3 to 5.1.6), float32[symbols, blocks, span, layers, bits, 16].

    x float32[symbols, blocks, span, layers, 2, 16] of unit power and sinr float32[blocks, layers, 16] (linear) as combine_planes returns them;
    qam_bits 2, 4, 6 or 8. Raises ConfigError for other bits or shapes that do not fit.
    """
    x, sinr = _demap_inputs(x, sinr, qam_bits)
    llrs = aligned((*x.shape[:4], qam_bits, LANES), np.float32)
    cython_ext.demap_planes(x, sinr, qam_bits, llrs)
    return llrs


def demap_planes_int8(x, sinr, qam_bits: int, llr_bits: int = 4, step: float = 1.0) -> np.ndarray:
    """demap_planes in whole numbers of `step`, nearest (halves to even), held within +-(2^(llr_bits - 1) - 1), int8; llr_bits 2 to 8. Raises ConfigError."""
    x, sinr = _demap_inputs(x, sinr, qam_bits)
    llrs = aligned((*x.shape[:4], qam_bits, LANES), np.int8)
    cython_ext.demap_planes_int8(x, sinr, qam_bits, _step(step), _greatest(llr_bits), llrs)
    return llrs


def add_llrs(one, other, llr_bits: int = 8) -> np.ndarray:
    """Sum of two int8 arrays of one shape, held within +-(2^(llr_bits - 1) - 1): LLR combining of two radios. Raises ConfigError for shapes that differ."""
    one, other = (_integers(value, np.int8, name) for value, name in ((one, "The first LLRs"), (other, "The other LLRs")))
    if one.shape != other.shape:
        raise ConfigError(f"LLRs of shape {list(one.shape)} and {list(other.shape)} do not add up.")
    out = np.empty(one.shape, np.int8)
    cython_ext.add_llrs(one.reshape(-1), other.reshape(-1), _greatest(llr_bits), out.reshape(-1))
    return out


def bfp_pack(values, bits: int) -> np.ndarray:
    """Block floating point of int16[..., 24] (I, Q of the 12 subcarriers of a resource block): uint8[..., 1 + 3 bits], bits 2 to 16 a mantissa.

    As O-RAN.WG4.CUS annex A.1 has it: per block one byte with the least exponent that makes all 24 fit after an arithmetic shift right (its lower four bits;
    -2^n fits where 2^n - 1 does), then 24 mantissas, most significant bit first. Raises ConfigError for other shapes or bits, InputError for other types.
    """
    values = _integers(values, np.int16, "The values")
    _check_packed(values.shape[-1:], (PRB_VALUES,), bits)
    out = np.empty((*values.shape[:-1], 1 + 3 * bits), np.uint8)
    cython_ext.bfp_pack(values.reshape(-1, PRB_VALUES), bits, out.reshape(-1, 1 + 3 * bits))
    return out


def bfp_unpack(packed, bits: int) -> np.ndarray:
    """The way back: int16[..., 24] of uint8[..., 1 + 3 bits]; less than 2^exponent below what was packed. Raises as bfp_pack does."""
    packed = _integers(packed, np.uint8, "The packed values")
    _check_packed(packed.shape[-1:], (1 + 3 * bits,), bits)
    out = np.empty((*packed.shape[:-1], PRB_VALUES), np.int16)
    cython_ext.bfp_unpack(packed.reshape(-1, 1 + 3 * bits), bits, out.reshape(-1, PRB_VALUES))
    return out


def bfp_planes(packed, bits: int, scale: float = 2.0 ** -15, span: int = 1) -> np.ndarray:
    """Packed resource blocks uint8[symbols, ant, prbs, 1 + 3 bits] as blocked planes float32[symbols, blocks, span, ant, 2, 16], times `scale`.

    span subcarriers share a weight. Raises ConfigError for shapes, bits or a span that do not fit.
    """
    packed = _integers(packed, np.uint8, "The packed values")
    groups = _groups_of(packed, bits, span)
    planes = aligned((packed.shape[0], -(-groups // LANES), span, packed.shape[1], 2, LANES), np.float32)
    cython_ext.bfp_planes(packed, bits, scale, planes)
    return planes


class Demapped(NamedTuple):
    """What uplink_llrs returns: llrs int8[symbols, blocks, span, layers, bits, 16], sinr float32[blocks, layers, 16], groups computed again in float64."""

    llrs: np.ndarray
    sinr: np.ndarray
    recomputed: int


def uplink_llrs(packed, iq_bits: int, h, noise_var, qam_bits: int, llr_bits: int = 4, step: float = 1.0, scale: float = 2.0 ** -15, span: int = 1) -> Demapped:
    """From fronthaul bytes to quantised LLRs: bfp_planes, combine_planes, demap_planes_int8, some blocks at a time so that the steps meet in the cache.

    packed uint8[symbols, ant, prbs, 1 + 3 iq_bits]; h float32[blocks, ant, layers, 2, 16] (channel_planes) and noise_var float32[ant] in the units
    of the scaled values. Raises as its parts do.
    """
    packed, h, noise_var = _integers(packed, np.uint8, "The packed values"), _numbers(h, np.float32, "h"), _noise(noise_var)
    groups, greatest, step = _groups_of(packed, iq_bits, span), _greatest(llr_bits), _step(step)
    symbols, antennas, prbs, _ = packed.shape
    blocks = -(-groups // LANES)
    if (h.ndim != 5 or h.shape[:2] != (blocks, antennas) or h.shape[3:] != (2, LANES) or not h.shape[2] or len(noise_var) != antennas
            or qam_bits not in QAM_BITS):
        raise ConfigError(f"h{list(h.shape)}, noise_var{list(noise_var.shape)} and {qam_bits} bits a symbol do not fit {blocks} blocks of {antennas} antennas.")
    layers = h.shape[2]
    llrs, sinr = aligned((symbols, blocks, span, layers, qam_bits, LANES), np.int8), aligned((blocks, layers, LANES), np.float32)
    recomputed = 0
    for first in range(0, blocks, CHUNK_BLOCKS):
        last = min(first + CHUNK_BLOCKS, blocks)
        if first == 0 or last == blocks:                                     # all chunks but the last are of one size
            y, x = (aligned((symbols, last - first, span, count, 2, LANES), np.float32) for count in (antennas, layers))
        prb, prb_end = (min(LANES * edge * span // 12, prbs) for edge in (first, last))
        cython_ext.bfp_planes(packed[:, :, prb:prb_end], iq_bits, scale, y)
        recomputed += cython_ext.combine_planes(y, h[first:last], noise_var, min(groups, LANES * last) - LANES * first, x, sinr[first:last])
        cython_ext.demap_planes_int8(x, sinr[first:last], qam_bits, step, greatest, llrs[:, first:last])
        _check_finite(x, sinr[first:last])
    return Demapped(llrs, sinr, recomputed)


def to_planes(rows, span: int = 1) -> np.ndarray:
    """Blocked planes float32[..., blocks, span, n, 2, 16] of complex rows [..., sc, n]: 16 groups of `span` subcarriers side by side, the last one repeated.

    channel_planes does it for a channel. Raises ConfigError for a span that does not divide sc.
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


def _integers(value, dtype, name: str) -> np.ndarray:
    """The array in one piece; whole numbers that all fit this type. Raises InputError for others."""
    value = np.asarray(value)
    if value.dtype == dtype:
        return np.ascontiguousarray(value)
    limits = np.iinfo(dtype)
    if value.dtype.kind not in "iu" or (value.size and not limits.min <= value.min() <= value.max() <= limits.max):
        raise InputError(f"{name} are whole numbers from {limits.min} to {limits.max}, not {value.dtype} with others.")
    return np.ascontiguousarray(value, dtype=dtype)


def _demap_inputs(x, sinr, qam_bits: int) -> tuple[np.ndarray, np.ndarray]:
    x, sinr = _numbers(x, np.float32, "x"), _numbers(sinr, np.float32, "sinr")
    if qam_bits not in QAM_BITS:
        raise ConfigError(f"A symbol has 2, 4, 6 or 8 bits, not {qam_bits}.")
    if x.ndim != 6 or x.shape[4:] != (2, LANES) or sinr.shape != (x.shape[1], x.shape[3], LANES):
        raise ConfigError(f"x{list(x.shape)} and sinr{list(sinr.shape)} do not fit: they are "
                          f"[symbols, blocks, span, layers, 2, {LANES}] and [blocks, layers, {LANES}].")
    return x, sinr


def _greatest(llr_bits: int) -> int:
    if not 2 <= llr_bits <= 8:
        raise ConfigError(f"An LLR has 2 to 8 bits, not {llr_bits}.")
    return 2 ** (llr_bits - 1) - 1


def _step(step: float) -> float:
    if not 1e-30 < step < 1e30:
        raise ConfigError(f"The step of quantised LLRs is above 0, not {step:g}.")
    return float(step)


def _check_packed(found: tuple, wanted: tuple, bits: int) -> None:
    if not 2 <= bits <= 16:
        raise ConfigError(f"A mantissa has 2 to 16 bits, not {bits}.")
    if found != wanted:
        raise ConfigError(f"A resource block has {wanted[0]} values here, not {found[0] if found else 'none'}.")


def _groups_of(packed: np.ndarray, bits: int, span: int) -> int:
    """How many groups of `span` subcarriers packed[symbols, ant, prbs, 1 + 3 bits] holds."""
    if packed.ndim != 4 or not packed.size:
        raise ConfigError(f"The packed values are [symbols, antennas, blocks, bytes], not {list(packed.shape)}.")
    _check_packed(packed.shape[-1:], (1 + 3 * bits,), bits)
    subcarriers = 12 * packed.shape[2]
    if span < 1 or subcarriers % span:
        raise ConfigError(f"{subcarriers} subcarriers do not split into groups of {span}.")
    return subcarriers // span


def _noise(noise_var) -> np.ndarray:
    noise_var = np.atleast_1d(_numbers(noise_var, np.float32, "noise_var"))
    if noise_var.ndim != 1 or not np.all((noise_var > 0) & np.isfinite(noise_var)):
        raise InputError(f"noise_var is a positive power for each antenna, not {np.min(noise_var, initial=np.inf):g} or something infinite.")
    return noise_var


def _check_finite(symbols: np.ndarray, sinr: np.ndarray) -> None:
    """What is not finite in y or h is not finite in what comes out, which is smaller and cheaper to look through."""
    if not (np.isfinite(sinr.view(np.float32)).all() and np.isfinite(symbols.view(np.float32)).all()):
        raise InputError("y or h holds a value that is not finite, or is too large for single precision. Scale them so that the noise is near 1.")
