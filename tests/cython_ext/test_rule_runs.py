"""The runs kernels against their twins on anything, and against OpenCV's morphology, whose result they give without it."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import cython_ext
from cython_ext import reference

SMALL = st.integers(0, 9)
WINDOWS = dict(reach=st.integers(1, 3), contrast=st.integers(0, 120), share=st.integers(0, 256), beside=SMALL, shortest=SMALL, grow=SMALL, bridge=SMALL)


@st.composite
def pictures(draw):
    """Grey pictures of any small size with flat stretches, so that there are runs."""
    height, width = draw(st.integers(0, 7)), draw(st.integers(0, 70))
    coarse = draw(arrays(np.uint8, (height, width // 5 + 1)))
    return np.ascontiguousarray(np.repeat(coarse, 5, axis=1)[:, :width])


def runs(kernels, grey, **windows):
    flags = np.full(grey.shape, 99, np.uint8)
    kernels.edge_runs(grey, **windows, flags=flags)
    return flags


@settings(max_examples=300, deadline=None)
@given(pictures(), st.fixed_dictionaries(WINDOWS))
def test_edge_runs_equal_their_twin(grey, windows):
    assert np.array_equal(runs(cython_ext, grey, **windows), runs(reference, grey, **windows))


@settings(max_examples=200, deadline=None)
@given(pictures().filter(lambda p: p.size), st.fixed_dictionaries(WINDOWS))
def test_edge_runs_are_what_morphology_gives(grey, windows):
    flags, w = runs(cython_ext, grey, **windows), windows
    padded = cv2.copyMakeBorder(grey, w["reach"], w["reach"], 0, 0, cv2.BORDER_REPLICATE)
    above, below = padded[:-2 * w["reach"]], padded[2 * w["reach"]:]
    expected = np.zeros_like(flags)
    for strength in (cv2.subtract(below, above), cv2.subtract(above, below)):
        beside = cv2.dilate(strength, element(w["beside"])).astype(int)
        faint = (strength > w["contrast"]).astype(np.uint8)
        strong = ((strength > (beside * w["share"] + 128) // 256) & (faint > 0)).astype(np.uint8)
        unbroken = cv2.morphologyEx(strong, cv2.MORPH_OPEN, element(w["shortest"]))
        unbroken |= cv2.dilate(unbroken, element(w["grow"])) & faint
        expected |= cv2.morphologyEx(unbroken, cv2.MORPH_CLOSE, element(w["bridge"])) | unbroken << 1 | strong << 2
    assert np.array_equal(flags, expected)


def element(half: int) -> np.ndarray:
    return np.ones((1, 2 * half + 1), np.uint8)


@settings(max_examples=200, deadline=None)
@given(pictures(), SMALL, SMALL)
def test_long_runs_equal_their_twin_and_morphology(grey, shortest, grow):
    mask = np.ascontiguousarray((grey > 127).astype(np.uint8) * 255)
    ours, twin = np.full(mask.shape, 99, np.uint8), np.full(mask.shape, 98, np.uint8)
    cython_ext.long_runs(mask, shortest, grow, ours)
    reference.long_runs(mask, shortest, grow, twin)
    assert np.array_equal(ours, twin)
    if mask.size:
        assert np.array_equal(ours, cv2.dilate(cv2.morphologyEx(mask // 255, cv2.MORPH_OPEN, element(shortest)), element(grow)))


@pytest.mark.parametrize("kernels", [cython_ext, reference], ids=["in use", "twin"])
def test_what_does_not_fit_is_refused(kernels):
    grey = np.zeros((4, 5), np.uint8)
    with pytest.raises(ValueError, match="4 x 6"):
        kernels.edge_runs(grey, 1, 8, 77, 3, 3, 3, 3, np.zeros((4, 6), np.uint8))
    with pytest.raises(ValueError, match="300"):
        kernels.edge_runs(grey, 1, 8, 300, 3, 3, 3, 3, np.zeros((4, 5), np.uint8))
    with pytest.raises(ValueError, match="3 x 5"):
        kernels.long_runs(grey, 1, 1, np.zeros((3, 5), np.uint8))
