"""Winograd convolution for 3 by 3 windows of step 1: rectangles of tiles that cover the picture, weights transformed in double (Lavin and Gray 2015)."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.lower.conv import Window, possible, framed, window_of
from core.compiler.lower.epilogue import error_of, packed, up
from core.compiler.lower.variant import Code, Target, Variant

POINTS = {1: (1.0,), 2: (float(np.float32(0.5**0.5)), float(np.float32(2**0.5))), 3: (1.0, 2.0, 0.5)}
"""The positive points for tiles of 2, 4 and 6 outputs, as templates/winograd.h has them. +-sqrt(1/2), +-sqrt(2) lose five times less than +-1, +-2."""
ERRORS = {1: 4e-7, 2: 1.5e-6, 3: 8e-6}
"""Relative to the largest output, 32 channels of normally distributed values and weights; a plain sum loses 2e-7."""
MOST_COVERS = 4
FEWEST_CHANNELS = 8


@dataclass(frozen=True)
class Piece:
    """ROWS by COLUMNS tiles of 2 ky by 2 kx outputs from (y, x) on."""

    ky: int
    kx: int
    y: int
    x: int
    rows: int
    columns: int

    @property
    def tiles(self) -> int:
        return self.rows * self.columns

    @property
    def points(self) -> int:
        return (2 * self.ky + 2) * (2 * self.kx + 2)


def lower(node: Node, graph: Graph, target: Target) -> tuple[Variant, ...]:
    """Conv 3 by 3, step 1, one group, at least 8 channels in and out."""
    window = window_of(node, graph, target)
    if window is None or window.kernel != (3, 3) or window.strides != (1, 1) or window.dilations != (1, 1) or window.group != 1:
        return ()
    if min(window.inputs, window.outputs) < FEWEST_CHANNELS or min(window.made) < 2 or not possible(window):
        return ()
    return tuple(_variant(window, name, pieces) for name, pieces in covers(window))


def _variant(window: Window, name: str, pieces: tuple[Piece, ...]) -> Variant:
    wide = up(window.outputs, window.target.lanes)
    multiplies = window.pictures * sum(p.points * p.tiles for p in pieces) * window.inputs * wide
    kinds = {(p.ky, p.kx) for p in pieces}
    weight_bytes = 4 * sum((2 * a + 2) * (2 * b + 2) for a, b in kinds) * window.inputs * wide
    error = max(ERRORS[max(a, b)] for a, b in kinds) + error_of(window.node)
    return Variant(f"winograd {name}", lambda operand: _emit(window, pieces, operand), multiplies, weight_bytes, error)


# ---------------------------------------------------------------- covers

def axis_covers(size: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Ways to cover an axis, each as ((k, tiles), ...): tiles of one height, or 4s and then 6s (2s) that fit without overhang."""
    found = [((k, -(-size // (2 * k))),) for k in (1, 2, 3)]
    for large in range(1, size // 6 + 1):
        for k in (2, 1):
            rest = size - 6 * large
            if rest > 0 and rest % (2 * k) == 0:
                found.append(((k, rest // (2 * k)), (3, large)))
    for fours in range(1, size // 4 + 1):
        if size - 4 * fours == 2:
            found.append(((2, fours), (1, 1)))
    return tuple(found)


def _pieces(down, across) -> tuple[Piece, ...]:
    pieces, y = [], 0
    for ky, rows in down:
        x = 0
        for kx, columns in across:
            pieces.append(Piece(ky, kx, y, x, rows, columns))
            x += 2 * kx * columns
        y += 2 * ky * rows
    return tuple(pieces)


def cost(window: Window, pieces: tuple[Piece, ...]) -> float:
    """Cycles, roughly: the multiply-adds, the transforms (their stores mostly) and the weights streamed from the second cache."""
    lanes = window.target.lanes
    inputs, outputs = -(-window.inputs // lanes), window.registers
    total = 0.0
    for p in pieces:
        sides = (2 * p.ky + 2, 2 * p.kx + 2)
        total += p.tiles * (p.points * window.inputs * outputs + 3.2 * p.points * inputs + 2.6 * p.points * outputs)
        total += sides[0] * sides[1] * window.inputs * outputs * lanes * 4 / 64
    return total


def covers(window: Window) -> tuple[tuple[str, tuple[Piece, ...]], ...]:
    """The covers worth measuring: 4 by 4 first, then the cheapest others by `cost`, few weights before many."""
    named = {}
    for down, across in product(axis_covers(window.made[0]), axis_covers(window.made[1])):
        named.setdefault(f"{_label(down)}x{_label(across)}", _pieces(down, across))
    default = named["4x4"]
    ordered = sorted(((n, p) for n, p in named.items() if n not in ("4x4",)), key=lambda item: (cost(window, item[1]), item[0]))
    one_each = [item for item in ordered if len(item[1]) <= 2][:MOST_COVERS - 1]
    return (("4x4", default), *one_each)


def _label(parts) -> str:
    return "+".join(str(2 * k) for k, _ in parts)


# ---------------------------------------------------------------- weights

def transform(k: int) -> np.ndarray:
    """G [2 k + 2, 3] in double: row p is (1, p, p^2) / prod over other points q of (p - q); the row of infinity is (0, 0, 1). Order 0, infinity, p_1, -p_1 ..."""
    points = [Fraction(0), *(sign * Fraction(p) for p in POINTS[k] for sign in (1, -1))]

    def finite(p: Fraction) -> list[float]:
        scale = Fraction(1)
        for q in points:
            scale *= p - q if q != p else 1
        return [float(p**power / scale) for power in range(3)]
    return np.array([finite(points[0]), [0.0, 0.0, 1.0], *(finite(p) for p in points[1:])])


def transformed(w: np.ndarray, ky: int, kx: int) -> np.ndarray:
    """U = G w G^T in double: w [3, 3, inputs, outputs] -> [points, inputs, outputs] in float32."""
    u = np.einsum("pa,qb,abio->pqio", transform(ky), transform(kx), w.astype(np.float64))
    return u.reshape(-1, *w.shape[2:]).astype(np.float32)


# ---------------------------------------------------------------- code

def group_of(window: Window, piece: Piece) -> tuple[int, int]:
    """(tiles whose transforms are kept at a time, tiles in a register block): blocks of even size, more tiles where the weights exceed the second cache."""
    most = 12 if window.target.lanes == 16 else 6
    blocks = -(-piece.tiles // most)
    block = -(-piece.tiles // blocks)
    heavy = 4 * piece.points * window.inputs * up(window.outputs, window.target.lanes) > 1 << 19
    return min(piece.tiles, block * (4 if heavy else 1)), block


def _emit(window: Window, pieces: tuple[Piece, ...], operand) -> Code:
    """One call per rectangle; rectangles of the same tile share their weights."""
    lanes = window.target.lanes
    rounded = (up(window.inputs, lanes), up(window.outputs, lanes))
    shape = f"winograd_shape<{', '.join(map(str, (*window.size, window.inputs, *window.made, window.outputs, *window.before)))}>"
    constants, calls, scratch = {}, [], 0
    for piece in pieces:
        key = f"weights_{2 * piece.ky}x{2 * piece.kx}"
        if key not in constants:
            constants[key] = np.concatenate([packed(point, 2 * lanes, lanes) for point in transformed(window.weights(), piece.ky, piece.kx)])
        group, block = group_of(window, piece)
        scratch = max(scratch, 4 * piece.points * (group * sum(rounded) + 2 * 16))
        numbers = (piece.ky, piece.kx, piece.y, piece.x, piece.rows, piece.columns, group, block)
        calls.append((f"winograd_piece<{shape}, %s, {', '.join(map(str, numbers))}>::run(%s, {key}, %s, %s);"))

    def kernel(x: str, y: str, kind: str, value: str, space: str) -> list[str]:
        return [call % (kind, x, space, value) for call in calls]
    return framed(window, kernel, constants, ("winograd.h",), operand, extra=scratch)
