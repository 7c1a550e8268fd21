"""What two OCR engines read of the shipped hands, before and after joining."""

from argparse import Namespace
from collections.abc import Iterator, Sequence

import numpy as np

from core.handwriting.compose import ComposeConfig, compose
from core.handwriting.hand import HANDS, load_hand
from core.handwriting.metrics import picture, readers, recognition
from tests.bench.harness import Section

WORDS = """hello world quality minimum letter banana winter summer people garden simple number orange travel music about after again below could every first
found great house large learn never other place plant point right small sound spell still study their there these thing think three water where which would write
animal answer change different father follow form good hand high home kind light little mother move much name near need night number often open page paper part
picture river school second sentence should something story through together until white without young""".split()


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """One row per hand and engine; the headline is the mean over hands, pooled over engines."""
    engines, words = readers(), WORDS[::14] if options.quick else WORDS[::2]
    section = Section("readability", f"What OCR engines read, {len(words)} words by themselves, before and after joining",
                      "CRR and WRR in per cent, capitals and small letters alike; fall: points lost from unjoined to joined; in place: unjoined letters that stand where "
                      "the joined ones do, so that the joins alone differ. Both engines were made for print: only differences count")
    if not engines:
        yield section.skip("no OCR engine is installed here"), None
        return
    for name in HANDS:
        pages = pages_of(name, words)
        for engine in engines:
            section.rows.append(dict(hand=name, kind=load_hand(name).kind, engine=engine.name, **compared(words, *(engine.read(shown) for shown in pages))))
    for engine in engines:
        rows = [row for row in section.rows if row["engine"] == engine.name]
        section.rows.append(dict(hand="mean", kind="", engine=engine.name, **{k: float(np.mean([row[k] for row in rows])) for k in rows[0] if k not in ("hand", "kind", "engine")}))
    rows = section.rows[-len(engines):]
    fall = {f"crr_drop_{row['engine']}": row["CRR fall"] for row in rows}
    in_place = {f"crr_drop_in_place_{row['engine']}": row["CRR fall in place"] for row in rows}
    yield section, dict(crr_drop_points=float(np.mean(list(fall.values()))), **in_place, wrr_drop_points=float(np.mean([row["WRR fall"] for row in rows])), **fall)


def pages_of(hand: str, words: Sequence[str]) -> tuple[list[np.ndarray], ...]:
    """A picture of each word: written unjoined, joined, and with the letters in the places of the joined ones but without the joins."""
    apart, joined = ([compose(word, load_hand(hand), ComposeConfig(join=join, seed=k)) for k, word in enumerate(words)] for join in (False, True))
    ink = ([word.ink.strokes for word in apart], [word.ink.strokes for word in joined], [[s for letter in word.letters for s in letter.drawn.strokes] for word in joined])
    return tuple([picture([stroke.xy for stroke in strokes]) for strokes in kind] for kind in ink)


def compared(words: Sequence[str], apart: Sequence[str], joined: Sequence[str], in_place: Sequence[str]) -> dict[str, float]:
    """CRR and WRR before and after, and what was lost."""
    before, after, placed = (recognition(words, found) for found in (apart, joined, in_place))
    return {"CRR apart": before[0], "CRR in place": placed[0], "CRR joined": after[0], "CRR fall": before[0] - after[0], "CRR fall in place": placed[0] - after[0],
            "WRR apart": before[1], "WRR in place": placed[1], "WRR joined": after[1], "WRR fall": before[1] - after[1]}
