"""The handwriting exhibit as the studio runs it: a text, a shipped hand or letters somebody drew; the text in that hand as ink.json, .svg, .inkml and .png."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache

from core.errors import ConfigError, InputError
from core.exhibit import Outcome, Progress, Source, option, silent
from core.handwriting import edit, formats
from core.handwriting.compose import LONGEST_TEXT, ComposeConfig, Written, compose
from core.handwriting.deformation import Weights
from core.handwriting.hand import HANDS, Hand, from_json, hand_from_letters, load_hand, to_json
from core.handwriting.letters import letters_from_ink
from core.handwriting.segmentation import WEIGHTS
from core.handwriting.story import story

__all__ = ["Config", "hand_of", "inspect", "run", "warm"]

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
MOST_EDITS, MOST_VARIANTS, REPEATS = 50, 12, 3
PX = 48.0
"""Pixels per x-height in the pictures."""
STEPS = {"replace": edit.replace, "insert": edit.insert}


@dataclass(frozen=True)
class Config:
    """What may be set for one page of handwriting."""

    text: str = option("letters join hands", "Text", shown=False, help=f"What is written, up to {LONGEST_TEXT} characters; a new line where the text has one.")
    hand: str = option("school", "Hand", choices=HANDS, shown=False, help="One of the hands that come with the studio; letters that are brought go before it.")
    letters: str = option("", "Letters", shown=False, file=True, help="A file of somebody's letters, a hand or ink; the same as bringing it as the input.")
    join: bool = option(True, "Join the letters", help="Off: every letter is written alone.")
    exact: bool = option(True, "Meet exactly", shown=False, help="On: tail and head end in one point. Off: the connection weight pulls them together.")
    w_connection: float = option(Weights().connection, "Connection", low=1e-6, high=1e8, shown=False, help="Weight of the gap between tail and head.")
    w_smoothness: float = option(Weights().smoothness, "Smoothness", low=1e-6, high=1e8, shown=False, help="Weight of bends that the letter did not have.")
    w_displacement: float = option(Weights().displacement, "Displacement", low=1e-6, high=1e8, shown=False, help="Weight of how far points move.")
    spacing: float = option(1.0, "White between letters", low=0.5, high=2.0, help="As a factor of what this hand leaves.")
    slant_deg: float = option(0.0, "Lean (degrees)", low=-20.0, high=20.0, help="Added to the hand's own: to the right above 0.")
    variation: float = option(0.5, "Liveliness", low=0.0, high=1.0, help="How much two of the same letter differ.")
    letters_in: str = option(ALPHABET, "Letters in your file", help="What ink that is brought (InkML, SVG, ink JSON) shows: its letters in order, with white between them.")
    size: float = option(1.0, "x-height", low=0.05, high=200.0, shown=False, help="Height of a small letter in the unit of the files.")
    width: float = option(30.0, "Longest line", low=0.0, high=400.0, shown=False, help="Where lines break, in x-heights; 0: only where the text says.")
    borrow: bool = option(True, "Borrow letters that are missing", shown=False, help="From the nearest hand that comes with the studio; off: they are left out.")
    seed: int = option(0, "Seed", low=0, high=1_000_000, shown=False, help="The same seed writes the same ink.")
    variants: int = option(0, "Variants", low=0, high=MOST_VARIANTS, shown=False, help="The same text with that many other seeds, for the page.")
    edits: str = option("[]", "Changes", shown=False, help='Letters changed after writing: [["replace", 3, "e"], ["insert", 0, "a"], ["delete", 5]].')


def inspect(source: Source) -> Hand | formats.Ink:
    """A check at upload: the hand in the file, or its ink. Raises InputError, LimitError."""
    return _read(source)


def warm() -> None:
    """Load what the first run would otherwise wait for: the classifier, the kernels, the first hand."""
    compose("warm", load_hand(HANDS[0]))


def hand_of(sources: Sequence[Source], config: Config) -> Hand:
    """The hand that writes: of the letters brought, else the one the config names. Raises InputError, LimitError, ConfigError."""
    if len(sources) > 1:
        raise InputError(f"{len(sources)} files of letters were brought, and one hand writes at a time. Run them one after the other.")
    if config.letters and config.letters not in [source.name for source in sources]:
        raise ConfigError(f"The setting letters={config.letters[:60]} names no file that was brought. Send the file along, or leave the setting out.")
    found = _read(sources[0]) if sources else load_hand(config.hand)
    if isinstance(found, Hand):
        return found
    drawn, x_height = letters_from_ink(found, config.letters_in)
    return hand_from_letters(drawn, "brought", baseline=0.0, x_height=x_height)


def _read(source: Source) -> Hand | formats.Ink:
    head = source.data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if head == b"{" and b'"letters"' in source.data[:formats.MOST_BYTES]:
        return from_json(source.data)
    return formats.read(source.data)


def run(sources: Sequence[Source], config: Config = Config(), progress: Progress = silent) -> Outcome:
    """Write the text.

    sources  none (a shipped hand), or one file: a hand (JSON), or ink of the letters named by letters_in (InkML, SVG, ink JSON)
    files    ink.json, ink.svg, ink.inkml, ink.png
    trace    story.json: everything the page draws; letters.json: the hand, to be brought again
    metrics  letters, joins {merge, bridge, lift}, joins_made, largest_gap, largest_move, largest_turn_deg (x-heights, degrees), milliseconds per stage,
             ms_per_letter (text to joined ink in time of one core, the best of three repeats: the first time classifies the hand's letters), borrowed, edit (what the last change left as it was)
    Raises InputError, LimitError (the file, the text), ConfigError (weights, changes).
    """
    seconds: dict[str, float] = {}
    progress(0.05, "Reading the letters")
    with _stage(seconds, "hand"):
        hand = hand_of(sources, config)
    progress(0.2, "Writing")
    written = compose(config.text, hand, composing(config))
    seconds |= written.seconds
    pace_s = min(_core_s(config, hand) for _ in range(REPEATS))
    with _stage(seconds, "edit"):
        written, before = _edited(written, steps(config.edits))
    progress(0.5, "Writing the files")
    with _stage(seconds, "files"):
        files = {"ink.json": formats.to_json(written.paper), "ink.svg": formats.to_svg(written.paper, **_pen(written), scale=PX / config.size),
                 "ink.inkml": formats.to_inkml(written.paper), "ink.png": formats.to_png(written.paper, scale=_scale_px(written), **_pen(written))}
    progress(0.7, "Preparing the page")
    with _stage(seconds, "page"):
        told = story(written, variants(written, config.variants))
    metrics = _metrics(written, seconds, pace_s) | ({"edit": kept(before, written)} if before else {})
    trace = {"story.json": json.dumps(told | {"edit": metrics.get("edit")}, ensure_ascii=False, separators=(",", ":")).encode(), "letters.json": to_json(hand)}
    return Outcome(files, trace, metrics, {k: v for k, v in seconds.items() if k != "edit" or before}, list(written.notes), _models(), seed=config.seed)


@lru_cache
def _models() -> dict[str, str]:
    return {"point classifier": f"{WEIGHTS.name} {hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:12]}"}


@contextmanager
def _stage(seconds: dict[str, float], name: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - begun


def _core_s(config: Config, hand: Hand) -> float:
    """Seconds of one core from text to joined ink."""
    begun = time.thread_time()
    compose(config.text, hand, composing(config))
    return time.thread_time() - begun


def composing(config: Config) -> ComposeConfig:
    """The composer's settings of an exhibit's."""
    weights = Weights(config.w_connection, config.w_smoothness, config.w_displacement)
    return ComposeConfig(join=config.join, exact=config.exact, weights=weights, spacing=config.spacing, slant_deg=config.slant_deg, size=config.size,
                         variation=config.variation, width=config.width, seed=config.seed, borrow=config.borrow)


def variants(written: Written, count: int) -> list[Written]:
    """The written text again with the next seeds; fewer of a long text, so that the page stays light."""
    many = min(count, max(1, 1200 // max(len(written.letters), 1))) if count else 0
    own = replace(written.config, variation=max(written.config.variation, 0.5))
    return [compose(written.text, written.hand, replace(own, seed=own.seed + 1 + k)) for k in range(many)]


# ---- changes

def steps(edits: str) -> list[tuple]:
    """The changes a setting names. Raises ConfigError."""
    try:
        found = json.loads(edits or "[]")
    except (json.JSONDecodeError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(_is_step(step) for step in found):
        raise ConfigError(f'The setting edits={edits[:60]} is not valid: it takes a list such as [["replace", 3, "e"], ["insert", 0, "a"], ["delete", 5]].')
    if len(found) > MOST_EDITS:
        raise ConfigError(f"{len(found)} changes were asked for, and {MOST_EDITS} is the limit. Write the corrected text instead.")
    return [tuple(step) for step in found]


def _is_step(step: object) -> bool:
    if not isinstance(step, list) or len(step) < 2 or type(step[1]) is not int:
        return False
    return (step[0] in STEPS and len(step) == 3 and isinstance(step[2], str)) or (step[0] == "delete" and len(step) == 2)


def _edited(written: Written, wanted: Sequence[tuple]) -> tuple[Written, Written | None]:
    """The ink after all changes, and as it was before the last of them (None where nothing is changed)."""
    before = None
    for what, at, *char in wanted:
        before = written
        written = STEPS[what](written, at, *char) if char else edit.delete(written, at)
    return written, before


def kept(before: Written, after: Written) -> dict:
    """What a change left alone: points that lie where they lay, bit by bit, those that only moved along, and the joins that were solved again."""
    old = {point.tobytes() for stroke in before.ink.strokes for point in stroke.xy}
    points = [point.tobytes() for stroke in after.ink.strokes for point in stroke.xy]
    shapes = Counter(_shape(join) for join in before.joins)
    again = sum((Counter(_shape(join) for join in after.joins if join.kind != "lift") - shapes).values())
    return {"points": len(points), "points_same": sum(point in old for point in points), "joins_again": again, "joins": sum(join.kind != "lift" for join in after.joins)}


def _shape(join) -> tuple:
    """A join wherever it lies: its bent points relative to the first, rounded to a millionth of an x-height."""
    if not len(join.tail):
        return (join.kind,)
    return (join.kind, *((join.tail - join.tail[0]).round(6) + 0.0).ravel().tolist(), *((join.head - join.tail[0]).round(6) + 0.0).ravel().tolist())


# ---- numbers

def _pen(written: Written) -> dict[str, float]:
    """Width of the pen and the margin, in the unit of the files."""
    return {"width": 0.085 * written.config.size, "margin": 0.5 * written.config.size}


def _scale_px(written: Written) -> float:
    """Pixels per unit: 48 per x-height, less where the picture would be wider or taller than 6,000 pixels."""
    left, top, right, bottom = written.paper.box
    return min(PX / written.config.size, 6000.0 / max(right - left, bottom - top, 1e-9))


def _metrics(written: Written, seconds: dict[str, float], pace_s: float) -> dict:
    kinds = Counter(join.kind for join in written.joins)
    made = [join for join in written.joins if join.kind != "lift"]
    return {
        "letters": len(written.letters), "joins": {kind: kinds.get(kind, 0) for kind in ("merge", "bridge", "lift")}, "joins_made": len(made),
        "largest_gap": max((join.gap for join in made), default=0.0), "largest_move": max((join.moved for join in made), default=0.0),
        "largest_turn_deg": max((join.turn_deg for join in made), default=0.0), "borrowed": "".join(dict.fromkeys(x.char for x in written.letters if x.borrowed)),
        "milliseconds": {stage: 1000 * value for stage, value in seconds.items()}, "ms_per_letter": 1000 * pace_s / max(len(written.letters), 1),
        "points": written.ink.points, "hand": written.hand.title or written.hand.name, "kind": written.hand.kind, "text": written.text}
