"""Drawings -> batches for the table model: pictures of one size, and what each head has to say about them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.table.heads import BIN, UNIT, bins, fitting, inked, separators
from core.table.model import CLASSES, context_row, place_of
from core.table.synth import Drawing, draw
from core.table.synth_browser import Store
from core.table.synth_content import load_corpus
from core.table.tokens import COL, ROW, START, contexts, to_tokens

CHUNK = 128
BROWSER_EVERY = 4
"""One drawing in this many is a browser's, where there are any."""


@dataclass
class Batch:
    """One training step.

    picture   uint8 [n, 1, height, width], ink
    profiles  float [n, height], [n, width]: 1 where a line of pixels lies between bands
    edges     float [n, rows + 1], [n, cols + 1]: places of the separators, padded by the last one
    grid      int [n, rows, cols]: C L U X, -1 beyond the table
    known     int [n, length, 6]: contexts; wanted [n, length]: indices of the next tokens, -1 beyond the end
    boxes     float [n, length, 4]: ink box before each C in shares of the picture, nan elsewhere
    seed      for what is drawn by lot during the step
    """

    picture: np.ndarray
    profiles: tuple[np.ndarray, np.ndarray]
    edges: tuple[np.ndarray, np.ndarray]
    grid: np.ndarray
    known: np.ndarray
    wanted: np.ndarray
    boxes: np.ndarray
    seed: int = 0


def profile(gaps: np.ndarray, size: int) -> np.ndarray:
    """float32 [size]: 1 at each pixel whose middle lies in a gap; a gap keeps at least one pixel. gaps [n, 2] in pixels."""
    line = np.zeros(size, np.float32)
    for begin, end in gaps:
        low, high = int(np.ceil(begin - 0.5)), int(np.ceil(end - 0.5))
        if high <= low and begin > 0 and end < size:
            low = int((begin + end) / 2)
            high = low + 1
        line[max(low, 0):high] = 1
    return line


def _needed(drawing: Drawing) -> tuple[float, float]:
    """Least sides at which neighbouring separators fall into places of their own."""
    shape = drawing.picture.shape
    apart = [np.diff(separators(gaps, size)).min() for gaps, size in zip((drawing.row_gaps, drawing.col_gaps), shape)]
    return tuple(size * 2.2 * BIN / max(gap, 0.1) for size, gap in zip(shape, apart))


def common_size(drawings: Sequence[Drawing], rng: np.random.Generator) -> tuple[int, int]:
    """Input sides for one batch: squeezed to 320 x 320, or 0.5 to 1.25 times the median picture; never so small that separators fall together."""
    shape = np.median([d.picture.shape for d in drawings], axis=0)
    if rng.random() < 0.15:
        size = (320, 320)
    else:
        size = fitting(*shape, float(np.exp(rng.uniform(np.log(0.5), np.log(1.25)))), area=float(rng.choice([1.3e5, 1.6e5, 2.4e5])))
    needed = np.max([_needed(d) for d in drawings], axis=0)
    return tuple(int(np.clip(np.ceil(need / UNIT) * UNIT, side, 640)) for need, side in zip(needed, size))


def sequence(drawing: Drawing, size: tuple[int, int]) -> tuple[list[int], np.ndarray, np.ndarray]:
    """PAPP tokens of a drawing at an input size, and its separators in input pixels."""
    down, across = size[0] / drawing.picture.shape[0], size[1] / drawing.picture.shape[1]
    ys, xs = separators(drawing.row_gaps * down, size[0]), separators(drawing.col_gaps * across, size[1])
    return to_tokens(drawing.table, bins(ys, size[0] // BIN), bins(xs, size[1] // BIN)), ys, xs


def _decoder_rows(tokens: Sequence[int], size: tuple[int, int]) -> tuple[list, list]:
    """Inputs and wanted output indices of the decoder for one sequence."""
    height, width = size[0] // BIN, size[1] // BIN
    known = [context_row(last, context) for last, context in zip([START, *tokens], contexts(tokens, height, width))]
    wanted = [t if t < ROW else CLASSES + place_of(t) + (height if t >= COL else 0) for t in tokens]
    return known, wanted


def _ink_boxes(drawing: Drawing, tokens: Sequence[int]) -> list:
    """Before each C token the ink box of its cell, in shares of the picture; nan before other tokens."""
    height, width = drawing.picture.shape
    shares = iter([[b[0] / width, b[1] / height, b[2] / width, b[3] / height] if b else [np.nan] * 4 for b in drawing.inks])
    return [next(shares) if t == 0 else [np.nan] * 4 for t in tokens]


def _profiles(gaps: Sequence[np.ndarray], drawings: Sequence[Drawing], size: tuple[int, int], axis: int) -> np.ndarray:
    return np.stack([profile(g * size[axis] / d.picture.shape[axis], size[axis]) for g, d in zip(gaps, drawings)])


def make_batch(drawings: Sequence[Drawing], size: tuple[int, int], rng: np.random.Generator) -> Batch:
    """Drawings at one input size (height, width) as one training step; ink is made a little fainter and noisier at random."""
    n, rows, cols = len(drawings), max(d.table.rows for d in drawings), max(d.table.cols for d in drawings)
    made = [sequence(d, size) for d in drawings]
    length = max(len(tokens) for tokens, _, _ in made)
    batch = Batch(
        np.stack([_worn(inked(d.picture, size), rng) for d in drawings])[:, None],
        (_profiles([d.row_gaps for d in drawings], drawings, size, 0), _profiles([d.col_gaps for d in drawings], drawings, size, 1)),
        (np.zeros((n, rows + 1), np.float32), np.zeros((n, cols + 1), np.float32)), np.full((n, rows, cols), -1, np.int8),
        np.zeros((n, length, 6), np.int32), np.full((n, length), -1, np.int32), np.full((n, length, 4), np.nan, np.float32),
        int(rng.integers(2**31)))
    for i, (drawing, (tokens, *edges)) in enumerate(zip(drawings, made)):
        for row, places in zip(batch.edges, edges):
            row[i, :len(places)], row[i, len(places):] = places, places[-1]
        cells = [t for t in tokens if t < 4]
        batch.grid[i, :drawing.table.rows, :drawing.table.cols] = np.reshape(cells, (drawing.table.rows, drawing.table.cols))
        batch.known[i, :len(tokens)], batch.wanted[i, :len(tokens)] = _decoder_rows(tokens, size)
        batch.boxes[i, :len(tokens)] = _ink_boxes(drawing, tokens)
    return batch


def _worn(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gain = rng.uniform(0.7, 1.1)
    worn = ink * np.float32(gain)
    if rng.random() < 0.3:
        worn += rng.integers(-8, 9, ink.shape, dtype=np.int8)
    return np.clip(worn, 0, 255).astype(np.uint8)


# A grid with separators too many

def runs(line: np.ndarray) -> np.ndarray:
    """int [n, 2]: begin and end of each run of true values. line bool [size]"""
    return np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(np.int8))).reshape(-1, 2)


def with_false_edges(edges: np.ndarray, profile_: np.ndarray, likely: np.ndarray, most: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Separators of one picture and axis, and those that the net would put where there is none.

    edges    float [bands + 1], true places; profile_ [size] 1 in true gaps; likely bool [size]: what the net holds for a gap
    returns  float [n + 1] places, bool [n + 1] whether each is true. The places of true ones are the net's own where it sees them.
    A gap that the net breaks into several has one true place, the last.
    """
    true, false, gaps = edges.copy(), [], runs(profile_ > 0.5)
    parts: dict[int, list[float]] = {}
    for low, high in runs(likely):
        owners = np.flatnonzero((gaps[:, 0] < high) & (gaps[:, 1] > low))
        if len(owners) == 0:
            false.append((low + high) / 2)
        elif len(owners) == 1:
            parts.setdefault(int(owners[0]), []).append((low + high) / 2)
    held = np.searchsorted(gaps[:, 0], edges, "right") - 1
    for j, gap in enumerate(held[1:-1], 1):
        if gap in parts and (held == gap).sum() == 1:
            true[j], more = parts[gap][-1], parts[gap][:-1]
            false += more
    false = [f for f in false[:most] if true[0] + 1 < f < true[-1] - 1]
    places = np.concatenate([true, false])
    order = np.argsort(places, kind="stable")
    is_true = np.concatenate([np.ones(len(true), bool), np.zeros(len(false), bool)])[order]
    return places[order].astype(np.float32), is_true


def split_grid(grid: np.ndarray, row_true: np.ndarray, col_true: np.ndarray) -> np.ndarray:
    """C L U X of a grid whose bands are cut at false separators: the cut-off parts belong to what stands before them. int [rows, cols] -> int8"""
    cut = grid[np.cumsum(row_true[:-1]) - 1][:, np.cumsum(col_true[:-1]) - 1]
    below, right = np.array([2, 3, 2, 3], np.int8), np.array([1, 1, 3, 3], np.int8)
    cut = np.where(~row_true[:-1, None], below[cut], cut)
    return np.where(~col_true[None, :-1], right[cut], cut).astype(np.int8)


def overcut(batch: Batch, row_gaps: np.ndarray, col_gaps: np.ndarray, rng: np.random.Generator) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Separators and grid for the merge head, with the net's own false separators in three of five pictures: they are to be merged away.

    row_gaps, col_gaps  separator logits [n, height], [n, width]
    returns  edges and grid as in Batch, larger
    """
    made = []
    for i, padded in enumerate(batch.grid):
        rows, cols = int((padded[:, 0] >= 0).sum()), int((padded[0] >= 0).sum())
        axes = [(batch.edges[0][i, :rows + 1], np.ones(rows + 1, bool)), (batch.edges[1][i, :cols + 1], np.ones(cols + 1, bool))]
        if rng.random() < 0.6:
            limit = np.log(1 / rng.uniform(0.1, 0.5) - 1)
            axes = [with_false_edges(edges, line[i], logits[i] > -limit)
                    for (edges, _), line, logits in zip(axes, batch.profiles, (row_gaps, col_gaps))]
        made.append((axes[0][0], axes[1][0], split_grid(padded[:rows, :cols], axes[0][1], axes[1][1])))
    n, (rows, cols) = len(made), np.max([grid.shape for *_, grid in made], axis=0)
    ys, xs, grids = np.zeros((n, rows + 1), np.float32), np.zeros((n, cols + 1), np.float32), np.full((n, rows, cols), -1, np.int8)
    for i, (down, across, grid) in enumerate(made):
        for line, places in ((ys[i], down), (xs[i], across)):
            line[:len(places)], line[len(places):] = places, places[-1]
        grids[i, :grid.shape[0], :grid.shape[1]] = grid
    return (ys, xs), grids


def batches(folder: Path | None, seed: int, size: int, first: int = 0, share: tuple[int, int] = (0, 1),
            store: Path | None = None) -> Iterator[Batch]:
    """Training steps number `first`, `first + 1`, ...: the same ones whenever they are asked for.

    Drawings come in chunks of 128; within one, batches of `size` hold tables of like length, then of like shape.
    share  (i, n): only the steps of chunks i, i + n, ...: n processes draw side by side
    store  a folder of browser drawings: every fourth drawing is one of them
    """
    per_chunk, corpus, browser = CHUNK // size, load_corpus(folder), Store(store) if store else ()
    while True:
        chunk, begin = divmod(first, per_chunk)
        if chunk % share[1] != share[0]:
            first = (chunk + 1) * per_chunk
            continue
        drawings = [browser.draw((seed, 4, chunk * CHUNK + i)) if len(browser) and i % BROWSER_EVERY == 0 else draw(corpus, (seed, chunk * CHUNK + i))
                    for i in range(CHUNK)]
        rng = np.random.default_rng((seed, 1, chunk))
        drawings.sort(key=lambda d: d.table.rows * d.table.cols)
        groups = [sorted(drawings[i:i + 4 * size], key=lambda d: d.picture.shape[0] / d.picture.shape[1]) for i in range(0, CHUNK, 4 * size)]
        drawings = [d for group in groups for d in group]
        order = rng.permutation(per_chunk)
        for place in range(begin, per_chunk):
            step = np.random.default_rng((seed, 2, chunk, place))
            chosen = drawings[order[place] * size:(order[place] + 1) * size]
            yield make_batch(chosen, common_size(chosen, step), step)
        first = (chunk + 1) * per_chunk
