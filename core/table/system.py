"""The whole system on held-out drawings and the shared picture sets, structure only: the model, the regions and what is taken of the two.

python -m core.table.system SET [--every N] [--data DIR] [--engine auto|model|regions] [--model full|mobile] [--calibrate]

SET is drawings, wiki_rendered, pubtabnet or icdar2013. An abstention scores 0. --calibrate prints the logistic fit of "the structure is exact" that
`core.table.reader` holds as FIT and HEADS_FIT; it belongs on the drawings.
"""

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from core.table.config import TableConfig
from core.table.merge import MODEL, REGIONS
from core.table.metrics import teds
from core.table.recognise import Structure, read_structure
from core.table.table import Table

SIDES = ("system", MODEL, REGIONS)
TURNS = 12
"""Newton steps of the logistic fit."""


def scored(folder: Path, name: str, every: int = 1, config: TableConfig = TableConfig()) -> Iterator[tuple[str, Structure, dict[str, float]]]:
    """(style, structure, score of the system, of the model and of the regions) of each `every`-th picture; an abstention scores 0."""
    from core.table.evaluation import pictures

    for record, grey, true in pictures(folder, name, every):
        found = read_structure(grey, config)
        tables = {"system": found.table, MODEL: found.model and found.model.table, REGIONS: found.reading and found.reading.table}
        yield record.get("style", ""), found, {side: _score(table, true) for side, table in tables.items()}


def _score(table: Table | None, true: Table) -> float:
    return 0.0 if table is None else teds(table, true, structure_only=True)


def evaluate(folder: Path, name: str, every: int = 1, config: TableConfig = TableConfig()) -> dict:
    """Mean TEDS-struct and share of exact structures (percent) of all three sides, by style too; what was taken; and whether the system
    falls below the better of its parts."""
    found, taken = defaultdict(lambda: defaultdict(list)), defaultdict(int)
    for style, structure, scores in scored(folder, name, every, config):
        taken[structure.choice.taken if structure.table else "none"] += 1
        for side, score in scores.items():
            for group in {"all", style} - {""}:
                found[group][side].append(score)
    return {"set": name, "every": every, "n": len(found["all"]["system"]), "taken": dict(taken),
            **{group: {side: _summary(sides[side]) for side in SIDES} for group, sides in sorted(found.items())}}


def _summary(scores: Sequence[float]) -> dict[str, float]:
    return {"n": len(scores), "teds_struct": round(100 * float(np.mean(scores)), 2), "struct100": round(100 * float(np.mean([s == 1 for s in scores])), 1)}


# Confidence

def signs(structure: Structure) -> list[float]:
    """What the confidence of the model's table is fitted on: 1, log probability under the decoder (or of the least sure place), agreement."""
    from core.table.reader import FIT_FLOOR, log_sum

    model = structure.model
    if model.likely is None:
        return [1.0, float(np.log(model.heads.confidence + FIT_FLOOR))]
    best = max(log_sum(model.likely.own), log_sum(model.likely.heads))
    return [1.0, float(np.log(np.exp(best) + FIT_FLOOR)), float(bool(model.agree))]


def fit(given: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Weights of the logistic regression of exact bool [n] on given float [n, k], by Newton's method with a slight pull to 0."""
    weights = np.zeros(given.shape[1])
    for _ in range(TURNS):
        share = 1 / (1 + np.exp(-given @ weights))
        curve = (given * (share * (1 - share))[:, None]).T @ given + 1e-2 * np.eye(len(weights))
        weights += np.linalg.solve(curve, given.T @ (exact - share) - 1e-2 * weights)
    return weights


def calibrate(folder: Path, name: str = "drawings", every: int = 1, config: TableConfig = TableConfig()) -> dict:
    """The fit for these settings, and how often structures of each confidence were exact."""
    rows = [(signs(structure), scores[MODEL] == 1, structure.model.confidence) for _, structure, scores in scored(folder, name, every, config)]
    given, exact, confidence = (np.array(column, float) for column in zip(*rows))
    bins = np.digitize(confidence, [0.2, 0.4, 0.6, 0.8])
    held = {f"{0.2 * b:.1f} to {0.2 * b + 0.2:.1f}": [int((bins == b).sum()), round(100 * float(exact[bins == b].mean()), 1)] for b in np.unique(bins)}
    return {"fit": [round(float(w), 2) for w in fit(given, exact)], "n": len(exact), "exact by confidence (n, percent)": held}


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(prog="python -m core.table.system", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("VITRINE_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "tables")
    parser.add_argument("--engine", default="auto", choices=("auto", MODEL, REGIONS))
    parser.add_argument("--model", default="full", choices=("full", "mobile"))
    parser.add_argument("--calibrate", action="store_true")
    options = parser.parse_args()
    work, engine = (calibrate, MODEL) if options.calibrate else (evaluate, options.engine)
    print(json.dumps(work(options.data, options.set, options.every, TableConfig(engine=engine, model=options.model)), indent=1))


if __name__ == "__main__":
    main()
