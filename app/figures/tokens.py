"""The token stream of the table model as the page replays it: a pure function of a saved run (PAPP-OTSL of the PIX-TAB post, speculative decoding)."""

import math

import plotly.graph_objects as go

from app.figures.style import bars, figure
from app.figures.table import Reading, count, data_uri, picture_of, reading

KINDS = {"r": "row", "c": "column", "/": "end"}


def story(view, stem: str) -> dict | None:
    """What the player draws: the picture laid straight as the net saw it, and per token its text, call, place and what its cell has grown to.

    Boxes are in pixels of the stage: net input pixels, stretched back to the picture's proportions. None where no tokens were decoded.
    """
    this = reading(view, stem)
    model = this.model
    if not model or not model.get("tokens"):
        return None
    across, down = scales(model["to_input"])
    height, width = model["size"]
    tokens = [_token(token, across, down) for token in model["tokens"]]
    return {
        "id": f"{view.id}:{stem}:{len(tokens)}", "picture": data_uri(picture_of(view, stem)), "size": [width * across, height * down],
        "input": [this.result["image"]["width"], this.result["image"]["height"]], "to_stage": to_stage(model["to_input"]),
        "tokens": tokens, "cells": _grow(tokens), "calls": model["calls"], "alt": alt(this)}


def scales(to_input: list[list[float]]) -> tuple[float, float]:
    """Pixels of the input per net pixel, across and down."""
    (a, b, _), (c, d, _) = to_input
    return math.hypot(a, c), math.hypot(b, d)


def to_stage(to_input: list[list[float]]) -> list[float]:
    """Input pixels -> stage, as SVG writes a matrix (a b c d e f): the inverse of the map the net's input was made by, stretched back."""
    (a, b, tx), (c, d, ty) = to_input
    (across, down), det = scales(to_input), a * d - b * c
    return [across * d / det, down * -c / det, across * -b / det, down * a / det, across * (b * ty - d * tx) / det, down * (c * tx - a * ty) / det]


def _token(token: dict, across: float, down: float) -> dict:
    text = token["text"]
    x0, y0, x1, y1 = token["box"]
    return {"text": text if text == "</table>" else text.strip("<>"), "kind": KINDS[text[1]] if text.startswith("<") else text, "drafted": token["drafted"], "call": token["call"],
            "box": [x0 * across, y0 * down, x1 * across, y1 * down]}


def _grow(tokens: list[dict]) -> list[int]:
    """Give each cell token its cell (C opens one, L and X go on from the left, U from above) and the cell's outline before and after it.

    returns one number per cell, the index of the token that opened it
    """
    opened: list[int] = []
    outlines: list[list[float]] = []
    above: list[int] = []
    row: list[int] = []
    for index, token in enumerate(tokens):
        if token["kind"] == "row":
            above, row = row, []
        if token["kind"] not in "CLUX":
            continue
        if token["kind"] == "C":
            opened.append(index)
            outlines.append(token["box"])
        cell = len(opened) - 1 if token["kind"] == "C" else above[len(row)] if token["kind"] == "U" else row[-1]
        row.append(cell)
        old = None if token["kind"] == "C" else outlines[cell]
        outlines[cell] = token["box"] if old is None else _union(old, token["box"])
        token |= {"cell": cell, "before": old, "grown": outlines[cell]}
    return opened


def _union(a: list[float], b: list[float]) -> list[float]:
    return [min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])]


def alt(this: Reading) -> str:
    """The decoding in one sentence with its numbers."""
    calls, tokens = this.model["calls"], this.model["tokens"]
    return f"The picture {this.result['image']['name']} with the rows, columns and cells of {count(len(tokens), 'token')} from {count(len(calls), 'decoder call')}."


DRAFTS = {"greedy": ("Greedy, one token a call", "rest"), "rules": ("The post’s rules as the draft", "second"), "heads": ("The heads’ grid as the draft", "ours")}


def drafts_figure(drafts: dict, mode: str, px: int) -> tuple[go.Figure, str]:
    """The same decoding greedily and with both drafts, measured on this picture: milliseconds and calls."""
    shown = [key for key in DRAFTS if key in drafts]
    names, roles = ([DRAFTS[key][i] for key in shown] for i in (0, 1))
    values = [1e3 * drafts[key]["seconds"] for key in shown]
    words = [f"<b>{milliseconds(value)}</b>  {count(drafts[key]['calls'], 'call')}" for key, value in zip(shown, values)]
    fig = figure(mode, px)
    bars(fig, names, values, words, roles, values, values)
    fig.update_traces(error_x_visible=False)
    fig.update_xaxes(title_text="time to decode this picture (ms), shorter is better", range=[0, 1.3 * max(values)])
    return fig, "; ".join(f"{name}: {count(drafts[key]['calls'], 'call')}, {milliseconds(value)}" for key, name, value in zip(shown, names, values)) + "."


def milliseconds(value: float) -> str:
    """With no more digits than it deserves: "7.4 ms", "2,353 ms"."""
    return f"{value:,.0f}\u00a0ms" if value >= 100 else f"{value:.1f}\u00a0ms"


def drafts_words(drafts: dict) -> str:
    """What the drafts save on this picture, and whether the tokens are the same."""
    calls, time = (drafts["greedy"][key] / drafts["heads"][key] for key in ("calls", "seconds"))
    same = "token for token the same" if drafts["identical"] else "NOT the same tokens"
    return f"{calls:.1f}× fewer calls and {time:.1f}× less time than greedy; {same}"


def replay_words(this: Reading) -> str:
    """The small print under the player."""
    seconds = this.model["seconds"].get("decode")
    took = f" The decoder took {1e3 * seconds:.0f} ms; here it is slowed down so that it can be followed." if seconds else ""
    draft = "Each call proposes up to 16 tokens and keeps those the decoder would have written itself. "
    return draft + "Ticks along the edge: where each row and column begins, in pixels of the picture the model sees." + took
