"""What frames the combining: max-log LLRs of Gray QAM on planes, saturating LLR addition, block floating point as O-RAN fronthaul has it; loops in radio.h."""

import numpy as np
from libc.math cimport sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int8_t, int16_t, uint8_t

cdef extern from "radio.h":
    void demap_block(const float *x, const float *sinr, ptrdiff_t span, ptrdiff_t layers, int bits, const float *steps, float slope, float *llrs) noexcept nogil
    void demap_block_int8(const float *x, const float *sinr, ptrdiff_t span, ptrdiff_t layers, int bits, const float *steps, float slope, float scale, float limit,
                          int8_t *llrs) noexcept nogil
    void add_saturating(const int8_t *one, const int8_t *other, ptrdiff_t count, int limit, int8_t *out) noexcept nogil
    void pack_prbs(const int16_t *values, ptrdiff_t count, int bits, uint8_t *out) noexcept nogil
    void unpack_prbs(const uint8_t *packed, ptrdiff_t count, int bits, int16_t *values) noexcept nogil
    void unpack_planes(const uint8_t *packed, ptrdiff_t prb_stride, ptrdiff_t prbs, int bits, float scale, ptrdiff_t groups, ptrdiff_t span, ptrdiff_t antennas,
                       float *re, float *im, float *out) noexcept nogil


def demap_planes(const float[:, :, :, :, :, ::1] x, const float[:, :, ::1] sinr, int bits, float[:, :, :, :, :, ::1] out_llrs):
    """Max-log LLRs ln P(bit = 0) / P(bit = 1) of Gray QAM (3GPP TS 38.211, 5.1.3 to 5.1.6), exact, by folding each axis.

    x float32[symbols, blocks, span, layers, 2, 16] of unit power, sinr float32[blocks, layers, 16] (linear), bits 2, 4, 6 or 8 a symbol;
    out_llrs float32[symbols, blocks, span, layers, bits, 16]. Raises ValueError where the shapes do not fit or for other bits.
    """
    cdef float steps[8]
    cdef float slope = axis(bits, steps)
    cdef Py_ssize_t s, b
    check_demap(x.shape, sinr.shape, bits, out_llrs.shape)
    with nogil:
        for s in range(x.shape[0]):
            for b in range(x.shape[1]):
                demap_block(&x[s, b, 0, 0, 0, 0], &sinr[b, 0, 0], x.shape[2], x.shape[3], bits, steps, slope, &out_llrs[s, b, 0, 0, 0, 0])


def demap_planes_int8(const float[:, :, :, :, :, ::1] x, const float[:, :, ::1] sinr, int bits, float step, int limit, int8_t[:, :, :, :, :, :] out_llrs):
    """The same as whole numbers of `step`, rounded to the nearest (halves to even) and held within +-limit, limit 1 to 127; out_llrs int8,
    in one piece from its third axis on."""
    cdef float steps[8]
    cdef float slope = axis(bits, steps)
    cdef float scale = <float> (1 / <double> step)
    cdef Py_ssize_t s, b
    check_demap(x.shape, sinr.shape, bits, out_llrs.shape)
    check_limit(limit)
    if not (out_llrs.strides[5] == 1 and out_llrs.strides[4] == 16 and out_llrs.strides[3] == 16 * bits and out_llrs.strides[2] == 16 * bits * x.shape[3]):
        raise ValueError("The output is not in one piece from its third axis on.")
    with nogil:
        for s in range(x.shape[0]):
            for b in range(x.shape[1]):
                demap_block_int8(&x[s, b, 0, 0, 0, 0], &sinr[b, 0, 0], x.shape[2], x.shape[3], bits, steps, slope, scale, <float> limit,
                                 &out_llrs[s, b, 0, 0, 0, 0])


cdef float axis(int bits, float *steps):
    """Twice the multiples of a, the least amplitude of an axis; returns 4 a."""
    if bits not in (2, 4, 6, 8):
        raise ValueError(f"A symbol has 2, 4, 6 or 8 bits, not {bits}.")
    cdef double a = sqrt(1.5 / ((1 << bits) - 1))
    cdef int m
    for m in range(8):
        steps[m] = <float> (2 * m * a)
    return <float> (4 * a)


cdef check_demap(const Py_ssize_t *x, const Py_ssize_t *sinr, int bits, const Py_ssize_t *out):
    if (any(x[k] != out[k] for k in range(4)) or x[1] != sinr[0] or x[3] != sinr[1] or x[4] != 2 or out[4] != bits
            or not x[5] == sinr[2] == out[5] == 16):
        raise ValueError(f"x is {[x[k] for k in range(6)]}, sinr {[sinr[k] for k in range(3)]}, the output {[out[k] for k in range(6)]}: "
                         f"they do not fit {bits} bits.")


cdef check_limit(int limit):
    if not 1 <= limit <= 127:
        raise ValueError(f"limit is 1 to 127, not {limit}.")


def add_llrs(const int8_t[::1] one, const int8_t[::1] other, int limit, int8_t[::1] out):
    """one + other, held within +-limit (1 to 127), into out; int8[n] each, out may be one of them. Raises ValueError where the lengths differ."""
    if not one.shape[0] == other.shape[0] == out.shape[0]:
        raise ValueError(f"There are {one.shape[0]} and {other.shape[0]} LLRs for {out.shape[0]} places.")
    check_limit(limit)
    with nogil:
        add_saturating(&one[0], &other[0], one.shape[0], limit, &out[0])


def bfp_pack(const int16_t[:, ::1] values, int bits, uint8_t[:, ::1] out):
    """Block floating point of resource blocks: values int16[n, 24] (I, Q of 12 subcarriers) -> out uint8[n, 1 + 3 bits], bits 2 to 16.

    The first byte is the least exponent with which all 24 fit into `bits` bits after an arithmetic shift right (O-RAN.WG4.CUS annex A.1: udCompParam, exponent
    in its lower four bits), then the mantissas, most significant bit first. Raises ValueError where the shapes do not fit.
    """
    check_bfp(values.shape[0], values.shape[1], out.shape[0], out.shape[1], bits)
    with nogil:
        pack_prbs(&values[0, 0], values.shape[0], bits, &out[0, 0])


def bfp_unpack(const uint8_t[:, ::1] packed, int bits, int16_t[:, ::1] out):
    """The way back: out int16[n, 24] = mantissa 2^exponent of packed uint8[n, 1 + 3 bits]; held within int16 where the exponent is none that packing makes."""
    check_bfp(out.shape[0], out.shape[1], packed.shape[0], packed.shape[1], bits)
    with nogil:
        unpack_prbs(&packed[0, 0], packed.shape[0], bits, &out[0, 0])


cdef check_bfp(Py_ssize_t blocks, Py_ssize_t width, Py_ssize_t packed_blocks, Py_ssize_t packed_width, int bits):
    if not 2 <= bits <= 16:
        raise ValueError(f"A mantissa has 2 to 16 bits, not {bits}.")
    if blocks != packed_blocks or width != 24 or packed_width != 1 + 3 * bits:
        raise ValueError(f"The values are {blocks} x {width}, the packed ones {packed_blocks} x {packed_width}: "
                         f"{bits} bits want 24 and {1 + 3 * bits} in a row.")


def bfp_planes(const uint8_t[:, :, :, :] packed, int bits, float scale, float[:, :, :, :, :, ::1] out):
    """Packed resource blocks straight into blocked planes, times `scale`: what combine_planes takes.

    packed uint8[symbols, ant, prbs, 1 + 3 bits], each block in one piece; out float32[symbols, blocks, span, ant, 2, 16]:
    12 prbs = groups x span subcarriers in ceil(groups / 16) blocks, lanes beyond the last group repeat it. Raises ValueError where the shapes do not fit.
    """
    cdef Py_ssize_t symbols = packed.shape[0], antennas = packed.shape[1], prbs = packed.shape[2], blocks = out.shape[1], span = out.shape[2], s, n
    cdef Py_ssize_t groups = 12 * prbs // span if span else 0
    check_bfp(prbs, 24, prbs, packed.shape[3], bits)
    if (groups == 0 or groups * span != 12 * prbs or blocks != (groups + 15) // 16 or packed.strides[3] != 1
            or out.shape[0] != symbols or out.shape[3] != antennas or out.shape[4] != 2 or out.shape[5] != 16):
        raise ValueError(f"{symbols} x {antennas} x {prbs} resource blocks do not fit planes of {out.shape[0]} symbols, {blocks} blocks, "
                         f"{span} subcarriers a group and {out.shape[3]} antennas.")
    cdef float[:, ::1] rows = np.empty((2, 16 * span * blocks + 16), dtype=np.float32)
    with nogil:
        for s in range(symbols):
            for n in range(antennas):
                unpack_planes(&packed[s, n, 0, 0], packed.strides[2], prbs, bits, scale, groups, span, antennas, &rows[0, 0], &rows[1, 0],
                              &out[s, 0, 0, n, 0, 0])
