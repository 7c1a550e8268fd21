"""Rows about the table model: speculative decoding, how long one table takes, the mobile model against the full one."""

from collections.abc import Sequence

import numpy as np

from tests.bench.harness import ratio
from tests.bench.table.pictures import DRAWN, REAL
from tests.bench.table.sides import DRAFTS, Scores

SETS = (DRAWN, *REAL)


def by_set(scores: Sequence[Scores]) -> dict[str, list[Scores]]:
    """The pictures of each set that is there, and all."""
    found = {name: group for name in SETS if (group := [s for s in scores if s.set == name])}
    return found | ({"all": list(scores)} if len(found) > 1 else {})


def speculative_rows(scores: Sequence[Scores]) -> list[dict]:
    """A row for every set and draft: pictures with the same tokens, tokens per decoder call, how many times faster than greedy."""
    rows = []
    for name, group in by_set([s for s in scores if s.drafts]).items():
        made = [s.drafts for s in group]
        tokens = sum(d.tokens for d in made)
        for draft in DRAFTS:
            rows.append({"name": name, "draft": draft, "n": len(made), "identical": sum(d.identical for d in made), "tokens": tokens,
                         "tokens per call": tokens / sum(d.calls[draft] for d in made), "CPU ms": 1e3 * float(np.mean([d.cpu[draft] for d in made])),
                         "times faster, CPU": ratio([d.cpu["greedy"] for d in made], [d.cpu[draft] for d in made]),
                         "times faster, wall": ratio([d.wall["greedy"] for d in made], [d.wall[draft] for d in made])})
    return rows


def latency_rows(scores: Sequence[Scores]) -> list[dict]:
    """CPU milliseconds of one table's structure, by set."""
    rows = []
    for name, group in by_set(scores).items():
        for side in ("ours", "regions", "heads", "decoder", "mobile"):
            spent = 1e3 * np.array([s.sides[side].seconds for s in group if side in s.sides])
            if len(spent):
                rows.append({"name": name, "side": side, "n": len(spent), "median": float(np.median(spent)), "p95": float(np.percentile(spent, 95)),
                             "most": float(spent.max()), "over 500 ms": int((spent > 500).sum())})
    return rows


def mobile_rows(scores: Sequence[Scores]) -> list[dict]:
    """The mobile model beside the system's model path, by set: scores in per cent, points lost; CPU milliseconds of the nets."""
    rows = []
    for name, group in by_set([s for s in scores if {"model", "decoder", "mobile"} <= set(s.sides)]).items():
        full, mobile = (np.nan_to_num([s.sides[side].score for s in group]) for side in ("model", "mobile"))
        times = [[s.sides[side].seconds for s in group] for side in ("decoder", "mobile")]
        rows.append({"name": name, "n": len(group), "full": 100 * full.mean(), "mobile": 100 * mobile.mean(), "lost": 100 * (full.mean() - mobile.mean()),
                     "full struct100": 100 * (full == 1).mean(), "mobile struct100": 100 * (mobile == 1).mean(), "same": 100 * float(np.mean([s.same_heads for s in group])),
                     "full ms": 1e3 * float(np.mean(times[0])), "mobile ms": 1e3 * float(np.mean(times[1])), "times faster": ratio(*times)})
    return rows
