"""Real writers: hands cut from their own cursive words write those words again, apart and joined, beside the ink that the writers left."""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import EngineError, InputError
from core.handwriting.compose import ComposeConfig, Written, compose
from core.handwriting.hand import X_LETTERS, Hand, Letter
from core.handwriting.labels import Word, arc_length, letters_of
from core.handwriting.metrics import kernel_distance, picture, readers, recognition, style_distance, style_features, turn_deg
from core.handwriting.strokes import Ink, Stroke, resample
from tests.bench.harness import Section

SPACING = 1 / 9
"""x-heights between points of letters cut from words: what the joins are weighed for."""
FEWEST_JOINED, WORDS = 50, 20
"""Joined letters a writer has to have; words of theirs that are written again."""


@dataclass(frozen=True)
class Writer:
    """One real writer: the hand cut from half of the words, the other half (text, strokes in x-heights), every join met in real words."""

    name: str
    hand: Hand
    words: list[tuple[str, list[np.ndarray]]]
    joins: "Joins"


@dataclass
class Joins:
    """neighbours within words, how many of them joined, the turn at each join (degrees)."""

    pairs: int
    joined: int
    turns: list[float]

    @property
    def row(self) -> dict:
        turns = np.percentile(self.turns, [50, 95]) if self.turns else [float("nan")] * 2
        return dict(joined=100 * self.joined / max(self.pairs, 1), turn_median=float(turns[0]), turn_95=float(turns[1]))


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """OCR on real ink beside composed, connectivity, style distances."""
    ocr = Section("real_ocr", "Words of real writers: their own ink, and the same words from their letters", "CRR and WRR in per cent; letters come from other words of the writer")
    joins = Section("connectivity", "How real cursive joins, and how ours does, per writer", "joined: per cent of neighbours; turn: degrees within 0.12 x-heights of the join, median and 95 %")
    style = Section("style", "Style distance to the writer's own real words", "ink features through a layer of our own, trained on other writers; HWD and FID proper need weights "
                    "that cannot be shipped. floor: real words against other real words of the writer. Smaller is nearer")
    try:
        writers = load_writers(options.data, 2 if options.quick else 10)
    except InputError as error:
        for section in (ocr, joins, style):
            yield section.skip(str(error)), None
        return
    texts = {writer.name: [text for text, _ in writer.words][:8 if options.quick else WORDS] for writer in writers}
    made = {w.name: {join: [compose(text, w.hand, ComposeConfig(join=join, seed=k)) for k, text in enumerate(texts[w.name])] for join in (False, True)} for w in writers}
    yield _connectivity(joins, writers, made), None
    yield _ocr(ocr, writers, texts, made)
    yield _style(style, writers, made)


def load_writers(data: Path, most: int) -> list[Writer]:
    """The writers with most joined letters. Raises InputError without the data."""
    from core.handwriting.train import ink_folder, load_table, strokes_of
    by_writer: dict[str, list[tuple[str, Word]]] = {}
    for row in load_table(ink_folder(data), "unipen_words_segmented").itertuples():
        owner = np.split(np.asarray(row.char_idx), np.cumsum(row.stroke_len)[:-1])
        if row.complete:
            by_writer.setdefault(row.writer, []).append((row.label, Word(strokes_of(row), owner, list(row.chars), row.writer, row.contributor)))
    count = Counter({name: sum(sum(1 for _ in letters_of(word)) for _, word in words) for name, words in by_writer.items()})
    return [writer_of(name, by_writer[name]) for name, joined in count.most_common(most) if joined >= FEWEST_JOINED]


def writer_of(name: str, words: list[tuple[str, Word]]) -> Writer:
    """Letters from the words of even number, words to write again from those of odd number that need no other letters."""
    x_height = float(np.median([np.ptp(points[:, 1]) for _, word in words for k, points in _letters(word) if word.chars[k] in X_LETTERS]))
    letters, seen = [], Counter()
    for _, word in words[::2]:
        line = baseline(word)
        for letter in letters_of(word):
            if line is None or len(letter.char) != 1 or not letter.char.isprintable() or seen[letter.char] >= 3:
                continue
            placed = [(s - (min(p[:, 0].min() for p in letter.points), line)) / x_height for s in letter.points]
            ink = Ink(tuple(Stroke.of(resample(s, max(round(arc_length(s)[-1] / SPACING), 1) + 1)) for s in placed))
            letters.append(Letter(letter.char, ink, seen[letter.char]))
            seen[letter.char] += 1
    hand = Hand(name, tuple(letters), "cursive", x_height=x_height)
    again = [(text, [s / x_height for s in word.strokes]) for text, word in words[1::2] if len(text) >= 3 and all(char in seen for char in text)]
    return Writer(name, hand, again, real_joins([word for _, word in words], x_height))


def _letters(word: Word) -> Iterator[tuple[int, np.ndarray]]:
    for k in range(len(word.chars)):
        points = np.concatenate([s[owner == k] for s, owner in zip(word.strokes, word.owner)])
        if len(points) > 2:
            yield k, points


def baseline(word: Word) -> float | None:
    """y of the line: median of the lowest points of letters without a descender."""
    low = [points[:, 1].max() for k, points in _letters(word) if word.chars[k] in X_LETTERS]
    return float(np.median(low)) if low else None


def real_joins(words: Sequence[Word], x_height: float) -> Joins:
    """Joins as the annotators delimit them: the middle of the ligature, or the cut."""
    found = Joins(0, 0, [])
    for word in words:
        found.pairs += len(word.chars) - 1
        for stroke, owner in zip(word.strokes, word.owner):
            along, named = arc_length(stroke) / x_height, np.flatnonzero(owner >= 0)
            for i, j in zip(named, named[1:]):
                if owner[j] == owner[i] + 1 and np.all(owner[i + 1:j] == -2):
                    found.joined += 1
                    at = (along[i] + along[j]) / 2
                    found.turns += [turn_deg(stroke / x_height, at)] if 0.2 < at < along[-1] - 0.2 else []
    return found


def written_joins(words: Sequence[Written]) -> Joins:
    """The same of composed words."""
    found = Joins(0, 0, [])
    for word in words:
        found.pairs += len(word.joins)
        for join in word.joins:
            if join.kind != "lift":
                found.joined += 1
                path = word.ink.strokes[join.stroke].xy
                found.turns.append(turn_deg(path, arc_length(path)[join.at]))
    return found


def _connectivity(section: Section, writers: list[Writer], made: dict) -> Section:
    for writer in writers:
        ours = written_joins(made[writer.name][True])
        section.rows.append(dict(writer=writer.name, letters=len(writer.hand.letters), words=len(made[writer.name][True]),
                                 **{f"real {k}": v for k, v in writer.joins.row.items()}, **{f"ours {k}": v for k, v in ours.row.items()}))
    return section


def _ocr(section: Section, writers: list[Writer], texts: dict, made: dict) -> tuple[Section, dict | None]:
    engines = readers()
    if not engines:
        return section.skip("no OCR engine is installed here"), None
    wanted = [text for writer in writers for text in texts[writer.name]]
    pages = {"real ink": [picture(strokes) for writer in writers for _, strokes in writer.words[:len(texts[writer.name])]],
             **{kind: [picture([s.xy for s in word.ink.strokes]) for writer in writers for word in made[writer.name][join]] for kind, join in (("apart", False), ("joined", True))}}
    for engine in engines:
        rates = {kind: recognition(wanted, engine.read(shown)) for kind, shown in pages.items()}
        section.rows.append(dict(engine=engine.name, words=len(wanted), **{f"CRR {kind}": rate[0] for kind, rate in rates.items()},
                                 **{f"WRR {kind}": rate[1] for kind, rate in rates.items()}))
    return section, {f"crr_real_minus_joined_{row['engine']}": row["CRR real ink"] - row["CRR joined"] for row in section.rows}


def _style(section: Section, writers: list[Writer], made: dict) -> tuple[Section, dict | None]:
    try:
        for writer in writers:
            real = style_features([strokes for _, strokes in writer.words])
            apart, joined = (style_features([[s.xy for s in word.ink.strokes] for word in made[writer.name][join]]) for join in (False, True))
            half = len(real) // 2
            section.rows.append(dict(writer=writer.name, words=len(joined), floor=style_distance(real[:half], real[half:]), apart=style_distance(real, apart),
                                     joined=style_distance(real, joined), kernel_apart=kernel_distance(real, apart), kernel_joined=kernel_distance(real, joined)))
    except EngineError as error:
        return section.skip(str(error)), None
    nearer = sum(row["joined"] < row["apart"] for row in section.rows)
    mean = {k: float(np.mean([row[k] for row in section.rows])) for k in ("floor", "apart", "joined", "kernel_apart", "kernel_joined")}
    section.rows.append(dict(writer="mean", words=sum(row["words"] for row in section.rows), **mean))
    return section, dict(style_nearer=f"{nearer} of {len(writers)}", style_apart=mean["apart"], style_joined=mean["joined"])
