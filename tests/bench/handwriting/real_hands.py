"""Real writers: hands cut from their own cursive words write those words again, apart and joined, beside the ink that the writers left."""

from argparse import Namespace
from collections.abc import Iterator, Sequence

import numpy as np

from core.errors import EngineError, InputError
from core.handwriting.compose import ComposeConfig, Written, compose
from core.handwriting.labels import arc_length
from core.handwriting.metrics import kernel_distance, picture, readers, recognition, style_distance, style_features, turn_deg
from tests.bench.handwriting.writers import TUNED_ON, WORDS, Joins, Writer, load_writers
from tests.bench.harness import Section


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """OCR on real ink beside composed, connectivity, style distances."""
    ocr = Section("real_ocr", "Words of real writers: their own ink, and the same words from their letters", "CRR and WRR in per cent; letters come from other words of the writer; "
                  f"others: nothing was tuned on them; tuned on: {', '.join(TUNED_ON)}")
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
    for name, chosen in (("others", [w for w in writers if w.name not in TUNED_ON]), ("tuned on", [w for w in writers if w.name in TUNED_ON])):
        wanted = [text for writer in chosen for text in texts[writer.name]]
        pages = {"real ink": [picture(strokes) for writer in chosen for _, strokes in writer.words[:len(texts[writer.name])]],
                 **{kind: [picture([s.xy for s in word.ink.strokes]) for writer in chosen for word in made[writer.name][join]]
                    for kind, join in (("apart", False), ("joined", True))}}
        for engine in engines if chosen else ():
            rates = {kind: recognition(wanted, engine.read(shown)) for kind, shown in pages.items()}
            section.rows.append(dict(writers=f"{name} ({len(chosen)})", engine=engine.name, words=len(wanted), **{f"CRR {kind}": rate[0] for kind, rate in rates.items()},
                                     **{f"WRR {kind}": rate[1] for kind, rate in rates.items()}))
    return section, {f"crr_real_minus_joined_{row['engine']}": row["CRR real ink"] - row["CRR joined"] for row in section.rows[::-1]}


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
