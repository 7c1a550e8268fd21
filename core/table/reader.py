"""A picture -> the table model's reading: encoder, heads' answer, PAPP decoder (speculative or greedy), boxes in pixels of the picture, confidence."""

import functools
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import EngineError
from core.exhibit import Progress, silent
from core.table.config import TableConfig
from core.table.table import Table

if TYPE_CHECKING:
    from core.table.decode import Decoding
    from core.table.heads import HeadsAnswer

WEIGHTS = Path(__file__).resolve().parents[2] / "assets" / "weights" / "table-small.npz"
MOBILE_WEIGHTS = WEIGHTS.with_name("table-mobile.onnx")
SCALE = 0.8
"""The net sees the picture at this size, or smaller."""
DECODED_CELLS = 2000
"""The decoder writes no more cells than this; beyond, the heads' answer stands alone."""
UNSEEN = 0.6
"""A cell that only one of the two answers has is as sure as this at most."""
NEAR_BINS = 2
"""A place token this many places away means the same gap."""
FIT, HEADS_FIT, FIT_FLOOR = (0.63, 0.87, 1.79), (2.12, 6.97), 1e-4
"""Logistic fits of "the structure is exact" on 200 drawings of held-out tables: constant, log probability, agreement; for the mobile model constant and
log probability of its least sure place. Made by `python -m core.table.system drawings --calibrate` (and --model mobile)."""
LEAST_TOKEN_CONFIDENCE = 0.7
"""Below this mean probability per token a picture is taken for something else than a table."""
NO_TEXT = "The model was not believed: there is no text in this picture, so there is no table to read."
LEAST_BAND = 3.0
"""Pixels of the net's input that a row or column is wide at least to be counted as one."""
LEAST_PITCH = 6.0
"""Pixels of the net's input between rows below which it confuses them."""
TOO_LARGE = f"The table has more than {DECODED_CELLS:,} places, more than the decoder writes; the structure is that of the separator and merge heads alone."


@dataclass(frozen=True)
class ModelReading:
    """What the model read.

    table       structure with boxes in pixels of the picture and a confidence per cell; None where it abstains, and `reason` says why
    confidence  of the whole table, 0 to 1: about the share of held-out drawings with the same signs that were read exactly
    taken       "heads" or "decoder": whose answer the table is
    agree       whether both gave the same structure; None where only one was asked
    heads       answer of the separator and merge heads, separators in net input pixels
    decoding    the decoder's tokens and calls; None where it did not run
    likely      its probabilities of both token sequences, likewise
    ys, xs      separators of `table` in net input pixels: all [rows + 1], [cols + 1]
    size        [height, width] of the net's input
    to_picture  float64 [2, 3]: net input pixels -> picture pixels
    rows, cols  the same separators in pixels of the straightened picture
    straight, straight_to_picture  [height, width] of the straightened picture; float64 [2, 3]: its pixels -> picture pixels
    seconds     deskew, encoder, heads, decode
    version     weight file and the beginning of its sha256
    """

    table: Table | None
    reason: str
    confidence: float
    taken: str
    agree: bool | None
    heads: "HeadsAnswer"
    decoding: "Decoding | None"
    likely: "Likely | None"
    ys: np.ndarray
    xs: np.ndarray
    rows: np.ndarray
    cols: np.ndarray
    size: tuple[int, int]
    to_picture: np.ndarray
    straight: tuple[int, int]
    straight_to_picture: np.ndarray
    skew_degrees: float
    seconds: dict[str, float]
    version: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Look:
    """One pass of a net over a straight picture: the heads' answer with its scores, and what the decoder makes of it if the net has one.

    decoding  the decoder's own tokens
    likely    float [tokens]: the decoder's probability of each token of its own sequence, and of the heads' (places within NEAR_BINS)
    """

    size: tuple[int, int]
    heads: "HeadsAnswer"
    decoding: "Decoding | None" = None
    likely: "Likely | None" = None
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Likely:
    """The decoder's probability of each token: of its own sequence, and of the heads'. A place counts as right within NEAR_BINS."""

    own: np.ndarray
    heads: np.ndarray

    @property
    def prefers_heads(self) -> bool:
        """Whether the decoder finds the heads' whole sequence likelier than the one it wrote greedily."""
        return log_sum(self.heads) > log_sum(self.own)


def log_sum(shares: np.ndarray) -> float:
    """Log probability of a sequence from those of its tokens."""
    return float(np.log(np.maximum(shares, 1e-6)).sum())


# Weights

@functools.lru_cache(maxsize=1)
def full_net() -> Any:
    """The full net, loaded once per process, one thread. Raises EngineError where torch or the weights are missing."""
    try:
        import torch
    except ImportError as error:
        raise EngineError("The table model needs PyTorch, which is not installed here. Run `python3 launch.py`, or choose model=mobile or "
                          "engine=regions.") from error
    from core.table.model import load_weights

    torch.set_num_threads(1)
    return load_weights(WEIGHTS)


@functools.lru_cache(maxsize=1)
def mobile_net() -> Any:
    """The mobile net, loaded once per process. Raises EngineError where it is missing."""
    try:
        from core.table.mobile import load
    except ImportError as error:
        raise EngineError("The mobile model is not part of this installation. Choose model=full or engine=regions.") from error
    return load()


@functools.lru_cache(maxsize=4)
def version_of(path: Path) -> str:
    """File name and the first 12 digits of its sha256."""
    return f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


# Looking

def look(grey: np.ndarray, config: TableConfig = TableConfig(), told: Callable[[float, str], None] = silent) -> Look:
    """The net's answers for a straight grey picture uint8 [H, W]."""
    return _mobile_look(grey) if config.model == "mobile" else _full_look(grey, config.decode, told)


def _mobile_look(grey: np.ndarray) -> Look:
    net = mobile_net()
    begun = time.perf_counter()
    answer = net.read(grey)
    return Look(net.size(*grey.shape), answer, seconds={"heads": time.perf_counter() - begun})


def _full_look(grey: np.ndarray, way: str | None, told: Callable[[float, str], None]) -> Look:
    """way  speculative or greedy decoding, None for the heads' answer alone"""
    import torch

    from core.table.decode import by_heads, decode, heads_answer, no_draft, to_input
    from core.table.heads import fitting

    net, size = full_net(), fitting(*grey.shape, SCALE)
    with torch.inference_mode():
        begun = time.perf_counter()
        seen = net.encoder(to_input(grey, size))
        encoded = time.perf_counter()
        heads = heads_answer(net, seen)
        answered = time.perf_counter()
        seconds, decoding, likely = {"encoder": encoded - begun, "heads": answered - encoded}, None, None
        if way and heads.table.rows * heads.table.cols <= DECODED_CELLS:
            told(0.5, "Decoding the table's tokens")
            decoding = decode(net, seen, no_draft if way == "greedy" else by_heads(heads.tokens), max_cells=DECODED_CELLS)
            likely = Likely(likelihood(net, seen, decoding.tokens), likelihood(net, seen, heads.tokens))
            seconds["decode"] = time.perf_counter() - answered
    return Look(size, heads, decoding, likely, seconds)


def likelihood(net, seen, tokens: Sequence[int]) -> np.ndarray:
    """float [tokens]: the decoder's probability of each token under the grammar, given those before it; a place counts as right within NEAR_BINS."""
    import torch

    from core.table.heads import BIN
    from core.table.model import context_row
    from core.table.tokens import START, Grammar

    state = Grammar(seen.row_gaps.shape[1] // BIN, seen.col_gaps.shape[1] // BIN)
    rows, masks, wanted, last = [], [], [], START
    for token in tokens:
        rows.append(context_row(last, state.context()))
        masks.append(state.mask())
        wanted.append(state.index_of(token))
        state.push(token)
        last = token
    memory = net.decoder.start(seen)
    scores = net.decoder.tokens(net.decoder(torch.tensor([rows]), memory), memory)[0].numpy()
    scores = np.where(np.array(masks), scores, -np.inf)
    shares = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    near = np.abs(np.arange(shares.shape[1]) - np.array(wanted)[:, None]) <= np.where(np.array(wanted) < 5, 0, NEAR_BINS)[:, None]
    first_col = 5 + state.height  # row places and column places stand side by side: what is near must be of one axis
    side = np.digitize(np.arange(shares.shape[1]), [5, first_col])
    return (shares * (near & (side == side[np.array(wanted)][:, None]))).sum(1)


# From answers to a table

def read_model(rgb: np.ndarray, config: TableConfig = TableConfig(), progress: Progress = silent, skew: float | None = None) -> ModelReading:
    """Read the structure of the table in an upright picture uint8 [H, W, 3] or grey [H, W]; a turn of a few degrees is undone first.

    skew  degrees by which the lines fall to the right, where that is known already
    Raises EngineError where the model is missing and whatever `progress` raises to stop.
    """
    from core.table.binarise import to_grey
    from core.table.deskew import estimate_skew, straighten

    progress(0.0, "Looking at the picture with the table model")
    begun, grey = time.perf_counter(), to_grey(rgb)
    skew = estimate_skew(grey) if skew is None else skew
    straight, to_rgb = straighten(grey, skew)
    seconds = {"deskew": time.perf_counter() - begun}
    seen = look(straight, config, progress)
    seen = replace(seen, seconds=seconds | seen.seconds)
    progress(0.9, "Placing the cells")
    return _reading(seen, straight, to_rgb, skew, version_of(MOBILE_WEIGHTS if config.model == "mobile" else WEIGHTS))


def _reading(seen: Look, straight: np.ndarray, to_rgb: np.ndarray, skew: float, version: str) -> ModelReading:
    from core.table.orientation import has_text

    heads = seen.heads
    layout = seen.decoding.layout() if seen.decoding else None
    agree = None if layout is None else layout.table == heads.table
    taken = "heads" if agree or layout is None or seen.likely.prefers_heads else "decoder"
    structure, ys, xs = (heads.table, heads.ys, heads.xs) if taken == "heads" else (layout.table, *decoded_places(layout, heads, seen.size))
    down, across = straight.shape[0] / seen.size[0], straight.shape[1] / seen.size[1]
    confidence, reason = confidence_of(seen, agree), why_not(structure, ys, xs, seen) if has_text(straight) else NO_TEXT
    table = None if reason else carried(_boxed(structure, ys * down, xs * across, _cell_confidence(structure, seen, taken)), to_rgb)
    notes = () if table is None else _notes(seen, ys)
    return ModelReading(table, reason, round(confidence, 4), taken, agree, heads, seen.decoding, seen.likely, ys, xs, ys * down, xs * across, seen.size,
                        to_rgb @ _grown(across, down), straight.shape[:2], to_rgb, skew, seen.seconds, version, notes)


def _notes(seen: Look, ys: np.ndarray) -> tuple[str, ...]:
    """What a visitor should know about a large table."""
    pitch = float(np.median(np.diff(ys)))
    dense = f"The model sees the rows {pitch:.1f} pixels apart, where it confuses them; crop the table into parts for a better reading."
    return ((TOO_LARGE,) if seen.heads.table.rows * seen.heads.table.cols > DECODED_CELLS else ()) + ((dense,) if pitch < LEAST_PITCH else ())


def confidence_of(seen: Look, agree: bool | None) -> float:
    """Share of held-out drawings with the same signs whose whole structure was read exactly: a logistic fit, see `core.table.system`.

    The signs are the decoder's probability of the table that was taken, and whether the heads say the same; for the heads alone their least sure place.
    """
    if seen.likely is None:
        return _logistic(HEADS_FIT[0] + HEADS_FIT[1] * np.log(seen.heads.confidence + FIT_FLOOR))
    best = max(log_sum(seen.likely.own), log_sum(seen.likely.heads))
    return _logistic(FIT[0] + FIT[1] * np.log(np.exp(best) + FIT_FLOOR) + FIT[2] * bool(agree))


def _logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def why_not(table: Table, ys: np.ndarray, xs: np.ndarray, seen: Look) -> str:
    """Why what the model found is no table, in one sentence; "" where it is one. ys, xs  its separators in net input pixels"""
    rows, cols = (int((np.diff(places) >= LEAST_BAND).sum()) for places in (ys, xs))
    if min(rows, cols) < 2:
        return f"The model found {_count(rows, 'row')} and {_count(cols, 'column')}, which is no table: a table has at least two of each."
    mean = token_confidence(seen)
    if mean < LEAST_TOKEN_CONFIDENCE:
        return (f"The model is too unsure to call this a table: it gives its tokens {100 * mean:.0f}\u00a0% on average, and tables get at least "
                f"{100 * LEAST_TOKEN_CONFIDENCE:.0f}\u00a0%.")
    return ""


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def token_confidence(seen: Look) -> float:
    """Geometric mean of the probabilities of the tokens of what was taken."""
    if seen.likely is None:
        return float(np.exp(np.log(np.maximum(seen.heads.places, 1e-6)).mean()))
    taken = seen.likely.heads if seen.likely.prefers_heads else seen.likely.own
    return float(np.exp(log_sum(taken) / len(taken)))


def _grown(across: float, down: float) -> np.ndarray:
    """float64 [3, 3]: net input pixels -> straightened pixels."""
    return np.diag([across, down, 1.0])


def decoded_places(layout, heads: "HeadsAnswer", size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """All separators of the decoder's table in net input pixels; where the last row and column end no token says, so the heads do."""
    from core.table.heads import BIN

    found = []
    for places, own, side in ((layout.ys, heads.ys, size[0]), (layout.xs, heads.xs, size[1])):
        begin = [(place + 0.5) * BIN for place in places]
        found.append(np.array([*begin, max(float(own[-1]), min(begin[-1] + BIN, side))]))
    return found[0], found[1]


def _cell_confidence(table: Table, seen: Look, taken: str) -> list[float]:
    """Per cell the least probability of the tokens that make it: its places, its row, its column; UNSEEN at most where the other answer has no such cell."""
    if seen.likely is None:
        known = seen.heads.places
        return [float(known[c.row:c.row + c.rowspan, c.col:c.col + c.colspan].min()) for c in table.cells]
    tokens, shares = (seen.heads.tokens, seen.likely.heads) if taken == "heads" else (seen.decoding.tokens, seen.likely.own)
    rows, cols, places = token_shares(tokens, shares, table)
    other = set((seen.decoding.layout() if taken == "heads" else seen.heads).table.cells)
    found = []
    for c in table.cells:
        sure = min(places[c.row:c.row + c.rowspan, c.col:c.col + c.colspan].min(), rows[c.row], cols[c.col])
        found.append(float(sure if c in other else min(sure, UNSEEN)))
    return found


def token_shares(tokens: Sequence[int], shares: np.ndarray, table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of the row tokens [rows], the column tokens [cols] and the place tokens [rows, cols] of a sequence."""
    from core.table.tokens import COL, ROW

    kinds = np.array(tokens[:-1])
    rows, cols = shares[:-1][(kinds >= ROW) & (kinds < COL)], shares[:-1][kinds >= COL]
    return rows, cols, shares[:-1][kinds < 4].reshape(table.rows, table.cols)


def _boxed(table: Table, ys: np.ndarray, xs: np.ndarray, sure: Sequence[float]) -> Table:
    cells = (replace(c, box=(float(xs[c.col]), float(ys[c.row]), float(xs[c.col + c.colspan]), float(ys[c.row + c.rowspan])), confidence=round(s, 4))
             for c, s in zip(table.cells, sure))
    return replace(table, cells=tuple(cells))


def carried(table: Table, to_picture: np.ndarray) -> Table:
    """The table with its boxes carried over by an affine float64 [2, 3]: centres move, widths and heights only scale (as for the regions)."""
    turn, shift = to_picture[:, :2], to_picture[:, 2]
    scale = float(np.sqrt(abs(np.linalg.det(turn))))
    cells = []
    for cell in table.cells:
        x0, y0, x1, y1 = cell.box
        x, y = turn @ [(x0 + x1) / 2 - 0.5, (y0 + y1) / 2 - 0.5] + shift + 0.5
        u, v = scale * (x1 - x0) / 2, scale * (y1 - y0) / 2
        cells.append(replace(cell, box=tuple(round(float(value), 2) for value in (x - u, y - v, x + u, y + v))))
    return replace(table, cells=tuple(cells))


# What a page shows

def story(reading: ModelReading) -> dict:
    """The reading as JSON values; places in net input pixels."""
    tokens, calls = ([], []) if reading.decoding is None else (told_tokens(reading), reading.decoding.calls)
    return {"size": list(reading.size), "to_input": reading.to_picture, "heads": {"ys": reading.heads.ys, "xs": reading.heads.xs},
            "confidence": reading.confidence, "taken": reading.taken, "agree": reading.agree, "tokens": tokens,
            "calls": [{"proposed": len(call.proposed), "accepted": call.accepted} for call in calls], "seconds": reading.seconds, "version": reading.version}


def spelt(decoding: "Decoding") -> list[str]:
    """The tokens as text."""
    from core.table.tokens import spell

    return [spell([token]) for token in decoding.tokens]


def told_tokens(reading: ModelReading) -> list[dict]:
    """Each token with the call that wrote it, whether it was drafted, and the box it speaks of: a row's band, a column's, a place, the table."""
    layout, decoding = reading.decoding.layout(), reading.decoding
    boxes = _token_boxes(decoding.tokens, *decoded_places(layout, reading.heads, reading.size))
    calls = [(number, place < call.accepted) for number, call in enumerate(decoding.calls) for place in range(call.accepted + 1)]
    return [{"text": text, "call": number, "drafted": drafted, "box": [round(float(v), 1) for v in box]}
            for text, (number, drafted), box in zip(spelt(decoding), calls, boxes)]


def _token_boxes(tokens: Sequence[int], ys: np.ndarray, xs: np.ndarray) -> list[tuple[float, float, float, float]]:
    from core.table.tokens import COL, END, ROW

    found, r, k = [], -1, 0
    for token in tokens:
        if token == END:
            found.append((xs[0], ys[0], xs[-1], ys[-1]))
        elif token >= COL:
            found.append((xs[k], ys[0], xs[k + 1], ys[-1]))
        elif token >= ROW:
            r, k = r + 1, 0
            found.append((xs[0], ys[r], xs[-1], ys[r + 1]))
        else:
            found.append((xs[k], ys[r], xs[k + 1], ys[r + 1]))
            k += 1
    return found


# Races on one picture

def race(rgb: np.ndarray, reading: ModelReading, repeats: int = 3) -> dict:
    """{"drafts": ..., "mobile": ...}: decoding by every draft, and the mobile model beside the full one; the least seconds of several repeats, interleaved.

    What is missing here is left out.
    """
    from core.table.binarise import to_grey
    from core.table.deskew import straighten

    straight = straighten(to_grey(rgb), reading.skew_degrees)[0]
    found = {}
    for name, work in (("drafts", _race_drafts), ("mobile", _race_mobile)):
        try:
            found[name] = work(straight, repeats)
        except EngineError:
            continue
    return found


def _race_drafts(grey: np.ndarray, repeats: int) -> dict:
    import torch

    from core.table.decode import by_heads, by_rules, decode, heads_answer, no_draft, to_input
    from core.table.heads import fitting

    net = full_net()
    with torch.inference_mode():
        seen = net.encoder(to_input(grey, fitting(*grey.shape, SCALE)))
        rules = {"greedy": no_draft, "rules": by_rules, "heads": by_heads(heads_answer(net, seen).tokens)}
        made, seconds = {}, {name: [] for name in rules}
        for _ in range(repeats):
            for name, rule in rules.items():
                begun = time.perf_counter()
                made[name] = decode(net, seen, rule, max_cells=DECODED_CELLS)
                seconds[name].append(time.perf_counter() - begun)
    return {name: {"calls": len(made[name].calls), "seconds": min(seconds[name])} for name in rules} | {
        "tokens": len(made["greedy"].tokens), "identical": len({m.tokens for m in made.values()}) == 1}


def _race_mobile(grey: np.ndarray, repeats: int) -> dict:
    """The mobile model's answer beside the full one's: encoder and heads, without the decoder, which only the full one has."""
    ways = {"mobile": lambda: _mobile_look(grey), "full": lambda: _full_look(grey, None, silent)}
    looks, seconds = {name: work() for name, work in ways.items()}, {name: [] for name in ways}
    for _ in range(repeats):
        for name, work in ways.items():
            begun = time.perf_counter()
            looks[name] = work()
            seconds[name].append(time.perf_counter() - begun)
    mobile, full = (looks[name].heads.table for name in ("mobile", "full"))
    return {"seconds": min(seconds["mobile"]), "full_seconds": min(seconds["full"]), "cells": len(mobile.cells), "same_structure": mobile == full}
