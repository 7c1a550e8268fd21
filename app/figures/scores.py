"""A table held against a ground truth: where the two differ, as lines of a list and as marks on the picture (TEDS, PubTabNet)."""

import plotly.graph_objects as go

from app.figures.table import cells_figure, count, letters, reading

SHOWN = 200
"""Differences that are listed; the rest is counted."""


KINDS = {"text": ("text differs", "texts differ"), "span": ("cell is joined otherwise", "cells are joined otherwise"),
         "row missing": ("row is missing", "rows are missing"), "row added": ("row is too many", "rows are too many"),
         "column missing": ("column is missing", "columns are missing"), "column added": ("column is too many", "columns are too many")}


def percent(score: float) -> str:
    """A score of 1 as "97.3 %"; only what is exactly 1 is 100 %."""
    return "100 %" if score == 1 else f"{min(99.9, 100 * score):.1f} %"


def finding(score) -> str:
    """The score in one sentence."""
    if not score.differences:
        return "Nothing differs from the ground truth"
    kinds: dict[str, int] = {}
    for difference in score.differences:
        kinds[difference.kind] = kinds.get(difference.kind, 0) + 1
    return ", ".join(count(number, *KINDS.get(kind, (kind, kind))) for kind, number in kinds.items())


def lines(score) -> list[dict]:
    """One row per difference for the list beside the picture."""
    return [{"Where": where(d), "What": d.kind, "Ours": d.ours, "Ground truth": d.truth} for d in score.differences[:SHOWN]]


def where(difference) -> str:
    """"B4", "row 5", "column C"; of the truth where ours lacks it."""
    lacking = " of the truth" if difference.kind.endswith("missing") else ""
    if difference.row < 0:
        return f"column {letters(difference.col)}{lacking}"
    return f"row {difference.row + 1}{lacking}" if difference.col < 0 else f"{letters(difference.col)}{difference.row + 1}"


def marked(cells: list[dict], score) -> set[tuple[int, int]]:
    """(row, col) of our cells that differ, or lie in a row or column the truth does not have."""
    single = {(d.row, d.col) for d in score.differences if d.row >= 0 and d.col >= 0}
    rows = {d.row for d in score.differences if d.kind == "row added"}
    cols = {d.col for d in score.differences if d.kind == "column added"}
    return {(c["row"], c["col"]) for c in cells if (c["row"], c["col"]) in single or c["row"] in rows or c["col"] in cols}


def scored_figure(view, stem: str, score, mode: str, px: int) -> tuple[go.Figure, str]:
    """The picture with what differs from the truth marked."""
    return cells_figure(view, stem, mode, px, marked(reading(view, stem).cells, score))
