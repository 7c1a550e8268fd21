"""Chunks: every sample once, in order, whatever the sizes; no seam where a model needs no more context than it gets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.speech.chunks import Cut, chunks_of, in_chunks


@given(length=st.integers(0, 900), sizes=st.lists(st.integers(1, 200), min_size=1, max_size=5), step=st.integers(20, 120), context=st.integers(0, 60), share=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_a_model_that_changes_nothing_changes_nothing(length, sizes, step, context, share):
    wave = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    cut = Cut(step, context, int(share * min(2 * context, step)) // 2 * 2)
    edges = np.cumsum([0, *(sizes * (length // sum(sizes) + 1))])
    longest = []
    parts = [wave[a:b] for a, b in zip(edges, edges[1:]) if a < length]
    made = list(in_chunks(parts, lambda chunk: longest.append(len(chunk)) or chunk, cut))
    assert np.allclose(np.concatenate([*made, wave[:0]]), wave, atol=1e-6)
    assert max(longest, default=0) <= 1.5 * step + 2 * context + max(sizes) and abs(len(longest) - chunks_of(length, cut)) <= 1


def test_a_filter_shorter_than_the_context_leaves_no_seam():
    wave = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    kernel = np.hanning(81).astype(np.float32)
    run = lambda chunk: np.convolve(chunk, kernel, "same")
    made = np.concatenate(list(in_chunks(np.array_split(wave, 7), run, Cut(600, 120, 80))))
    assert np.abs(made - run(wave)).max() < 1e-4


def test_levels_that_differ_from_chunk_to_chunk_are_blended_without_a_step():
    count = iter(range(100))
    made = np.concatenate(list(in_chunks([np.ones(6000, np.float32)], lambda chunk: chunk * (1 + next(count) % 2), Cut(1000, 200, 200))))
    assert len(made) == 6000 and np.abs(np.diff(made)).max() < 0.006 and {1.0, 2.0} <= set(np.round(made, 3))


def test_channels_go_together():
    wave = np.random.default_rng(1).standard_normal((3, 2000)).astype(np.float32)
    made = np.concatenate(list(in_chunks(np.array_split(wave, 5, axis=1), lambda chunk: 2 * chunk, Cut(300, 50, 40))), axis=1)
    assert np.allclose(made, 2 * wave)


def test_a_cut_that_cannot_be_blended_is_refused():
    with pytest.raises(ValueError, match="fade"):
        Cut(100, 10, 50)
