"""Editing one letter: two joins anew, every other point the same to the last bit."""

import numpy as np
import pytest

from core.errors import InputError
from core.handwriting import edit
from core.handwriting.compose import ComposeConfig, Written, compose
from core.handwriting.hand import load_hand

TEXT = "a misspelt wrold here\nis kept"


@pytest.fixture(scope="module")
def written() -> Written:
    return compose(TEXT, load_hand("school"))


def _points(written: Written, number: int) -> np.ndarray:
    """All points of one letter, in order."""
    return np.concatenate([stroke.xy[owner == number] for stroke, owner in zip(written.ink.strokes, written.owner, strict=True)])


def assert_same_but_moved(old: Written, new: Written, position: int, gone: int, more: int) -> None:
    assert len(new.change.joins) <= more + 1 and len(new.letters) == len(old.letters) + more - gone
    assert {k for join in new.change.joins for k in (join, join + 1)} <= set(range(position - 1, position + more + 1))
    for k in range(len(new.letters)):
        if position - 1 <= k <= position + more:  # the new letter and its neighbours, whose ends met the old one
            continue
        was = k if k < position else k - more + gone
        moved = new.change.advance if k >= new.change.first and new.letters[k].line == new.change.line else 0.0
        assert np.array_equal(_points(new, k), _points(old, was) + (moved, 0.0))


@pytest.mark.parametrize("position", [0, 1, 9, 10, 17, 18, 23])
def test_replace_insert_and_delete_leave_the_rest_as_it_was(written: Written, position: int) -> None:
    assert_same_but_moved(written, edit.replace(written, position, "u"), position, 1, 1)
    assert_same_but_moved(written, edit.insert(written, position, "m"), position, 0, 1)
    assert_same_but_moved(written, edit.delete(written, position), position, 1, 0)


def test_a_misspelt_word_is_mended(written: Written) -> None:
    r, o = 10, 11
    mended = edit.replace(edit.replace(written, r, "o"), o, "r")
    assert mended.text == "a misspelt world here\nis kept" and mended.change.joins == (10, 11)
    assert all(join.kind != "lift" and join.gap == 0 for join in mended.joins)
    assert all(mended.letters[k].char == mended.text[mended.letters[k].index] for k in range(len(mended.letters)))


def test_bodies_of_the_neighbours_stay_too(written: Written) -> None:
    new = edit.replace(written, 10, "o")
    left, right = written.letters[9].drawn, written.letters[11].drawn
    assert new.letters[9].drawn == left
    assert np.array_equal(new.letters[11].drawn.xy, right.xy + (new.change.advance, 0))


def test_words_grow_at_their_ends_and_vanish(written: Written) -> None:
    longer = edit.insert(written, 1, "n", after=True)
    assert longer.text.startswith("an misspelt") and longer.words[1] == longer.words[0] != longer.words[2]
    assert edit.insert(written, len(written.letters), "!").text.endswith("kept!")
    without = edit.delete(written, 0)
    assert without.text == TEXT[1:] and len(set(without.words)) == len(set(written.words)) - 1


def test_print_hands_and_soft_joins_can_be_edited_too() -> None:
    for name, config in (("drawer-14", ComposeConfig()), ("school", ComposeConfig(exact=False))):
        old = compose("hallo", load_hand(name), config)
        assert_same_but_moved(old, edit.replace(old, 1, "e"), 1, 1, 1)


@pytest.mark.parametrize("position, char, word", [(-1, "a", "no letter -1"), (99, "a", "no letter 99"), (0, "", "not one character"), (0, "ab", "not one"), (0, " ", "not one"), (0, "😀", "No hand")])
def test_what_cannot_be_done_is_said(written: Written, position: int, char: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        edit.replace(written, position, char)


def test_the_only_letter_stays() -> None:
    with pytest.raises(InputError, match="only letter"):
        edit.delete(compose("a", load_hand("school")), 0)
