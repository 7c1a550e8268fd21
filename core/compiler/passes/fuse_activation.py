"""Rule activation: an elementwise function of a layer's result moves into the layer.

Takes   Dense or Conv without activation (a residual may have been added), read only by a Map of one function of FUSABLE whose other arguments are constants.
Gives   the layer with `activation`, a name or (name, parameters); a residual that was there is added before it.
"""

from core.compiler.graph import Graph, Node
from core.compiler.passes.chains import both, joined
from core.compiler.passes.rewrite import Rewrite

FUSABLE = ("relu", "leaky_relu", "elu", "selu", "celu", "sigmoid", "tanh", "gelu", "gelu_tanh", "hard_sigmoid", "hard_swish", "mish", "swish", "softplus", "clip")


def run(graph: Graph) -> Graph:
    """The graph with activations inside the layers."""
    return joined(graph, _activated)


def activation_of(expr: tuple):
    """The function of ("in", 0) that the expression is, as the attribute says it; None where it is none of FUSABLE."""
    head, *rest = expr
    if head == "min" and rest[0][0] == "max" and rest[1][0] == "const":  # Clip
        head, rest = "clip", [rest[0][1], rest[0][2], rest[1]]
    if head == "max" and rest[0] == ("in", 0) and rest[1] == ("const", 0.0):
        head, rest = "relu", [rest[0]]
    if head not in FUSABLE or rest[0] != ("in", 0) or any(e[0] != "const" for e in rest[1:]):
        return None
    return head if len(rest) == 1 else (head, *(float(e[1]) for e in rest[1:]))


def _activated(layer: Node, after: Node, rewrite: Rewrite) -> Node | None:
    if layer.op not in ("Dense", "Conv") or after.op != "Map" or layer.get("activation", "none") != "none" or len(layer.outputs) > 1 or len(after.inputs) != 1:
        return None
    activation = activation_of(after.attributes["expr"])
    if activation is None or rewrite.shape(layer.outputs[0]) != rewrite.shape(after.outputs[0]):
        return None
    attributes = {**layer.attributes, "activation": activation} | ({"residual_before_activation": True} if any(layer.inputs[3:4]) else {})
    return Node(layer.op, layer.inputs, after.outputs, attributes, both(layer, after))
