"""A spectrogram shows a tone where it is, at its level, and any length fits the same picture."""

import io

import numpy as np
import pytest
from PIL import Image

from core.speech.pictures import BINS, as_png, spectrogram


@pytest.mark.parametrize("hz", [1_000, 6_000, 20_000])
def test_a_tone_lies_at_its_frequency_with_its_level(hz):
    level = spectrogram(0.5 * np.sin(2 * np.pi * hz * np.arange(96_000) / 48_000), 48_000, 100)
    assert level.shape == (BINS, 100)
    row = int(level[:, 50].argmax())
    assert (BINS - row - 0.5) * 24_000 / BINS == pytest.approx(hz, abs=24_000 / BINS)
    assert -13 < level[row, 50] < -5                     # full scale of a sine 0.5 is -6 dB; a cell averages over about four bins


def test_what_is_loud_first_is_left():
    level = spectrogram(np.concatenate([np.random.default_rng(0).standard_normal(24_000) * 0.1, np.zeros(24_000)]), 48_000, 60)
    assert level[:, :28].mean() > level[:, 33:].mean() + 40


@pytest.mark.parametrize("length", [1, 200, 48_000 * 30])
def test_any_length_becomes_a_picture(length):
    level = spectrogram(np.zeros(length), 48_000)
    image = Image.open(io.BytesIO(as_png(level)))
    assert image.mode == "L" and image.size == (level.shape[1], BINS) and 1 <= image.size[0] <= 900
