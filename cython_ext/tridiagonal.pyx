"""Tridiagonal systems by the Thomas algorithm, one or a batch: the join of two letters (2.2 of the post) is one; loops in tridiagonal.h."""

import numpy as np
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, malloc

cdef extern from "tridiagonal.h":
    int SIDE, SETS
    ctypedef struct Tridiagonal:
        const double *lower
        const double *diagonal
        const double *upper
        const double *rhs
        double *out
        double *room
        ptrdiff_t batch
        ptrdiff_t n
        ptrdiff_t k
        ptrdiff_t far
    ptrdiff_t solve_all(const Tridiagonal *job) noexcept nogil

DEF ON_STACK = 1024
DEF FAR = 524288  # values of a solution (4 MB) from which on it is written past the caches


def solve_tridiagonal(lower, diagonal, upper, rhs, out=None):
    """Thomas algorithm: solve T x = rhs for one system or a batch; writes and returns `out` (made when None).

    diagonal float64[n] or [batch, n], lower and upper float64[..., n - 1] beside it, rhs float64[..., n] or [..., n, k]; each in one piece. `upper` may be `lower`
    (a symmetric system). No pivoting: meant for diagonally dominant or positive definite systems. O(batch n k) time.
    Raises ValueError where the shapes do not fit, ArithmeticError where a pivot is 0 or something is not finite.
    """
    cdef Py_buffer[5] views
    cdef int held = 0
    cdef ptrdiff_t failed
    if out is None:
        out = np.empty_like(rhs)
    try:
        PyObject_GetBuffer(lower, &views[0], PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
        held = 1
        PyObject_GetBuffer(diagonal, &views[1], PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
        held = 2
        PyObject_GetBuffer(upper, &views[2], PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
        held = 3
        PyObject_GetBuffer(rhs, &views[3], PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
        held = 4
        PyObject_GetBuffer(out, &views[4], PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | PyBUF_WRITABLE)
        held = 5
        failed = solve(views)
    finally:
        while held:
            held -= 1
            PyBuffer_Release(&views[held])
    if failed >= 0:
        raise ArithmeticError("A pivot is 0, or a value is not finite.")
    return out


cdef ptrdiff_t solve(Py_buffer *views) except -3:
    """Check the shapes, find room, run; the first system that failed or -1."""
    cdef double[ON_STACK] stack
    cdef double *room = stack
    cdef Py_ssize_t wanted
    cdef ptrdiff_t failed
    cdef Tridiagonal job
    if not fits(views):
        raise ValueError("lower and upper are [..., n - 1] beside the diagonal [..., n], rhs and out [..., n] or [..., n, k]: these shapes do not fit.")
    job = Tridiagonal(<double *> views[0].buf, <double *> views[1].buf, <double *> views[2].buf, <double *> views[3].buf, <double *> views[4].buf, NULL,
                      views[1].shape[0] if views[1].ndim == 2 else 1, views[1].shape[views[1].ndim - 1], 1, 0)
    if views[3].ndim > views[1].ndim:
        job.k = views[3].shape[views[3].ndim - 1]
    wanted = job.n if job.batch < SETS * SIDE else SETS * SIDE * (job.n * (3 + 2 * job.k) + 1)
    if wanted > ON_STACK:
        room = <double *> malloc(wanted * sizeof(double))
        if room == NULL:
            raise MemoryError()
    job.far = job.batch * job.n * job.k >= FAR
    job.room = <double *> ((<uintptr_t> room + 63) & ~(<uintptr_t> 63)) if job.batch >= SETS * SIDE else room
    if job.batch < SETS * SIDE:
        failed = solve_all(&job)
    else:
        with nogil:
            failed = solve_all(&job)
    if room != stack:
        free(room)
    return failed


cdef bint fits(Py_buffer *views) noexcept:
    """Whether all five hold doubles and their shapes belong together."""
    cdef int nd = views[1].ndim, k
    for k in range(5):
        if views[k].itemsize != 8 or views[k].format[0] != b"d" or views[k].format[1] != 0:
            return False
    if not (1 <= nd <= 2 and views[0].ndim == views[2].ndim == nd and nd <= views[3].ndim <= nd + 1 and views[4].ndim == views[3].ndim):
        return False
    if nd == 2 and not (views[0].shape[0] == views[1].shape[0] == views[2].shape[0]):
        return False
    if not (views[1].shape[nd - 1] >= 1 and views[0].shape[nd - 1] == views[2].shape[nd - 1] == views[1].shape[nd - 1] - 1):
        return False
    for k in range(nd):
        if views[3].shape[k] != views[1].shape[k]:
            return False
    for k in range(views[3].ndim):
        if views[4].shape[k] != views[3].shape[k]:
            return False
    return True
