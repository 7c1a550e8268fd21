"""Always: chains of Maps become one Map.

Takes   a Map read only by another Map of the same shape.
Gives   one Map with the first expression inside the second; a part that is used twice stands twice in the expression and is computed once.
"""

from core.compiler.graph import Graph, Node
from core.compiler.passes.chains import both, joined
from core.compiler.passes.elementwise import map_node, substituted
from core.compiler.passes.rewrite import Rewrite

MOST_INPUTS, MOST_PARTS = 6, 200


def run(graph: Graph) -> Graph:
    """The graph with longer Maps."""
    return joined(graph, _one)


def _one(first: Node, second: Node, rewrite: Rewrite) -> Node | None:
    if first.op != "Map" or second.op != "Map" or rewrite.shape(first.outputs[0]) != rewrite.shape(second.outputs[0]):
        return None
    inputs = list(first.inputs)
    places = {}
    for k, name in enumerate(second.inputs):
        if name == first.outputs[0]:
            places[k] = first.attributes["expr"]
        else:
            inputs += [] if name in inputs else [name]
            places[k] = ("in", inputs.index(name))
    expr = substituted(second.attributes["expr"], places)
    if len(inputs) > MOST_INPUTS or _parts(expr) > MOST_PARTS or _types(first, second, rewrite):
        return None
    return map_node(expr, tuple(inputs), second.outputs[0], both(first, second), rewrite)


def _parts(expr: tuple) -> int:
    return 1 if expr[0] in ("in", "const") else 1 + sum(map(_parts, expr[1:]))


def _types(first: Node, second: Node, rewrite: Rewrite) -> bool:
    """True where whole numbers and floats meet: those are kept apart, each expression in one type (bool may mix)."""
    kinds = {rewrite.dtype(name) for name in (*first.inputs, *first.outputs, *second.inputs, *second.outputs)} - {"bool"}
    return len(kinds) > 1
