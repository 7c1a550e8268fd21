"""Recognition rates by hand, engines on drawn words, style features of drawn words, turns of simple paths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import EngineError
from core.handwriting.compose import compose
from core.handwriting.hand import load_hand
from core.handwriting.metrics import (
    TesseractReader, edits, ink_features, kernel_distance, picture, readers, recognition, style_distance, style_features, turn_deg)
from core.handwriting.train_style import fit_style, named_percent


def strokes(word, hand="school"):
    return [stroke.xy for stroke in compose(word, load_hand(hand)).ink.strokes]


@given(st.text("ab", max_size=6), st.text("ab", max_size=6), st.text("ab", max_size=6))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_edits_are_a_distance(a, b, c):
    assert edits(a, b) == edits(b, a) and (edits(a, b) == 0) == (a == b)
    assert edits(a, c) <= edits(a, b) + edits(b, c)
    assert abs(len(a) - len(b)) <= edits(a, b) <= max(len(a), len(b))


def test_rates_by_hand():
    assert edits("kitten", "sitting") == 3
    assert recognition(["abcd", "efgh"], ["ABCD", "exgh"]) == (87.5, 50.0)
    assert recognition(["ab"], ["zzzzzzzz"]) == (0.0, 0.0)
    with pytest.raises(ValueError):
        recognition(["a"], [])


def test_a_picture_holds_the_ink():
    page = picture([np.array([[0.0, 0], [2, -1]]), np.array([[1.0, -2]])], scale=20, margin_px=10)
    assert page.dtype == np.uint8 and page.shape == (61, 61) and page[0].min() == 255 and page.min() < 60
    assert page[8:14, 28:34].min() < 60                                              # the dot


def test_every_engine_here_reads_a_plain_hand():
    engines = readers()
    if not engines:
        pytest.skip("no OCR engine is installed here")
    words = ["hello", "number", "world"]
    pages = [picture(strokes(word, "tech")) for word in words]
    for engine in engines:
        assert recognition(words, engine.read(pages))[0] > 60, engine.name
        assert engine.read([]) == []


def test_a_missing_engine_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EngineError, match="tesseract"):
        TesseractReader()
    assert "tesseract" not in {engine.name for engine in readers()}


def test_ink_features_do_not_depend_on_size_or_place():
    one, other = ink_features(strokes("letter")), ink_features([3 * s + (40, 7) for s in strokes("letter")])
    np.testing.assert_allclose(one, other, atol=0.06)
    for degenerate in ([np.zeros((1, 2))], [np.zeros((4, 2))], [np.array([[0.0, 0], [1, 0]])]):
        assert ink_features(degenerate).shape == one.shape and np.isfinite(ink_features(degenerate)).all()


def test_style_features_tell_hands_apart():
    words = ("hello", "number", "world", "simple", "garden", "letter")
    one, same, other = (style_features([strokes(word, hand) for word in chosen]) for hand, chosen in (("allure", words[:3]), ("allure", words[3:]), ("tech", words[3:])))
    assert one.shape == (3, 32) and style_distance(one, same) < style_distance(one, other)


def test_the_layer_finds_what_tells_writers_apart():
    rng = np.random.default_rng(0)
    writers = np.repeat(np.arange(40), 12)
    features = 3 * rng.standard_normal((480, 60)) * np.linspace(1, 0.1, 60)
    features[:, -5:] += rng.standard_normal((40, 5))[writers]
    found = fit_style(features, writers)
    shares = np.abs(found["map"][:, :5] * features.std(0)[:, None])
    assert shares[-5:].sum() > shares[:-5].sum() / 3
    named, chance = named_percent(features, writers)
    assert named > 4 * chance


def test_distances_of_the_same_cloud_are_nothing():
    rng = np.random.default_rng(0)
    one, same, far = rng.standard_normal((200, 8)), rng.standard_normal((200, 8)), rng.standard_normal((200, 8)) + 1
    assert style_distance(one, one) == 0 and style_distance(one, same) < 0.5 < style_distance(one, far)
    assert abs(kernel_distance(one, same)) < 0.3 < kernel_distance(one, far)


def test_turns_of_simple_paths():
    corner = np.array([[0, 0], [1, 0], [1, 1.0]])
    assert turn_deg(corner, 1.0) == pytest.approx(90) and turn_deg(corner, 0.5) == pytest.approx(0, abs=1e-9)
    circle = np.column_stack([np.cos(np.linspace(0, 3, 400)), np.sin(np.linspace(0, 3, 400))])
    assert turn_deg(circle, 1.5) == pytest.approx(np.degrees(0.12), rel=0.01)
