"""Ink: what is refused and how, resampling, pen states."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import InputError, LimitError
from core.handwriting.strokes import MOST_POINTS, Ink, Stroke, features, normalise, pen_states, point_counts, resample

LINE = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]])
finite = st.floats(-1e3, 1e3)


@pytest.mark.parametrize("xy, t, p, word", [
    (np.zeros((0, 2)), [], [], "no point"), ([[0, np.nan]], [0], [0.5], "nan"), ([[0, np.inf]], [0], [0.5], "inf"), ([[0, 1e9]], [0], [0.5], "smaller units"),
    ([[0, 0], [1, 1]], [1, 0], [0.5, 0.5], "backwards"), ([[0, 0]], [0], [1.5], "between 0 and 1"), ([[0, 0]], [0, 1], [0.5], "coordinates"), ([["a", 0]], [0], [0.5], "not a number"),
])
def test_a_stroke_that_is_none_is_refused_in_a_sentence(xy, t, p, word) -> None:
    with pytest.raises(InputError) as error:
        Stroke(xy, t, p)
    assert word in str(error.value) and str(error.value).endswith(".")


def test_an_empty_pad_and_too_much_ink_are_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        Ink(())
    with pytest.raises(LimitError, match="50,000 points"):
        Ink((Stroke.of(np.zeros((50_000, 2))),))
    assert Ink((Stroke.of(np.zeros((MOST_POINTS, 2))),)).points == MOST_POINTS


def test_ink_cannot_be_changed_from_outside() -> None:
    xy = LINE.copy()
    stroke = Stroke.of(xy)
    xy[0] = 9
    assert stroke.xy[0, 0] == 0
    with pytest.raises(ValueError):
        stroke.xy[0] = 1


@settings(max_examples=25, deadline=None, derandomize=True)
@given(arrays(float, st.tuples(st.integers(1, 12), st.just(2)), elements=finite), st.integers(2, 40))
def test_resampling_keeps_the_ends_and_makes_equal_steps(xy, count) -> None:
    points = resample(xy, count)
    assert points.shape == (count, 2)
    if np.hypot(*np.diff(xy, axis=0).T).sum() > 1e-6:
        assert np.allclose(points[0], xy[0]) and np.allclose(points[-1], xy[-1], atol=1e-6)
        assert np.hypot(*np.diff(points, axis=0).T).max() <= np.hypot(*np.diff(xy, axis=0).T).sum() / (count - 1) + 1e-6


def test_points_of_a_straight_line_are_evenly_spaced() -> None:
    assert np.allclose(resample(LINE, 4)[:, 0], [0, 1, 2, 3])


def test_a_dot_stays_a_dot() -> None:
    assert np.array_equal(resample(np.array([[2.0, 3.0]]), 3), [[2, 3]] * 3)
    assert not normalise(np.array([[2.0, 3.0]] * 3)).any()


def test_a_letter_gets_twenty_points_over_its_longest_five_strokes() -> None:
    strokes = [LINE, LINE[:1], LINE * 2, LINE, LINE, LINE, LINE]
    counts = point_counts(strokes, 20)
    assert sum(counts) == 20 and counts[1] == 0 and sum(n > 0 for n in counts) == 5 and counts[2] == max(counts) and min(n for n in counts if n) >= 2
    found, _ = features(strokes, 20)
    assert found.shape == (20, 3) and np.abs(found[:, :2]).max() == 1
    assert pen_states([2, 0, 3]).tolist() == [1, 0, 1, 1, 0]
