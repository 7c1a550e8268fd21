"""Pass: what training and export leave behind goes.

Takes   ONNX operators.
Gives   a graph without Identity, Dropout and casts to the type a value has already; a result that leaves the graph stays, written by a Reshape of its source.
"""

import numpy as np

from core.compiler.graph import CompileError, Graph, Node
from core.compiler.passes.rewrite import Rewrite, renamed, which

OPERATORS = frozenset({"Identity", "Dropout", "Cast", "CastLike"})


def run(graph: Graph) -> Graph:
    """The graph without leftovers. Raises CompileError for a Dropout that is told to train."""
    rewrite, names, nodes = Rewrite(graph), {}, []
    for node in graph.nodes:
        if not _leftover(node, rewrite):
            nodes.append(node)
            continue
        source = node.inputs[0]
        if len(node.outputs) > 1 and node.outputs[1]:  # Dropout's mask: everything is kept
            mask = rewrite.constant(f"{node.outputs[1]}.kept", np.ones(rewrite.shape(source), np.bool_))
            nodes.append(Node("Reshape", (mask,), (node.outputs[1],), {}, node.origins))
        if node.outputs[0] in graph.outputs:
            nodes.append(Node("Reshape", (source,), node.outputs[:1], {}, node.origins))
        else:
            names[node.outputs[0]] = source
    return rewrite.done(renamed(nodes, names))


def _leftover(node: Node, rewrite: Rewrite) -> bool:
    if node.op == "Dropout":
        return _at_rest(node, rewrite)
    if node.op in ("Cast", "CastLike"):
        return rewrite.dtype(node.inputs[0]) == rewrite.dtype(node.outputs[0])
    return node.op == "Identity"


def _at_rest(node: Node, rewrite: Rewrite) -> bool:
    """True for a Dropout that does nothing."""
    mode = rewrite.constants.get(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else np.False_
    ratio = rewrite.constants.get(node.inputs[1], 1.0) if len(node.inputs) > 1 and node.inputs[1] else node.get("ratio", 0.5)
    if mode is None or (bool(mode) and float(ratio) != 0):
        raise CompileError(f"{which(node)} is set to train. Export the model for inference (model.eval()).")
    return True
