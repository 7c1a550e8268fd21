"""Rule bias: a constant per output channel that is added to a layer's result becomes its bias.

Takes   Dense, Conv or ConvTranspose with a free epilogue, read only by a Map x + b with b constant per output channel.
Gives   the layer with b added to its bias (in double precision).
"""

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.passes.affine import affine_of
from core.compiler.passes.chains import both, joined, plain
from core.compiler.passes.fold_batch_norm import bias_of, channel_axis
from core.compiler.passes.rewrite import Rewrite


def run(graph: Graph) -> Graph:
    """The graph with biases inside the layers."""
    return joined(graph, lambda first, second, rewrite: _with_bias(first, second, rewrite, graph))


def _with_bias(layer: Node, after: Node, rewrite: Rewrite, graph: Graph) -> Node | None:
    if not plain(layer) or any(n and n not in rewrite.constants for n in layer.inputs[2:3]):
        return None
    affine = affine_of(after, graph)
    if affine is None or not np.all(affine.scale == 1):
        return None
    rows = affine.along(channel_axis(layer, graph), graph.shape(after.outputs[0]))
    if rows is None:
        return None
    bias = rewrite.constant(f"{after.outputs[0]}.bias", bias_of(layer, rewrite, len(rows[1])) + rows[1])
    return Node(layer.op, (*layer.inputs[:2], bias), after.outputs, layer.attributes, both(layer, after))
