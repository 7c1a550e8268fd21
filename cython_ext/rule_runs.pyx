"""Straight runs along the rows of an edge picture: what is left of PIX-TAB's rules when letters are gone, row by row, without morphology."""

import numpy as np
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memchr, memcpy, memset

cdef extern from *:
    """
    #if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
    #define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
    #else
    #define CLONES
    #endif
    #include <stddef.h>
    #include <stdint.h>

    /* How much brighter, and how much darker, the row below is than the row above; returns the largest of either. */
    CLONES static uint8_t edge_strengths(const uint8_t *above, const uint8_t *below, ptrdiff_t width, uint8_t *restrict brighter, uint8_t *restrict darker)
    {
        uint8_t largest = 0;
        for (ptrdiff_t x = 0; x < width; x++) {
            uint8_t high = above[x] > below[x] ? above[x] : below[x], low = above[x] > below[x] ? below[x] : above[x], change = high - low;
            brighter[x] = high - above[x];
            darker[x] = high - below[x];
            largest = largest > change ? largest : change;
        }
        return largest;
    }

    CLONES static void greater(const uint8_t *restrict row, ptrdiff_t step, ptrdiff_t width, uint8_t *restrict out)
    {
        const uint8_t *ahead = row + step;
        for (ptrdiff_t x = 0; x < width; x++)
            out[x] = row[x] > ahead[x] ? row[x] : ahead[x];
    }

    /* The maximum of row[x .. x + window - 1] for each x, in log2(window) passes between the two buffers of width + window - 1 bytes; says in which it is. */
    static uint8_t *running_maximum(uint8_t *row, uint8_t *other, ptrdiff_t width, ptrdiff_t window)
    {
        ptrdiff_t length = 1, total = width + window - 1;
        while (length < window) {
            ptrdiff_t step = 2 * length <= window ? length : window - length;
            uint8_t *spare = row;
            total -= step;
            greater(row, step, total, other);
            row = other;
            other = spare;
            length += step;
        }
        return row;
    }

    /* strong[x] = 1 where strength exceeds both the contrast and share / 256 of the strongest beside it. */
    CLONES static void mark_strong(const uint8_t *strength, const uint8_t *beside, ptrdiff_t width, uint8_t contrast, uint16_t share, uint8_t *restrict strong)
    {
        for (ptrdiff_t x = 0; x < width; x++)
            strong[x] = (uint8_t) ((uint16_t) (beside[x] * share + 128) >> 8);
        for (ptrdiff_t x = 0; x < width; x++) {
            uint8_t limit = strong[x] > contrast ? strong[x] : contrast;
            strong[x] = strength[x] > limit;
        }
    }

    /* Add one row of each kind to the flags. */
    CLONES static void add_flags(const uint8_t *bridged, const uint8_t *unbroken, const uint8_t *strong, ptrdiff_t width, uint8_t *restrict flags)
    {
        for (ptrdiff_t x = 0; x < width; x++)
            flags[x] |= bridged[x] | unbroken[x] << 1 | strong[x] << 2;
    }
    """
    uint8_t edge_strengths(const uint8_t *above, const uint8_t *below, Py_ssize_t width, uint8_t *brighter, uint8_t *darker) noexcept nogil
    uint8_t *running_maximum(uint8_t *row, uint8_t *other, Py_ssize_t width, Py_ssize_t window) noexcept nogil
    void mark_strong(const uint8_t *strength, const uint8_t *beside, Py_ssize_t width, uint8_t contrast, uint16_t share, uint8_t *strong) noexcept nogil
    void add_flags(const uint8_t *bridged, const uint8_t *unbroken, const uint8_t *strong, Py_ssize_t width, uint8_t *flags) noexcept nogil

cdef struct Windows:
    int contrast
    int share
    int beside
    int shortest
    int grow
    int bridge


def edge_runs(const uint8_t[:, ::1] grey, int reach, int contrast, int share, int beside, int shortest, int grow, int bridge, uint8_t[:, ::1] flags):
    """Straight runs of contrast along the rows of grey uint8[H, W], as bits in flags uint8[H, W].

    The strength of an edge is how much brighter, or darker, the picture is `reach` rows below than `reach` rows above (the picture's own rows go on
    beyond it); both signs are treated apart and their bits joined:
    4  strong: above `contrast` and above share / 256 of the strongest within `beside` columns
    2  unbroken: runs of strong of at least 2 shortest + 1 pixels (at a side of the picture shortest + 1), and what is above `contrast` within `grow` of their ends
    1  bridged: unbroken with gaps of at most 2 bridge pixels filled (at a side of the picture: bridge)
    The opening, geodesic dilation and closing of morphology, on one row in memory; O(H W log(beside)) time.
    Raises ValueError for flags of another shape, or a contrast or share outside 0..255 and 0..256.
    """
    cdef Py_ssize_t height = grey.shape[0], width = grey.shape[1], y
    cdef Windows windows = Windows(contrast, share, beside, shortest, grow, bridge)
    check(grey, flags)
    if not (0 <= contrast <= 255 and 0 <= share <= 256):
        raise ValueError(f"contrast is 0 to 255 and share 0 to 256, not {contrast} and {share}.")
    if not height or not width:
        return
    cdef uint8_t[:, ::1] rows = np.empty((5, width), dtype=np.uint8)
    cdef uint8_t[:, ::1] room = np.empty((2, width + 2 * beside + 1), dtype=np.uint8)
    with nogil:
        for y in range(height):
            memset(&flags[y, 0], 0, width)
            if edge_strengths(&grey[max(0, y - reach), 0], &grey[min(height - 1, y + reach), 0], width, &rows[0, 0], &rows[1, 0]) > contrast:
                one_sign(&rows[0, 0], width, windows, &room[0, 0], &room[1, 0], &rows[2, 0], &rows[3, 0], &rows[4, 0], &flags[y, 0])
                one_sign(&rows[1, 0], width, windows, &room[0, 0], &room[1, 0], &rows[2, 0], &rows[3, 0], &rows[4, 0], &flags[y, 0])


cdef void one_sign(const uint8_t *strength, Py_ssize_t width, Windows w, uint8_t *room, uint8_t *other, uint8_t *strong, uint8_t *unbroken, uint8_t *bridged,
                   uint8_t *flags) noexcept nogil:
    """The flags of one row and one sign of edge; the buffers hold a row each, `room` and `other` 2 beside + 1 more."""
    memset(room, 0, w.beside)
    memcpy(room + w.beside, strength, width)
    memset(room + w.beside + width, 0, w.beside)
    mark_strong(strength, running_maximum(room, other, width, 2 * w.beside + 1), width, w.contrast, w.share, strong)
    memset(unbroken, 0, width)
    memset(bridged, 0, width)
    keep_long(strong, width, w.shortest, unbroken, strength, w.contrast, w.grow)
    fill_gaps(unbroken, width, w.bridge, bridged)
    add_flags(bridged, unbroken, strong, width, flags)


def long_runs(const uint8_t[:, ::1] mask, int shortest, int grow, uint8_t[:, ::1] out):
    """Runs of not-zero pixels along the rows of mask uint8[H, W] of at least 2 shortest + 1 pixels, lengthened by `grow` at both ends, as 0/1 into out.

    At a side of the picture shortest + 1 pixels are enough: a run may go on beyond it. Raises ValueError for an out of another shape.
    """
    cdef Py_ssize_t width = mask.shape[1], y
    check(mask, out)
    if not mask.shape[0] or not width:
        return
    with nogil:
        for y in range(mask.shape[0]):
            memset(&out[y, 0], 0, width)
            keep_long(&mask[y, 0], width, shortest, &out[y, 0], NULL, 0, grow)


cdef check(const uint8_t[:, ::1] given, uint8_t[:, ::1] out):
    if out.shape[0] != given.shape[0] or out.shape[1] != given.shape[1]:
        raise ValueError(f"the output is {out.shape[0]} x {out.shape[1]}, the input {given.shape[0]} x {given.shape[1]}.")


cdef inline Py_ssize_t run_end(const uint8_t *row, Py_ssize_t start, Py_ssize_t width) noexcept nogil:
    """Where the run of not-zero bytes that begins at `start` ends (exclusive)."""
    cdef const uint8_t *found = <const uint8_t *> memchr(row + start, 0, width - start)
    return width if found == NULL else found - row


cdef inline Py_ssize_t run_start(const uint8_t *row, Py_ssize_t start, Py_ssize_t width) noexcept nogil:
    """The next not-zero byte from `start` on, or `width`; eight bytes at a time where all are zero."""
    cdef uint64_t eight
    while start + 8 <= width:
        memcpy(&eight, row + start, 8)
        if eight:
            break
        start += 8
    while start < width and row[start] == 0:
        start += 1
    return start


cdef void keep_long(const uint8_t *row, Py_ssize_t width, Py_ssize_t shortest, uint8_t *out, const uint8_t *strength, int contrast, Py_ssize_t grow) noexcept nogil:
    """Copy the long runs of `row` into `out` (zeroed) and lengthen them by `grow`: everywhere, or only where `strength` is given and above `contrast`."""
    cdef Py_ssize_t start = run_start(row, 0, width), end, needed, x
    while start < width:
        end = run_end(row, start, width)
        needed = 2 * shortest + 1
        if start == 0 or end == width:
            needed = shortest + 1
        if end - start >= needed or (start == 0 and end == width):
            memset(out + start, 1, end - start)
            for x in range(max(0, start - grow), start):
                out[x] |= strength == NULL or strength[x] > contrast
            for x in range(end, min(width, end + grow)):
                out[x] |= strength == NULL or strength[x] > contrast
        start = run_start(row, end, width)


cdef void fill_gaps(const uint8_t *row, Py_ssize_t width, Py_ssize_t bridge, uint8_t *out) noexcept nogil:
    """Copy `row` into `out` (zeroed) with gaps of at most 2 bridge filled; a gap at a side of the picture may have bridge."""
    cdef Py_ssize_t start = run_start(row, 0, width), end, following
    if start < width and start <= bridge:
        memset(out, 1, start)
    while start < width:
        end = run_end(row, start, width)
        memset(out + start, 1, end - start)
        following = run_start(row, end, width)
        if following < width and following - end <= 2 * bridge:
            memset(out + end, 1, following - end)
        elif following == width and width - end <= bridge:
            memset(out + end, 1, width - end)
        start = following
