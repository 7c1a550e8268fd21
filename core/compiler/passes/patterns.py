"""Expressions spread over several Maps (and means) matched as one: names are unfolded into what computes them, sums and products match either way round."""

import math
from collections.abc import Mapping

from core.compiler.graph import Graph, Node
from core.compiler.passes.elementwise import substituted

COMMUTATIVE = {"add", "mul"}


class Matcher:
    """One graph and who writes what. A pattern is an expression with ("any", letter) for a value and ("number", letter or float) for a constant."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.writer = {node.outputs[0]: node for node in graph.nodes if node.op in ("Map", "Reduce")}

    def match(self, node: Node, pattern: tuple) -> Mapping[str, object] | None:
        """letter -> name or number where the node's result is the pattern, None where it is not."""
        return self._match(self._body(node), pattern, {})

    def _body(self, node: Node) -> tuple:
        """The expression of a node over names; a mean over axes is ("mean", axes, source)."""
        if node.op == "Reduce":
            return ("mean", node.attributes["axes"], ("in", node.inputs[0])) if node.attributes["kind"] == "mean" and node.attributes["keepdims"] else ("in", node.outputs[0])
        return substituted(node.attributes["expr"], {k: ("in", name) for k, name in enumerate(node.inputs)})

    def _match(self, expr: tuple, pattern: tuple, found: Mapping) -> Mapping | None:
        head = pattern[0]
        if head == "any":
            return _bound(found, pattern[1], expr)
        expr = self._constant(expr)
        if head == "number":
            return _number(expr, pattern[1], found)
        if expr[0] == "in" and expr[1] in self.writer:
            inner = self._body(self.writer[expr[1]])
            return None if inner == expr else self._match(inner, pattern, found)
        if head == "mean":
            bound = _bound(found, pattern[1], expr[1]) if expr[0] == "mean" else None
            return None if bound is None else self._match(expr[2], pattern[2], bound)
        if expr[0] != head or len(expr) != len(pattern):
            return None
        return self._arguments(expr, pattern, found)

    def _arguments(self, expr: tuple, pattern: tuple, found: Mapping) -> Mapping | None:
        orders = [expr[1:]] + ([expr[:0:-1]] if expr[0] in COMMUTATIVE else [])
        for order in orders:
            state: Mapping | None = found
            for part, wanted in zip(order, pattern[1:]):
                state = self._match(part, wanted, state)
                if state is None:
                    break
            if state is not None:
                return state
        return None

    def _constant(self, expr: tuple) -> tuple:
        array = self.graph.constants.get(expr[1]) if expr[0] == "in" else None
        return ("const", array.ravel()[0].item()) if array is not None and array.size == 1 else expr


def _bound(found: Mapping, letter: str, value) -> Mapping | None:
    if letter in found:
        return found if found[letter] == value else None
    return {**found, letter: value}


def _number(expr: tuple, wanted, found: Mapping) -> Mapping | None:
    if expr[0] != "const":
        return None
    if isinstance(wanted, str):
        return _bound(found, wanted, expr[1])
    return found if math.isclose(expr[1], wanted, rel_tol=1e-4) else None
