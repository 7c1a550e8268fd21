"""Dense in blocks of registers: matrix by vector, and small matrix products with features or tokens in lanes, the epilogue fused (Goto and van de Geijn 2008, without the packing of x)."""

import math
from dataclasses import dataclass

import numpy as np

from core.compiler.graph import CHANNELS_LAST, COLUMNS, ROWS, Graph, Node
from core.compiler.lower.epilogue import accumulators, activation, error_of, packed, parts, residual_kind, row, spread, tiles, up
from core.compiler.lower.loops import tensor
from core.compiler.lower.variant import Code, Target, Variant

MOST_VARIANTS = 3
LARGEST_TURN = 1 << 20
"""Elements beyond which turning an activation for another lane order is not offered."""

LONGEST_UNROLLED = 512
"""Multiply-adds of whole registers beyond which one row is not unrolled: some 4 KB of code, 32 KB of weights with AVX-512."""
MOST_DOTS = 2
"""Registers of outputs up to which summing the lanes of each output is worth a trial."""


@dataclass(frozen=True)
class Product:
    """A Dense node as a product of [tokens, depth] and [depth, width]."""

    node: Node
    graph: Graph
    target: Target
    tokens: int
    depth: int
    width: int

    @property
    def squares(self) -> bool:
        return len(self.node.outputs) > 1

    @property
    def names(self) -> tuple[str, ...]:
        """x, w, bias, residual, row_scale."""
        return parts(self.node, 5)

    def layout(self, name: str) -> str:
        return tensor(self.graph, name).layout


def lower(node: Node, graph: Graph, target: Target) -> tuple[Variant, ...]:
    """Dense with constant weights in float32, for targets with registers."""
    if node.op != "Dense" or target.lanes == 1:
        return ()
    product = _product(node, graph, target)
    if product is None:
        return ()
    rows = _rows_variants(product) if _fits(product, ROWS) else ()
    columns = _columns_variants(product) if product.tokens > 1 and _fits(product, COLUMNS) else ()
    both = (*columns, *rows) if product.layout(node.outputs[0]) == COLUMNS else (*rows, *columns)
    return both


def _product(node: Node, graph: Graph, target: Target) -> Product | None:
    """The sizes, None where an operand is not what the kernels take."""
    x, w, bias, residual, scale = parts(node, 5)
    given, weights, out = tensor(graph, x), graph.constant(w), tensor(graph, node.outputs[0])
    if weights is None or weights.ndim != 2 or weights.dtype != np.float32 or given.dtype != "float32" or not weights.size or not given.size:
        return None
    product = Product(node, graph, target, math.prod(given.shape[:-1]), *weights.shape)
    if CHANNELS_LAST in (given.layout, out.layout) or (bias and row(graph, bias, product.width) is None):
        return None
    if scale and (tensor(graph, scale).size != product.tokens or tensor(graph, scale).dtype != "float32"):
        return None
    return product if not residual or graph.constant(residual) is not None or tensor(graph, residual).shape == out.shape else None


def _fits(product: Product, order: str) -> bool:
    """Can the kernel with this lane order be used? Activations in the other layout are turned, which needs one matrix and a bound on its size."""
    x, _, _, residual, _ = product.names
    out, given = tensor(product.graph, product.node.outputs[0]), tensor(product.graph, x)
    turned = {given.layout, out.layout} - {order}
    if residual and product.graph.constant(residual) is None and tensor(product.graph, residual).layout != order:
        return False
    if order == COLUMNS or turned:
        return math.prod(given.shape[:-2]) == 1 and len(given.shape) > 1 and (not turned or max(given.size, out.size) <= LARGEST_TURN)
    return True


def _rows_variants(product: Product) -> tuple[Variant, ...]:
    lanes = product.target.lanes
    registers = -(-product.width // lanes)
    work = {"multiplies": product.tokens * product.depth * up(product.width, lanes), "weight_bytes": 4 * product.depth * up(product.width, lanes), "error": error_of(product.node)}
    if product.tokens == 1:
        plans = [(1, v, c) for v, c in _vector_plans(registers, accumulators(product.target))]
        loops = tuple(Variant(f"gemv {v}x{c}", lambda operand, p=(t, v, c): _rows(product, *p, operand), **work) for t, v, c in plans)
        return (*_unrolled_variants(product, work), *loops)
    blocks = spread(tiles(product.tokens, registers, accumulators(product.target), 14, 4), MOST_VARIANTS)
    return tuple(Variant(f"rows {t}x{v}", lambda operand, p=(t, v, _chains(t * v)): _rows(product, *p, operand), **work) for t, v in blocks)


def _unrolled_variants(product: Product, work: dict) -> tuple[Variant, ...]:
    """One row without loops over x: depth in lanes for few outputs, x crossed in registers for any; only where code and weights stay small.

    Four sums on their way or fewer are not offered: timed alone they look well, for calls overlap, but the next layer has to wait for them.
    """
    lanes, registers = product.target.lanes, -(-product.width // product.target.lanes)
    if product.squares or up(product.depth, lanes) * registers > LONGEST_UNROLLED:
        return ()
    plans = [(v, c) for v, c in _vector_plans(registers, accumulators(product.target)) if v * c > 4]
    crossed = tuple(Variant(f"crossed {v}x{c}", lambda operand, p=(v, c): _crossed(product, *p, operand), **work) for v, c in plans)
    if registers > MOST_DOTS:
        return crossed
    terms = up(product.depth, lanes) * product.width
    dots = Variant("dots", lambda operand: _dots(product, operand), **{**work, "multiplies": terms, "weight_bytes": 4 * terms})
    saves = product.depth >= 2 * lanes and 4 * product.width <= 3 * registers * lanes
    return (dots, *crossed) if saves else (*crossed, dots)


def _vector_plans(registers: int, room: int) -> list[tuple[int, int]]:
    """(registers, chains) for one row: four to eight independent sums or more, blocks of even width."""
    most = min(8, room)
    even = math.ceil(registers / math.ceil(registers / most))
    half = math.ceil(registers / math.ceil(registers / 4))
    plans = [(even, _chains(even)), (half, _chains(half)), (even, max(1, _chains(even) // 2))]
    return list(dict.fromkeys(plans))


def _chains(sums: int) -> int:
    """Partial sums each result is split into, so that eight are on their way."""
    return next(c for c in (8, 4, 2, 1) if c * sums <= 8 or c == 1)


def _columns_variants(product: Product) -> tuple[Variant, ...]:
    lanes = product.target.lanes
    tokens = up(product.tokens, lanes)
    work = {"multiplies": tokens * product.depth * product.width, "weight_bytes": 4 * product.depth * product.width, "error": error_of(product.node)}
    blocks = spread(tiles(product.width, tokens // lanes, accumulators(product.target), 24, 3), MOST_VARIANTS - 1)
    return tuple(Variant(f"columns {f}x{v}", lambda operand, p=(f, v): _columns(product, *p, operand), **work) for f, v in blocks)


# ---------------------------------------------------------------- code

def _rows(product: Product, block: int, registers: int, chains: int, operand) -> Code:
    """Features in lanes."""
    lanes = product.target.lanes
    weights = packed(product.graph.constants[product.names[1]], registers * lanes, lanes)
    return _code(product, ROWS, f"dense_rows<%s, {_bool(product.squares)}, {product.tokens}, {product.depth}, {product.width}>::run<{block}, {registers}, {chains}>", weights, "dense_rows.h", operand)


def _columns(product: Product, block: int, registers: int, operand) -> Code:
    """Tokens in lanes; weights are broadcast, so that no lane is filled up."""
    weights = packed(product.graph.constants[product.names[1]], block, 1)
    return _code(product, COLUMNS, f"dense_columns<%s, {_bool(product.squares)}, {product.tokens}, {product.depth}, {product.width}>::run<{block}, {registers}>", weights, "dense_columns.h", operand)


def _crossed(product: Product, registers: int, chains: int, operand) -> Code:
    """Features in lanes, x in registers: in whole registers of x, lane l of row k stands for k ^ l; the rest is broadcast."""
    lanes, depth, width = product.target.lanes, product.depth, up(product.width, product.target.lanes)
    w = np.pad(product.graph.constants[product.names[1]], ((0, 0), (0, width - product.width)))
    row, column = np.arange(depth)[:, None], np.arange(width)
    crossed = w[np.where(row < depth // lanes * lanes, row ^ column % lanes, row), column]
    return _code(product, ROWS, f"dense_crossed<%s, {depth}, {product.width}>::run<{registers}, {chains}>", packed(crossed, registers * lanes, lanes), "dense_crossed.h", operand)


def _dots(product: Product, operand) -> Code:
    """Depth in lanes: each output has sums of its own."""
    lanes = product.target.lanes
    w = np.zeros((up(product.depth, lanes), product.width), np.float32)
    w[:product.depth] = product.graph.constants[product.names[1]]
    blocks = [w[:, n:n + lanes].reshape(-1, lanes, min(lanes, product.width - n)).transpose(0, 2, 1).reshape(-1) for n in range(0, product.width, lanes)]
    return _code(product, ROWS, f"dense_dots<%s, {product.depth}, {product.width}>::run", np.concatenate(blocks), "dense_dots.h", operand)


def _code(product: Product, order: str, kernel: str, weights: np.ndarray, template: str, operand) -> Code:
    """The call of a kernel, with x turned before it and y after it where they lie in the other order."""
    node, graph = product.node, product.graph
    x, _, bias, residual, scale = product.names
    constants: dict[str, np.ndarray] = {"weights": weights}
    if bias:
        constants["bias"] = row(graph, bias, product.width)
    if residual and graph.constant(residual) is not None:
        constants["residual"] = _residual(product, residual, order)
    lines, kind = activation(node.get("activation"))
    given, made, before, after, scratch = _turned(product, order, operand)
    epilogue = f"dense_epilogue<{kind}, {_bool(scale)}, {_bool(bias)}, {residual_kind(node, residual)}>"
    arguments = (given, "weights", operand(scale) if scale else "nullptr", "bias" if bias else "nullptr",
                 "residual" if "residual" in constants else operand(residual) if residual else "nullptr", made, *((operand(node.outputs[1]),) if product.squares else ()))
    call = f"{kernel % epilogue}({{{', '.join(arguments)}}});"
    return Code("\n".join([*lines, *before, call, *after]), (template, *(("map_functions.h",) if lines else ()), *(("math_turn.h",) if before or after else ())), constants, scratch)


def _residual(product: Product, name: str, order: str) -> np.ndarray:
    """A constant residual, spread over all tokens in the kernel's order."""
    shape = tensor(product.graph, product.node.outputs[0]).shape
    values = np.broadcast_to(product.graph.constants[name], shape).reshape(product.tokens, product.width).astype(np.float32)
    return np.ascontiguousarray(values.T if order == COLUMNS else values)


def _turned(product: Product, order: str, operand):
    """(x, y, lines before, lines after, scratch bytes) for a kernel of that order."""
    x, y = product.names[0], product.node.outputs[0]
    tokens, depth, width = product.tokens, product.depth, product.width
    before, after, scratch, given, made = [], [], 0, operand(x), operand(y)
    if product.layout(x) != order and tokens > 1:
        sizes = (tokens, depth) if order == COLUMNS else (depth, tokens)
        before = ["float* const turned = (float*)scratch;", f"math_turn<{sizes[0]}, {sizes[1]}>({given}, turned);"]
        given, scratch = "turned", up(4 * tokens * depth, 64)
    if product.layout(y) != order and tokens > 1:
        sizes = (width, tokens) if order == COLUMNS else (tokens, width)
        before = [*before, f"float* const result = (float*)(scratch + {scratch});"]
        after, made, scratch = [f"math_turn<{sizes[0]}, {sizes[1]}>(result, {made});"], "result", scratch + up(4 * tokens * width, 64)
    return given, made, before, after, scratch


def _bool(value) -> str:
    return "true" if value else "false"
