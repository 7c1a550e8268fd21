"""A hand: the letters one writer draws, at x-height 1 on a baseline at 0, with what that writer's joins, slant and spacing are; shipped hands and those made on the pad."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.handwriting.strokes import Ink

HANDS: tuple[str, ...] = ("allure", "school", "felix", "tech", "drawer-03", "drawer-13")
"""The shipped hands by name, cursive first (assets/samples/handwriting)."""
KINDS = ("cursive", "mixed", "print")
FOLDER = Path(__file__).resolve().parents[2] / "assets" / "samples" / "handwriting"


@dataclass(frozen=True)
class Letter:
    """One way a writer draws one character: ink in x-heights, baseline y = 0 (ascenders negative), leftmost ink at x = 0."""

    char: str
    ink: Ink
    variant: int = 0


@dataclass(frozen=True)
class Hand:
    """The letters of one writer.

    name     as shown and chosen; kind: cursive (joins what can be joined), mixed (joins where both letters offer strokes), print (never joins)
    slant    tan of the lean to the right of upright, measured or given
    x_height what one x-height was in the source's unit (for information)
    gap      usual white between neighbouring letter bodies, in x-heights
    licence, origin  one sentence each, shown beside the hand
    """

    name: str
    letters: tuple[Letter, ...]
    kind: str
    slant: float = 0.0
    x_height: float = 1.0
    gap: float = 0.35
    title: str = ""
    licence: str = ""
    origin: str = ""
    _by_char: Mapping[str, tuple[Letter, ...]] = field(init=False, repr=False, compare=False, default_factory=dict)

    @property
    def chars(self) -> str:
        """Every character this hand has, sorted."""
        raise NotImplementedError

    def variants(self, char: str) -> tuple[Letter, ...]:
        """The ways this hand draws `char`; empty where it cannot."""
        raise NotImplementedError


def load_hand(name: str) -> Hand:
    """A shipped hand. Raises ConfigError for another name."""
    raise NotImplementedError


def hand_from_letters(drawn: Mapping[str, Sequence[Ink]], name: str = "mine", baseline: float | None = None, x_height: float | None = None) -> Hand:
    """The hand of a visitor from drawn letters: char -> one or more inks in pad coordinates (y down).

    baseline and x_height are the pad's guide lines (same unit as the ink); without them both are estimated from the letters.
    """
    raise NotImplementedError


def nearest_hand(hand: Hand) -> Hand:
    """The shipped hand whose joins, slant and proportions are nearest: what missing letters are borrowed from."""
    raise NotImplementedError


def missing(text: str, hand: Hand) -> tuple[str, ...]:
    """Characters of `text` that `hand` has no letter for, in order of appearance, each once."""
    raise NotImplementedError


def to_json(hand: Hand) -> bytes:
    raise NotImplementedError


def from_json(data: bytes) -> Hand:
    """Raises InputError for anything that is not a hand."""
    raise NotImplementedError
