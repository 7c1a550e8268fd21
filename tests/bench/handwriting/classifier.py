"""The point classifier on writers it never saw: one fold of writers trained anew here, and the whole cross-validation as the training log holds it."""

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.errors import InputError
from core.handwriting.segmentation import WEIGHTS
from tests.bench.harness import Section

HELD_OUT = ("kai:7ca6b6", "kai:b307e1", "kai:e61825", "ce:4a2f1f", "ce:9bff73")
"""The validation writers of the feasibility study; nothing here was chosen on the fold that keeps them out."""


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """The fold (not with --quick), then the log; the headline is the pooled cross-validation."""
    fold = Section("fold", f"Trained anew without {len(HELD_OUT)} writers, scored on them",
                   "F1; U: the uniform turning-point rule on joined letters, K: ligatures that people marked; rule: the turning-point rule on the same 20 points; ±1: within one point")
    if options.quick:
        yield fold.skip("--quick leaves the training out"), None
    else:
        yield _fold_section(fold, options.data), None
    logged = [record for record in map(json.loads, WEIGHTS.with_suffix(".jsonl").read_text("utf8").splitlines()) if record["event"] == "score"]
    yield _rules_section(options.data), None
    section = Section("classifier", "Cross-validation over all 18 writers, six folds of whole writers",
                      "from the log of `launch.py train handwriting --publish`; F1 pooled over all points, then writer by writer; each letter answered by a net that never saw its writer")
    section.rows += [row_of(record["name"], record) for record in logged]
    pooled = {record["name"]: record for record in logged}
    yield section, None if "U pooled" not in pooled else dict(
        macro_f1=pooled["U pooled"]["macro"], macro_f1_within_one=pooled["U pooled"]["macro_within_one"], rule_macro_f1=pooled["U pooled"]["rule_macro"],
        **people(pooled.get("K pooled")))


def people(record: dict | None) -> dict:
    """Head and tail F1 on ligatures that people marked, where the log has them."""
    return {} if record is None else {f"people_{side}_f1{tag}": record[f"{side}{tag}"] for side in ("head", "tail") for tag in ("", "_within_one")}


def row_of(name: str, record: dict) -> dict:
    """One row from one record of scores."""
    return {"labels, writers": name, "letters": record["letters"], "macro": record["macro"], "±1": record["macro_within_one"], "rule": record["rule_macro"],
            **{f"{label}{tag}": record[f"{key}"] for label in ("head", "tail") for key, tag in ((label, ""), (f"{label}_within_one", " ±1"), (f"rule_{label}", " rule"))},
            "body": record["body"], "isolated": record["isolated"], "isolated rule": record["rule_isolated"]}


def _fold_section(section: Section, data: Path) -> Section:
    from core.handwriting.train import Options, fit, ink_folder, joined, load_alone, load_letters, predict, scores
    try:
        folder = ink_folder(data)
    except InputError as error:
        return section.skip(str(error))
    alone = load_alone(folder)
    for kind in ("U", "K"):
        letters = load_letters(folder, kind)
        held = np.isin(letters.writer, HELD_OUT)
        net = fit(joined(letters[~held], alone) if kind == "U" else letters[~held], Options())
        section.rows.append(row_of(f"{kind}, held out", scores(kind, letters[held], predict(net, letters.features[held]))))
    return section


def _rules_section(data: Path) -> Section:
    """The study's rule says where heads and tails end and not which strokes it took for isolated: what that choice is worth."""
    from core.handwriting.labels import ISOLATED
    from core.handwriting.train import f1_scores, ink_folder, load_letters, rule_at_points
    section = Section("rules", "How strong the turning-point rule is", "macro F1, labels U; strokes below a share of the letter's ink are isolated: 0.4 stands beside the net everywhere, 0.3 comes to "
                      "what the study found for its own rule on the same five writers (0.797); first stroke: whatever comes after it is isolated")
    try:
        letters = load_letters(ink_folder(data))
    except InputError as error:
        return section.skip(str(error))
    held, everyone = np.isin(letters.writer, HELD_OUT), np.ones(len(letters), bool)
    found = {"0.3": rule_at_points(letters.features, 0.3), "0.4": letters.rule, "first stroke": np.array([_first_stroke(letter) for letter in letters.features])}
    for name, answers in found.items():
        score = {key: f1_scores(letters.labels[chosen], answers[chosen], letters.known[chosen]) for key, chosen in (("all writers", everyone), ("five writers", held))}
        section.rows.append({"isolated below": name, **{key: float(np.nanmean(values)) for key, values in score.items()}, "isolated, all writers": float(score["all writers"][ISOLATED])})
    return section


def _first_stroke(letter: np.ndarray) -> np.ndarray:
    """Classes int64[20] where the first stroke alone has head, body and tail."""
    from core.handwriting.labels import ISOLATED, turning_rule
    points = int((letter[:, 2] == 0).argmax()) + 1 if (letter[:, 2] == 0).any() else len(letter)
    return np.concatenate([turning_rule([letter[:points, :2].astype(float)])[0], np.full(len(letter) - points, ISOLATED)])
