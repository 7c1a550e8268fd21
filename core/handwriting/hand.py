"""A hand: the letters one writer draws, at x-height 1 on a baseline at 0; shipped hands, hands of letters drawn on the pad, and what is borrowed from whom."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from core.errors import ConfigError, InputError, LimitError
from core.handwriting.strokes import MOST_POINTS, Ink, Stroke

HANDS: tuple[str, ...] = ("allure", "school", "felix", "tech", "drawer-14", "drawer-07")
"""The shipped hands by name, cursive first (assets/samples/handwriting)."""
KINDS = ("cursive", "mixed", "print")
FOLDER = Path(__file__).resolve().parents[2] / "assets" / "samples" / "handwriting"
FORMAT, VERSION = "vitrine-hand", 1
MOST_LETTERS, MOST_LETTER_POINTS, MOST_HAND_POINTS, MOST_BYTES = 600, 6_000, 120_000, 8_000_000
STEP = 0.08
"""Distance of the points of a letter, in x-heights: what the joins' weights are for."""
MOST_STROKE_POINTS = 1500
X_LETTERS, DESCENDERS, HANGING = frozenset("acemnorsuvwxz"), frozenset("gpqyj"), frozenset("'\"´`^~¨°*")
"""Letters as high as the x-height; letters that reach below the line (their top is at the x-height); marks that hang above."""
ASCENDER, X_SIZE = 1.6, 1.0
LETTER_HEIGHT = {**dict.fromkeys(X_LETTERS, X_SIZE), **dict.fromkeys("bdfhklgpqy0123456789", ASCENDER), "t": 1.4, "i": 1.4, "j": 2.0}
"""Usual heights in x-heights: what the size of a hand is told from when the pad's guide lines are not known."""


@dataclass(frozen=True)
class Letter:
    """One way a writer draws one character: ink in x-heights, baseline y = 0 (ascenders negative), leftmost ink at x = 0."""

    char: str
    ink: Ink
    variant: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.char, str) or len(self.char) != 1 or not self.char.isprintable() or self.char.isspace():
            raise InputError(f"A letter is named {self.char!r:.20}; each letter of a hand is one printable character.")
        if self.ink.points > MOST_LETTER_POINTS:
            raise LimitError(f"The letter {self.char} has {self.ink.points:,} points, and the limit is {MOST_LETTER_POINTS:,}; draw it again, shorter.")


@dataclass(frozen=True)
class Hand:
    """The letters of one writer.

    name     as chosen; title: as shown; kind: cursive (joins what can be joined), mixed (joins where both letters offer strokes), print (never joins)
    slant    tan of the lean to the right
    x_height what one x-height was in the source's unit (for information)
    gap      usual white between neighbouring letter bodies, in x-heights
    licence, origin  one sentence each, shown beside the hand
    Raises InputError for no letter or another kind, LimitError for more than 600 letters or 120,000 points.
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "letters", tuple(self.letters))
        if not self.letters:
            raise InputError("This hand has no letter; draw at least one.")
        if self.kind not in KINDS:
            raise InputError(f"The kind of a hand is {self.kind!r:.20}; it can be {', '.join(KINDS)}.")
        points = sum(letter.ink.points for letter in self.letters)
        if len(self.letters) > MOST_LETTERS or points > MOST_HAND_POINTS:
            raise LimitError(f"This hand has {len(self.letters):,} letters of {points:,} points, and the limit is {MOST_LETTERS} letters of {MOST_HAND_POINTS:,} points; "
                             "leave some out.")
        for name, low, high in (("slant", -2, 2), ("x_height", 1e-9, 1e9), ("gap", 0, 3)):
            if not (isinstance(value := getattr(self, name), (int, float)) and low <= value <= high):
                raise InputError(f"The {name} of a hand is {value!r:.20}; it has to lie between {low:g} and {high:g}.")

    @cached_property
    def _by_char(self) -> Mapping[str, tuple[Letter, ...]]:
        found: dict[str, list[Letter]] = {}
        for letter in self.letters:
            found.setdefault(letter.char, []).append(letter)
        return {char: tuple(letters) for char, letters in found.items()}

    @property
    def chars(self) -> str:
        """Every character this hand has, sorted."""
        return "".join(sorted(self._by_char))

    def variants(self, char: str) -> tuple[Letter, ...]:
        """The ways this hand draws `char`; empty where it cannot."""
        return self._by_char.get(char, ())


@lru_cache
def load_hand(name: str) -> Hand:
    """A shipped hand. Raises ConfigError for another name."""
    if name not in HANDS:
        raise ConfigError(f"There is no hand {name!r:.40}. The shipped hands are {', '.join(HANDS)}.")
    return from_json((FOLDER / f"{name}.json").read_bytes())


# ---------------------------------------------------------------- from letters drawn on the pad

def hand_from_letters(drawn: Mapping[str, Sequence[Ink]], name: str = "mine", kind: str | None = None, baseline: float | None = None,
                      x_height: float | None = None) -> Hand:
    """The hand of a visitor: char -> one or more inks in pad coordinates (y down).

    baseline (y) and x_height (length) are the pad's guide lines, in the unit of the ink; without them one x-height is estimated from all letters and the
    baseline from each letter's usual place. kind None: print where most letters end without a stroke to join by, else cursive.
    Raises InputError where nothing is drawn.
    """
    found = [(char, ink) for char, inks in drawn.items() for ink in inks]
    if not found:
        raise InputError("No letter is drawn yet; write at least one on the pad.")
    scale = x_height if x_height else _estimated_x_height(found)
    if not 1e-9 < scale < 1e9:
        raise InputError("The letters have no size; draw them larger than a dot.")
    count: dict[str, int] = {}
    letters = []
    for char, ink in found:
        bottom = baseline if baseline is not None else _estimated_baseline(char, ink, scale)
        letters.append(Letter(char, _placed(ink, 1 / scale, bottom), count.get(char, 0)))
        count[char] = count.get(char, 0) + 1
    hand = Hand(name, tuple(letters), kind or "cursive", x_height=scale, title="Your letters", licence="Yours.", origin="Drawn on the pad.")
    return replace(hand, kind=kind or _estimated_kind(hand), slant=_estimated_slant(hand))


def _placed(ink: Ink, factor: float, bottom: float) -> Ink:
    left = ink.box[0]
    start = min(float(stroke.t_s[0]) for stroke in ink.strokes)
    made = []
    for stroke in ink.strokes:
        xy, t_s = evened((stroke.xy - (left, bottom)) * factor, stroke.t_s - start, smoothing=1)
        made.append(Stroke(xy, t_s, np.interp(t_s, stroke.t_s - start, stroke.pressure)))
    return Ink(tuple(made))


def evened(xy: np.ndarray, t_s: np.ndarray, smoothing: int) -> tuple[np.ndarray, np.ndarray]:
    """Ink at equal steps of STEP along its length, with its times; lightly smoothed, because tablets and mice have whole pixels. A dot becomes a short tick."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    if along[-1] < STEP:
        return (xy[:1] + [[0, 0], [0.015, 0.03]]).round(4), np.array([t_s[0], t_s[-1]])
    at = np.linspace(0, along[-1], min(max(3, round(along[-1] / STEP) + 1), MOST_STROKE_POINTS))
    points = np.column_stack([np.interp(at, along, xy[:, k]) for k in (0, 1)])
    for _ in range(smoothing):
        points[1:-1] = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
    return points.round(4), np.interp(at, along, t_s).round(4)


def _estimated_x_height(found: Sequence[tuple[str, Ink]]) -> float:
    """Median over the letters of height / usual height; from the widths where nothing has a height."""
    heights = [(ink.box[3] - ink.box[1]) / LETTER_HEIGHT.get(char, ASCENDER) for char, ink in found if char not in HANGING | set(".,-")]
    heights = [height for height in heights if height > 0]
    return float(np.median(heights)) if heights else max(ink.box[2] - ink.box[0] for _, ink in found)


def _estimated_baseline(char: str, ink: Ink, scale: float) -> float:
    """y of the baseline under one letter: its bottom; for g p q y j an x-height below the body's top; for marks that hang or float, where they usually do."""
    _, top, _, bottom = ink.box
    if char in DESCENDERS:
        main = max(ink.strokes, key=lambda stroke: stroke.length).xy
        return float(main[:, 1].min()) + scale
    if char in HANGING:
        return top + ASCENDER * scale
    return (top + bottom) / 2 + scale / 2 if char in "-=+~" else bottom


def _estimated_kind(hand: Hand) -> str:
    """Cursive where half of the lower-case letters or more run out to the right and a quarter of those that begin with no bowl come in rising; else print."""
    from core.handwriting.anatomy import RISING, RUNNING, anatomies  # anatomy needs hands

    lower = [letter for letter in hand.letters if letter.char.islower()]
    found = anatomies(hand, lower)
    running = [a.end == RUNNING for a in found]
    rising = [a.start == RISING for a, letter in zip(found, lower, strict=True) if letter.char not in "acdgoq"]
    return "cursive" if lower and np.mean(running) >= 0.5 and np.mean(rising or [1]) >= 0.25 else "print"


def _estimated_slant(hand: Hand) -> float:
    """Median lean of the long downward links, as tan to the right of upright."""
    links = np.concatenate([np.diff(stroke.xy, axis=0) for letter in hand.letters for stroke in letter.ink.strokes if len(stroke) > 1] or [np.zeros((0, 2))])
    down = links[links[:, 1] > 1.2 * np.abs(links[:, 0])]
    return float(np.clip(np.average(-down[:, 0] / down[:, 1], weights=down[:, 1]), -1, 1)) if len(down) > 3 else 0.0


# ---------------------------------------------------------------- borrowing

def nearest_hand(hand: Hand) -> Hand:
    """The shipped hand to borrow missing letters from: of the same kind (print or not), then nearest in slant and in the width of shared letters."""
    def distance(other: Hand) -> tuple[int, float]:
        shared = [char for char in hand.chars if other.variants(char) and char.islower()]
        width = [abs(np.log(_width(hand, char) / _width(other, char))) for char in shared]
        return int((other.kind == "print") != (hand.kind == "print")), abs(other.slant - hand.slant) + float(np.mean(width or [0]))

    others = [other for other in map(load_hand, HANDS) if other.name != hand.name and len(other.chars) > 60]
    return min(others, key=distance)


def _width(hand: Hand, char: str) -> float:
    left, _, right, _ = hand.variants(char)[0].ink.box
    return max(right - left, 0.1)


def missing(text: str, hand: Hand) -> tuple[str, ...]:
    """Characters of `text` that `hand` has no letter for (an accented letter counts as its base), in order of appearance, each once."""
    wanted = dict.fromkeys(char for char in text if not char.isspace())
    return tuple(char for char in wanted if not hand.variants(char) and not (accented(char) and hand.variants(accented(char)[0])))


def accented(char: str) -> tuple[str, str] | None:
    """The letter and the accents that make a character, where all of these can be drawn; else None."""
    base, marks = (parts := unicodedata.normalize("NFD", char))[0], parts[1:]
    return (base, marks) if marks and all(mark in ACCENTS for mark in marks) else None


def _round(radius: float, count: int = 12) -> list[tuple[float, float]]:
    turn = np.linspace(-np.pi / 2, 1.5 * np.pi, count)
    return [(float(radius * np.cos(t)), float(radius * np.sin(t) - radius)) for t in turn]


BELOW = "\u0327"
_DOT = [(-0.01, -0.1), (0.01, -0.04)]
ACCENTS: dict[str, list[list[tuple[float, float]]]] = {
    "\u0300": [[(-0.14, -0.3), (-0.03, -0.16), (0.1, 0.0)]],
    "\u0301": [[(0.14, -0.3), (0.02, -0.16), (-0.12, 0.0)]],
    "\u0302": [[(-0.18, 0.0), (-0.09, -0.12), (0.0, -0.24), (0.09, -0.12), (0.18, 0.0)]],
    "\u0303": [[(-0.24, -0.02), (-0.2, -0.1), (-0.13, -0.15), (-0.05, -0.12), (0.05, -0.05), (0.13, -0.03), (0.2, -0.08), (0.24, -0.16)]],
    "\u0304": [[(-0.2, 0.0), (0.0, 0.0), (0.2, 0.0)]],
    "\u0306": [[(-0.18, -0.2), (-0.12, -0.06), (0.0, 0.0), (0.12, -0.06), (0.18, -0.2)]],
    "\u0307": [_DOT],
    "\u0308": [[(x - 0.15, y) for x, y in _DOT], [(x + 0.15, y) for x, y in _DOT]],
    "\u030a": [_round(0.12)],
    "\u030b": [[(0.0, -0.28), (-0.14, 0.0)], [(0.22, -0.28), (0.06, 0.0)]],
    "\u030c": [[(-0.18, -0.24), (-0.09, -0.12), (0.0, 0.0), (0.09, -0.12), (0.18, -0.24)]],
    BELOW: [[(0.02, 0.0), (-0.03, 0.12), (0.07, 0.15), (0.1, 0.24), (0.02, 0.31), (-0.1, 0.3)]],
}
"""Combining accents as pen strokes, drawn here: x-heights, y down, middle at x = 0; those above a letter stand on y = 0, the cedilla hangs from it."""


# ---------------------------------------------------------------- bytes

def to_json(hand: Hand) -> bytes:
    """The hand as JSON; `from_json` gives back an equal one."""
    letters = [{"char": letter.char, "variant": letter.variant, "strokes": [_columns(stroke) for stroke in letter.ink.strokes]} for letter in hand.letters]
    told = {name: getattr(hand, name) for name in ("name", "title", "kind", "slant", "x_height", "gap", "licence", "origin")}
    head = {"format": FORMAT, "version": VERSION, **told}
    body = ",\n".join(json.dumps(letter, ensure_ascii=False, separators=(",", ":"), allow_nan=False) for letter in letters)
    return (json.dumps(head, ensure_ascii=False)[:-1] + ', "letters": [\n' + body + "\n]}\n").encode()


def _columns(stroke: Stroke) -> dict:
    return {"x": stroke.xy[:, 0].tolist(), "y": stroke.xy[:, 1].tolist(), "t": stroke.t_s.tolist(), "p": _plain(stroke.pressure)}


def _plain(pressure: np.ndarray) -> float | list[float]:
    return float(pressure[0]) if np.all(pressure == pressure[0]) else pressure.tolist()


def from_json(data: bytes) -> Hand:
    """A hand from its JSON. Raises InputError for anything else, LimitError above 8 MB."""
    if len(data) > MOST_BYTES:
        raise LimitError(f"The hand is a file of {len(data):,} bytes, and the limit is {MOST_BYTES:,}.")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise InputError("This is not a hand: the file is no JSON. Save it again from the page.") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"This JSON is not a hand: its format has to be {FORMAT!r}. Save the hand from the page, or draw the letters again.")
    if found.get("version") != VERSION:
        raise InputError(f"This hand has version {found.get('version')!r:.20}, and this Vitrine reads version {VERSION}.")
    try:
        letters = tuple(_letter(entry) for entry in found["letters"])
        text = {name: str(found.get(name, ""))[:400] for name in ("name", "title", "licence", "origin")}
        return Hand(letters=letters, kind=found["kind"], **text, **{name: float(found[name]) for name in ("slant", "x_height", "gap") if name in found})
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise InputError(f"This hand is damaged ({type(error).__name__}: {error!s:.60}); save it again from the page.") from None


def _letter(entry: Mapping) -> Letter:
    strokes = []
    for stroke in entry["strokes"]:
        pressure = stroke.get("p", 0.5)
        if len(stroke["x"]) > MOST_POINTS:
            raise LimitError(f"A letter of this hand has a stroke of {len(stroke['x']):,} points, and the limit is {MOST_POINTS:,}.")
        columns = np.column_stack([stroke["x"], stroke["y"]])
        strokes.append(Stroke(columns, stroke["t"], pressure if isinstance(pressure, list) else np.full(len(columns), pressure)))
    return Letter(entry["char"], Ink(tuple(strokes)), int(entry.get("variant", 0)))
