"""Connected regions of a mask (the flood fill of the post's RBIS): checks and allocation around the kernel, and a race of labellers on one mask."""

import time
from collections.abc import Callable

import cv2
import numpy as np
from scipy import ndimage

import cython_ext
from core.errors import LimitError
from cython_ext import reference

MAX_PIXELS = 2**31 - 2
RACE_PIXELS = 4_000_000
RACE_SECONDS = 1.5
SLOW_REPEATS = 3


def label_regions(mask: np.ndarray, connectivity: int = 8, labels: np.ndarray | None = None) -> np.ndarray:
    """Boxes and areas of the connected foreground regions of a mask, in raster order of each region's first pixel.

    mask          uint8 or bool [H, W], foreground where not zero; any strides, a copy is made unless rows are contiguous
    connectivity  8 (diagonal neighbours touch) or 4
    labels        int32 [H, W], C-contiguous, filled when given: 0 background, k + 1 for row k of the result
    returns       int32 [n, 5]: x, y, width, height in pixels, area in pixels

    Time O(H W / 64 + r) for r row runs, O(H W + r) with labels; memory 4 bytes a run and 28 a region, no image of its own.
    Raises ValueError (dtype, shape, connectivity) and LimitError (2^31 - 1 pixels or more).
    Source: run-based union-find, Rosenfeld and Pfaltz 1966; the per-pixel flood fill of the post is `label_regions_bfs`.
    """
    return cython_ext.label_regions(*_checked(mask, connectivity, labels))


def label_regions_bfs(mask: np.ndarray, connectivity: int = 8, labels: np.ndarray | None = None) -> np.ndarray:
    """The same result by the post's breadth-first flood fill, pixel by pixel; O(H W) time, up to 8 bytes a pixel. Parameters and errors as above."""
    return cython_ext.label_regions_bfs(*_checked(mask, connectivity, labels))


def _checked(mask: np.ndarray, connectivity: int, labels: np.ndarray | None) -> tuple[np.ndarray, int, np.ndarray | None]:
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype not in (np.uint8, np.bool_):
        raise ValueError(f"A mask is uint8 or bool [H, W], not {_kind(mask)}.")
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity is 4 or 8, not {connectivity}.")
    if mask.size > MAX_PIXELS:
        raise LimitError(f"A mask of {mask.shape[1]} x {mask.shape[0]} pixels is too large to label; the limit is {MAX_PIXELS} pixels.")
    if labels is not None and not _fits(labels, mask):
        raise ValueError(f"labels is int32 {list(mask.shape)}, C-contiguous and writeable, not {_kind(labels)}.")
    return np.ascontiguousarray(mask).view(np.uint8), int(connectivity), labels


def _fits(labels: np.ndarray, mask: np.ndarray) -> bool:
    return (isinstance(labels, np.ndarray) and labels.dtype == np.int32 and labels.shape == mask.shape
            and labels.flags.c_contiguous and labels.flags.writeable)


def _kind(value) -> str:
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__


def race(mask: np.ndarray, repeats: int = 15) -> list[dict]:
    """Label this very mask with every labeller there is, interleaved, one thread each; 8-connected.

    mask     uint8 or bool [H, W]; of a mask above 4 million pixels the central part of that size is taken
    repeats  rounds wanted; fewer when 1.5 s are over; the flood fill and the NumPy twin run 3 times at most
    returns  one dict a labeller: name, work ("boxes" or "boxes and labels"), seconds (best), median, repeats, components,
             same (whether its boxes and areas are ours), part (which part of the mask was taken), pixels
    Seconds are CPU time of this thread and include what a caller has to allocate.
    Raises ValueError for a mask that is not uint8 or bool [H, W], or has no pixel (OpenCV dies of it).
    """
    mask, _, _ = _checked(mask, 8, None)
    if not mask.size:
        raise ValueError(f"A race needs a mask with pixels, not {mask.shape[1]} x {mask.shape[0]}.")
    part = _central(mask)
    rivals = _labellers(part)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        found, times = _time_rounds(rivals, repeats)
    finally:
        cv2.setNumThreads(threads)
    ours = _sorted_rows(cython_ext.label_regions(part))
    where = "whole" if part.shape == mask.shape else f"central {part.shape[1]} x {part.shape[0]} of {mask.shape[1]} x {mask.shape[0]}"
    return [dict(name=name, work=work, seconds=min(times[k]), median=float(np.median(times[k])), repeats=len(times[k]), components=len(boxes),
                 same=bool(np.array_equal(_sorted_rows(boxes), ours)), part=where, pixels=part.size)
            for k, ((name, work, _, _, collect), result) in enumerate(zip(rivals, found, strict=True)) for boxes in [collect(result)]]


def _central(mask: np.ndarray) -> np.ndarray:
    """The mask, or its central part of RACE_PIXELS pixels in the same proportions."""
    scale = min(1.0, (RACE_PIXELS / max(mask.size, 1)) ** 0.5)
    height, width = (max(1, int(side * scale)) if side else 0 for side in mask.shape)
    top, left = (mask.shape[0] - height) // 2, (mask.shape[1] - width) // 2
    return np.ascontiguousarray(mask[top:top + height, left:left + width])


Labeller = tuple[str, str, bool, Callable[[], object], Callable[[object], np.ndarray]]
"""Name, work, whether it is slow, the call that is timed, and what turns its result into boxes and areas (not timed)."""


def _labellers(mask: np.ndarray) -> list[Labeller]:
    def with_labels(kernel):
        return lambda: kernel(mask, 8, np.empty(mask.shape, dtype=np.int32))

    boxes, both = "boxes", "boxes and labels"
    compiled = [
        ("Row runs, compiled", both, False, with_labels(cython_ext.label_regions), np.asarray),
        ("Row runs, compiled", boxes, False, lambda: cython_ext.label_regions(mask), np.asarray),
        ("Flood fill by pixel, compiled", both, True, with_labels(cython_ext.label_regions_bfs), np.asarray),
    ]
    return [
        *([] if cython_ext.MISSING.keys() & {"label_regions", "label_regions_bfs"} else compiled),
        ("OpenCV connectedComponentsWithStats", both, False,
         lambda: cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S), lambda result: result[2][1:]),
        ("SciPy label and find_objects", both, False, lambda: _scipy(mask), _scipy_boxes),
        ("NumPy twin", both, True, with_labels(reference.label_regions), np.asarray),
    ]


def _scipy(mask: np.ndarray) -> tuple[np.ndarray, list]:
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3), dtype=int))
    return labels, ndimage.find_objects(labels)


def _scipy_boxes(result: tuple[np.ndarray, list]) -> np.ndarray:
    labels, slices = result
    area = np.bincount(labels.ravel(), minlength=len(slices) + 1)[1:]
    return np.array([(x.start, y.start, x.stop - x.start, y.stop - y.start, a) for (y, x), a in zip(slices, area, strict=True)], dtype=np.int32).reshape(-1, 5)


def _time_rounds(rivals: list[Labeller], repeats: int) -> tuple[list, list[list[float]]]:
    """First results and the times of every labeller; at least one round, no further one after RACE_SECONDS."""
    times: list[list[float]] = [[] for _ in rivals]
    found: list = [None] * len(rivals)
    begun = time.perf_counter()
    for turn in range(max(1, repeats)):
        if turn and time.perf_counter() - begun > RACE_SECONDS:
            break
        for k, (_, _, slow, call, _) in enumerate(rivals):
            if turn >= SLOW_REPEATS and slow:
                continue
            start = time.thread_time()
            result = call()
            times[k].append(time.thread_time() - start)
            found[k] = result if turn == 0 else found[k]
    return found, times


def _sorted_rows(boxes: np.ndarray) -> np.ndarray:
    """Rows in lexicographic order: other labellers number the components in their own way."""
    return boxes[np.lexsort(boxes.T)]
