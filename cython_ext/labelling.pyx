"""Connected regions of a mask: the post's per-pixel breadth-first flood fill, and row runs joined by union-find (Rosenfeld and Pfaltz 1966)."""

import numpy as np
from libc.stdint cimport int32_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

cdef extern from "bits.h":
    uint64_t nonzero_bits(const uint8_t *bytes) noexcept nogil
    int lowest_bit(uint64_t word) noexcept nogil

cdef struct Region:
    int32_t parent      # a region this one touches, never a later one; itself for a root
    int32_t number      # 1..n of the component, known at the end
    int32_t left
    int32_t top
    int32_t right       # exclusive
    int32_t bottom      # exclusive
    int32_t area

cdef struct Forest:
    Region *regions     # in raster order of their first pixel
    Py_ssize_t count
    Py_ssize_t room

cdef struct Runs:
    int32_t *region     # region of every run, in raster order
    Py_ssize_t count
    Py_ssize_t room


def label_regions(const uint8_t[:, ::1] mask, int connectivity=8, int32_t[:, ::1] labels=None):
    """Boxes and areas int32[n, 5] (x, y, width, height, area) of the components of mask uint8[H, W], in raster order of their first pixel.

    Fills labels int32[H, W] when given: 0 is background, row k of the result has label k + 1. O(H W / 64 + runs) time without labels.
    Raises ValueError for another connectivity than 4 or 8, or labels of another shape.
    """
    cdef Forest forest = Forest(NULL, 0, 0)
    cdef Runs runs = Runs(NULL, 0, 0)
    cdef int32_t[::1] edges = np.empty(2 * (mask.shape[1] + 2), dtype=np.int32)
    cdef int failed
    cdef Py_ssize_t components
    check(mask, connectivity, labels)
    try:
        with nogil:
            failed = link_rows(mask, connectivity == 8, &edges[0], &forest, &runs)
            if not failed:
                components = number_components(&forest)
        if failed:
            raise MemoryError("There is no memory left for the regions of this mask.")
        if labels is not None:
            with nogil:
                fill_labels(mask, labels, &edges[0], forest.regions, runs.region)
        return boxes(&forest, components)
    finally:
        free(forest.regions)
        free(runs.region)


def label_regions_bfs(const uint8_t[:, ::1] mask, int connectivity=8, int32_t[:, ::1] labels=None):
    """The same by breadth-first flood fill, pixel by pixel: the reference `label_regions` is held against. O(H W) time, 4 to 8 bytes a pixel."""
    cdef Forest forest = Forest(NULL, 0, 0)
    cdef int failed
    check(mask, connectivity, labels)
    cdef int32_t[:, ::1] marks = np.empty((mask.shape[0], mask.shape[1]), dtype=np.int32) if labels is None else labels
    cdef int32_t[::1] queue = np.empty(mask.shape[0] * mask.shape[1] + 1, dtype=np.int32)
    try:
        with nogil:
            failed = flood_all(mask, connectivity == 8, marks, &queue[0], &forest)
        if failed:
            raise MemoryError("There is no memory left for the regions of this mask.")
        return boxes(&forest, forest.count)
    finally:
        free(forest.regions)


cdef check(const uint8_t[:, ::1] mask, int connectivity, int32_t[:, ::1] labels):
    if connectivity != 4 and connectivity != 8:
        raise ValueError(f"connectivity is 4 or 8, not {connectivity}.")
    if mask.shape[0] * mask.shape[1] > 0x7ffffffe:
        raise ValueError(f"A mask has at most 2147483646 pixels, not {mask.shape[0]} x {mask.shape[1]}.")
    if labels is not None and (labels.shape[0] != mask.shape[0] or labels.shape[1] != mask.shape[1]):
        raise ValueError(f"labels is {labels.shape[0]} x {labels.shape[1]}, the mask {mask.shape[0]} x {mask.shape[1]}.")


cdef boxes(Forest *forest, Py_ssize_t components):
    """The roots of the forest as int32[components, 5]."""
    cdef int32_t[:, ::1] out = np.empty((components, 5), dtype=np.int32)
    cdef Py_ssize_t k, row = 0
    cdef Region *region
    for k in range(forest.count):
        region = &forest.regions[k]
        if region.parent == k:
            out[row, 0] = region.left
            out[row, 1] = region.top
            out[row, 2] = region.right - region.left
            out[row, 3] = region.bottom - region.top
            out[row, 4] = region.area
            row += 1
    return np.asarray(out)


cdef inline Region *new_region(Forest *forest, int32_t x, int32_t y) noexcept nogil:
    """A root without pixels at (x, y); NULL when memory is out."""
    cdef Py_ssize_t room
    cdef void *grown
    cdef Region *region
    if forest.count == forest.room:
        room = 2 * forest.room + 256
        grown = realloc(forest.regions, room * sizeof(Region))
        if grown == NULL:
            return NULL
        forest.regions = <Region *> grown
        forest.room = room
    region = &forest.regions[forest.count]
    region[0] = Region(<int32_t> forest.count, 0, x, y, x, y, 0)
    forest.count += 1
    return region


# Row runs and union-find

cdef int link_rows(const uint8_t[:, ::1] mask, bint diagonal, int32_t *edges, Forest *forest, Runs *runs) noexcept nogil:
    """Give every run of the mask its region, row by row; regions that touch are united. 1 when memory is out."""
    cdef Py_ssize_t height = mask.shape[0], width = mask.shape[1], y
    cdef int32_t *above = edges
    cdef int32_t *here = edges + width + 2
    cdef Py_ssize_t above_count = 0, here_count
    if width == 0:
        return 0
    for y in range(height):
        here_count = scan_row(&mask[y, 0], width, here)
        if grow_runs(runs, here_count >> 1):
            return 1
        if link_row(above, above_count, here, here_count, diagonal, y, forest, runs.region + runs.count - (above_count >> 1)):
            return 1
        runs.count += here_count >> 1
        above, here, above_count = here, above, here_count
    return 0


cdef Py_ssize_t scan_row(const uint8_t *row, Py_ssize_t width, int32_t *edges) noexcept nogil:
    """Where the row changes between background and foreground: start, end, start, end, ... (ends exclusive); returns how many."""
    cdef Py_ssize_t base, count = 0
    cdef uint64_t word, changes, before = 0
    cdef uint8_t last[64]
    for base in range(0, width, 64):
        if width - base >= 64:
            word = nonzero_bits(row + base)
        else:
            memset(last, 0, 64)
            memcpy(last, row + base, width - base)
            word = nonzero_bits(last)
        changes = word ^ ((word << 1) | before)
        before = word >> 63
        while changes:
            edges[count] = <int32_t> (base + lowest_bit(changes))
            count += 1
            changes &= changes - 1
    if count & 1:
        edges[count] = <int32_t> width
        count += 1
    return count


cdef int grow_runs(Runs *runs, Py_ssize_t more) noexcept nogil:
    """Room for `more` further runs; 1 when memory is out."""
    cdef Py_ssize_t room
    cdef void *grown
    if runs.count + more <= runs.room:
        return 0
    room = 2 * runs.room + more + 256
    grown = realloc(runs.region, room * sizeof(int32_t))
    if grown == NULL:
        return 1
    runs.region = <int32_t *> grown
    runs.room = room
    return 0


cdef int link_row(const int32_t *above, Py_ssize_t above_count, const int32_t *here, Py_ssize_t here_count, bint diagonal,
                  Py_ssize_t y, Forest *forest, int32_t *region_of_above) noexcept nogil:
    """Regions of the runs `here`, written behind those of the runs `above`: the region of the first run touched, or a new one. 1: no memory."""
    cdef int32_t *region_of_here = region_of_above + (above_count >> 1)
    cdef Py_ssize_t a = 0, h
    cdef int32_t start, end, found
    for h in range(0, here_count, 2):
        start = here[h] - diagonal
        end = here[h + 1] + diagonal
        while a < above_count and above[a + 1] <= start:
            a += 2
        if a < above_count and above[a] < end:
            found = region_of_above[a >> 1]
            while a + 2 < above_count and above[a + 2] < end:   # the last run touched may touch the next run as well: stay on it
                a += 2
                if region_of_above[a >> 1] != found:
                    unite(forest.regions, found, region_of_above[a >> 1])
        else:
            if new_region(forest, here[h], <int32_t> y) == NULL:
                return 1
            found = <int32_t> forest.count - 1
        region_of_here[h >> 1] = found
        add_run(&forest.regions[found], here[h], here[h + 1], <int32_t> y)
    return 0


cdef inline void add_run(Region *region, int32_t start, int32_t end, int32_t y) noexcept nogil:
    if start < region.left:
        region.left = start
    if end > region.right:
        region.right = end
    region.bottom = y + 1
    region.area += end - start


cdef inline int32_t root_of(Region *regions, int32_t k) noexcept nogil:
    """Root of region k; every second step of the path is shortened on the way (path halving)."""
    while regions[k].parent != k:
        regions[k].parent = regions[regions[k].parent].parent
        k = regions[k].parent
    return k


cdef inline void unite(Region *regions, int32_t one, int32_t other) noexcept nogil:
    """The earlier root becomes the parent: the root of a component is the region of its first pixel."""
    one = root_of(regions, one)
    other = root_of(regions, other)
    if one < other:
        regions[other].parent = one
    else:
        regions[one].parent = other


cdef Py_ssize_t number_components(Forest *forest) noexcept nogil:
    """Add every region to its root and number the roots from 1; returns how many there are."""
    cdef Py_ssize_t k, components = 0
    cdef Region *region
    cdef Region *parent
    for k in range(forest.count - 1, -1, -1):       # children come after their parents
        region = &forest.regions[k]
        parent = &forest.regions[region.parent]
        if parent != region:
            parent.left = min(parent.left, region.left)
            parent.right = max(parent.right, region.right)
            parent.bottom = max(parent.bottom, region.bottom)
            parent.area += region.area
    for k in range(forest.count):
        region = &forest.regions[k]
        if region.parent == k:
            components += 1
            region.number = <int32_t> components
        else:
            region.number = forest.regions[region.parent].number
    return components


cdef void fill_labels(const uint8_t[:, ::1] mask, int32_t[:, ::1] labels, int32_t *edges, const Region *regions,
                      const int32_t *region_of_run) noexcept nogil:
    """Write every pixel's component number, once; the runs are found again, which is cheaper than to have kept them."""
    cdef Py_ssize_t height = mask.shape[0], width = mask.shape[1], y, x, k, edge, count, run = 0
    cdef int32_t number
    cdef int32_t *out
    if width == 0:
        return
    for y in range(height):
        count = scan_row(&mask[y, 0], width, edges)
        out = &labels[y, 0]
        x = 0
        for edge in range(0, count, 2):
            number = regions[region_of_run[run]].number
            run += 1
            for k in range(x, edges[edge]):
                out[k] = 0
            x = edges[edge + 1]
            for k in range(edges[edge], x):
                out[k] = number
        for k in range(x, width):
            out[k] = 0


# Breadth-first flood fill

cdef int flood_all(const uint8_t[:, ::1] mask, bint diagonal, int32_t[:, ::1] marks, int32_t *queue, Forest *forest) noexcept nogil:
    """Flood from every foreground pixel that has no mark yet, in raster order. 1 when memory is out."""
    cdef Py_ssize_t x, y
    cdef Region *region
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            marks[y, x] = 0
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if mask[y, x] and not marks[y, x]:
                region = new_region(forest, <int32_t> x, <int32_t> y)
                if region == NULL:
                    return 1
                flood(mask, diagonal, marks, queue, region, <int32_t> x, <int32_t> y, <int32_t> forest.count)
    return 0


cdef void flood(const uint8_t[:, ::1] mask, bint diagonal, int32_t[:, ::1] marks, int32_t *queue, Region *region,
                int32_t x, int32_t y, int32_t mark) noexcept nogil:
    """Mark the component of pixel (x, y): take the oldest pixel from the queue, add its unmarked neighbours to the end."""
    cdef int32_t height = <int32_t> mask.shape[0], width = <int32_t> mask.shape[1]
    cdef int32_t dx, dy, nx, ny
    cdef Py_ssize_t head = 0, tail = 1
    queue[0] = y * width + x
    marks[y, x] = mark
    while head < tail:
        y = queue[head] // width
        x = queue[head] % width
        head += 1
        add_pixel(region, x, y)
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                nx = x + dx
                ny = y + dy
                if nx < 0 or ny < 0 or nx >= width or ny >= height or (dx and dy and not diagonal):
                    continue
                if mask[ny, nx] and not marks[ny, nx]:
                    marks[ny, nx] = mark
                    queue[tail] = ny * width + nx
                    tail += 1


cdef inline void add_pixel(Region *region, int32_t x, int32_t y) noexcept nogil:
    region.left = min(region.left, x)
    region.top = min(region.top, y)
    region.right = max(region.right, x + 1)
    region.bottom = max(region.bottom, y + 1)
    region.area += 1
