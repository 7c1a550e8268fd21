"""The labeller's checks, and the race on one mask."""

import numpy as np
import pytest

from core.errors import LimitError
from core.table import labelling
from core.table.labelling import label_regions, label_regions_bfs, race


def ruled(rows=4, cols=3, side=20):
    """A grid of rows x cols closed cells with rules two pixels thick; interiors are foreground."""
    mask = np.ones((rows * side + 2, cols * side + 2), np.uint8)
    for k in range(rows + 1):
        mask[k * side:k * side + 2] = 0
    for k in range(cols + 1):
        mask[:, k * side:k * side + 2] = 0
    return mask


@pytest.mark.parametrize("kernel", [label_regions, label_regions_bfs])
def test_cells_of_a_grid_in_reading_order(kernel):
    boxes = kernel(ruled())
    assert [tuple(box) for box in boxes] == [(2 + 20 * c, 2 + 20 * r, 18, 18, 324) for r in range(4) for c in range(3)]


@pytest.mark.parametrize("view", [
    lambda m: m.astype(bool), lambda m: np.asfortranarray(m), lambda m: np.repeat(np.repeat(m, 2, 0), 2, 1)[::2, ::2], lambda m: m[::-1][::-1],
], ids=["bool", "Fortran order", "strided", "reversed twice"])
def test_other_layouts_give_the_same(view):
    labels, wanted = np.empty(ruled().shape, np.int32), np.empty(ruled().shape, np.int32)
    np.testing.assert_array_equal(label_regions(view(ruled()), 8, labels), label_regions(ruled(), 8, wanted))
    np.testing.assert_array_equal(labels, wanted)


@pytest.mark.parametrize("mask, message", [
    (np.ones((3, 3), np.float32), r"not float32 \[3, 3\]"),
    (np.ones((3, 3, 1), np.uint8), r"not uint8 \[3, 3, 1\]"),
    ([[1, 0]], "not list"),
])
def test_a_wrong_mask_is_named(mask, message):
    with pytest.raises(ValueError, match=message):
        label_regions(mask)


@pytest.mark.parametrize("labels", [np.empty((3, 4), np.int64), np.empty((4, 3), np.int32), np.empty((4, 3), np.int32).T, np.empty((3, 8), np.int32)[:, ::2]],
                         ids=["dtype", "shape", "Fortran order", "strided"])
def test_wrong_labels_are_refused(labels):
    with pytest.raises(ValueError, match="labels is int32"):
        label_regions(np.ones((3, 4), np.uint8), 8, labels)


def test_wrong_connectivity_is_refused():
    with pytest.raises(ValueError, match="4 or 8, not 5"):
        label_regions(np.ones((3, 4), np.uint8), 5)


def test_too_many_pixels_are_refused(monkeypatch):
    monkeypatch.setattr(labelling, "MAX_PIXELS", 11)
    with pytest.raises(LimitError, match="4 x 3 pixels .* limit is 11"):
        label_regions(np.ones((3, 4), np.uint8))


def test_race_agrees_on_the_components():
    rows = race(ruled(), repeats=4)
    assert {row["name"] for row in rows} >= {"OpenCV connectedComponentsWithStats", "SciPy label and find_objects", "NumPy twin"}
    assert all(row["same"] and row["components"] == 12 and row["part"] == "whole" for row in rows)
    assert all(0 <= row["seconds"] <= row["median"] for row in rows)
    assert {row["name"]: row["repeats"] for row in rows}["NumPy twin"] == labelling.SLOW_REPEATS


def test_race_sees_a_labeller_that_is_wrong(monkeypatch):
    monkeypatch.setattr(labelling, "_scipy_boxes", lambda result: np.zeros((12, 5), np.int32))
    verdict = {row["name"]: row["same"] for row in race(ruled(), repeats=1)}
    assert verdict.pop("SciPy label and find_objects") is False and all(verdict.values())


def test_race_takes_the_middle_of_a_large_mask(monkeypatch):
    monkeypatch.setattr(labelling, "RACE_PIXELS", 1000)
    rows = race(ruled(), repeats=1)
    assert {row["part"] for row in rows} == {"central 27 x 36 of 62 x 82"}
    assert all(row["same"] and row["pixels"] == 27 * 36 for row in rows)


def test_race_needs_pixels():
    with pytest.raises(ValueError, match="not 0 x 0"):
        race(np.zeros((0, 0), np.uint8))
