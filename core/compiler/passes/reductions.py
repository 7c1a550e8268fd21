"""Pass: reductions, softmax and normalisations.

Takes   Reduce*, Softmax, LogSoftmax, LayerNormalization, RMSNormalization, InstanceNormalization, GroupNormalization, LpNormalization, LRN, BatchNormalization of any operator set.
Gives   Reduce, Softmax, Normalise and LRN with axes counted from the front; BatchNormalization becomes a Map, x * a + b with constants where the model has them.
"""

import numpy as np

from core.compiler.graph import CompileError, Graph, Node
from core.compiler.passes.elementwise import map_node
from core.compiler.passes.rewrite import Rewrite, axis_of, ints, translated, which

KINDS = dict(ReduceSum="sum", ReduceMean="mean", ReduceMax="max", ReduceMin="min", ReduceProd="prod", ReduceL1="l1", ReduceL2="l2", ReduceSumSquare="sumsquare", ReduceLogSum="logsum",
             ReduceLogSumExp="logsumexp")


def run(graph: Graph) -> Graph:
    """The graph with canonical reductions. Raises CompileError for axes computed at run time and for batch normalisation in training."""
    return translated(graph, TABLE)


def _reduce(node: Node, rewrite: Rewrite) -> list[Node]:
    rank = len(rewrite.shape(node.inputs[0]))
    axes = ints(node, rewrite, 1, "axes")
    if not axes and node.get("noop_with_empty_axes", 0):
        if KINDS[node.op] not in ("sum", "mean", "max", "min", "prod"):
            raise CompileError(f"{which(node)} has no axes and is told to do nothing then, which is not compiled for this kind.")
        return [Node("Reshape", node.inputs[:1], node.outputs, {}, node.origins)]
    axes = tuple(sorted(a % rank for a in axes)) if axes else tuple(range(rank))
    return [Node("Reduce", node.inputs[:1], node.outputs, {"kind": KINDS[node.op], "axes": axes, "keepdims": bool(node.get("keepdims", 1))}, node.origins)]


def _softmax(node: Node, rewrite: Rewrite) -> list[Node]:
    x, (y,) = node.inputs, node.outputs
    shape, log = rewrite.shape(x[0]), node.op == "LogSoftmax"
    axis = axis_of(node, rewrite, -1 if node.attributes["opset"] >= 13 else 1)
    if node.attributes["opset"] >= 13 or axis == len(shape) - 1:
        return [Node("Softmax", x, (y,), {"axis": axis, "log": log}, node.origins)]
    flat = (int(np.prod(shape[:axis])), int(np.prod(shape[axis:])))  # before set 13 the axes from `axis` on are one
    rows, made = rewrite.value(f"{y}.rows", flat), rewrite.value(f"{y}.flat", flat)
    return [Node("Reshape", x, (rows,), {}, node.origins), Node("Softmax", (rows,), (made,), {"axis": 1, "log": log}, node.origins), Node("Reshape", (made,), (y,), {}, node.origins)]


def _layer_norm(node: Node, rewrite: Rewrite) -> list[Node]:
    rank = len(rewrite.shape(node.inputs[0]))
    attributes = {"axes": tuple(range(axis_of(node, rewrite, -1), rank)), "epsilon": float(node.get("epsilon", 1e-5)), "centre": node.op == "LayerNormalization"}
    return [Node("Normalise", node.inputs, node.outputs, attributes, node.origins)]


def _per_channel(name: str, rank: int, rewrite: Rewrite, made: list[Node], origins: tuple[str, ...]) -> str:
    """[C] as [C, 1, 1, ...], so that it broadcasts over [N, C, *space]."""
    if rank <= 2:
        return name
    shape = (*rewrite.shape(name), *(1,) * (rank - 2))
    if name in rewrite.constants:
        return rewrite.constant(f"{name}.channels", rewrite.constants[name].reshape(shape))
    wide = rewrite.value(f"{name}.channels", shape)
    made.append(Node("Reshape", (name,), (wide,), {}, origins))
    return wide


def _instance_norm(node: Node, rewrite: Rewrite) -> list[Node]:
    made: list[Node] = []
    rank = len(rewrite.shape(node.inputs[0]))
    scale, bias = (_per_channel(name, rank, rewrite, made, node.origins) for name in node.inputs[1:3])
    attributes = {"axes": tuple(range(2, rank)), "epsilon": float(node.get("epsilon", 1e-5)), "centre": True}
    return [*made, Node("Normalise", (node.inputs[0], scale, bias), node.outputs, attributes, node.origins)]


def _group_norm(node: Node, rewrite: Rewrite) -> list[Node]:
    x, scale, bias = node.inputs
    (y,), shape, groups = node.outputs, rewrite.shape(x), int(node.attributes["num_groups"])
    parts = (shape[0], groups, int(np.prod(shape[1:])) // groups)
    grouped, normal, flat = (rewrite.value(f"{y}.{tag}", s) for tag, s in (("groups", parts), ("normal", parts), ("flat", shape)))
    attributes = {"axes": (2,), "epsilon": float(node.get("epsilon", 1e-5)), "centre": True}
    made = [Node("Reshape", (x,), (grouped,), {}, node.origins)]
    if rewrite.shape(scale) == (groups,) != (shape[1],):  # sets 18 to 20: one factor per group
        scale, bias = (_column(name, rewrite, made, node.origins) for name in (scale, bias))
        return [*made, Node("Normalise", (grouped, scale, bias), (normal,), attributes, node.origins), Node("Reshape", (normal,), (y,), {}, node.origins)]
    made += [Node("Normalise", (grouped,), (normal,), attributes, node.origins), Node("Reshape", (normal,), (flat,), {}, node.origins)]
    scale, bias = (_per_channel(name, len(shape), rewrite, made, node.origins) for name in (scale, bias))
    return [*made, map_node(("add", ("mul", ("in", 0), ("in", 1)), ("in", 2)), (flat, scale, bias), y, node.origins, rewrite)]


def _column(name: str, rewrite: Rewrite, made: list[Node], origins: tuple[str, ...]) -> str:
    return _per_channel(name, 3, rewrite, made, origins)


def _lp_norm(node: Node, rewrite: Rewrite) -> list[Node]:
    x, (y,) = node.inputs[0], node.outputs
    axis, p, shape = axis_of(node, rewrite, -1), int(node.get("p", 2)), rewrite.shape(x)
    length = rewrite.value(f"{y}.length", (1 if k == axis else n for k, n in enumerate(shape)))
    expr = ("where", ("equal", ("in", 1), ("const", 0.0)), ("const", 0.0), ("div", ("in", 0), ("in", 1)))
    return [Node("Reduce", (x,), (length,), {"kind": f"l{p}", "axes": (axis,), "keepdims": True}, node.origins), map_node(expr, (x, length), y, node.origins, rewrite)]


def _lrn(node: Node, rewrite: Rewrite) -> list[Node]:
    attributes = {"size": int(node.attributes["size"]), "alpha": float(node.get("alpha", 1e-4)), "beta": float(node.get("beta", 0.75)), "bias": float(node.get("bias", 1.0))}
    return [Node("LRN", node.inputs, node.outputs, attributes, node.origins)]


def _batch_norm(node: Node, rewrite: Rewrite) -> list[Node]:
    if node.get("training_mode", 0) or any(node.outputs[1:]):
        raise CompileError(f"{which(node)} is set to train. Export the model for inference (model.eval()).")
    x, *parameters = node.inputs
    rank, epsilon, y = len(rewrite.shape(x)), float(node.get("epsilon", 1e-5)), node.outputs[0]
    if all(name in rewrite.constants for name in parameters):
        scale, shift, mean, variance = (rewrite.constants[name].astype(np.float64) for name in parameters)
        factor = scale / np.sqrt(variance + epsilon)
        wide = (-1, *(1,) * max(0, rank - 2))
        names = (rewrite.constant(f"{y}.factor", factor.reshape(wide)), rewrite.constant(f"{y}.shift", (shift - mean * factor).reshape(wide)))
        return [map_node(("add", ("mul", ("in", 0), ("in", 1)), ("in", 2)), (x, *names), y, node.origins, rewrite)]
    made: list[Node] = []
    wide_names = [_per_channel(name, rank, rewrite, made, node.origins) for name in parameters]
    root = ("sqrt", ("add", ("in", 4), ("const", epsilon)))
    return [*made, map_node(("add", ("mul", ("div", ("sub", ("in", 0), ("in", 3)), root), ("in", 1)), ("in", 2)), (x, *wide_names), y, node.origins, rewrite)]


TABLE = {**dict.fromkeys(KINDS, _reduce), "Softmax": _softmax, "LogSoftmax": _softmax, "LayerNormalization": _layer_norm, "RMSNormalization": _layer_norm,
         "InstanceNormalization": _instance_norm, "GroupNormalization": _group_norm, "LpNormalization": _lp_norm, "LRN": _lrn, "BatchNormalization": _batch_norm}
