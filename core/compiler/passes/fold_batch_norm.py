"""Rule BatchNorm: a factor and an offset per channel after a convolution or a dense layer go into its weights (in double precision).

Takes   Conv, ConvTranspose (one group) or Dense with constant weights and a free epilogue, read only by a Map x * a + b with a, b per output channel.
Gives   the layer with w * a and bias * a + b.
"""

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.passes.affine import affine_of
from core.compiler.passes.chains import both, joined, plain
from core.compiler.passes.rewrite import Rewrite


def run(graph: Graph) -> Graph:
    """The graph with scaled weights."""
    return joined(graph, lambda first, second, rewrite: _folded(first, second, rewrite, graph))


def _folded(layer: Node, after: Node, rewrite: Rewrite, graph: Graph) -> Node | None:
    if not plain(layer) or layer.inputs[1] not in rewrite.constants or any(n and n not in rewrite.constants for n in layer.inputs[2:3]):
        return None
    affine = affine_of(after, graph) if layer.op != "ConvTranspose" or layer.attributes["group"] == 1 else None
    rows = None if affine is None else affine.along(channel_axis(layer, graph), graph.shape(after.outputs[0]))
    if rows is None or np.all(rows[0] == 1):
        return None
    scale, shift = rows
    w, bias = rewrite.constants[layer.inputs[1]].astype(np.float64), bias_of(layer, rewrite, len(scale))
    names = (rewrite.constant(f"{layer.inputs[1]}.scaled", w * _over(layer, scale, w.ndim)), rewrite.constant(f"{after.outputs[0]}.bias", bias * scale + shift))
    return Node(layer.op, (layer.inputs[0], *names), after.outputs, layer.attributes, both(layer, after))


def channel_axis(layer: Node, graph: Graph) -> int:
    """The axis of a layer's result that its bias lies along."""
    return len(graph.shape(layer.outputs[0])) - 1 if layer.op == "Dense" else 1


def bias_of(layer: Node, rewrite: Rewrite, channels: int) -> np.ndarray:
    """The layer's constant bias in double precision, zeros without one."""
    name = layer.inputs[2] if len(layer.inputs) > 2 else ""
    return rewrite.constants[name].astype(np.float64) if name else np.zeros(channels)


def _over(layer: Node, scale: np.ndarray, rank: int) -> np.ndarray:
    """The factors so that they broadcast over the weights: the last axis of Dense, the first of Conv, the second of ConvTranspose."""
    if layer.op == "Dense":
        return scale
    if layer.op == "Conv":
        return scale.reshape(-1, *(1,) * (rank - 1))
    return scale.reshape(1, -1, *(1,) * (rank - 2))
