"""What dense and convolution kernels share: the activation as a type, constants laid out for registers, blocks chosen by what the registers hold."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.lower.generic_matmul import finish
from core.compiler.lower.variant import Target

FAST = {"none": "act_none", "relu": "act_relu", "gelu": "act_gelu", "gelu_tanh": "act_gelu_tanh", "tanh": "act_tanh", "sigmoid": "act_sigmoid",
        "hard_swish": "act_hard_swish", ("swish", 1.0): "act_silu"}
"""Activations that math_functions.h has as types; the others are written as one."""
ERRORS = {"gelu": 1.5e-6, "gelu_tanh": 6e-7, "tanh": 2e-7, "sigmoid": 2e-7}


def activation(value, name: str = "activation") -> tuple[list[str], str]:
    """(lines that declare it, its C++ type) of an activation attribute: "none", a name, or (name, parameter, ...)."""
    value = "none" if value is None else value
    if value in FAST:
        return [], FAST[value]
    return [f"struct {name} {{", "    INLINE vec of(vec x) {", *(f"        {line}" for line in finish(value)), "        return finish(x);", "    }", "};"], name


def error_of(node: Node) -> float:
    """What the node's activation may be off by."""
    value = node.get("activation")
    return ERRORS.get(value[0] if isinstance(value, tuple) else value, 0.0)


def residual_kind(node: Node, name: str) -> str:
    """Where the residual is added, as the templates say it."""
    return "RESIDUAL_NONE" if not name else "RESIDUAL_BEFORE" if node.get("residual_before_activation", False) else "RESIDUAL_AFTER"


def parts(node: Node, count: int) -> tuple[str, ...]:
    """The names of `count` inputs, "" where absent."""
    return (*node.inputs, *("",) * (count - len(node.inputs)))[:count]


def row(graph: Graph, name: str, size: int) -> np.ndarray | None:
    """A constant as a row of `size` values, None where it is computed or has another shape."""
    values = graph.constant(name)
    if values is None or values.dtype != np.float32 or values.size not in (1, size) or (values.ndim and values.shape[-1] != values.size):
        return None
    return np.ascontiguousarray(np.broadcast_to(values.reshape(-1), (size,)))


def up(size: int, step: int) -> int:
    """The least multiple of `step` that is not below `size`."""
    return -(-size // step) * step


def accumulators(target: Target) -> int:
    """Sums that fit the registers beside the operands: 32 registers with AVX-512, 16 with AVX2."""
    return 28 if target.lanes == 16 else 12


def packed(w: np.ndarray, width: int, lanes: int) -> np.ndarray:
    """[..., N] as [N / width][...][width]; the last block only as wide as whole `lanes` need, filled up with zeros."""
    depth, columns = math.prod(w.shape[:-1]), w.shape[-1]
    whole = np.zeros((depth, up(columns, lanes)), np.float32)
    whole[:, :columns] = w.reshape(depth, columns)
    return np.concatenate([whole[:, start:start + width].reshape(-1) for start in range(0, whole.shape[1], width)])


def tiles(rows: int, registers: int, room: int, most_rows: int, most_registers: int) -> tuple[tuple[int, int], ...]:
    """Blocks (rows, registers) for a product of rows x registers, the cheapest first.

    A block costs its multiply-adds, but at least their latency (4), and its loads where those are more; what is left over at the ends costs the same.
    """
    def cost(block: tuple[int, int]) -> float:
        return sum(max(r * v, 4.0, 0.9 * (r + v)) * n * m for r, n in _split(rows, block[0]) for v, m in _split(registers, block[1]))
    blocks = [(r, v) for v in range(1, min(most_registers, registers) + 1) for r in range(1, min(most_rows, rows) + 1) if r * v <= room]
    return tuple(sorted(blocks, key=lambda b: (round(cost(b), 3), -b[0] * b[1], b)))


def _split(size: int, step: int) -> Iterable[tuple[int, int]]:
    """(width, count) of the blocks that cover `size`."""
    return [part for part in ((step, size // step), (size % step, 1)) if part[0] and part[1]]


def spread(blocks: Sequence[tuple[int, int]], count: int) -> tuple[tuple[int, int], ...]:
    """The first of them and others that differ in the number of registers: what is worth measuring."""
    chosen: list[tuple[int, int]] = []
    for block in blocks:
        if len(chosen) < count and all(block[1] != other[1] for other in chosen):
            chosen.append(block)
    return tuple(chosen)
