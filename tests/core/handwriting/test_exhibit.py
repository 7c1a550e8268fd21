"""The handwriting exhibit: what a run writes, letters that are brought as hand, InkML or SVG, changes, and everything that cannot be written."""

import json

import numpy as np
import pytest

from core.errors import ConfigError, InputError, LimitError, VitrineError
from core.exhibit import Source, configure
from core.handwriting import formats
from core.handwriting.exhibit import ALPHABET, Config, hand_of, inspect, run, steps
from core.handwriting.hand import HANDS, load_hand, to_json
from core.handwriting.letters import letters_from_ink
from core.handwriting.strokes import Ink, Stroke

CURSIVE = HANDS[0]


def wrote(sources=(), **settings):
    return run(sources, configure(Config, settings))


def told(outcome) -> dict:
    return json.loads(outcome.trace["story.json"])


@pytest.fixture(scope="module")
def hello():
    """One small run with variants."""
    return wrote(text="hello lunch", hand=CURSIVE, variants=2)


def test_a_run_writes_its_four_files_and_they_hold_the_same_ink(hello):
    assert sorted(hello.files) == ["ink.inkml", "ink.json", "ink.png", "ink.svg"]
    ink, again = formats.from_json(hello.files["ink.json"]), formats.from_inkml(hello.files["ink.inkml"])
    assert ink.points == hello.metrics["points"] and all(np.array_equal(a.xy, b.xy) for a, b in zip(ink.strokes, again.strokes, strict=True))
    assert hello.files["ink.png"].startswith(b"\x89PNG") and b"<svg" in hello.files["ink.svg"]


def test_the_numbers_are_those_of_the_joins(hello):
    this = told(hello)
    kinds = [join["kind"] for join in this["joins"]]
    assert len(kinds) == 4 + 4 and hello.metrics["joins_made"] == sum(kind != "lift" for kind in kinds) > 4
    assert hello.models["point classifier"].startswith("handwriting-parts.onnx ")
    assert hello.metrics["largest_gap"] == 0 and hello.metrics["largest_move"] == max(join["moved"] for join in this["joins"]) <= 0.8
    assert {"hand", "classify", "layout", "solve", "assemble", "files"} <= set(hello.metrics["milliseconds"]) and hello.metrics["ms_per_letter"] > 0


def test_the_story_holds_what_the_page_draws(hello):
    this = told(hello)
    assert [x["char"] for x in this["letters"]] == list("hellolunch") and this["text"] == "hello lunch"
    assert all(len(s["x"]) == len(s["c"]) == len(s["o"]) for s in this["joined"]) and max(max(s["o"]) for s in this["joined"]) == 9
    assert {part for s in this["joined"] for part in s["c"]} <= set(range(5))
    for join in this["joins"]:
        if join["kind"] != "lift":
            stroke = this["joined"][join["stroke"]]
            assert [stroke["x"][join["at"]], stroke["y"][join["at"]]] == pytest.approx(join["tail"][-1], abs=1e-3)
    one, two = this["variants"]
    assert one["seed"] != two["seed"] and one["strokes"] != two["strokes"]


def test_the_same_seed_writes_the_same_ink():
    first, second, other = (wrote(text="minute", seed=seed) for seed in (3, 3, 4))
    assert first.files["ink.json"] == second.files["ink.json"] != other.files["ink.json"]


def test_a_print_hand_keeps_its_lifts_and_switched_off_nothing_is_joined():
    prints = next(name for name in HANDS if load_hand(name).kind == "print")
    assert wrote(text="minimum", hand=prints).metrics["joins"] == {"merge": 0, "bridge": 0, "lift": 6}
    assert wrote(text="minimum", join=False).metrics["joins_made"] == 0


def test_pulled_together_a_gap_is_left_and_a_larger_weight_closes_it():
    gaps = [wrote(text="lunch", exact=False, w_connection=weight).metrics["largest_gap"] for weight in (1.0, 100.0)]
    assert gaps[0] > 10 * gaps[1] > 0


def test_size_scales_the_ink_and_leaves_the_story():
    small, large = wrote(text="me"), wrote(text="me", size=10.0)
    a, b = (formats.from_json(o.files["ink.json"]).strokes[0].xy for o in (small, large))
    assert b == pytest.approx(10 * a) and told(small)["joined"] == told(large)["joined"]


# ---- letters that are brought

def row_of_letters(chars: str, gap: float = 0.8, size: float = 40.0) -> Ink:
    """A line of single letters of a shipped hand, in pixels, as somebody would scan in an alphabet."""
    hand, x, strokes, clock = load_hand(CURSIVE), 0.0, [], 0.0
    for char in chars:
        ink = hand.variants(char)[0].ink
        left, _, right, _ = ink.box
        strokes += [Stroke((s.xy + (x - left, 0)) * size + 300, s.t_s - s.t_s[0] + clock, s.pressure) for s in ink.strokes]
        x, clock = x + right - left + gap, clock + ink.duration_s + 1
    return Ink(tuple(strokes))


@pytest.mark.parametrize("name, write", [("mine.inkml", formats.to_inkml), ("mine.svg", formats.to_svg), ("mine.json", formats.to_json)])
def test_an_alphabet_as_ink_becomes_a_hand(name, write):
    source = Source(name, write(row_of_letters("helijo")))
    hand = hand_of([source], Config(letters_in="helijo"))
    assert hand.chars == "ehijlo" and inspect(source).points
    own = load_hand(CURSIVE).variants("h")[0].ink.box
    assert np.subtract(hand.variants("h")[0].ink.box, own) == pytest.approx(np.zeros(4), abs=0.25)


def test_a_hand_file_is_brought_back_as_it_was_saved(hello):
    brought = hand_of([Source("letters.json", hello.trace["letters.json"])], Config())
    assert to_json(brought) == to_json(load_hand(CURSIVE)) == hello.trace["letters.json"]
    assert wrote([Source("letters.json", hello.trace["letters.json"])], text="hello lunch").files["ink.json"] == hello.files["ink.json"]


def test_letters_may_be_named_by_the_setting_that_brings_them_along():
    source = Source("mine.json", to_json(load_hand("tech")))
    assert hand_of([source], Config(letters="mine.json")).name == "tech"
    with pytest.raises(ConfigError, match="names no file"):
        hand_of([], Config(letters="mine.json"))


def test_two_lines_of_letters_are_read_line_by_line():
    top, bottom = row_of_letters("abc"), row_of_letters("gup")
    below = Ink((*top.strokes, *(s.moved(0, 40 * 5, 60) for s in bottom.strokes)))
    drawn, x_height = letters_from_ink(below, "abc gup")
    assert list(drawn) == list("abcgup") and x_height == pytest.approx(40, rel=0.2)
    assert drawn["a"][0].box[3] == pytest.approx(drawn["u"][0].box[3], abs=6) and drawn["g"][0].box[3] > 12


def test_letters_that_are_named_wrongly_say_how_many_there_are():
    with pytest.raises(InputError, match="falls into 6 letters and 26 were named"):
        hand_of([Source("mine.svg", formats.to_svg(row_of_letters("helijo")))], Config(letters_in=ALPHABET))


def test_three_letters_write_a_text_and_the_rest_is_borrowed_visibly():
    three = row_of_letters("abc")
    outcome = wrote([Source("mine.inkml", formats.to_inkml(three))], letters_in="abc", text="a cab met")
    assert set(outcome.metrics["borrowed"]) == set("met") and any("Borrowed" in note for note in outcome.notes)
    assert all(bool(x["borrowed"]) == (x["char"] in "met") for x in told(outcome)["letters"])


# ---- changes

def test_changing_one_letter_solves_two_joins_and_leaves_what_stands_before_it():
    outcome = wrote(text="hallo lunch", edits='[["replace", 1, "e"]]')
    edit = outcome.metrics["edit"]
    assert told(outcome)["text"] == "hello lunch" and edit["joins_again"] <= 2 < edit["joins"] and edit["points_same"] > 0


def test_letters_are_put_in_and_taken_out():
    outcome = wrote(text="hllo", edits='[["insert", 1, "e"], ["delete", 4], ["insert", 4, "o"]]')
    assert told(outcome)["text"] == "hello"


@pytest.mark.parametrize("edits", ["nonsense", "{}", '[["replace", "1", "e"]]', '[["delete"]]', '[["burn", 1]]', '[["replace", 1]]', "[" * 100_000, '[["replace", true, "e"]]'])
def test_changes_that_are_none_are_refused(edits):
    with pytest.raises(ConfigError, match="edits="):
        steps(edits)
    with pytest.raises(ConfigError, match="50 is the limit"):
        steps(json.dumps([["delete", 0]] * 51))


def test_a_change_where_no_letter_is_says_so():
    with pytest.raises(VitrineError, match="99"):
        wrote(text="hello", edits='[["replace", 99, "e"]]')


# ---- what cannot be written

@pytest.mark.parametrize("text", ["", "   ", "\n", "🦄"])
def test_nothing_to_write_is_a_sentence(text):
    with pytest.raises(InputError):
        wrote(text=text)


@pytest.mark.parametrize("text", ["café 🦄 naïve", "שלום hello", "a‍b", "I II\nIII"])
def test_odd_text_is_written_as_far_as_it_goes_and_the_rest_is_said(text):
    outcome = wrote(text=text)
    assert outcome.metrics["letters"] > 0 and (outcome.notes or text.isascii() or "\u200d" in text)


def test_a_text_that_is_too_long_and_two_files_are_refused():
    with pytest.raises(LimitError, match="400"):
        wrote(text="a" * 401)
    with pytest.raises(InputError, match="2 files"):
        wrote([Source("a.json", b"{}"), Source("b.json", b"{}")])


@pytest.mark.parametrize("name, data", [
    ("empty.json", b""), ("empty.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), ("not.json", b'{"letters": 3}'), ("hand.json", b'{"letters": []}'),
    ("bomb.svg", b'<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0L1 1"/>&b;</svg>'),
    ("huge.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0L1e300 1'/></svg>"), ("nan.json", b'{"strokes": [{"x": [NaN], "y": [0]}]}'),
    ("noise.inkml", bytes(range(256)))])
def test_files_that_are_no_letters_are_refused_in_a_sentence(name, data):
    with pytest.raises(InputError):
        inspect(Source(name, data))


def test_weights_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="w_smoothness"):
        wrote(text="a", w_smoothness=0.0)
