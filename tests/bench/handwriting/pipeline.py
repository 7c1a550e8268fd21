"""How long writing takes: the classifier alone, and text to ink per letter, stage by stage, on one core."""

import time
from argparse import Namespace
from collections.abc import Iterator

import numpy as np

from core.handwriting.compose import ComposeConfig, compose
from core.handwriting.hand import HANDS, load_hand
from core.handwriting.segmentation import POINTS, classify, parts_of, session
from core.handwriting.strokes import features
from tests.bench.harness import Section

TEXT = "the quick brown fox jumps over the lazy dog and writes a long letter to a friend by hand"


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Two sections; the headline is the slowest hand's time per letter."""
    rounds = 5 if options.quick else 40
    yield classifier_section(rounds), None
    found = pipeline_section(rounds)
    yield found, dict(ms_per_letter=max(row["ms_per_letter"] for row in found.rows))


def classifier_section(rounds: int) -> Section:
    """Letters alone and 64 together, features included."""
    letters = [[stroke.xy for stroke in letter.ink.strokes] for letter in load_hand(HANDS[0]).letters[:64]]
    seen = np.array([features(letter, POINTS)[0] for letter in letters[:1]], np.float32)
    calls = {"one letter, graph": (lambda: session().run(None, {"points": seen}), 1), "one letter, class of 20 points": (lambda: classify(letters[:1]), 1), "64 letters together": (lambda: classify(letters), len(letters)),
             "64 letters, to heads and tails as drawn": (lambda: parts_of(letters), len(letters))}
    section = Section("classify", "The point classifier in ONNX Runtime, one thread", "CPU milliseconds per letter with resampling and features, median and least; graph: ONNX Runtime alone")
    for name, (call, count) in calls.items():
        call()
        times = [_seconds(call) / count for _ in range(5 * rounds)]
        section.rows.append(dict(name=name, ms_per_letter=1e3 * float(np.median(times)), least=1e3 * min(times)))
    return section


def _seconds(call) -> float:
    begun = time.thread_time()
    call()
    return time.thread_time() - begun


def pipeline_section(rounds: int) -> Section:
    """A line of text in every shipped hand; a hand's letters are classified once, when it is first used (cold)."""
    letters = sum(char != " " for char in TEXT)
    section = Section("pipeline", f"Text to ink, {letters} letters", "CPU milliseconds per letter: cold, the hand read and classified first; warm, median; then the stages of one run (wall)")
    compose("warm up", load_hand(HANDS[-1]))
    for name in HANDS:
        load_hand.cache_clear()
        cold = _seconds(lambda: compose(TEXT, load_hand(name)))
        runs = [(_seconds(lambda: compose(TEXT, load_hand(name), ComposeConfig(seed=seed))), seed) for seed in range(rounds)]
        _, seed = sorted(runs)[len(runs) // 2]
        stages = compose(TEXT, load_hand(name), ComposeConfig(seed=seed)).seconds
        section.rows.append(dict(hand=name, cold=1e3 * cold / letters, ms_per_letter=1e3 * float(np.median([seconds for seconds, _ in runs])) / letters,
                                 **{stage: 1e3 * seconds / letters for stage, seconds in stages.items()}))
    return section
