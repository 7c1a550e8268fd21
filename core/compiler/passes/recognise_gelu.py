"""Rule GELU: the chains that exporters write for gelu and swish become one function.

Takes   Maps that spell x/2 (1 + erf(x/sqrt 2)) in any order of its factors (torch's dynamo and TorchScript exporters, and by hand), its tanh form, or x sigmoid(a x).
Gives   one Map with gelu, gelu_tanh or swish of x.
"""

import math

from core.compiler.graph import Graph, Node
from core.compiler.passes.patterns import Matcher
from core.compiler.passes.rewrite import each_node

X, HALF = ("any", "x"), ("number", 0.5)
ERF = ("add", ("erf", ("mul", X, ("number", math.sqrt(0.5)))), ("number", 1.0))
CUBE = ("mul", ("mul", ("mul", X, X), X), ("number", 0.044715))
INNER = ("mul", ("add", X, CUBE), ("number", math.sqrt(2 / math.pi)))
SHORT = ("mul", ("mul", X, ("add", ("mul", ("mul", X, X), ("number", 0.044715)), ("number", 1.0))), ("number", math.sqrt(2 / math.pi)))
FLAT = ("mul", ("mul", X, ("number", math.sqrt(2 / math.pi))), ("add", ("mul", ("mul", X, X), ("number", 0.044715)), ("number", 1.0)))
TANH = tuple(("add", ("tanh", inner), ("number", 1.0)) for inner in (INNER, SHORT, FLAT))


def _products(factor: tuple) -> tuple[tuple, ...]:
    """x, 1/2 and the factor multiplied in every order."""
    return (("mul", ("mul", X, factor), HALF), ("mul", ("mul", X, HALF), factor), ("mul", X, ("mul", factor, HALF)))


PATTERNS = (*((p, "gelu") for p in _products(ERF)), *((p, "gelu_tanh") for t in TANH for p in _products(t)))
SWISH = (("mul", X, ("sigmoid", X)), ("mul", X, ("sigmoid", ("mul", X, ("number", "a")))))


def run(graph: Graph) -> Graph:
    """The graph with gelu, gelu_tanh and swish in one Map each."""
    matcher = Matcher(graph)
    return each_node(graph, lambda node, _: _recognised(node, matcher, graph))


def _recognised(node: Node, matcher: Matcher, graph: Graph) -> list[Node] | None:
    if node.op != "Map" or node.attributes["expr"][0] != "mul":
        return None
    for pattern, function in PATTERNS:
        found = matcher.match(node, pattern)
        if found is not None:
            return _map(node, found, (function, ("in", 0)), graph)
    for pattern in SWISH:
        found = matcher.match(node, pattern)
        if found is not None:
            return _map(node, found, ("swish", ("in", 0), ("const", float(found.get("a", 1.0)))), graph)
    return None


def _map(node: Node, found, expr: tuple, graph: Graph) -> list[Node] | None:
    """The function of the value found, None where that is no value of the result's shape."""
    kind, name = found["x"][0], found["x"][-1]
    if kind != "in" or name in graph.constants or graph.shape(name) != graph.shape(node.outputs[0]):
        return None
    return [Node("Map", (name,), node.outputs, {"expr": expr}, _origins(node, name, graph))]


def _origins(node: Node, source: str, graph: Graph) -> tuple[str, ...]:
    """The ONNX nodes between the source and the result."""
    writer = {n.outputs[0]: n for n in graph.nodes}
    seen, names = [], list(node.inputs)
    while names:
        name = names.pop()
        if name != source and name in writer and writer[name].op in ("Map", "Reduce") and writer[name] not in seen:
            seen.append(writer[name])
            names += writer[name].inputs
    return tuple(dict.fromkeys(origin for n in (*(n for n in graph.nodes if n in seen), node) for origin in n.origins))
