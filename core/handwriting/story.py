"""A written text as plain values (JSON) for whoever draws it: strokes with their parts and letters, joins before and after the solve, the hand's alphabet, variants."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.handwriting.compose import Written, WrittenLetter, compose
from core.handwriting.deformation import CAP
from core.handwriting.hand import Hand
from core.handwriting.segmentation import POINTS, classify
from core.handwriting.strokes import Ink, Stroke, features, resample

DIGITS = 4
MOST_SHOWN = 120


def story(written: Written, variants: Sequence[Written] = ()) -> dict:
    """Everything a page draws of a written text.

    Lengths in x-heights, y down; strokes are {x, y, t, p}, with c (part) and o (letter) per point where known.
    """
    weights = written.config.weights
    alone = compose(written.text, written.hand, replace(written.config, join=False))
    return {
        "text": written.text, "seed": written.config.seed, "join": written.config.join, "exact": written.config.exact, "cap": CAP,
        "weights": {"connection": weights.connection, "smoothness": weights.smoothness, "displacement": weights.displacement},
        "hand": _about(written.hand), "letters": [_letter(letter) for letter in written.letters],
        "joined": strokes(written.ink, written.classes, written.owner), "plain": strokes(alone.ink, (), alone.owner),
        "plain_baselines": baselines(alone), "joins": [_join(join) for join in written.joins],
        "baselines": baselines(written), "alphabet": _alphabet(written.hand),
        "variants": [{"seed": one.config.seed, "strokes": strokes(one.ink)} for one in variants]}


def _round(value) -> float | list:
    return np.round(np.asarray(value, float), DIGITS).tolist()


def strokes(ink: Ink, classes: Sequence[np.ndarray] = (), owner: Sequence[np.ndarray] = ()) -> list[dict]:
    """Strokes as columns, in x-heights."""
    found = [_columns(stroke) for stroke in ink.strokes]
    for name, values in (("c", classes), ("o", owner)):
        for stroke, own in zip(found, values):
            stroke[name] = [int(v) for v in own]
    return found


def _columns(stroke: Stroke) -> dict:
    return {"x": _round(stroke.xy[:, 0]), "y": _round(stroke.xy[:, 1]), "t": _round(stroke.t_s), "p": _round(stroke.pressure)}


def baselines(written: Written) -> list[float]:
    """y of each line."""
    lines: dict[int, list[float]] = {}
    for letter in written.letters:
        lines.setdefault(letter.line, []).append(letter.origin[1])
    return [_round(np.median(lines[line])) for line in sorted(lines)]


def _about(hand: Hand) -> dict:
    return {"name": hand.name, "title": hand.title or hand.name, "kind": hand.kind, "slant": _round(hand.slant), "licence": hand.licence, "origin": hand.origin, "chars": hand.chars}


def _letter(letter: WrittenLetter) -> dict:
    return {"char": letter.char, "line": letter.line, "box": _round(letter.drawn.box), "borrowed": letter.borrowed, "variant": letter.letter.variant,
            "head": letter.head, "tail": letter.tail}


def _join(join) -> dict:
    """A join with full precision: the page solves it again from these points. The first `back` points of the tail and the last `lead` of the head are no part of the solve
    (ways over lines drawn already)."""
    bent = {name: getattr(join, name)[:, :2].tolist() for name in ("tail", "head", "tail_was", "head_was")}
    return {"left": join.left, "right": join.right, "kind": join.kind, "reason": join.reason, "gap": float(join.gap), "moved": float(join.moved), "turn_deg": _round(join.turn_deg),
            "back": join.back, "lead": join.lead, "stroke": join.stroke, "at": join.at, **bent}


def _alphabet(hand: Hand) -> list[dict]:
    """Every way the hand writes its letters, with the class of the 20 points the classifier sees of each."""
    letters = [letter for letter in hand.letters if letter.char.isalpha()] or list(hand.letters)
    shown = sorted(letters, key=lambda letter: (not letter.char.islower(), letter.char, letter.variant))[:MOST_SHOWN]
    drawn = [[stroke.xy for stroke in letter.ink.strokes] for letter in shown]
    found = classify(drawn)
    return [_classified(letter, own, classes, sure) for letter, own, classes, sure in zip(shown, drawn, found.classes, found.probabilities)]


def _classified(letter, own: Sequence[np.ndarray], classes: np.ndarray, sure: np.ndarray) -> dict:
    _, counts = features(own, POINTS)
    points = np.concatenate([resample(xy, count) for xy, count in zip(own, counts) if count])
    return {"char": letter.char, "variant": letter.variant, "strokes": [_round(xy) for xy in own], "points": _round(points), "classes": [int(c) for c in classes],
            "sure": _round(sure.max(1))}
