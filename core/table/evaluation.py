"""How well the table model reads held-out drawings and the shared picture sets, structure only: TEDS-struct and the share of exact tables."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from core.errors import InputError
from core.table.decode import by_heads, by_rules, decode, heads_answer, no_draft, to_input
from core.table.heads import fitting
from core.table.metrics import teds
from core.table.model import TableNet
from core.table.synth import draw
from core.table.synth_content import load_corpus
from core.table.table import Cell, Table

SCALE = 0.8
SETS = ("drawings", "wiki_rendered", "pubtabnet", "icdar2013")
DRAWINGS = 200
DRAWN_SEED = 424_242
"""No training run draws from this seed, and the drawings show the validation tables."""
DRAFTS = ("greedy", "rules", "heads")


def pictures(folder: Path, name: str, every: int = 1) -> Iterator[tuple[dict, np.ndarray, Table]]:
    """(record, grey picture, structure) of each `every`-th table of a set. Raises InputError where the set is absent."""
    if name == "drawings":
        yield from drawn_pictures(folder, every)
        return
    path = folder / name / "cells.jsonl"
    if not path.is_file():
        raise InputError(f"There is no {name}/cells.jsonl in {folder}. The sets are {', '.join(SETS)}.")
    with path.open(encoding="utf8") as lines:
        for number, line in enumerate(lines):
            if number % every == 0:
                record = json.loads(line)
                yield record, cv2.imread(str(path.parent / record["image"]), cv2.IMREAD_GRAYSCALE), structure(record)


def drawn_pictures(folder: Path, every: int = 1) -> Iterator[tuple[dict, np.ndarray, Table]]:
    """Drawings of the validation tables and of made-up ones that training never drew."""
    corpus = load_corpus(folder, validation=True)
    for number in range(0, DRAWINGS, every):
        drawing = draw(corpus, (DRAWN_SEED, number))
        yield dict(style=drawing.style), drawing.picture, drawing.table.without_text()


def structure(record: dict) -> Table:
    """The table of a record; places without a cell (ICDAR does not annotate empty ones) become empty cells."""
    taken = {(r, k) for c in record["cells"] for r in range(c["row"], c["row"] + c["rs"]) for k in range(c["col"], c["col"] + c["cs"])}
    cells = [Cell(c["row"], c["col"], c["rs"], c["cs"]) for c in record["cells"]]
    empty = [Cell(r, k) for r in range(record["n_rows"]) for k in range(record["n_cols"]) if (r, k) not in taken]
    return Table(record["n_rows"], record["n_cols"], tuple(cells + empty))


def evaluate(net: TableNet, folder: Path, name: str, every: int = 1, scale: float = SCALE) -> dict:
    """Scores of the heads' answer on one set: n, teds_struct, struct100 (0 to 100), CPU milliseconds per table, scores by style if there are any."""
    scores, spent = defaultdict(list), 0.0
    with torch.inference_mode():
        for record, grey, true in pictures(folder, name, every):
            begin = time.process_time()
            answer = heads_answer(net, net.encoder(to_input(grey, fitting(*grey.shape, scale))))
            spent += time.process_time() - begin
            scores[record.get("style", "")].append(teds(answer.table, true, structure_only=True))
    everything = [score for part in scores.values() for score in part]
    return dict(set=name, scale=scale, **summary(everything), cpu_ms=round(1e3 * spent / max(len(everything), 1), 1),
                styles=_by_style(scores))


def evaluate_decoder(net: TableNet, folder: Path, name: str, every: int = 1, scale: float = SCALE) -> dict:
    """The same for the decoder, greedy and with both drafts, and where it and the heads agree.

    returns  teds_struct, struct100; per draft tokens_per_call and CPU milliseconds per table;
             identical: every draft wrote greedy's tokens on every picture;
             agree: scores of the tables on which the heads and the decoder say the same
    """
    scores, agreed = defaultdict(list), []
    counts, spent, identical, tokens = defaultdict(int), defaultdict(float), True, 0
    with torch.inference_mode():
        for record, grey, true in pictures(folder, name, every):
            seen = net.encoder(to_input(grey, fitting(*grey.shape, scale)))
            answer, made = heads_answer(net, seen), []
            for draft, rule in zip(DRAFTS, (no_draft, by_rules, by_heads(answer.tokens))):
                begin = time.process_time()
                made.append(decode(net, seen, rule, max_cells=2000))
                spent[draft] += time.process_time() - begin
                counts[draft] += len(made[-1].calls)
            tokens += len(made[0].tokens)
            identical &= all(m.tokens == made[0].tokens for m in made)
            table = made[0].layout().table
            score = teds(table, true, structure_only=True)
            scores[record.get("style", "")].append(score)
            agreed += [score] if table == answer.table else []
    everything = [score for part in scores.values() for score in part]
    drafts = {draft: dict(tokens_per_call=round(tokens / max(counts[draft], 1), 2), cpu_ms=round(1e3 * spent[draft] / max(len(everything), 1), 1))
              for draft in DRAFTS}
    return dict(set=name, scale=scale, decoder=True, **summary(everything), drafts=drafts, identical=identical, agree=summary(agreed),
                styles=_by_style(scores))


def _by_style(scores: dict[str, list[float]]) -> dict[str, dict]:
    return {style: summary(part) for style, part in sorted(scores.items()) if style}


def summary(scores: list[float]) -> dict:
    """n, mean in percent, share of exact ones in percent; None without scores."""
    if not scores:
        return dict(n=0, teds_struct=None, struct100=None)
    return dict(n=len(scores), teds_struct=round(100 * float(np.mean(scores)), 2), struct100=round(100 * float(np.mean([s == 1 for s in scores])), 1))
