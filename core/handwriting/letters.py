"""Ink in which somebody wrote the letters one after the other, cut into letters: lines first, then what stands over one another (dots and bars go with their letter)."""

from collections.abc import Sequence

import numpy as np

from core.errors import InputError
from core.handwriting.strokes import Ink, Stroke

X_LETTERS = "acemnorsuvwxz"
ON_THE_LINE = "abcdehiklmnorstuvwxz" + "ABCDEFGHIKLMNOPRSTUVWXYZ"
SHARE_OVER = 0.3
"""Two strokes belong to one letter where they share this much of the narrower one's width; a narrow one that only comes near does too (a dot beside its stem)."""
NEAR = 0.12
"""How near such a dot has to be, of the height of the line."""


def letters_from_ink(ink: Ink, chars: str) -> tuple[dict[str, list[Ink]], float | None]:
    """Each character's ways of being written, and the x-height, in the unit of the ink; baselines are moved to y = 0.

    ink    the letters in the order of `chars`, left to right, one or more lines, with white between any two
    chars  what they are; a character named twice has two variants
    The x-height is None where no letter of that height is among them. Raises InputError where the ink falls into another number of letters.
    """
    chars = "".join(chars.split())
    lines = [_letters_of(line) for line in _lines(ink.strokes)]
    found = sum(map(len, lines))
    if found != len(chars):
        raise InputError(f"The ink falls into {found} letters and {len(chars)} were named ({chars[:12]}{'…' if len(chars) > 12 else ''}). "
                         "Leave white between the letters, or name those that are written with the setting letters_in.")
    drawn: dict[str, list[Ink]] = {}
    heights: list[float] = []
    for letters in lines:
        named, chars = list(zip(chars, letters)), chars[len(letters):]
        baseline = _baseline(named)
        heights += [box[3] - box[1] for char, letter in named if char in X_LETTERS and (box := Ink(tuple(letter)).box)]
        for char, letter in named:
            drawn.setdefault(char, []).append(Ink(tuple(stroke.moved(0.0, -baseline) for stroke in letter)))
    return drawn, float(np.median(heights)) if heights and np.median(heights) > 0 else None


def _lines(strokes: Sequence[Stroke]) -> list[list[Stroke]]:
    """Strokes by line, top line first: a new line begins where the middle of a stroke lies under all of the line before."""
    tall = max(float(np.ptp(stroke.xy[:, 1])) for stroke in strokes) or 1.0
    lines: list[list[Stroke]] = []
    for stroke in sorted(strokes, key=_middle):
        if lines and _middle(stroke) - float(np.mean([_middle(s) for s in lines[-1]])) < 0.8 * tall:
            lines[-1].append(stroke)
        else:
            lines.append([stroke])
    order = {id(stroke): k for k, stroke in enumerate(strokes)}
    return [sorted(line, key=lambda stroke: order[id(stroke)]) for line in lines]


def _middle(stroke: Stroke) -> float:
    return float(stroke.xy[:, 1].min() + stroke.xy[:, 1].max()) / 2


def _letters_of(line: list[Stroke]) -> list[list[Stroke]]:
    """The strokes of a line by letter, left to right, each letter's in the order they were drawn."""
    near = NEAR * float(np.ptp(np.concatenate([stroke.xy[:, 1] for stroke in line])))
    letters: list[list[Stroke]] = []
    for stroke in sorted(line, key=lambda s: s.xy[:, 0].min()):
        if letters and _together(letters[-1], stroke, near):
            letters[-1].append(stroke)
        else:
            letters.append([stroke])
    order = {id(stroke): k for k, stroke in enumerate(line)}
    return [sorted(letter, key=lambda stroke: order[id(stroke)]) for letter in letters]


def _together(letter: list[Stroke], stroke: Stroke, near: float) -> bool:
    low, high = stroke.xy[:, 0].min(), stroke.xy[:, 0].max()
    left, right = min(s.xy[:, 0].min() for s in letter), max(s.xy[:, 0].max() for s in letter)
    shared, narrower = min(high, right) - max(low, left), min(high - low, right - left)
    return bool(shared > SHARE_OVER * narrower if narrower > near else shared > -near)


def _baseline(named: Sequence[tuple[str, list[Stroke]]]) -> float:
    """Where the letters of a line stand: the median foot of those that hang below nothing, of all where there is none such."""
    feet = [(char, max(float(stroke.xy[:, 1].max()) for stroke in letter)) for char, letter in named]
    standing = [foot for char, foot in feet if char in ON_THE_LINE]
    return float(np.median(standing or [foot for _, foot in feet]))
