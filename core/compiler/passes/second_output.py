"""Rule BatchNorm, before a convolution: where a layer's result is read raw and also as act(x * a + b), the layer writes both.

Takes   Conv whose result is read by one Map that is an activation of x * a + b per channel (pre-activation residual blocks), and by others.
Gives   Conv with a second result and gamma, beta as fifth and sixth input.
"""

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.passes.affine import affine_of
from core.compiler.passes.chains import both
from core.compiler.passes.fuse_activation import activation_of
from core.compiler.passes.rewrite import Rewrite


def run(graph: Graph) -> Graph:
    """The graph with two results where that saves a pass over the data."""
    rewrite, gone, made = Rewrite(graph), set(), {}
    for conv in graph.nodes:
        after = _second(conv, graph)
        if after is not None:
            gone.add(after.outputs[0])
            made[conv.outputs[0]] = _with_both(conv, after, rewrite, graph)
    nodes = [made.get(n.outputs[0], n) for n in graph.nodes if n.outputs[0] not in gone]
    return rewrite.done(nodes)


def _second(conv: Node, graph: Graph) -> Node | None:
    """The Map that becomes the second result."""
    if conv.op != "Conv" or len(conv.outputs) > 1:
        return None
    readers = graph.readers(conv.outputs[0])
    fitting = [n for n in readers if _parts(n, graph) is not None]
    return fitting[0] if len(fitting) == 1 and (len(readers) > 1 or conv.outputs[0] in graph.outputs) else None


def _parts(node: Node, graph: Graph):
    """(activation, scale row, shift row) of a Map act(x a + b) per channel, None for others."""
    if node.op != "Map" or len([n for n in node.inputs if n not in graph.constants]) != 1:
        return None
    head, *rest = node.attributes["expr"]
    activation = activation_of((head, ("in", 0), *rest[1:])) if rest and head not in ("add", "mul", "sub", "div") else None
    affine = None if activation is None else affine_of(Node("Map", node.inputs, node.outputs, {"expr": rest[0]}), graph)
    rows = None if affine is None else affine.along(1, graph.shape(node.outputs[0]))
    return None if rows is None else (activation, *rows)


def _with_both(conv: Node, after: Node, rewrite: Rewrite, graph: Graph) -> Node:
    activation, scale, shift = _parts(after, graph)
    gamma, beta = (rewrite.constant(f"{after.outputs[0]}.{tag}", np.array(row)) for tag, row in (("gamma", scale), ("beta", shift)))
    inputs = (*conv.inputs, *("",) * (4 - len(conv.inputs)), gamma, beta)
    return Node("Conv", inputs, (*conv.outputs, *after.outputs), {**conv.attributes, "second_activation": activation}, both(conv, after))
