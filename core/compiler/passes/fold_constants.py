"""Pass: what depends on no input is computed now (core.compiler.interpret).

Takes   canonical operations (others are left).
Gives   the same graph with constants in place of their results, those of one element inside the expressions of Maps;
        a result that leaves the graph is written by a Reshape of the constant.
"""

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.interpret import OPERATIONS, evaluate
from core.compiler.passes.elementwise import map_node
from core.compiler.passes.rewrite import Rewrite


def run(graph: Graph) -> Graph:
    """The graph without nodes that depend on no input."""
    rewrite, nodes = Rewrite(graph), []
    for node in graph.nodes:
        if node.op not in OPERATIONS or "opset" in node.attributes or any(name and name not in rewrite.constants for name in node.inputs) or _copies(node, graph):
            nodes.append(map_node(node.attributes["expr"], node.inputs, node.outputs[0], node.origins, rewrite) if node.op == "Map" else node)
            continue
        args = [rewrite.constants[name] if name else None for name in node.inputs]
        for name, array in zip(node.outputs, evaluate(node, graph, args)):
            array = np.asarray(array).astype(graph.tensors[name].dtype)
            if name in graph.outputs:
                nodes.append(Node("Reshape", (rewrite.constant(f"{name}.value", array),), (name,), {}, node.origins))
            else:
                del rewrite.tensors[name]
                rewrite.constants[name] = array
    return rewrite.done(nodes)


def _copies(node: Node, graph: Graph) -> bool:
    """True for a Reshape that writes a constant into an output: there is nothing left to compute."""
    return node.op == "Reshape" and node.outputs[0] in graph.outputs
