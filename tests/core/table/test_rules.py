"""Ink, skew and rules, stage by stage, on drawings whose answer is known."""

import random

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.table.binarise import binarise, glyph_boxes, level_quantile, noise_level, text_height, to_grey, weighted_quantile
from core.table.dashes import beats, dashed_rules
from core.table.deskew import estimate_skew, straighten
from core.table.rules import find_rules, is_soft
from tests.core.table.ruled_drawings import Style, blurred, draw, merged, noisy, shadowed, text_page, turned


def drawn(style: Style, seed: int = 1) -> np.ndarray:
    rng = random.Random(seed)
    return to_grey(draw(merged(rng, 6, 4, 0), style, rng))


def test_grey_pictures_stay_as_they_are() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert to_grey(grey) is grey


@given(st.lists(st.integers(0, 255), min_size=1, max_size=200), st.sampled_from([0.1, 0.5, 0.9]))
def test_level_quantile_is_the_smallest_level_that_covers_the_share(values: list[int], share: float) -> None:
    levels = np.array([values], np.uint8)
    found = level_quantile(levels, share)
    assert (levels <= found).mean() >= share - 1e-6 and (found == 0 or (levels <= found - 1).mean() < share + 1e-6)


def test_weighted_quantile_counts_weights() -> None:
    assert weighted_quantile(np.array([5.0, 1.0, 3.0]), np.array([1.0, 1.0, 8.0]), 0.5) == 3.0


@pytest.mark.parametrize("sigma", [4, 8, 16])
def test_noise_level_is_near_the_noise(sigma: int) -> None:
    noise = np.random.default_rng(1).normal(128, sigma, (300, 300)).clip(0, 255).astype(np.uint8)
    assert noise_level(noise) == pytest.approx(sigma, rel=0.25)


def test_a_clean_drawing_has_no_noise() -> None:
    assert noise_level(drawn(Style())) == 0.0


def test_ink_is_found_on_paper_on_a_dark_head_and_in_shadow() -> None:
    rgb = draw([(0, 0, 1, 1), (1, 0, 1, 1)], Style(fill="head", text=30, lines=1), random.Random(6))
    for picture in (rgb, shadowed(rgb)):
        grey = to_grey(picture)
        ink = binarise(grey, noise_level(grey))
        assert 0 < (ink > 0).mean() < 0.3


@pytest.mark.parametrize("size", [12, 16, 24, 40])
def test_text_height_is_that_of_capitals(size: int) -> None:
    grey = drawn(Style(text=size, pad_x=10, pad_y=8))
    assert 0.55 * size <= text_height(glyph_boxes(binarise(grey, 0.0)), grey.shape) <= 0.95 * size


@pytest.mark.parametrize("degrees", [-5.0, -2.2, -0.4, 0.0, 0.6, 3.1, 5.0])
def test_skew_is_measured(degrees: float) -> None:
    assert estimate_skew(to_grey(turned(draw(merged(random.Random(1), 8, 5, 2), Style(text=16), random.Random(1)), degrees))) == pytest.approx(degrees, abs=0.12)


def test_noise_and_empty_pictures_have_no_skew() -> None:
    assert estimate_skew(np.full((200, 300), 255, np.uint8)) == 0.0
    assert estimate_skew(np.random.default_rng(2).integers(0, 256, (300, 300)).astype(np.uint8)) == 0.0


def test_straighten_keeps_every_corner_and_tells_the_way_back() -> None:
    grey = np.full((200, 300), 200, np.uint8)
    working, to_input = straighten(grey, 3.0)
    corners = np.array([[0, 0, 1], [299, 0, 1], [0, 199, 1], [299, 199, 1]], float)
    inverse = cv2.invertAffineTransform(to_input)
    there = corners @ inverse.T
    assert (there >= -0.51).all() and (there[:, 0] <= working.shape[1]).all() and (there[:, 1] <= working.shape[0]).all()
    assert np.column_stack([there, np.ones(4)]) @ to_input.T == pytest.approx(corners[:, :2], abs=1e-6)


def test_a_harmless_skew_is_left_alone() -> None:
    grey = np.zeros((200, 300), np.uint8)
    assert straighten(grey, 0.05)[0] is grey


@pytest.mark.parametrize("ink", [(0, 0, 0), (119, 119, 119), (204, 204, 204)])
def test_rules_cover_the_drawn_lines_and_not_the_text(ink: tuple[int, int, int]) -> None:
    style = Style(ink=ink, text=14)
    grey, blank = drawn(style), Style(ink=ink, text=14, text_ink=(255, 255, 255))
    lines = drawn(blank) < 250
    mask = find_rules(grey, 10.0, 0.0).mask > 0
    assert mask[lines].mean() > 0.98
    assert (mask & ~cv2.dilate(lines.astype(np.uint8), np.ones((5, 5))).astype(bool)).sum() < 0.002 * mask.size


def test_a_page_of_text_has_no_rules() -> None:
    grey = to_grey(text_page(random.Random(5)))
    assert (find_rules(grey, 10.0, 0.0).mask > 0).mean() < 0.001


def test_soft_pictures_are_told_from_sharp_ones() -> None:
    rgb = draw(merged(random.Random(1), 5, 4, 0), Style(), random.Random(1))
    assert not is_soft(to_grey(rgb)) and is_soft(to_grey(blurred(rgb, 1.2))) and not is_soft(np.zeros((1, 1), np.uint8))


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(4, 30))
def test_the_beat_of_even_dashes_is_their_step(on: int, off: int, dashes: int) -> None:
    profile = np.tile(np.array([1] * on + [0] * off, np.uint8), dashes)[None]
    assert beats(np.array([[0, 0, profile.shape[1], 1]]), profile).tolist() == [on + off]


def test_uneven_dashes_have_no_beat() -> None:
    profile = np.zeros((1, 100), np.uint8)
    profile[0, [2, 5, 17, 24, 44, 48, 71, 90]] = 1
    assert beats(np.array([[0, 0, 100, 1]]), profile).tolist() == [0.0]


def test_dashed_rules_are_found_and_text_is_none() -> None:
    dashed, text = drawn(Style(rule="dashed", text=16)), to_grey(text_page(random.Random(5)))
    assert len({int(box[1]) for box in dashed_rules(dashed, binarise(dashed, 0.0), 12.0)}) >= 7
    assert len(dashed_rules(text, binarise(text, 0.0), 10.0)) == 0


def test_noise_does_not_make_rules() -> None:
    grey = to_grey(noisy(np.full((300, 400, 3), 180, np.uint8), 20))
    assert not find_rules(grey, 10.0, noise_level(grey)).mask.any()
