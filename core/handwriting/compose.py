"""Text to joined handwriting: letters of a hand, spaced by their bodies, each pair merged, bridged or lifted as a person would (section 2 of the post)."""

from dataclasses import dataclass, field

import numpy as np

from core.handwriting.deformation import Weights
from core.handwriting.hand import Hand, Letter
from core.handwriting.strokes import Ink

HEAD, BODY, TAIL, ISOLATED, BRIDGE = range(5)
"""What a point of a written letter is; the first four as in `segmentation`."""
LONGEST_TEXT = 400


@dataclass(frozen=True)
class ComposeConfig:
    """join: False writes every letter alone. exact: merge ends on one point (gap 0) instead of pulling them together by the connection weight.
    spacing: factor on the white between letters. slant_deg: added to the hand's own. size: x-height of the written ink. variation in [0, 1]: how much two e's differ.
    width: where lines break, in x-heights (0: only where the text says). line: from baseline to baseline, in x-heights."""

    join: bool = True
    exact: bool = True
    weights: Weights = Weights()
    spacing: float = 1.0
    slant_deg: float = 0.0
    size: float = 1.0
    variation: float = 0.5
    width: float = 0.0
    line: float = 3.6
    seed: int = 0
    borrow: bool = True


@dataclass(frozen=True, eq=False)
class WrittenLetter:
    """One character of the text on the paper.

    index    position in the (normalised) text; line: from 0; origin [2]: where the letter's own (0, 0) lies
    drawn    the letter placed, before any join: strokes in page coordinates
    borrowed name of the hand it was borrowed from, or ""
    head, tail  numbers of points of the first and last main stroke that a join may bend
    """

    char: str
    index: int
    line: int
    origin: tuple[float, float]
    drawn: Ink
    letter: Letter
    borrowed: str = ""
    head: int = 0
    tail: int = 0
    delayed: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Join:
    """What happens between two neighbouring letters (left and right: positions in Written.letters).

    kind     merge, bridge or lift; reason: a few words why
    gap      distance left between tail and head after the solve (0 in exact mode); moved: largest shift of a point, both in x-heights
    turn_deg largest turning angle between neighbouring links at the join
    tail, head       the bent points [m, 2], [k, 2], page coordinates, outer ends fixed (a bridge's own points are at the end of tail)
    tail_was, head_was  the same points before the solve
    stroke, at  where the join lies: Written.ink.strokes[stroke].xy[at] is the meeting point; -1 for a lift
    """

    left: int
    right: int
    kind: str
    reason: str
    gap: float = 0.0
    moved: float = 0.0
    turn_deg: float = 0.0
    tail: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    head: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    tail_was: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    head_was: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    bridged: int = 0
    stroke: int = -1
    at: int = -1


@dataclass(frozen=True, eq=False)
class Written:
    """Text as ink: strokes in writing order (delayed dots and bars after their word).

    owner    per stroke [n]: index into letters of each point; classes per stroke [n]: HEAD BODY TAIL ISOLATED BRIDGE
    seconds  stage -> seconds (letters, classify, layout, solve, assemble); notes: sentences a visitor has to know
    """

    ink: Ink
    text: str
    letters: tuple[WrittenLetter, ...]
    joins: tuple[Join, ...]
    owner: tuple[np.ndarray, ...]
    classes: tuple[np.ndarray, ...]
    hand: Hand
    config: ComposeConfig
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)


def compose(text: str, hand: Hand, config: ComposeConfig = ComposeConfig()) -> Written:
    """Write `text` in `hand`. Raises InputError where nothing of it can be written, LimitError above 400 characters."""
    raise NotImplementedError
