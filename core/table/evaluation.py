"""How well the table model reads the shared picture sets, structure only: TEDS-struct and the share of perfect tables, by style."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from core.errors import InputError
from core.table.decode import heads_answer, to_input
from core.table.metrics import teds
from core.table.model import TableNet, fitting
from core.table.table import Cell, Table

SCALE = 0.8


def pictures(folder: Path, name: str, every: int = 1) -> Iterator[tuple[dict, np.ndarray, Table]]:
    """(record, grey picture, structure) of every so-manieth table of wiki_rendered, pubtabnet or icdar2013. Raises InputError where the set is absent."""
    path = folder / name / "cells.jsonl"
    if not path.is_file():
        raise InputError(f"There is no {name}/cells.jsonl in {folder}.")
    with path.open(encoding="utf8") as lines:
        for number, line in enumerate(lines):
            if number % every == 0:
                record = json.loads(line)
                grey = cv2.imread(str(path.parent / record["image"]), cv2.IMREAD_GRAYSCALE)
                yield record, grey, structure(record)


def structure(record: dict) -> Table:
    """The table of a record; places without a cell (ICDAR does not annotate empty ones) become empty cells."""
    taken = {(r, k) for c in record["cells"] for r in range(c["row"], c["row"] + c["rs"]) for k in range(c["col"], c["col"] + c["cs"])}
    cells = [Cell(c["row"], c["col"], c["rs"], c["cs"]) for c in record["cells"]]
    empty = [Cell(r, k) for r in range(record["n_rows"]) for k in range(record["n_cols"]) if (r, k) not in taken]
    return Table(record["n_rows"], record["n_cols"], tuple(cells + empty))


def evaluate(net: TableNet, folder: Path, name: str, every: int = 1, scale: float = SCALE) -> dict:
    """Scores of the heads' answer on one set: n, teds_struct, struct100 (0 to 100), and the same by style where the set has styles."""
    scores = defaultdict(list)
    with torch.inference_mode():
        for record, grey, true in pictures(folder, name, every):
            answer = heads_answer(net, net.encoder(to_input(grey, fitting(*grey.shape, scale))))
            scores[record.get("style", "")].append(teds(answer.table, true, structure_only=True))
    everything = [score for part in scores.values() for score in part]
    return dict(set=name, scale=scale, **summary(everything), styles={style: summary(part) for style, part in sorted(scores.items()) if style})


def summary(scores: list[float]) -> dict:
    """n, mean in percent, share of exact ones in percent."""
    return dict(n=len(scores), teds_struct=round(100 * float(np.mean(scores)), 2), struct100=round(100 * float(np.mean([s == 1 for s in scores])), 1))
