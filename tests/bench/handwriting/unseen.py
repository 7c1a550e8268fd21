"""Joins on writers nobody looked at: hands of UNIPEN letters written by people on whom nothing was trained, tuned or tried, writing words.

Their letters take the way of a visitor's: no guide lines, so that size, baseline and kind of the hand are estimated (`hand_from_letters`). The ink stays out of the repository.
"""

from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import ascii_lowercase

from core.errors import InputError
from core.handwriting.compose import ComposeConfig, compose
from core.handwriting.hand import Hand, hand_from_letters
from core.handwriting.pairs import PairCheck, check
from core.handwriting.strokes import Ink, Stroke
from tests.bench.handwriting.joins import row_of
from tests.bench.handwriting.readability import WORDS
from tests.bench.harness import Section

SEEN = ("kai", "cea", "ceb", "mot", "sie")
"""Donors whose ink trained the classifier or was looked at."""
LOOKED_AT = ("ap:3a4345", "ap:46cd70")
"""Writers whose joins were looked at since: left out."""
FEWEST_CHARS, VARIANTS, MOST_WRITERS = 22, 2, 22
"""Small letters a writer has to have; instances of one letter that a hand keeps; writers of joined hands, by name."""


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """A row per writer whose hand joins, then all of them."""
    section = Section("unseen", "Joins in the hands of writers nobody looked at", "UNIPEN letters, no guide lines; words joined exactly; columns as for the shipped hands. Hands found to be print "
                      "are counted only")
    try:
        hands = load_hands(options.data)
    except InputError as error:
        yield section.skip(str(error)), None
        return
    words = WORDS[::8] if options.quick else WORDS[1::2]
    joining = [hand for hand in hands if hand.kind != "print"]
    pooled = []
    for hand in joining[:2 if options.quick else MOST_WRITERS]:
        found = joins_of(hand, words)
        pooled += found
        section.rows.append(row_of(hand.name, hand.kind, found))
    if not pooled:
        yield section.skip("no writer there whose hand joins"), None
        return
    section.rows.append(row_of("all of them", f"{len(hands) - len(joining)} more are print", pooled))
    total = section.rows[-1]
    yield section, dict(unseen_hands=len(section.rows) - 1, unseen_clean_percent=total["clean %"], unseen_largest_gap=total["largest gap"],
                        unseen_largest_moved=total["largest moved"], unseen_turn_95=total["turn 95 %"])


def joins_of(hand: Hand, words: Sequence[str]) -> list[PairCheck]:
    """Every pair of neighbours in the words that this hand has the letters for."""
    written = [compose(word, hand, ComposeConfig(seed=k, borrow=False)) for k, word in enumerate(words) if all(hand.variants(char) for char in word)]
    return [check(word, at) for word in written for at in range(len(word.joins))]


def load_hands(data: Path) -> list[Hand]:
    """Hands of the writers by name. Raises InputError without the data."""
    from core.handwriting.train import ink_folder, load_table, strokes_of
    rows = load_table(ink_folder(data), "unipen_chars")
    rows = rows[~rows.contributor.isin(SEEN) & rows.label.isin(list(ascii_lowercase))]
    seen_writers = set(load_table(ink_folder(data), "unipen_words_segmented").writer)
    hands = []
    for name, own in sorted(rows[~rows.writer.isin(seen_writers)].groupby("writer")):
        if own.label.nunique() >= FEWEST_CHARS and name not in LOOKED_AT:
            drawn: dict[str, list[Ink]] = defaultdict(list)
            for row in own.itertuples():
                if len(drawn[row.label]) < VARIANTS:
                    drawn[row.label].append(Ink(tuple(Stroke.of(stroke) for stroke in strokes_of(row) if len(stroke))))
            hands.append(hand_from_letters(drawn, name=str(name)))
    return hands
