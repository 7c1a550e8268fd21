"""The NumPy twin of every kernel, same names and signatures: the meaning the compiled code is tested against, and what runs without a compiler."""

import numpy as np

KERNELS = {"labelling": ("label_regions", "label_regions_bfs")}
"""Compiled module -> the kernels it holds."""


def label_regions(mask, connectivity=8, labels=None):
    """Boxes and areas int32[n, 5] (x, y, width, height, area) of the components of mask uint8[H, W], in raster order of their first pixel.

    Fills labels int32[H, W] when given: 0 is background, row k of the result has label k + 1.
    Raises ValueError for another connectivity than 4 or 8, or labels of another shape.
    """
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity is 4 or 8, not {connectivity}.")
    if labels is not None and labels.shape != mask.shape:
        raise ValueError(f"labels is {labels.shape[0]} x {labels.shape[1]}, the mask {mask.shape[0]} x {mask.shape[1]}.")
    rows, starts, ends = _runs(mask)
    root = _components(len(rows), *_touching(rows, starts, ends, mask.shape[1], connectivity == 8))
    roots, component = np.unique(root, return_inverse=True)
    if labels is not None:
        labels[...] = 0
        labels[np.asarray(mask, dtype=bool)] = np.repeat(component + 1, ends - starts)
    return _boxes(len(roots), component, rows, starts, ends)


def label_regions_bfs(mask, connectivity=8, labels=None):
    """The same result; a flood fill pixel by pixel has no place in NumPy."""
    return label_regions(mask, connectivity, labels)


def _runs(mask):
    """Row, start and end (exclusive) of every run of foreground, each int64[runs], in raster order."""
    height, width = mask.shape
    padded = np.zeros((height, width + 2), dtype=np.int8)
    padded[:, 1:-1] = np.asarray(mask, dtype=bool)
    change = np.diff(padded, axis=1)
    rows, starts = np.nonzero(change == 1)
    return rows, starts, np.nonzero(change == -1)[1]


def _touching(rows, starts, ends, width, diagonal):
    """Pairs (upper run, lower run) that touch, two int64[pairs]."""
    reach = int(diagonal)
    stride = width + 2                                                       # keys of different rows stay apart, also one pixel further
    first = np.searchsorted(rows * stride + ends, (rows - 1) * stride + starts - reach, side="right")
    last = np.searchsorted(rows * stride + starts, (rows - 1) * stride + ends + reach, side="left")
    first = np.maximum(first, np.searchsorted(rows, rows - 1, side="left"))   # no run of the row before
    last = np.minimum(last, np.searchsorted(rows, rows - 1, side="right"))
    count = np.maximum(last - first, 0)
    lower = np.repeat(np.arange(len(rows)), count)
    upper = np.arange(len(lower)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    return upper, lower


def _components(count, one, other):
    """The least member of every node's component, int64[count]: hook greater roots onto lesser ones, shorten all paths, repeat."""
    parent = np.arange(count)
    while True:
        low, high = np.minimum(parent[one], parent[other]), np.maximum(parent[one], parent[other])
        apart = low != high
        if not apart.any():
            return parent
        one, other = one[apart], other[apart]
        np.minimum.at(parent, high[apart], low[apart])
        while not np.array_equal(parent, parent[parent]):
            parent = parent[parent]


def _boxes(components, component, rows, starts, ends):
    """int32[components, 5] from the component of every run."""
    left, top = np.full(components, np.iinfo(np.int64).max), np.full(components, np.iinfo(np.int64).max)
    right, bottom = np.zeros(components, dtype=np.int64), np.zeros(components, dtype=np.int64)
    np.minimum.at(left, component, starts)
    np.minimum.at(top, component, rows)
    np.maximum.at(right, component, ends)
    np.maximum.at(bottom, component, rows + 1)
    area = np.zeros(components, dtype=np.int64)
    np.add.at(area, component, ends - starts)
    return np.stack([left, top, right - left, bottom - top, area], axis=1).astype(np.int32)
