"""Every labeller finds the same components: compiled run kernel, compiled flood fill, NumPy twin, OpenCV."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import cython_ext
from cython_ext import reference

KERNELS = [
    pytest.param(cython_ext.label_regions, id="runs"),
    pytest.param(cython_ext.label_regions_bfs, id="bfs"),
    pytest.param(reference.label_regions, id="twin"),
]


def sort_rows(boxes):
    return boxes[np.lexsort(boxes.T)]


def opencv(mask, connectivity):
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=connectivity, ltype=cv2.CV_32S)
    return stats[1:], labels


def check_against_opencv(kernel, mask, connectivity):
    """Boxes, areas and the partition of the pixels are OpenCV's; rows are in raster order of each component's first pixel."""
    labels = np.full(mask.shape, -7, dtype=np.int32)
    boxes = kernel(mask, connectivity, labels)
    wanted, partition = opencv(mask, connectivity)
    assert boxes.dtype == np.int32 and boxes.shape == (len(wanted), 5)
    np.testing.assert_array_equal(sort_rows(boxes), sort_rows(wanted))
    first_seen = labels[mask != 0][np.sort(np.unique(labels[mask != 0], return_index=True)[1])]
    np.testing.assert_array_equal(first_seen, np.arange(1, len(boxes) + 1))
    assert not labels[mask == 0].any()
    pairs = np.unique(np.stack([labels.ravel(), partition.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(pairs[0])) == len(np.unique(pairs[1]))
    np.testing.assert_array_equal(kernel(mask, connectivity), boxes)
    for row, (x, y, width, height, area) in enumerate(boxes[:50]):
        ys, xs = np.nonzero(labels == row + 1)
        assert (xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1, len(xs)) == (x, y, width, height, area)


def spiral(side):
    """One arm that winds inwards: every row run of the left half meets its neighbour late."""
    mask = np.zeros((side, side), dtype=np.uint8)
    x, y, dx, dy = 0, 0, 1, 0
    mask[0, 0] = 1
    for length in [side - 1, side - 1, *[k for k in range(side - 1, 0, -2) for _ in (0, 1)]]:
        for _ in range(length):
            if not (0 <= x + dx < side and 0 <= y + dy < side):
                break
            x, y = x + dx, y + dy
            mask[y, x] = 1
        dx, dy = -dy, dx
    return mask


def comb(height, width):
    """Teeth that are joined in the last row only: many provisional regions become one."""
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[:, ::2] = 1
    mask[-1] = 1
    return mask


SHAPES = {
    "one pixel": np.ones((1, 1), np.uint8),
    "no foreground": np.zeros((9, 70), np.uint8),
    "all foreground": np.full((65, 129), 255, np.uint8),
    "one row": np.array([[1, 0, 1, 1, 0, 0, 1] * 30], np.uint8),
    "one column": np.array([[1, 0, 1, 1, 0, 0, 1] * 30], np.uint8).T.copy(),
    "width 64": np.tile(np.arange(64, dtype=np.uint8) % 3, (3, 1)),
    "width 128, full": np.ones((2, 128), np.uint8),
    "checkerboard": (np.indices((33, 67)).sum(axis=0) % 2).astype(np.uint8),
    "stripes": np.tile(np.arange(200, dtype=np.uint8)[:, None] % 2, (1, 65)),
    "diagonal": np.eye(70, dtype=np.uint8) * 9,
    "other diagonal": np.ascontiguousarray(np.eye(70, dtype=np.uint8)[:, ::-1]),
    "comb": comb(20, 131),
    "comb upside down": np.ascontiguousarray(comb(20, 131)[::-1]),
    "spiral": spiral(41),
    "spiral turned": np.ascontiguousarray(np.rot90(spiral(64), 2)),
    "rings": np.ascontiguousarray(np.maximum(*np.abs(np.indices((61, 61)) - 30)) % 2).astype(np.uint8),
}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("name", SHAPES)
def test_shapes_with_known_traps(kernel, connectivity, name):
    check_against_opencv(kernel, SHAPES[name], connectivity)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_a_mask_without_pixels_has_no_region(kernel, shape):
    assert kernel(np.zeros(shape, np.uint8), 8, np.zeros(shape, np.int32)).shape == (0, 5)


@pytest.mark.parametrize("kernel", KERNELS)
def test_connectivity_decides_about_corners(kernel):
    mask = np.array([[1, 0], [0, 1]], np.uint8)
    assert kernel(mask, 8).tolist() == [[0, 0, 2, 2, 2]]
    assert kernel(mask, 4).tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_region_that_is_joined_late_keeps_the_place_of_its_first_pixel(kernel):
    mask = np.array([[0, 0, 1, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]], np.uint8)
    labels = np.empty(mask.shape, np.int32)
    assert kernel(mask, 4, labels).tolist() == [[2, 0, 1, 1, 1], [0, 0, 5, 3, 8]]
    assert labels.tolist() == [[0, 0, 1, 0, 2], [2, 0, 0, 0, 2], [2, 2, 2, 2, 2]]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("seed", range(6))
def test_random_masks(kernel, seed):
    rng = np.random.default_rng(seed)
    mask = (rng.random(rng.integers(60, 300, 2)) < [0.05, 0.3, 0.45, 0.6, 0.8, 0.97][seed]).astype(np.uint8) * 255
    for connectivity in (4, 8):
        check_against_opencv(kernel, mask, connectivity)


small_masks = st.tuples(st.integers(1, 12), st.integers(1, 140)).flatmap(lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 1, 255])))


@given(mask=small_masks, connectivity=st.sampled_from([4, 8]))
@settings(max_examples=120, deadline=None)
def test_kernels_agree_with_the_twin_and_opencv(mask, connectivity):
    check_against_opencv(reference.label_regions, mask, connectivity)
    labels, others = np.empty(mask.shape, np.int32), np.empty(mask.shape, np.int32)
    boxes = reference.label_regions(mask, connectivity, labels)
    for kernel in (cython_ext.label_regions, cython_ext.label_regions_bfs):
        np.testing.assert_array_equal(kernel(mask, connectivity, others), boxes)
        np.testing.assert_array_equal(others, labels)


@pytest.mark.parametrize("kernel", KERNELS)
def test_wrong_arguments_are_refused(kernel):
    mask = np.ones((4, 5), np.uint8)
    with pytest.raises(ValueError, match="4 or 8, not 6"):
        kernel(mask, 6)
    with pytest.raises(ValueError, match="labels is 5 x 4"):
        kernel(mask, 8, np.empty((5, 4), np.int32))


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_read_only_mask_is_enough(kernel):
    mask = np.ones((4, 5), np.uint8)
    mask.flags.writeable = False
    assert kernel(mask).tolist() == [[0, 0, 5, 4, 20]]
