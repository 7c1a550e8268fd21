"""Composing: what each pair does, that joins meet and nothing else moves, spacing, lines, what cannot be written."""

from dataclasses import replace

import numpy as np
import pytest

from core.errors import ConfigError, InputError, LimitError
from core.handwriting.compose import BRIDGED, ComposeConfig, Written, compose
from core.handwriting.deformation import Weights
from core.handwriting.hand import HANDS, Hand, Letter, hand_from_letters, load_hand
from core.handwriting.labels import BODY, HEAD, TAIL
from core.handwriting.layout import LIFT, crosses
from core.handwriting.pairs import PairCheck, all_pairs, check
from core.handwriting.strokes import Ink, Stroke, resample

PANGRAM = "the quick brown fox jumps over the lazy dog"
CURSIVE = [name for name in HANDS if load_hand(name).kind == "cursive"]
PRINT = [name for name in HANDS if load_hand(name).kind == "print"]


@pytest.fixture(scope="module")
def school() -> Hand:
    return load_hand("school")


def _made(written: Written) -> list:
    return [join for join in written.joins if join.kind != LIFT]


@pytest.mark.parametrize("name", HANDS)
def test_joins_meet_and_nothing_but_heads_and_tails_moves(name: str) -> None:
    written = compose(PANGRAM, load_hand(name))
    for join in _made(written):
        assert join.gap == 0 and np.array_equal(join.tail[-1], join.head[0]) and join.moved <= 0.8
        assert np.array_equal(join.tail[0], join.tail_was[0]) and np.array_equal(join.head[-1], join.head_was[-1])
        assert np.array_equal(written.ink.strokes[join.stroke].xy[join.at], join.tail[-1, :2])
    for k, letter in enumerate(written.letters):
        drawn = {tuple(point) for stroke in letter.drawn.strokes for point in stroke.xy}
        body = [tuple(point) for stroke, owner, classes in zip(written.ink.strokes, written.owner, written.classes, strict=True)
                for point in stroke.xy[(owner == k) & (classes == BODY)]]
        assert set(body) <= drawn and len(body) > 0 or not (letter.head or letter.tail)


@pytest.mark.parametrize("name", CURSIVE)
def test_a_cursive_hand_does_not_lift_needlessly(name: str) -> None:
    written = compose("minimum handle quality lunch", load_hand(name))
    assert all(join.kind != LIFT for join in written.joins)
    words = len(written.text.split())
    assert len(written.ink.strokes) == words + sum(len(letter.delayed) for letter in written.letters)


@pytest.mark.parametrize("name", PRINT)
def test_a_print_hand_keeps_its_lifts_and_its_letters(name: str) -> None:
    written = compose("hello world", load_hand(name))
    assert all(join.kind == LIFT and "print" in join.reason for join in written.joins)
    drawn = [stroke.xy for letter in written.letters for stroke in letter.drawn.strokes]
    assert len(drawn) == len(written.ink.strokes) and all(np.array_equal(a, b.xy) for a, b in zip(drawn, written.ink.strokes, strict=True))


def test_joins_can_be_switched_off(school: Hand) -> None:
    assert all(join.kind == LIFT for join in compose("hello", school, ComposeConfig(join=False)).joins)


@pytest.mark.parametrize("name, chars", [("allure", "abenostw"), ("school", "abefgoqsw"), ("felix", "aeiqtz")])
def test_pairs_of_letters_join_cleanly(name: str, chars: str) -> None:
    found = list(all_pairs(load_hand(name), chars))
    joined = [pair for pair in found if pair.kind != LIFT]
    assert len(found) == len(chars) ** 2 and len(joined) > len(found) / 3
    assert all(pair.gap == 0 and pair.moved <= 0.8 and pair.fixed for pair in joined)
    assert sum(pair.clean for pair in joined) >= 0.99 * len(joined)


def test_the_checker_sees_a_loop_and_a_spike(school: Hand) -> None:
    written = compose("nn", school)
    join, = written.joins
    spiked = replace(join, tail=np.concatenate([join.tail[:-3], join.tail[-3:] - [0.8, 0.4, 0]]))
    assert check(written).clean and not check(replace(written, joins=(spiked,))).clean
    turns = np.linspace(0, 2 * np.pi, 12)[:, None]
    loop = join.tail[-1] + 0.1 * np.concatenate([np.sin(turns), 1 - np.cos(turns), 0 * turns], axis=1)
    looped = replace(join, tail=np.concatenate([join.tail, loop]))
    found: PairCheck = check(replace(written, joins=(looped,)))
    assert found.crossings >= 1


def test_dots_and_bars_come_after_their_word_and_move_with_their_letter(school: Hand) -> None:
    written = compose("tint it", school)
    first = [stroke for stroke, owner in zip(written.ink.strokes, written.owner, strict=True) if set(owner.tolist()) <= {0, 1, 2, 3}]
    assert [len(stroke) > 30 for stroke in first] == [True, False, False, False]
    for k in (0, 1, 3):
        letter = written.letters[k]
        dot = letter.drawn.strokes[letter.delayed[0]]
        assert any(np.array_equal(dot.xy, stroke.xy) for stroke in written.ink.strokes)


def test_the_same_seed_gives_the_same_ink_and_letters_differ(school: Hand) -> None:
    one, again, other = (compose("eve", school, ComposeConfig(seed=seed)) for seed in (3, 3, 4))
    assert one.ink == again.ink and one.ink != other.ink
    first, second = (letter.drawn.strokes[0].xy - letter.origin for letter in (one.letters[0], one.letters[2]))
    assert not np.allclose(first, second, atol=1e-3)
    alike = compose("eve", school, ComposeConfig(variation=0.0))
    assert np.allclose(*(letter.drawn.strokes[0].xy - letter.origin for letter in (alike.letters[0], alike.letters[2])))


def test_times_run_forwards_at_the_pace_of_a_hand(school: Hand) -> None:
    written = compose("hello world", school)
    ends = [stroke.t_s for stroke in written.ink.strokes]
    assert all(b[0] > a[-1] for a, b in zip(ends[:-1], ends[1:], strict=True)) and all((np.diff(t) >= 0).all() for t in ends)
    assert 0.15 < written.ink.duration_s / len(written.letters) < 1.0
    assert {int(c) for classes in written.classes for c in classes} >= {HEAD, BODY, TAIL, BRIDGED}


def test_spacing_weights_and_the_gap_of_the_soft_mode(school: Hand) -> None:
    wide, narrow = (compose("null", school, ComposeConfig(spacing=s)).ink.box[2] for s in (1.5, 0.8))
    assert wide > narrow + 0.5
    gaps = [max(join.gap for join in _made(compose("null", school, ComposeConfig(exact=False, spacing=1.3, weights=Weights(connection=c))))) for c in (1.0, 100.0, 1e6)]
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < 1e-3


def test_far_apart_a_join_is_bridged_or_refused_never_torn(school: Hand) -> None:
    for join in compose("minimum", school, ComposeConfig(spacing=3.0)).joins:
        assert join.kind == LIFT or (join.gap == 0 and join.moved <= 0.8)


def test_slant_and_size(school: Hand) -> None:
    upright, leaning = (compose("ll", school, ComposeConfig(slant_deg=d, variation=0)) for d in (0, 20))
    tops = [w.letters[0].drawn.xy[w.letters[0].drawn.xy[:, 1].argmin(), 0] - w.letters[0].origin[0] for w in (upright, leaning)]
    assert tops[1] - tops[0] == pytest.approx(np.tan(np.radians(20)) * 2.1, abs=0.25)
    large = compose("ll", school, ComposeConfig(size=2.0, variation=0))
    assert np.allclose(large.paper.xy, 2 * upright.ink.xy)


def test_lines_break_where_the_text_says_and_where_the_width_ends(school: Hand) -> None:
    written = compose("one two\n\nthree", school)
    assert [written.letters[k].line for k in (0, 3, 6)] == [0, 0, 2]
    narrow = compose("one two three", school, ComposeConfig(width=8.0))
    assert [narrow.letters[k].line for k in (0, 3, 6)] == [0, 1, 2] and narrow.ink.box[2] - narrow.ink.box[0] < 10
    assert narrow.letters[3].origin[1] == pytest.approx(narrow.config.line, abs=0.1)


def test_accents_are_put_together_and_said() -> None:
    written = compose("café Ångström, naïve façade", load_hand("allure"))
    assert "accent" in " ".join(written.notes) and written.text == "café Ångström, naïve façade" and len(written.letters) == 24
    accent = written.letters[3]
    assert accent.char == "é" and len(accent.delayed) == 1 and accent.drawn.strokes[1].xy[:, 1].max() < accent.drawn.strokes[0].xy[:, 1].min()
    assert len(compose("ï", load_hand("school")).ink.strokes) == 3  # i without its dot, two dots


def test_what_is_missing_is_borrowed_visibly_or_left_out() -> None:
    hand = load_hand("drawer-14")
    written = compose("So 7", hand)
    assert [letter.borrowed for letter in written.letters] == ["tech", "", "tech"] and "EMS Tech" in written.notes[0] and "S 7" in written.notes[0]
    bare = compose("So 7", hand, ComposeConfig(borrow=False))
    assert [letter.char for letter in bare.letters] == ["o"] and "S 7" in bare.notes[0]


def test_emoji_other_scripts_and_controls_are_left_out_with_a_sentence(school: Hand) -> None:
    written = compose("hi 😀👩‍👩‍👧 שלום مرحبا 你\x07 ok​", school)
    assert "".join(letter.char for letter in written.letters) == "hiok" and "😀" in written.notes[0] and "left to right" in written.notes[1]
    with pytest.raises(InputError, match="no hand here has a letter"):
        compose("😀", school)


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "\t"])
def test_no_text_is_refused(school: Hand, text: str) -> None:
    with pytest.raises(InputError, match="type a word"):
        compose(text, school)


def test_limits_and_settings(school: Hand) -> None:
    with pytest.raises(LimitError, match="400"):
        compose("a" * 401, school)
    for bad in ({"spacing": 9.0}, {"variation": float("nan")}, {"size": 0.0}):
        with pytest.raises(ConfigError):
            ComposeConfig(**bad)


@pytest.mark.parametrize("points", [[[0, 0]], [[0, 0], [0, 0]], [[0, 0], [0, -40]], [[0, 0], [40, 0]]])
def test_a_hand_of_three_odd_letters_writes(points) -> None:
    ink = Ink((Stroke.of(points),))
    hand = hand_from_letters({"a": [ink], "n": [ink, ink], "i": [ink]}, baseline=0.0, x_height=40.0)
    written = compose("banana in rain", hand)
    assert {letter.char for letter in written.letters if letter.borrowed} == {"b", "r"} and written.ink.points > 20


def test_typographic_quotes_and_dashes_are_written_plain(school: Hand) -> None:
    assert compose("“I’m” – he…", school).text == "\"I'm\" - he..."


def test_the_pen_is_lifted_where_the_way_in_would_run_through_the_letter(school: Hand) -> None:
    turn = np.linspace(0.1, 0.1 - 2 * np.pi, 60)
    bowl = 0.5 * np.column_stack([1 + np.cos(turn), np.sin(turn) - 1])
    inside = resample(np.concatenate([[[0.8, -0.6], [0.85, -0.59], [0.9, -0.57]], bowl]), 50)  # starts with a hook within its bowl
    hand = Hand("hooked", (*school.variants("n"), Letter("o", Ink((Stroke.of(inside),)))), "cursive")
    join, = compose("no", hand, ComposeConfig(borrow=False, variation=0)).joins
    assert (join.kind, join.reason) == (LIFT, "the way into o would run through it")


def test_lines_cross_inside_and_steeply() -> None:
    line = np.array([[0.0, 0], [1, 0], [2, 0]])
    assert crosses(np.array([[0.5, -1.0], [0.5, 1]]), line)
    assert not crosses(np.array([[0.5, -1.0], [0.5, 0]]), line) and not crosses(np.array([[0.0, -0.1], [2, 0.1]]), line)
