"""Rule LayerNorm: the chain that older exporters write becomes one Normalise, and its factors go in.

Takes   (x - mean) / sqrt(mean((x - mean)^2) + epsilon) over Maps and means, also with a reciprocal root; a Normalise without scale read only by x * a + b along its axes.
Gives   Normalise with epsilon; with scale and bias where they were constants.
"""

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.passes.affine import affine_of
from core.compiler.passes.chains import both, joined
from core.compiler.passes.patterns import Matcher
from core.compiler.passes.recognise_gelu import _origins
from core.compiler.passes.rewrite import Rewrite, each_node

X = ("any", "x")
CENTRED = ("sub", X, ("mean", "axes", X))
ROOT = ("sqrt", ("add", ("mean", "axes", ("mul", CENTRED, CENTRED)), ("number", "epsilon")))
PATTERNS = (("div", CENTRED, ROOT), ("mul", CENTRED, ("reciprocal", ROOT)), ("mul", CENTRED, ("div", ("number", 1.0), ROOT)))
RMS_ROOT = ("sqrt", ("add", ("mean", "axes", ("mul", X, X)), ("number", "epsilon")))
RMS = (("div", X, RMS_ROOT), ("mul", X, ("reciprocal", RMS_ROOT)), ("mul", X, ("div", ("number", 1.0), RMS_ROOT)))


def run(graph: Graph) -> Graph:
    """The graph with Normalise for spelled-out layer norms."""
    matcher = Matcher(graph)
    graph = each_node(graph, lambda node, _: _recognised(node, matcher, graph))
    return joined(graph, lambda first, second, rewrite: _with_factors(first, second, rewrite, graph))


def _recognised(node: Node, matcher: Matcher, graph: Graph) -> list[Node] | None:
    if node.op != "Map" or node.attributes["expr"][0] not in ("div", "mul"):
        return None
    for pattern, centre in (*((p, True) for p in PATTERNS), *((p, False) for p in RMS)):
        found = matcher.match(node, pattern)
        if found is not None and found["x"][0] == "in" and graph.shape(found["x"][1]) == graph.shape(node.outputs[0]):
            attributes = {"axes": found["axes"], "epsilon": float(found["epsilon"]), "centre": centre}
            return [Node("Normalise", (found["x"][1],), node.outputs, attributes, _origins(node, found["x"][1], graph))]
    return None


def _with_factors(norm: Node, after: Node, rewrite: Rewrite, graph: Graph) -> Node | None:
    """Scale and bias over the normalised axes taken into the norm, on top of what it has."""
    if norm.op != "Normalise" or len(norm.outputs) > 1 or any(name and name not in rewrite.constants for name in norm.inputs[1:]):
        return None
    affine, shape = affine_of(after, graph), rewrite.shape(norm.inputs[0])
    inner = shape[-len(norm.attributes["axes"]):]
    if affine is None or norm.attributes["axes"] != tuple(range(len(shape) - len(inner), len(shape))):
        return None
    if any(np.broadcast_shapes(a.shape, inner) != inner for a in (affine.scale, affine.shift)):
        return None
    scale, bias = (rewrite.constants[n].astype(np.float64) if n else default for n, default in zip((*norm.inputs[1:], "", "")[:2], (np.float64(1), np.float64(0))))
    factors = (("scale", scale * affine.scale), ("bias", bias * affine.scale + affine.shift))
    names = (rewrite.constant(f"{after.outputs[0]}.{tag}", np.broadcast_to(a, inner)) for tag, a in factors)
    return Node("Normalise", (norm.inputs[0], *names), after.outputs, norm.attributes, both(norm, after))
