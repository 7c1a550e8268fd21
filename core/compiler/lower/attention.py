"""Attention with its softmax in registers: queries in lanes for the scores, no score matrix beyond one block of queries (Vaswani et al. 2017, section 3.2.1)."""

import math
from dataclasses import dataclass

import numpy as np

from core.compiler.graph import COLUMNS, ROWS, Graph, Node
from core.compiler.lower.epilogue import up
from core.compiler.lower.loops import tensor
from core.compiler.lower.variant import Code, Target, Variant

SOFTMAX_ERROR = 3e-7
"""Of math_exp2 over the whole softmax, relative to the largest output."""


@dataclass(frozen=True)
class Heads:
    """Where q, k, v and the result lie: `batch` independent sets of `heads` heads; starts and steps in floats. Rows lie `step` apart ([token][feature])."""

    batch: int
    heads: int
    queries: int
    keys: int
    depth: int
    values: int
    starts: tuple[int, int, int]
    steps: tuple[int, int, int, int]
    batch_steps: tuple[int, int, int, int]
    layout: str


def lower(node: Node, graph: Graph, target: Target) -> tuple[Variant, ...]:
    """Attention over float32 in rows or in columns, all heads alike, with a constant mask or none."""
    if node.op != "Attention":
        return ()
    packed = node.get("head_layout") == "packed"
    names = node.inputs[:1] if packed else node.inputs[:3]
    mask = node.inputs[len(names)] if len(node.inputs) > len(names) else ""
    tensors = [tensor(graph, name) for name in (*names, node.outputs[0])]
    layouts = {t.layout for t in tensors}
    if len(layouts) > 1 or not layouts <= {ROWS, COLUMNS} or {t.dtype for t in tensors} != {"float32"} or any(len(t.shape) < 2 for t in tensors):
        return ()
    heads = _heads(node, graph, tensors, layouts.pop())
    if heads is None or (mask and _mask(graph, mask, heads) is None):
        return ()
    work = heads.batch * heads.heads * up(heads.queries, target.lanes) * heads.keys * (heads.depth + heads.values)
    emit = _columns if heads.layout == COLUMNS else _rows
    return tuple(Variant(f"attention {keys}", lambda operand, keys=keys: emit(node, graph, target, heads, keys, mask, operand), work, 0, SOFTMAX_ERROR) for keys in _key_blocks(heads, target))


def _heads(node: Node, graph: Graph, tensors, layout: str) -> Heads | None:
    """The geometry, None where leading axes differ or, in columns, there are several sets of tokens."""
    kind, count = node.get("head_layout", "merged"), int(node.get("heads", 1) or 1)
    *given, out = [t.shape for t in tensors]
    q, k, v = (given[0],) * 3 if kind == "packed" else given
    if not q[:-2] == k[:-2] == v[:-2] == out[:-2] or k[-2] != v[-2]:
        return None
    if kind == "heads":
        depth, values, batch, heads = q[-1], v[-1], math.prod(q[:-2]), 1
    else:
        depth, values, batch, heads = (q[-1] // 3 if kind == "packed" else q[-1]) // count, out[-1] // count, math.prod(q[:-2]), count
    if layout == COLUMNS and batch > 1:
        return None
    wide = heads * depth
    columns = layout == COLUMNS
    starts = tuple((i * wide * (q[-2] if columns else 1) if kind == "packed" else 0) for i in range(3))
    steps = (q[-1], k[-1], v[-1], out[-1])
    return Heads(batch, heads, q[-2], k[-2], depth, values, starts, steps, tuple(math.prod(s[-2:]) for s in (q, k, v, out)), layout)


def _mask(graph: Graph, name: str, heads: Heads) -> np.ndarray | None:
    """A constant mask that is the same for all heads and sets, as [keys][queries] times log2(e)."""
    values = graph.constant(name)
    if values is None or values.dtype != np.float32 or math.prod(values.shape[:-2]) != 1:
        return None
    values = values.reshape(values.shape[-2:] if values.ndim >= 2 else (1, *values.shape))
    if values.shape[0] not in (1, heads.queries) or values.shape[1] not in (1, heads.keys):
        return None
    return np.ascontiguousarray(np.broadcast_to(values, (heads.queries, heads.keys)).T * np.float32(1 / math.log(2)))


def _key_blocks(heads: Heads, target: Target) -> tuple[int, ...]:
    """How many keys share each load of a query: even blocks."""
    room = 14 if target.lanes >= 16 else 6
    most = room // (2 if heads.layout == COLUMNS and heads.queries > target.lanes and target.lanes < 16 else 1)
    best = math.ceil(heads.keys / math.ceil(heads.keys / most))
    other = math.ceil(heads.keys / math.ceil(heads.keys / max(1, most // 2)))
    return tuple(dict.fromkeys((best, other)))


def _pointers(node: Node, heads: Heads, operand) -> list[str]:
    """C expressions of q, k, v and the result for set number b."""
    names = (node.inputs[0],) * 3 if node.get("head_layout") == "packed" else node.inputs[:3]
    made = []
    for name, start, step in zip((*names, node.outputs[0]), (*heads.starts, 0), heads.batch_steps):
        made.append(operand(name) + (f" + {start}" if start else "") + (f" + (long)b * {step}" if heads.batch > 1 else ""))
    return made


def _call(kernel: str, template: str, node: Node, graph: Graph, heads: Heads, mask: str, scratch: int, operand) -> Code:
    q, k, v, y = _pointers(node, heads, operand)
    factor = float(np.float32(float(node.attributes["scale"]) / math.log(2)))
    line = f"{kernel}::run({{{q}, {k}, {v}, {'mask' if mask else 'nullptr'}, {y}, {factor!r}f, (float*)scratch}});"
    body = line if heads.batch == 1 else f"for (int b = 0; b < {heads.batch}; ++b) {{\n    {line}\n}}"
    return Code(body, (template,), {"mask": _mask(graph, mask, heads)} if mask else {}, scratch)


def _rows(node: Node, graph: Graph, target: Target, heads: Heads, keys: int, mask: str, operand) -> Code:
    """[token][feature]: the queries of a block are turned once per head."""
    numbers = (heads.queries, heads.keys, heads.heads, heads.depth, heads.values, *heads.steps)
    kernel = f"attention_rows<{', '.join(map(str, numbers))}, {'true' if mask else 'false'}, {keys}>"
    return _call(kernel, "attention_rows.h", node, graph, heads, mask, 4 * heads.keys * target.lanes, operand)


def _columns(node: Node, graph: Graph, target: Target, heads: Heads, keys: int, mask: str, operand) -> Code:
    """[feature][token]: nothing is turned."""
    registers = 2 if heads.queries > target.lanes else 1
    outs = math.ceil(heads.values / math.ceil(heads.values / min(keys if registers > 1 else 14, 14)))
    numbers = (heads.queries, heads.keys, heads.heads, heads.depth, heads.values)
    kernel = f"attention_columns<{', '.join(map(str, numbers))}, {'true' if mask else 'false'}, {keys}, {outs}, {registers}>"
    return _call(kernel, "attention_columns.h", node, graph, heads, mask, 4 * heads.keys * target.lanes * registers, operand)
