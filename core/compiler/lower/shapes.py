"""Operations that only move values: Transpose, Slice, Concat, Pad, Gather, Expand, Relayout, over any types and layouts."""

from collections.abc import Sequence

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.lower.loops import Walk, broadcast, index, nest, strides_of, tensor, walk
from core.compiler.lower.variant import Code, Target, Variant


def lower(node: Node, graph: Graph, target: Target) -> tuple[Variant, ...]:
    """One variant each: as few and as long runs as the shapes allow."""
    emit = {"Transpose": _transpose, "Slice": _slice, "Concat": _concat, "Pad": _pad, "Gather": _gather, "Expand": _expand, "Relayout": _relayout}.get(node.op)
    if emit is None or (node.op == "Gather" and graph.constant(node.inputs[1]) is None):
        return ()
    return (Variant("copy", lambda operand: emit(node, graph, operand)),)


def _copy(node: Node, graph: Graph, operand, source: str, extents: Sequence[int], to: Sequence[int], start: Sequence[int], to_base: int = 0, from_base: int = 0) -> Code:
    """Copy a box: strides in the output and in the source over the same axes, and where both begin."""
    over = walk(extents, (to, start))
    y, x = operand(node.outputs[0]), operand(source)
    if _turned(over) and tensor(graph, source).dtype == "float32":
        outer, (rows, columns) = len(over.extents) - 2, over.extents[-2:]
        call = f"shape_transpose({x} + {from_base} + {over.offset(1, outer)}, {over.steps[1][-1]}, {y} + {to_base} + {over.offset(0, outer)}, {over.steps[0][-2]}, {columns}, {rows});"
        return Code("\n".join(over.nest([call], outer)), ("shape_transpose.h",))
    return Code("\n".join(over.nest([f"{y}[{to_base} + {over.offset(0)}] = {x}[{from_base} + {over.offset(1)}];"])))


def _turned(over: Walk) -> bool:
    """Whether the two innermost loops exchange rows and columns and are worth register blocks."""
    return len(over.extents) > 1 and over.steps[0][-1] == 1 and over.steps[1][-2] == 1 and over.steps[1][-1] > 1 and min(over.extents[-2:]) >= 4


def _transpose(node: Node, graph: Graph, operand) -> Code:
    source = strides_of(graph, node.inputs[0])
    return _copy(node, graph, operand, node.inputs[0], graph.shape(node.outputs[0]), strides_of(graph, node.outputs[0]), [source[p] for p in node.attributes["perm"]])


def _slice(node: Node, graph: Graph, operand) -> Code:
    own = strides_of(graph, node.inputs[0])
    base = sum(step * start for step, start in zip(own, node.attributes["starts"]))
    steps = [step * by for step, by in zip(own, node.attributes["steps"])]
    return _copy(node, graph, operand, node.inputs[0], graph.shape(node.outputs[0]), strides_of(graph, node.outputs[0]), steps, from_base=base)


def _expand(node: Node, graph: Graph, operand) -> Code:
    shape = graph.shape(node.outputs[0])
    return _copy(node, graph, operand, node.inputs[0], shape, strides_of(graph, node.outputs[0]), broadcast(graph, node.inputs[0], shape))


def _relayout(node: Node, graph: Graph, operand) -> Code:
    return _copy(node, graph, operand, node.inputs[0], graph.shape(node.outputs[0]), strides_of(graph, node.outputs[0]), strides_of(graph, node.inputs[0]))


def _concat(node: Node, graph: Graph, operand) -> Code:
    to, at, parts = strides_of(graph, node.outputs[0]), 0, []
    axis = node.attributes["axis"]
    for name in node.inputs:
        shape = graph.shape(name)
        if np.prod(shape):
            parts.append(_copy(node, graph, operand, name, shape, to, strides_of(graph, name), to_base=at * to[axis]))
        at += shape[axis]
    return Code("\n".join(part.body for part in parts), tuple(dict.fromkeys(t for part in parts for t in part.templates)))


def _gather(node: Node, graph: Graph, operand) -> Code:
    """Runs of the axes behind the gathered one, found through a table."""
    axis, shape = node.attributes["axis"], graph.shape(node.inputs[0])
    indices = graph.constant(node.inputs[1])
    own, to = strides_of(graph, node.inputs[0]), strides_of(graph, node.outputs[0])
    outer, inner = [f"a{k}" for k in range(axis)], [f"z{k}" for k in range(len(shape) - axis - 1)]
    middle = [f"k{k}" for k in range(indices.ndim)]
    place = index(np.cumprod((1, *indices.shape[:0:-1]))[::-1].tolist() if indices.ndim else [], middle)
    body = [f"{operand(node.outputs[0])}[{index(to, [*outer, *middle, *inner])}] = "
            f"{operand(node.inputs[0])}[{index((*own[:axis], *own[axis + 1:]), [*outer, *inner])} + table[{place}]];"]
    loops = [*zip(outer, shape[:axis]), *zip(middle, indices.shape), *zip(inner, shape[axis + 1:])]
    return Code("\n".join(nest(loops, body)), constants={"table": (indices.astype(np.int64).reshape(-1) % shape[axis] * own[axis]).astype(np.int32)})


def _pad(node: Node, graph: Graph, operand) -> Code:
    """A constant border: fill and copy; the other modes: a table of source places per axis that is widened."""
    pads, shape, source = node.attributes["pads"], graph.shape(node.outputs[0]), graph.shape(node.inputs[0])
    to, own = strides_of(graph, node.outputs[0]), strides_of(graph, node.inputs[0])
    if node.attributes["mode"] == "constant":
        return _pad_constant(node, graph, operand, sum(p * s for p, s in zip(pads, to)))
    axes, tables = [f"i{k}" for k in range(len(shape))], {}
    where = []
    for k, axis in enumerate(axes):
        widths = (pads[k], pads[len(shape) + k])
        if any(widths):
            tables[f"table{k}"] = (np.pad(np.arange(source[k]), widths, mode=node.attributes["mode"]) * own[k]).astype(np.int32)
        where.append(f"table{k}[{axis}]" if any(widths) else index((own[k],), (axis,)))
    body = [f"{operand(node.outputs[0])}[{index(to, axes)}] = {operand(node.inputs[0])}[{' + '.join(where) or '0'}];"]
    return Code("\n".join(nest(list(zip(axes, shape)), body)), constants=tables)


def _pad_constant(node: Node, graph: Graph, operand, base: int) -> Code:
    from core.compiler.emit import number
    out = tensor(graph, node.outputs[0])
    fill = nest([("i", out.size)], [f"{operand(node.outputs[0])}[i] = {number(node.get('value', 0), out.dtype)};"])
    if not np.prod(graph.shape(node.inputs[0])):
        return Code("\n".join(fill))
    inner = _copy(node, graph, operand, node.inputs[0], graph.shape(node.inputs[0]), strides_of(graph, node.outputs[0]), strides_of(graph, node.inputs[0]), to_base=base)
    return Code("\n".join([*fill, inner.body]), inner.templates)
