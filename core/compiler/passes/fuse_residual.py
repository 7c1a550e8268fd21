"""Rule residual: a value of the same shape that is added to a layer's result is added in the layer.

Takes   Dense or Conv without a residual, read only by a Map x + r where r has the result's shape (a constant of that shape too).
Gives   the layer with r as its fourth input, added after the activation if it has one.
"""

from core.compiler.graph import Graph, Node
from core.compiler.passes.chains import both, joined
from core.compiler.passes.rewrite import Rewrite


def run(graph: Graph) -> Graph:
    """The graph with residuals inside the layers."""
    return joined(graph, _with_residual)


def _with_residual(layer: Node, after: Node, rewrite: Rewrite) -> Node | None:
    if layer.op not in ("Dense", "Conv") or after.op != "Map" or any(layer.inputs[3:]) or len(layer.outputs) > 1 or len(after.inputs) != 2:
        return None
    if after.attributes["expr"] not in (("add", ("in", 0), ("in", 1)), ("add", ("in", 1), ("in", 0))):
        return None
    other = next((name for name in after.inputs if name != layer.outputs[0]), "")
    if not other or rewrite.shape(other) != rewrite.shape(after.outputs[0]) or rewrite.shape(layer.outputs[0]) != rewrite.shape(other):
        return None
    bias = layer.inputs[2] if len(layer.inputs) > 2 else ""
    return Node(layer.op, (*layer.inputs[:2], bias, other), after.outputs, {**layer.attributes, "residual_before_activation": False}, both(layer, after))
