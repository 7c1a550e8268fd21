"""Pass: operators that pick, join, repeat or move elements.

Takes   Split, Slice, Gather, Concat, Pad, Expand, Tile, Transpose of any operator set, their parameters constant.
Gives   Slice with a start, an end and a step for every axis (Split and a Gather of evenly spaced indices too), Gather, Concat, Pad without negative pads, Expand, Transpose.
"""

import numpy as np

from core.compiler.graph import CompileError, Graph, Node
from core.compiler.passes.rewrite import Rewrite, axis_of, ints, translated, which


def run(graph: Graph) -> Graph:
    """The graph with canonical data movement. Raises CompileError for parameters that are computed at run time."""
    return translated(graph, TABLE)


def slice_node(x: str, y: str, rewrite: Rewrite, starts: dict[int, int], steps: dict[int, int], origins: tuple[str, ...]) -> Node:
    """A Slice of x into y; axes that are not named are taken whole."""
    sizes = rewrite.shape(y)
    first, step = (tuple(d.get(k, default) for k in range(len(sizes))) for d, default in ((starts, 0), (steps, 1)))
    ends = tuple(a + n * s for a, n, s in zip(first, sizes, step))
    return Node("Slice", (x,), (y,), {"starts": first, "ends": ends, "steps": step}, origins)


def _split(node: Node, rewrite: Rewrite) -> list[Node]:
    axis, at, made = axis_of(node, rewrite, 0), 0, []
    for name in node.outputs:
        if name:
            made.append(slice_node(node.inputs[0], name, rewrite, {axis: at}, {}, node.origins))
            at += rewrite.shape(name)[axis]
        else:
            raise CompileError(f"{which(node)} leaves out one of its results.")
    return made


def _slice(node: Node, rewrite: Rewrite) -> list[Node]:
    x, (y,) = node.inputs[0], node.outputs
    shape = rewrite.shape(x)
    starts = ints(node, rewrite, 1, "starts")
    axes = ints(node, rewrite, 3, "axes") or tuple(range(len(starts)))
    steps = ints(node, rewrite, 4, "steps") or (1,) * len(starts)
    begin = {}
    for axis, start, step in zip(axes, starts, steps):
        size = shape[axis]
        begin[axis % len(shape)] = min(max(start + size if start < 0 else start, 0), size - 1 if step < 0 else size)
    return [slice_node(x, y, rewrite, begin, {a % len(shape): s for a, s in zip(axes, steps)}, node.origins)]


def _gather(node: Node, rewrite: Rewrite) -> list[Node]:
    x, (y,), axis = node.inputs[0], node.outputs, axis_of(node, rewrite, 0)
    indices = rewrite.constants.get(node.inputs[1])
    if indices is None:
        return [Node("Gather", node.inputs, node.outputs, {"axis": axis}, node.origins)]
    size = rewrite.shape(x)[axis]
    if indices.size and (indices.min() < -size or indices.max() >= size):
        raise CompileError(f"{which(node)} takes element {int(indices.max())} of an axis of {size}.")
    indices = np.where(indices < 0, indices + size, indices).astype(np.int64)
    flat = indices.ravel()
    steps = set(np.diff(flat).tolist()) or {1}
    if len(flat) and len(steps) == 1 and steps != {0}:
        shape = rewrite.shape(x)
        part = rewrite.value(f"{y}.part", (*shape[:axis], len(flat), *shape[axis + 1:]), rewrite.dtype(x))
        return [slice_node(x, part, rewrite, {axis: int(flat[0])}, {axis: steps.pop()}, node.origins), Node("Reshape", (part,), (y,), {}, node.origins)]
    return [Node("Gather", (x, rewrite.constant(f"{y}.indices", indices)), (y,), {"axis": axis}, node.origins)]


def _concat(node: Node, rewrite: Rewrite) -> list[Node]:
    parts = tuple(name for name in node.inputs if 0 not in rewrite.shape(name)) or node.inputs[:1]
    return [Node("Concat", parts, node.outputs, {"axis": axis_of(node, rewrite, 1)}, node.origins)]


def _pad(node: Node, rewrite: Rewrite) -> list[Node]:
    x, (y,) = node.inputs[0], node.outputs
    shape, mode = rewrite.shape(x), node.get("mode", "constant")
    given = ints(node, rewrite, 1, "pads") if "paddings" not in node.attributes else tuple(node.attributes["paddings"])
    axes = [a % len(shape) for a in ints(node, rewrite, 3, "axes") or range(len(shape))]
    begins, ends = ({**dict.fromkeys(range(len(shape)), 0), **dict(zip(axes, part))} for part in (given[:len(axes)], given[len(axes):]))
    made = []
    if min(given, default=0) < 0:
        cut = rewrite.value(f"{y}.cut", (n + min(begins[k], 0) + min(ends[k], 0) for k, n in enumerate(shape)), rewrite.dtype(x))
        made.append(slice_node(x, cut, rewrite, {k: max(0, -b) for k, b in begins.items()}, {}, node.origins))
        x = cut
    pads = tuple(max(0, d[k]) for d in (begins, ends) for k in range(len(shape)))
    name = node.inputs[2] if len(node.inputs) > 2 else ""
    if name and name not in rewrite.constants:
        return [*made, *_filled(node, x, pads, name, rewrite)]
    value = float(rewrite.constants[name].ravel()[0]) if name and rewrite.constants[name].size else float(node.get("value", 0.0))
    return [*made, Node("Pad", (x,), (y,), {"pads": pads, "mode": mode, "value": value}, node.origins)]


def _filled(node: Node, x: str, pads: tuple[int, ...], value: str, rewrite: Rewrite) -> list[Node]:
    """A Pad whose value is computed: a Pad with zeros, then the value where a mask says so."""
    (y,), n = node.outputs, len(pads) // 2
    zeros, one = rewrite.value(f"{y}.zeros", rewrite.shape(y)), rewrite.value(f"{y}.value", ())
    mask = np.pad(np.zeros(rewrite.shape(x), np.bool_), list(zip(pads[:n], pads[n:])), constant_values=True)
    return [Node("Pad", (x,), (zeros,), {"pads": pads, "mode": "constant", "value": 0.0}, node.origins), Node("Reshape", (value,), (one,), {}, node.origins),
            Node("Map", (zeros, rewrite.constant(f"{y}.mask", mask), one), (y,), {"expr": ("where", ("in", 1), ("in", 2), ("in", 0))}, node.origins)]


def _expand(node: Node, rewrite: Rewrite) -> list[Node]:
    return [Node("Expand", node.inputs[:1], node.outputs, {}, node.origins)]


def _tile(node: Node, rewrite: Rewrite) -> list[Node]:
    x, (y,), made = node.inputs[0], node.outputs, []
    shape = list(rewrite.shape(x))
    repeats = [round(n / m) if m else 1 for n, m in zip(rewrite.shape(y), shape)]
    for axis, times in enumerate(repeats):
        if times != 1:
            indices = rewrite.constant(f"{y}.indices", np.tile(np.arange(shape[axis]), times))
            shape[axis] *= times
            part = rewrite.value(f"{y}.tiled", shape, rewrite.dtype(x))
            made.append(Node("Gather", (x, indices), (part,), {"axis": axis}, node.origins))
            x = part
    return [*made, Node("Reshape", (x,), (y,), {}, node.origins)]


def _transpose(node: Node, rewrite: Rewrite) -> list[Node]:
    rank = len(rewrite.shape(node.inputs[0]))
    perm = tuple(p % max(rank, 1) for p in node.get("perm") or range(rank - 1, -1, -1))
    return [Node("Transpose", node.inputs, node.outputs, {"perm": perm}, node.origins)]


TABLE = {"Split": _split, "Slice": _slice, "Gather": _gather, "Concat": _concat, "Pad": _pad, "Expand": _expand, "Tile": _tile, "Transpose": _transpose}
