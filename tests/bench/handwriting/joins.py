"""All pairs of lower-case letters of every shipped hand: what joins, how well, and what stays apart."""

from argparse import Namespace
from collections.abc import Iterator
from string import ascii_lowercase

import numpy as np

from core.handwriting.hand import HANDS, load_hand
from core.handwriting.pairs import all_pairs
from tests.bench.harness import Section


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """One row per hand; the headline is pooled over all of them."""
    section = Section("joins", "Every pair of lower-case letters of every hand, joined exactly",
                      "merge, bridge, lift: shares in per cent; gap and moved in x-heights; turn: at the points of the join, degrees; clean: no new self-crossing and no spike, of the joined pairs")
    pooled = []
    for name in HANDS:
        hand = load_hand(name)
        found = list(all_pairs(hand, ascii_lowercase[::5] if options.quick else ascii_lowercase))
        pooled += found
        section.rows.append(row_of(name, hand.kind, found))
    section.rows.append(row_of("all hands", "", pooled))
    total = section.rows[-1]
    yield section, dict(pairs=total["pairs"], clean_percent=total["clean %"], largest_gap=total["largest gap"], largest_moved=total["largest moved"])


def row_of(name: str, kind: str, found: list) -> dict:
    """Figures of one hand."""
    joined = [pair for pair in found if pair.kind != "lift"]
    share = {k: 100 * sum(pair.kind == k for pair in found) / max(len(found), 1) for k in ("merge", "bridge", "lift")}
    turns = [pair.turn_deg for pair in joined] or [float("nan")]
    return {"hand": name, "kind": kind, "pairs": len(found), **share, "largest gap": max((pair.gap for pair in joined), default=0.0),
            "largest moved": max((pair.moved for pair in joined), default=0.0), "fixed points bit-equal": all(pair.fixed for pair in joined),
            "turn median": float(np.median(turns)), "turn 95 %": float(np.percentile(turns, 95)), "turn most": float(np.max(turns)),
            "clean %": 100 * sum(pair.clean for pair in joined) / len(joined) if joined else float("nan")}
