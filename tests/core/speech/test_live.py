"""A stream comes out as it went in, in order and in time, whatever the blocks and the microphone's rate."""

import numpy as np
import pytest

from core.errors import InputError
from core.speech.live import AHEAD_S, FADE_S, MOST_S, PAST_S, Stream


def wave(seconds: float, rate_hz: int = 48_000) -> np.ndarray:
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    return (0.3 * np.sin(2 * np.pi * 220 * t) + 0.1 * np.sin(2 * np.pi * 3100 * t)).astype(np.float32)


@pytest.mark.parametrize("block_s", [0.02, 0.25, 1.3])
def test_a_model_that_changes_nothing_gives_the_stream_back_a_moment_later(block_s):
    sound, longest = wave(4.0), []
    stream = Stream(lambda chunk: longest.append(len(chunk)) or chunk, 48_000)
    made = np.concatenate([stream.feed(part) for part in np.array_split(sound, int(4 / block_s))])
    assert len(made) == len(sound) - int((AHEAD_S + FADE_S) * 48_000) and np.allclose(made, sound[:len(made)], atol=1e-6)
    assert max(longest) <= (PAST_S + 1.5 + AHEAD_S + FADE_S) * 48_000


def test_blocks_that_disagree_are_blended():
    count = iter(range(1000))
    stream = Stream(lambda chunk: np.full(len(chunk), float(next(count) % 2), np.float32), 48_000)
    made = np.concatenate([stream.feed(part) for part in np.array_split(np.zeros(96_000, np.float32), 10)])
    assert np.abs(np.diff(made)).max() < 1.5 / (FADE_S * 48_000)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 96_000])
def test_a_microphone_of_another_rate_gets_its_own_samples_back_in_step(rate_hz):
    longest, sound = [], wave(3.0, rate_hz)
    stream = Stream(lambda chunk: longest.append(len(chunk)) or chunk, rate_hz)
    made = np.concatenate([stream.feed(part) for part in np.array_split(sound, 12)])
    assert 2.6 * rate_hz < len(made) < 3 * rate_hz and max(longest) > 1.8 * 48_000
    middle = slice(rate_hz // 2, 2 * rate_hz)
    assert np.abs(made[middle] - sound[middle]).max() < 1e-3


def test_what_is_no_stream_is_a_sentence():
    with pytest.raises(InputError, match="1,000 samples a second"):
        Stream(lambda chunk: chunk, 1_000)
    for block in (np.zeros(int((MOST_S + 1) * 48_000), np.float32), np.full(10, np.nan, np.float32), np.zeros((2, 10), np.float32)):
        with pytest.raises(InputError, match="A block of a stream"):
            Stream(lambda chunk: chunk, 48_000).feed(block)
