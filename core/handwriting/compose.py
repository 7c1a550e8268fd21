"""Text to joined handwriting: letters of a hand, spaced by their bodies, each pair merged, bridged or lifted as a person would (section 2 of the post)."""

import math
import time
import unicodedata
from dataclasses import dataclass, field

import numpy as np

from core.errors import ConfigError, InputError, LimitError
from core.exhibit import option
from core.handwriting.anatomy import RISING, anatomies
from core.handwriting.deformation import Weights, join_batch
from core.handwriting.hand import ACCENTS, BELOW, HANGING, Hand, Letter, accented, nearest_hand
from core.handwriting.labels import BODY, HEAD, ISOLATED, TAIL
from core.handwriting.layout import BRIDGE, LIFT, MERGE, Ends, Placed, crosses, decide, ends, white
from core.handwriting.strokes import Ink, Stroke, resample

BRIDGED = 4
"""Class of a point that no letter drew: of a bridge, or of the way along a bowl. The others are HEAD, BODY, TAIL and ISOLATED."""
LONGEST_TEXT = 400
WORD_GAP, HANGING_GAP = 1.0, 0.3
"""x-heights between words; the more before a word that starts with a quotation mark."""
PEN_SPEED, AIR_SPEED, LIFT_S = 16.0, 40.0, 0.05
"""x-heights per second on a bridge and in the air, and the seconds a lift takes besides: for the playback."""
PLAIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-", "−": "-", "…": "...", "\t": " ", "\u00a0": " ", "\r": None,
                       "\u2028": "\n"})


@dataclass(frozen=True)
class ComposeConfig:
    """join: False writes every letter alone. exact: ends meet in one point (gap 0) instead of being pulled together by the connection weight.
    spacing: factor on the white between letters. slant_deg: added to the hand's own. variation in [0, 1]: how much two e's differ.
    width: where lines break (0: only where the text says), line: from baseline to baseline, both in the unit of size; size: one x-height on the paper.
    borrow: missing letters come from the nearest shipped hand; without it they are left out. Raises ConfigError for values out of range."""

    join: bool = option(True, "Join the letters")
    exact: bool = option(True, "Meet exactly")
    weights: Weights = Weights()
    spacing: float = option(1.0, "Spacing", low=0.3, high=3.0)
    slant_deg: float = option(0.0, "Slant (degrees)", low=-30.0, high=30.0)
    size: float = option(1.0, "Size", low=0.1, high=10.0)
    variation: float = option(0.5, "Variation", low=0.0, high=1.0)
    width: float = option(0.0, "Width of a line", low=0.0, high=1000.0)
    line: float = option(3.8, "From line to line", low=1.0, high=20.0)
    seed: int = option(0, "Seed", low=0, high=2**31 - 1)
    borrow: bool = option(True, "Borrow missing letters")

    def __post_init__(self) -> None:
        for name in ("spacing", "slant_deg", "size", "variation", "width", "line", "seed"):
            low, high = (self.__dataclass_fields__[name].metadata[key] for key in ("low", "high"))
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"The setting {name}={getattr(self, name)} is not valid: it takes {low} to {high}.")


@dataclass(frozen=True, eq=False)
class WrittenLetter:
    """One character of the text on the paper.

    index    position in Written.text; line: from 0; origin: where the letter's own (0, 0) lies; drawn: the letter placed, before any join
    letter   as the hand has it; borrowed: the hand it was borrowed from, or ""
    head, tail   points at the start of its first and the end of its last main stroke that a join may bend; delayed: strokes written after the word
    placed   for the editor: the letter as it was laid out
    """

    char: str
    index: int
    line: int
    origin: tuple[float, float]
    letter: Letter
    borrowed: str
    head: int
    tail: int
    delayed: tuple[int, ...]
    placed: Placed = field(repr=False)

    @property
    def drawn(self) -> Ink:
        strokes = self.letter.ink.strokes
        return Ink(tuple(Stroke(self.placed.on_page(k), stroke.t_s, stroke.pressure) for k, stroke in enumerate(strokes)))


@dataclass(frozen=True, eq=False)
class Join:
    """What happens between two neighbouring letters of a word (left and right: positions in Written.letters). Lengths in x-heights.

    kind     merge, bridge or lift; reason: why
    gap      distance left between tail and head after the solve (0 in exact mode); moved: largest shift of a point; turn_deg: largest turn at the join
    tail, head           the bent points [m, 3], [k, 3] (x, y, pressure) on the page; the outer ends are fixed
    tail_was, head_was   the same points before the solve
    own_tail, own_head   how many of them the letters drew (start of tail, end of head); the others were added: bridge, way along a bowl
    cut      points at the end of the left letter that were left out, because the right one starts lower
    back, lead   how many points at the start of tail and at the end of head lie exactly on lines drawn already (along a bowl or stem)
    stroke, at           Written.ink.strokes[stroke].xy[at] is the meeting point; -1 for a lift
    """

    left: int
    right: int
    kind: str
    reason: str
    gap: float = 0.0
    moved: float = 0.0
    turn_deg: float = 0.0
    tail: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)), repr=False)
    head: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)), repr=False)
    tail_was: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)), repr=False)
    head_was: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)), repr=False)
    own_tail: int = 0
    own_head: int = 0
    back: int = 0
    lead: int = 0
    cut: int = 0
    stroke: int = -1
    at: int = -1


@dataclass(frozen=True)
class Change:
    """What the last edit did: letters from `first` on moved by `advance` (x-heights, to the right) on this line; joins: left letters of those solved again."""

    first: int
    line: int
    advance: float
    joins: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Written:
    """Text as ink: strokes in writing order (dots and bars after their word), in x-heights; `paper` gives the ink in the size that was asked for.

    owner    per stroke [n]: index into letters of each point; classes per stroke [n]: HEAD BODY TAIL ISOLATED BRIDGED
    words    per letter the word it belongs to; notes: sentences a visitor has to know; seconds: stage -> seconds
    """

    ink: Ink
    text: str
    letters: tuple[WrittenLetter, ...]
    joins: tuple[Join, ...]
    owner: tuple[np.ndarray, ...]
    classes: tuple[np.ndarray, ...]
    hand: Hand
    config: ComposeConfig
    words: tuple[int, ...]
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    change: Change | None = None

    @property
    def paper(self) -> Ink:
        return self.ink if self.config.size == 1 else self.ink.scaled(self.config.size)


def compose(text: str, hand: Hand, config: ComposeConfig = ComposeConfig()) -> Written:
    """Write `text` in `hand`; the same seed gives the same ink. Raises InputError where nothing of it can be written, LimitError above 400 characters."""
    clock = [time.perf_counter()]
    text = plain(text)
    lines, notes = choose(text, hand, config)
    for hands in {id(c.hand): c.hand for line in lines for word in line for c in word}.values():
        anatomies(hands, [c.letter for line in lines for word in line for c in word if c.hand is hands])
    clock.append(time.perf_counter())
    chance = np.random.default_rng(config.seed).standard_normal((len(text), DRAWS))
    words = [[place(choice, chance[choice.index], config) for choice in word] for line in lines for word in line]
    clock.append(time.perf_counter())
    kinds = [lay_out_word(word, hand, config) for word in words]
    _lay_out_page(words, [len(line) for line in lines], config)
    clock.append(time.perf_counter())
    joins = solve([(word[k], word[k + 1], meeting) for word, meetings in zip(words, kinds, strict=True) for k, meeting in enumerate(meetings)], config)
    clock.append(time.perf_counter())
    written = assemble(text, words, joins, hand, config, notes)
    clock.append(time.perf_counter())
    written.seconds.update(zip(("classify", "letters", "layout", "solve", "assemble"), np.diff(clock).tolist(), strict=True))
    return written


# ---------------------------------------------------------------- text to letters

def plain(text: str) -> str:
    """Composed accents, straight quotes, short dashes. Raises LimitError for a text that is too long."""
    if len(text) > LONGEST_TEXT:
        raise LimitError(f"The text has {len(text):,} characters, and the limit is {LONGEST_TEXT}; write it in parts.")
    return unicodedata.normalize("NFC", text).translate(PLAIN)


@dataclass(frozen=True, eq=False)
class Choice:
    """The letter taken for one character: of which hand, and which of its variants."""

    char: str
    index: int
    letter: Letter
    hand: Hand
    borrowed: str


class Chooser:
    """Finds the letter for each character in turn and remembers what could not be written, what was borrowed, which accents were put together."""

    def __init__(self, hand: Hand, config: ComposeConfig) -> None:
        self.hand, self.config, self.lender = hand, config, None
        self.count: dict[str, int] = {}
        self.unknown: dict[str, None] = {}
        self.borrowed: dict[str, None] = {}
        self.accented: dict[str, None] = {}

    def choice(self, char: str, index: int) -> Choice | None:
        """None where nobody can write it."""
        turn = self.count[char] = self.count.get(char, -1) + 1
        for find in (lambda: self.hand, self._lender):
            hand = find()
            if hand and (letter := self._letter(hand, char, turn)):
                if hand is not self.hand:
                    self.borrowed[char] = None
                return Choice(char, index, letter, hand, "" if hand is self.hand else hand.name)
        if unicodedata.category(char) not in ("Cf", "Mn", "Sk", "Cc"):
            self.unknown[char] = None
        return None

    def _lender(self) -> Hand | None:
        if self.config.borrow and self.lender is None:
            self.lender = nearest_hand(self.hand)
        return self.lender

    def _letter(self, hand: Hand, char: str, turn: int) -> Letter | None:
        variants = hand.variants(char)
        if variants:
            return variants[(turn + self.config.seed) % len(variants)]
        parts = accented(char)
        if not parts or not hand.variants(parts[0]):
            return None
        self.accented[char] = None
        key = (char, turn % len(hand.variants(parts[0])))
        made = hand.__dict__.setdefault("_accented", {})  # a frozen hand may remember what follows from it
        if key not in made:
            made[key] = _with_accents(char, hand.variants(parts[0])[key[1]], parts[1], hand.slant)
        return made[key]

    def notes(self) -> list[str]:
        said = []
        if self.borrowed:
            said.append(f"Borrowed from {self.lender.title or self.lender.name}, because this hand has none: {' '.join(self.borrowed)}.")
        if self.accented:
            said.append(f"Put together from a letter and an accent drawn here: {' '.join(self.accented)}.")
        if self.unknown:
            shown = " ".join(list(self.unknown)[:12]) + (" ..." if len(self.unknown) > 12 else "")
            said.append(f"Left out, because no hand here has a letter for it: {shown}. Draw it on the pad to have it written.")
        if any(unicodedata.bidirectional(char) in ("R", "AL") for char in (*self.unknown, *self.count)):
            said.append("Right-to-left writing is not joined here: letters stand from left to right.")
        return said


def _with_accents(char: str, base: Letter, accents: str, slant: float) -> Letter:
    """A letter with its accents above (a cedilla below) as strokes of their own; the dot of i and j makes room."""
    strokes = list(base.ink.strokes)
    if base.char in "ij" and len(strokes) > 1:
        strokes = [stroke for stroke in strokes if stroke.xy[:, 1].max() > -0.9]
    xy = np.concatenate([stroke.xy for stroke in strokes])
    high, top = xy[xy[:, 1] < xy[:, 1].min() + 0.35, 0], float(xy[:, 1].min()) - 0.2
    middle, clock = float(high.min() + high.max()) / 2 + 0.2 * slant, float(strokes[-1].t_s[-1])
    low = xy[xy[:, 1] > -0.15, 0]
    for accent in accents:
        below = accent == BELOW
        at = np.array([(low.min() + low.max()) / 2 if below and len(low) else middle, 0.0 if below else top])
        for line in ACCENTS[accent]:
            points = np.array(line)
            points = resample(np.column_stack([points[:, 0] - slant * points[:, 1], points[:, 1]]), max(3, 2 * len(line))) + at
            clock += 0.1
            strokes.append(Stroke.of(points, clock + 0.01 * np.arange(len(points))))
            clock = float(strokes[-1].t_s[-1])
        top -= 0.0 if below else 0.36
    return Letter(char, Ink(tuple(strokes)), base.variant)


def choose(text: str, hand: Hand, config: ComposeConfig) -> tuple[list[list[list[Choice]]], list[str]]:
    """Lines of words of letters, and what a visitor has to know. Raises InputError where nothing is left to write."""
    chooser, lines, index = Chooser(hand, config), [], 0
    for line in text.split("\n"):
        words = []
        for part in line.split(" "):
            found = [choice for k, char in enumerate(part) if (choice := chooser.choice(char, index + k))]
            words += [found] if found else []
            index += len(part) + 1
        lines.append(words)
    if not any(lines):
        said = " ".join(chooser.notes())
        raise InputError(said or "There is no text to write; type a word.")
    return lines, chooser.notes()


DRAWS = 16
"""Random numbers by which one letter differs from another of its kind."""


def place(choice: Choice, chance: np.ndarray, config: ComposeConfig) -> Placed:
    """The letter slanted, and varied so that no two are alike: a little size, lean and height on the line, and a smooth bend of the plane, under which lines
    drawn twice stay on each other. chance [16]: standard normal."""
    letter, much = choice.letter, config.variation
    lengths = [len(stroke) for stroke in letter.ink.strokes]
    u, v = (letter.ink.strokes[0].xy if len(lengths) == 1 else letter.ink.xy).T
    if much:
        lean, wide, tall, sink, *rest = chance * much
        wave, phase = rest[:4], chance[8:12] * 3
        bend = np.sin(_ALONG @ np.array([u, v]) + phase[:, None])
        u, v = (u * (1 + 0.05 * wide) - 0.04 * lean * v + 0.028 * (wave[0] * bend[0] + wave[1] * bend[1]),
                v * (1 + 0.035 * tall) + 0.024 * (wave[2] * bend[2] + wave[3] * bend[3]))
    if config.slant_deg:
        u = u - math.tan(math.radians(config.slant_deg)) * v
    xy, cuts = on_grid(np.array([u, v]).T), np.cumsum([0, *lengths])
    strokes = [xy[a:b] for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    anatomy, = anatomies(choice.hand, [letter])
    return Placed(choice.char, choice.index, letter, anatomy, strokes, choice.hand.kind, choice.borrowed, y=on_grid(0.025 * chance[3] * much))


def on_grid(value):
    """The nearest multiple of 2^-20 x-heights: sums of such numbers are exact, so that ink that is moved stays the same to the last bit."""
    return np.round(value * 2.0**20) / 2.0**20


_ALONG = np.array([[2.3, 1.2], [1.1, 2.1], [1.7, -1.6], [2.9, 0.7]])


# ---------------------------------------------------------------- layout

def lay_out_word(word: list[Placed], hand: Hand, config: ComposeConfig) -> list:
    """Place the letters of a word one after the other (x from 0 on) and say how each pair meets."""
    meetings = []
    for left, right in zip(word[:-1], word[1:], strict=True):
        meeting = decide(left, right, config.join)
        right.x = on_grid(left.x + distance(left, right, meeting, hand, config))
        meetings.append(meeting)
    return meetings


def distance(left: Placed, right: Placed, meeting, hand: Hand, config: ComposeConfig) -> float:
    if meeting.kind == LIFT:
        return white(left, right, hand.gap * config.spacing)
    return meeting.distance + 0.7 * (config.spacing - 1)


def edges(word: list[Placed]) -> tuple[float, float]:
    """Left and right edge of a word's main strokes."""
    xs = [(xy[:, 0].min() + letter.x, xy[:, 0].max() + letter.x) for letter in word for xy in letter.main()]
    return float(min(x for x, _ in xs)), float(max(x for _, x in xs))


def _lay_out_page(words: list[list[Placed]], per_line: list[int], config: ComposeConfig) -> None:
    """Words to lines: where the text breaks, and where the next word would pass the width."""
    fresh = set(np.cumsum([0, *per_line]).tolist())
    widest, across = config.width / config.size if config.width else np.inf, 0.0
    breaks = {k: sum(1 for n in np.cumsum(per_line) if n <= k) for k in range(len(words))}
    line, said = -1, -1
    for k, word in enumerate(words):
        low, high = edges(word)
        start = across + (WORD_GAP + HANGING_GAP * (word[0].char in HANGING)) * config.spacing
        if k in fresh or start + high - low > widest:
            line = line + 1 if k not in fresh else line + max(1, breaks[k] - said)
            said, start = max(said, breaks[k]), 0.0
        for letter in word:
            letter.x = on_grid(letter.x + start - low)
            letter.y = on_grid(letter.y + line * config.line / config.size)
            letter.line = line
        across = start + high - low


# ---------------------------------------------------------------- joins

def solve(pairs: list, config: ComposeConfig) -> list[Join]:
    """Joins of (left, right, meeting), positions still open: all solves in one batch; where a point would move too far a bridge, else a lift."""
    mode = "merge" if config.exact else "solve"
    wanted = [(k, ends(left, right, meeting.kind)) for k, (left, right, meeting) in enumerate(pairs) if meeting.kind != LIFT]
    found = _bent(wanted, mode, config.weights)
    again = [(k, ends(pairs[k][0], pairs[k][1], BRIDGE)) for k, e in wanted if not found[k][1].fits and pairs[k][2].kind == MERGE]
    found |= _bent(again, mode, config.weights)
    bridged = {k for k, _ in again}
    joins = []
    for k, (_, right, meeting) in enumerate(pairs):
        kind = BRIDGE if k in bridged else meeting.kind
        if kind == LIFT or not found[k][1].fits:
            reason = meeting.reason if kind == LIFT else f"a join would move a point by {found[k][1].moved:.1f} x-heights"
            joins.append(Join(-1, -1, LIFT, reason))
        elif _runs_through(right, *found[k]):
            joins.append(Join(-1, -1, LIFT, f"the way into {right.char} would run through it"))
        else:
            joins.append(_join(kind, meeting.reason, *found[k]))
    return joins


def _runs_through(right: Placed, before: Ends, joined) -> bool:
    """Whether the way to the top of a bowl or stem crosses a line of that letter: then the pen is lifted."""
    if right.anatomy.start == RISING:
        return False
    way = np.concatenate([joined.tail[max(before.own_tail - 1, 0):], joined.head])[:, :2]
    return crosses(way, right.on_page(right.anatomy.first))


def _bent(wanted: list[tuple[int, Ends]], mode: str, weights: Weights) -> dict:
    solved = join_batch([(e.tail, e.head) for _, e in wanted], weights, mode) if wanted else []
    return {k: (e, joined) for (k, e), joined in zip(wanted, solved, strict=True)}


def _join(kind: str, reason: str, before: Ends, joined) -> Join:
    tail, tail_was = (np.concatenate([before.back, points]) for points in (joined.tail, before.tail))
    head, head_was = (np.concatenate([points, before.lead]) for points in (joined.head, before.head))
    way = np.concatenate([tail, head[1:] if joined.gap == 0 else head])[:, :2]
    return Join(-1, -1, kind, reason, joined.gap, joined.moved, turning(way, len(tail) - 1), tail, head, tail_was, head_was, before.own_tail, before.own_head,
                len(before.back), len(before.lead), before.cut)


def turning(way: np.ndarray, at: int, near: int = 2) -> float:
    """Largest turn between neighbouring links of `way` [n, 2] at the points `at` - near ... `at` + near, in degrees."""
    low, high = max(at - near - 1, 0), min(at + near + 2, len(way))
    link = np.diff(way[low:high], axis=0)
    link = link[(link * link).sum(1) > 1e-12]
    if len(link) < 2:
        return 0.0
    cross, dot = link[:-1, 0] * link[1:, 1] - link[:-1, 1] * link[1:, 0], (link[:-1] * link[1:]).sum(1)
    return float(np.degrees(np.abs(np.arctan2(cross, dot)).max()))


# ---------------------------------------------------------------- ink

class Pen:
    """Collects strokes with times, owners and classes."""

    def __init__(self) -> None:
        self.parts: list[list] = []
        self.strokes: list[tuple] = []

    def draw(self, points: np.ndarray, steps_s: np.ndarray, owner: int, classes) -> None:
        """points [n, 3]; steps_s [n]: seconds from the point before to each."""
        self.parts.append([points, steps_s, np.full(len(points), owner), np.broadcast_to(classes, len(points))])

    def up(self) -> None:
        if self.parts:
            self.strokes.append(tuple(np.concatenate(column) for column in zip(*self.parts, strict=True)))
            self.parts = []

    def ink(self) -> tuple[Ink, tuple, tuple]:
        self.up()
        clock, before, made = 0.0, None, []
        for points, steps_s, _, _ in self.strokes:
            clock += 0.0 if before is None else max(float(steps_s[0]), LIFT_S + float(np.hypot(*(points[0, :2] - before))) / AIR_SPEED)
            t_s = clock + np.concatenate([[0.0], np.cumsum(steps_s[1:])])
            made.append(Stroke(points[:, :2], t_s, np.clip(points[:, 2], 0, 1)))
            clock, before = float(t_s[-1]), points[-1, :2]
        return Ink(tuple(made)), tuple(stroke[2] for stroke in self.strokes), tuple(stroke[3] for stroke in self.strokes)


def _steps(letter: Placed, k: int) -> np.ndarray:
    """Seconds to each point of a stroke from the one before (to the first: from the stroke before it in the letter)."""
    t_s = letter.letter.ink.strokes[k].t_s
    before = letter.letter.ink.strokes[k - 1].t_s[-1] if k else t_s[0]
    return np.concatenate([[min(max(t_s[0] - before, 0.0), 0.6)], np.diff(t_s)])


def _own_classes(letter: Placed, k: int, points: int) -> np.ndarray:
    a = letter.anatomy
    classes = np.full(points, BODY if k in (a.first, a.last) and (a.head or a.tail) else ISOLATED)
    if k == a.first and a.head:
        classes[:a.head] = HEAD
    if k == a.last and a.tail:
        classes[points - a.tail:] = TAIL
    return classes


def assemble(text: str, words: list[list[Placed]], joins: list[Join], hand: Hand, config: ComposeConfig, notes: list[str]) -> Written:
    """Letters and joins to strokes. `joins` has one entry for each pair of neighbours within a word, in order."""
    pen, number, given, placed_joins = Pen(), 0, iter(joins), []
    for word in words:
        within = [next(given) for _ in word[1:]]
        joined = any(join.kind != LIFT for join in within)
        meets = []
        for k, letter in enumerate(word):
            before = within[k - 1] if k and within[k - 1].kind != LIFT else None
            after = within[k] if k < len(within) and within[k].kind != LIFT else None
            meets.append(_draw_letter(pen, letter, number + k, before, after, joined))
        pen.up()
        placed_joins += [_renumbered(join, number + k, *meets[k]) for k, join in enumerate(within)]
        if joined:
            for k, letter in enumerate(word):
                for stroke in letter.anatomy.delayed:
                    _draw_stroke(pen, letter, stroke, number + k)
        number += len(word)
    ink, owner, classes = pen.ink()
    letters = tuple(_written(letter) for word in words for letter in word)
    numbers = tuple(k for k, word in enumerate(words) for _ in word)
    return Written(ink, text, letters, tuple(placed_joins), owner, classes, hand, config, numbers, tuple(notes))


def _renumbered(join: Join, left: int, stroke: int, at: int) -> Join:
    where = (stroke, at) if join.kind != LIFT else (-1, -1)
    return Join(left, left + 1, *(getattr(join, name) for name in (
        "kind", "reason", "gap", "moved", "turn_deg", "tail", "head", "tail_was", "head_was", "own_tail", "own_head", "back", "lead", "cut")), *where)


def _draw_stroke(pen: Pen, letter: Placed, k: int, owner: int) -> None:
    pen.up()
    points = np.column_stack([letter.on_page(k), letter.letter.ink.strokes[k].pressure])
    pen.draw(points, _steps(letter, k), owner, _own_classes(letter, k, len(points)))


def _draw_letter(pen: Pen, letter: Placed, owner: int, before: Join | None, after: Join | None, later: bool) -> tuple[int, int]:
    """Draw the strokes of a letter, dots and bars only where they do not come later; returns where the join after it lies: stroke and point."""
    a = letter.anatomy
    for k in range(len(letter.strokes)):
        if k in a.delayed:
            if not later:
                _draw_stroke(pen, letter, k, owner)
            continue
        points = np.column_stack([letter.on_page(k), letter.letter.ink.strokes[k].pressure])
        steps, classes = _steps(letter, k), _own_classes(letter, k, len(points))
        start = before.own_head if before is not None and k == a.first else 0
        stop = len(points) - after.own_tail - after.cut if after is not None and k == a.last else len(points)
        if not start:
            pen.up()
        pen.draw(points[start:stop], steps[start:stop], owner, classes[start:stop])
    return _draw_join(pen, letter, owner, after) if after is not None else (-1, -1)


def _pen_steps(points: np.ndarray) -> np.ndarray:
    """Seconds to each point but the first, at the speed of a bridge."""
    return np.hypot(*np.diff(points[:, :2], axis=0).T) / PEN_SPEED


def _draw_join(pen: Pen, letter: Placed, owner: int, join: Join) -> tuple[int, int]:
    own, added = join.own_tail, len(join.tail) - join.own_tail
    steps = _steps(letter, letter.anatomy.last)
    steps = steps[len(steps) - own - join.cut:len(steps) - join.cut]
    pen.draw(join.tail[:own], steps, owner, np.r_[BODY, np.full(own - 1, TAIL)])
    if added:
        pen.draw(join.tail[own:], _pen_steps(join.tail[own - 1:]), owner, BRIDGED)
    at = sum(len(part[0]) for part in pen.parts) - 1
    rest = join.head[1:] if join.gap == 0 else join.head
    steps = _pen_steps(join.head) if join.gap == 0 else np.r_[0.01, _pen_steps(join.head)]
    own = min(join.own_head, len(rest))
    classes = np.full(len(rest), BRIDGED)
    classes[len(rest) - own:] = HEAD
    classes[-1:] = BODY
    pen.draw(rest, steps, owner + 1, classes)
    return len(pen.strokes), at


def _written(letter: Placed) -> WrittenLetter:
    a = letter.anatomy
    origin = float(letter.x), float(letter.y)
    return WrittenLetter(letter.char, letter.index, letter.line, origin, letter.letter, letter.borrowed, a.head, a.tail, a.delayed, letter)
