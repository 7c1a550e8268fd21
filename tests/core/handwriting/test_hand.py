"""Hands: the shipped ones are whole, files round-trip, a visitor's letters become a hand, missing letters are known."""

import json

import numpy as np
import pytest

from core.errors import ConfigError, InputError, LimitError
from core.handwriting import hand as hands
from core.handwriting.compose import compose
from core.handwriting.hand import HANDS, Hand, Letter, from_json, hand_from_letters, load_hand, missing, nearest_hand, to_json
from core.handwriting.hand_sources import read_recipe, smooth
from core.handwriting.strokes import Ink, Stroke

A_TO_Z = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("name", HANDS)
def test_a_shipped_hand_is_whole(name: str) -> None:
    hand = load_hand(name)
    assert set(A_TO_Z) <= set(hand.chars) and hand.kind in hands.KINDS and hand.licence and hand.origin and hand.title
    assert from_json(to_json(hand)) == hand
    for letter in hand.letters:
        left, top, right, bottom = letter.ink.box
        assert left == pytest.approx(0, abs=0.01) and -4 < top <= bottom < 2 and right < 6
    heights = [-hand.variants(char)[0].ink.box[1] for char in "acemnorsuvwxz"]
    assert np.median(heights) == pytest.approx(1, abs=0.06)
    assert all(hand.variants(char)[0].ink.box[3] > 0.3 for char in "gjpqy") and all(hand.variants(char)[0].ink.box[3] < 0.25 for char in "acemnorsuvw")


def test_there_are_cursive_and_print_hands_and_their_sources_are_named() -> None:
    kinds = [load_hand(name).kind for name in HANDS]
    assert len(HANDS) >= 5 and kinds.count("cursive") >= 2 and kinds.count("print") >= 2
    sources = (hands.FOLDER / "SOURCES.md").read_text("utf8")
    assert all(f"`{name}.json`" in sources for name in HANDS) and {path.stem for path in hands.FOLDER.glob("*.json")} == set(HANDS)
    assert "SIL OPEN FONT LICENSE" in (hands.FOLDER / "OFL.txt").read_text("utf8") and "James Hurt" in sources


def test_another_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="school"):
        load_hand("../../etc/passwd")


def _drawn(chars: str, name: str = "school", scale: float = 40.0) -> dict[str, list[Ink]]:
    """Letters of a shipped hand as if drawn on a pad: 40 px an x-height, anywhere on it."""
    return {char: [load_hand(name).variants(char)[0].ink.scaled(scale, 300.0, 200.0)] for char in chars}


def test_letters_on_guide_lines_become_a_hand() -> None:
    hand = hand_from_letters(_drawn("ahgel"), baseline=200.0, x_height=40.0)
    assert hand.chars == "aeghl" and hand.kind == "cursive" and hand.slant == pytest.approx(load_hand("school").slant, abs=0.15)
    for char in "ahg":
        assert np.allclose(hand.variants(char)[0].ink.box, load_hand("school").variants(char)[0].ink.box, atol=0.06)
        assert hand.variants(char)[0].ink.duration_s == pytest.approx(load_hand("school").variants(char)[0].ink.duration_s, abs=0.01)


@pytest.mark.parametrize("name", ["school", "tech"])
def test_without_guide_lines_size_and_baseline_are_estimated(name: str) -> None:
    hand = hand_from_letters(_drawn("aehnouglp", name))
    assert hand.kind == load_hand(name).kind
    for char in "anop":
        assert np.allclose(hand.variants(char)[0].ink.box[1::2], load_hand(name).variants(char)[0].ink.box[1::2], atol=0.3)


@pytest.mark.parametrize("points", [[[5, 5]], [[5, 5], [5, 5]], [[5, 5], [5, 60]], [[5, 5], [60, 5]]])
def test_one_dot_and_lines_without_width_or_height(points) -> None:
    drawn = {"i": [Ink((Stroke.of(points),))]}
    assert hand_from_letters(drawn, baseline=60.0, x_height=40.0).chars == "i"
    if np.ptp(points) == 0:
        with pytest.raises(InputError, match="larger than a dot"):
            hand_from_letters(drawn)
    else:
        assert hand_from_letters(drawn).chars == "i"


def test_nothing_drawn_is_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        hand_from_letters({})


def test_what_a_hand_cannot_write_is_known_and_who_lends() -> None:
    hand = hand_from_letters(_drawn("ahe"), baseline=200.0, x_height=40.0)
    assert missing("ah, he is", hand) == (",", "i", "s") and missing("é", load_hand("school")) == ()
    assert nearest_hand(hand).kind != "print" and nearest_hand(load_hand("drawer-14")).name == "tech"


BAD = {
    "no json": b"\0", "a list": b"[]", "ink": b'{"format": "vitrine-ink"}', "another version": b'{"format": "vitrine-hand", "version": 9}',
    "no letters": {"letters": []}, "letters that are none": {"letters": [1]}, "a word": {"letters": [{"char": "ab", "strokes": [{"x": [0], "y": [0], "t": [0]}]}]},
    "another kind": {"kind": "scrawl"}, "nan": {"slant": float("nan")}, "unequal": {"letters": [{"char": "a", "strokes": [{"x": [0, 1], "y": [0], "t": [0]}]}]},
    "no strokes": {"letters": [{"char": "a", "strokes": []}]}, "text": {"letters": [{"char": "a", "strokes": [{"x": ["q"], "y": [0], "t": [0]}]}]},
    "far": {"letters": [{"char": "a", "strokes": [{"x": [1e300], "y": [0], "t": [0]}]}]},
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_hand_is_refused(name: str) -> None:
    whole = {"format": "vitrine-hand", "version": 1, "kind": "print", "letters": [{"char": "a", "strokes": [{"x": [0], "y": [0], "t": [0]}]}]}
    assert from_json(json.dumps(whole).encode()).chars == "a"
    with pytest.raises(InputError) as error:
        from_json(BAD[name] if isinstance(BAD[name], bytes) else json.dumps(whole | BAD[name]).encode())
    assert str(error.value).endswith(".")


def test_too_many_letters_are_refused() -> None:
    letter = Letter("a", Ink((Stroke.of([[0, 0]]),)))
    with pytest.raises(LimitError):
        Hand("many", (letter,) * 601, "print")
    with pytest.raises(LimitError, match="6,001 points"):
        Letter("a", Ink((Stroke.of(np.zeros((6001, 2))),)))


def test_a_scribble_instead_of_a_letter_is_thinned_and_written() -> None:
    turns = np.linspace(0, 400, 15_000)
    hand = hand_from_letters({"a": [Ink((Stroke.of(np.column_stack([20 * np.cos(turns) + turns, 20 * np.sin(turns)])),))]}, baseline=20.0, x_height=40.0)
    assert hand.variants("a")[0].ink.points <= 1500 and compose("aa", hand).ink.points <= 3200


def test_recipes_say_how_the_pen_goes() -> None:
    bowl, stem = np.array([[0.0, 0], [1, 0], [1, 2]]), np.array([[1.0, 1], [2, 0]])
    assert [s.tolist() for s in read_recipe("0+1", [bowl, stem])] == [[[0, 0], [1, 0], [1, 2], [1, 1], [2, 0]]]
    assert [s.tolist() for s in read_recipe("0~1", [bowl, stem])] == [[[0, 0], [1, 0], [1, 2], [1, 1], [1, 1], [2, 0]]]
    assert [s.tolist() for s in read_recipe("1:1-0,0:0-1", [bowl, stem])] == [[[2, 0], [1, 1]], [[0, 0], [1, 0]]]
    corner = smooth(np.array([[0.0, 0], [1, 0], [1, 1]]))
    assert np.abs(corner - [1, 0]).sum(1).min() < 1e-9 and np.allclose(np.hypot(*np.diff(corner, axis=0).T), 0.08, atol=0.02)
