"""Label rules on words made by hand: what a turning point is, who keeps which part of a ligature, what is masked, whose the dots are."""

import numpy as np
import pytest

from core.handwriting.labels import BODY, HEAD, ISOLATED, TAIL, Word, letters_of, sampled, turn, turning_rule


def wave(turns, per=10, step=0.1):
    """A line to the right whose y goes through these values, `per` points each way."""
    y = np.concatenate([np.linspace(a, b, per, endpoint=False) for a, b in zip(turns, turns[1:])] + [[turns[-1]]])
    return np.column_stack([step * np.arange(len(y)), y])


def test_a_turn_is_where_y_first_goes_back():
    assert turn(wave([0, -1, 0, -1]), 1.0) == 10
    assert turn(wave([0, -1, 0, -1])[::-1], 1.0) == 10


def test_unsteadiness_below_six_per_cent_is_no_turn():
    points = wave([0, -1, 0, -1])
    points[3:5, 1] += 0.04
    assert turn(points, 1.0) == 10


def test_a_turn_takes_at_most_45_per_cent_of_the_length():
    line = np.column_stack([np.arange(101.0), np.zeros(101)])
    assert turn(line, 1.0) == 46 and turn(line[:1], 1.0) == 0
    assert turn(wave([0, -1, -0.5], per=20), 1.0) <= 0.45 * 41 + 1


@pytest.fixture
def word():
    """Two letters in one stroke with four points of ligature between them, then a bar of the second letter, then a delayed dot over the first."""
    stroke, bar, dot = wave([0, -1, 0, -1, 0, -1, 0]), np.array([[3.6, -1.2], [4.2, -1.2]]), np.array([[1.0, -2.0], [1.1, -2.0]])
    owner = np.array([0] * 28 + [-2] * 4 + [1] * 29)
    return Word([stroke, bar, dot], [owner, np.array([1, 1]), np.array([-3, -3])], "ab", "w", "kai")


def test_each_letter_keeps_its_half_of_the_ligature(word):
    one, other = letters_of(word, "U")
    assert [len(points) for points in one.points] == [30, 2] and [len(points) for points in other.points] == [31, 2]
    np.testing.assert_array_equal(np.concatenate([one.points[0], other.points[0]]), word.strokes[0])


def test_ends_without_a_join_are_masked_up_to_the_turn(word):
    one, other = letters_of(word, "U")
    assert not one.known[0][:10].any() and one.known[0][10:].all()
    assert not other.known[0][-10:].any() and other.known[0][:-10].all()
    assert TAIL in one.labels[0] and HEAD not in one.labels[0] and HEAD in other.labels[0] and TAIL not in other.labels[0]
    assert one.labels[0][-1] == TAIL and other.labels[0][0] == HEAD


def test_strokes_without_a_join_are_isolated_and_dots_go_to_the_nearest(word):
    one, other = letters_of(word, "U")
    np.testing.assert_array_equal(one.points[1], word.strokes[2])
    np.testing.assert_array_equal(other.points[1], word.strokes[1])
    assert (one.labels[1] == ISOLATED).all() and (other.labels[1] == ISOLATED).all()


def test_people_decide_how_long_a_ligature_is_in_k(word):
    one, other = letters_of(word, "K")
    assert (one.labels[0] == TAIL).sum() == 4 == (other.labels[0] == HEAD).sum()
    assert len(one.points[0]) == 32 and len(other.points[0]) == 33                # the ligature is in both


def test_a_cut_is_a_join_for_u_and_a_masked_side_for_k(word):
    owner = np.array([0] * 30 + [1] * 31)
    cut = Word(word.strokes[:1], [owner], "ab", "w", "kai")
    assert len(list(letters_of(cut, "U"))) == 2 and not list(letters_of(cut, "K"))


def test_letters_without_a_join_are_left_out(word):
    apart = Word([word.strokes[0][:30], word.strokes[0][30:]], [np.zeros(30, int), np.ones(31, int)], "ab", "w", "kai")
    assert not list(letters_of(apart, "U"))


def test_labels_are_carried_to_twenty_points(word):
    one = next(letters_of(word, "U"))
    found = sampled(one.points, one.labels, one.known, 20)
    assert found.features.shape == (20, 3) and found.labels.shape == found.known.shape == (20,)
    assert found.labels[-1] == ISOLATED and found.labels[17] == TAIL and not found.known[0] and found.features[17, 2] == 0


def test_the_rule_calls_small_strokes_dots():
    labels = turning_rule([wave([0, -1, 0, -1]), np.array([[0.0, -2], [0.1, -2]])])
    assert labels[0][0] == HEAD and labels[0][-1] == TAIL and BODY in labels[0] and (labels[1] == ISOLATED).all()
    assert [part.tolist() for part in turning_rule([np.zeros((1, 2))])] == [[BODY]]
