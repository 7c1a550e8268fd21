"""Joint LMMSE combining of antenna signals (IQ combining), fused: whiten, Gram, Cholesky, apply, unbias, SINR; loops in combining.h."""

import numpy as np
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t, uintptr_t

cdef extern from "combining.h":
    ctypedef struct Combining:
        const float *y
        const float *h
        const float *noise_var
        float *x
        float *sinr
        ptrdiff_t groups
        int antennas
        int layers
        int symbols
        int span
        char *room
    size_t combining_room(int antennas, int layers) noexcept nogil
    ptrdiff_t combine_rows(const Combining *job) noexcept nogil
    ptrdiff_t combine_blocks(const Combining *job) noexcept nogil


def combine_iq(const float complex[:, :, ::1] y, const float complex[:, :, ::1] h, const float[::1] noise_var,
               float complex[:, :, ::1] out_symbols, float[:, ::1] out_sinr):
    """Unbiased LMMSE symbols and their SINR; returns how many ill-conditioned groups were computed again in float64.

    y complex64[symbols, sc, ant]; h complex64[groups, ant, layers], each group for sc / groups neighbouring subcarriers; noise_var float32[ant] above 0;
    out_symbols complex64[symbols, sc, layers] and out_sinr float32[groups, layers] are filled. Symbols of a layer have unit power.
    A = (I + H^H R^-1 H)^-1, symbol_k = (A H^H R^-1 y)_k / (1 - A_kk), SINR_k = 1 / A_kk - 1; a layer that nobody hears gives 0 and 0.
    Raises ValueError where the shapes do not fit.
    """
    cdef Py_ssize_t groups = h.shape[0], antennas = h.shape[1], layers = h.shape[2], subcarriers = y.shape[1]
    if (y.shape[2] != antennas or noise_var.shape[0] != antennas or groups == 0 or subcarriers % groups or out_symbols.shape[0] != y.shape[0]
            or out_symbols.shape[1] != subcarriers or out_symbols.shape[2] != layers or out_sinr.shape[0] != groups or out_sinr.shape[1] != layers):
        raise ValueError(f"y is {y.shape[0]} x {subcarriers} x {y.shape[2]}, h {groups} x {antennas} x {layers}, noise_var {noise_var.shape[0]} long, "
                         f"the outputs {out_symbols.shape[0]} x {out_symbols.shape[1]} x {out_symbols.shape[2]} "
                         f"and {out_sinr.shape[0]} x {out_sinr.shape[1]}: they do not fit.")
    cdef Combining job = Combining(<const float *> &y[0, 0, 0], <const float *> &h[0, 0, 0], &noise_var[0], <float *> &out_symbols[0, 0, 0], &out_sinr[0, 0],
                                   groups, antennas, layers, y.shape[0], subcarriers // groups, NULL)
    cdef uint8_t[::1] room = np.empty(combining_room(antennas, layers) + 64, dtype=np.uint8)
    cdef ptrdiff_t recomputed
    job.room = aligned(&room[0])
    with nogil:
        recomputed = combine_rows(&job)
    return recomputed


def combine_planes(const float[:, :, :, :, :, ::1] y, const float[:, :, :, :, ::1] h, const float[::1] noise_var, Py_ssize_t groups,
                   float[:, :, :, :, :, ::1] out_symbols, float[:, :, ::1] out_sinr):
    """The same on blocked planes, for callers inside a chain: no value is moved. 16 neighbouring groups are a block, the last one is padded.

    y float32[symbols, blocks, span, ant, 2, 16], h float32[blocks, ant, layers, 2, 16] (real plane, imaginary plane, each for 16 groups),
    out_symbols float32[symbols, blocks, span, layers, 2, 16], out_sinr float32[blocks, layers, 16]; `span` subcarriers share a group's weights.
    Lanes from `groups` on are padding: any finite values in, undefined out. Raises ValueError where the shapes do not fit.
    """
    cdef Py_ssize_t blocks = h.shape[0], antennas = h.shape[1], layers = h.shape[2], span = y.shape[2]
    if (y.shape[1] != blocks or y.shape[3] != antennas or noise_var.shape[0] != antennas or groups < 1 or blocks != (groups + 15) // 16
            or out_symbols.shape[0] != y.shape[0] or out_symbols.shape[1] != blocks or out_symbols.shape[2] != span or out_symbols.shape[3] != layers
            or out_sinr.shape[0] != blocks or out_sinr.shape[1] != layers or out_sinr.shape[2] != 16
            or not y.shape[4] == h.shape[3] == out_symbols.shape[4] == 2 or not y.shape[5] == h.shape[4] == out_symbols.shape[5] == 16):
        raise ValueError(f"y holds {y.shape[1]} blocks of {y.shape[3]} antennas, h {blocks} of {antennas} x {layers}, noise_var {noise_var.shape[0]}, "
                         f"for {groups} groups: they, or the outputs, do not fit.")
    cdef Combining job = Combining(&y[0, 0, 0, 0, 0, 0], &h[0, 0, 0, 0, 0], &noise_var[0], &out_symbols[0, 0, 0, 0, 0, 0], &out_sinr[0, 0, 0],
                                   groups, antennas, layers, y.shape[0], span, NULL)
    cdef uint8_t[::1] room = np.empty(combining_room(antennas, layers) + 64, dtype=np.uint8)
    cdef ptrdiff_t recomputed
    job.room = aligned(&room[0])
    with nogil:
        recomputed = combine_blocks(&job)
    return recomputed


cdef char *aligned(uint8_t *room) noexcept nogil:
    """The first address that is a multiple of 64."""
    return <char *> (((<uintptr_t> room) + 63) & ~(<uintptr_t> 63))
