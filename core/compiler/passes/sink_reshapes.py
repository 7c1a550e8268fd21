"""Reshapes move behind products that do not care for them, so that norms, products and residuals stand next to each other.

Takes   Dense without residual and scale whose x is a Reshape that keeps the last axis (torch's MultiheadAttention works on [tokens, 1, features] and on [tokens, features]).
Gives   Dense on the value before the Reshape, and the Reshape behind it; what then undoes itself is gone.
"""

from core.compiler.graph import Graph, Node
from core.compiler.passes import simplify_shapes
from core.compiler.passes.rewrite import Rewrite


def run(graph: Graph) -> Graph:
    """The graph with its Reshapes as late as products allow; the graph itself where none moves."""
    rewrite, before, nodes = Rewrite(graph), {}, []
    for node in graph.nodes:
        made = _sunk(node, before, rewrite) or (node,)
        before |= {n.outputs[0]: before.get(n.inputs[0], n.inputs[0]) for n in made if n.op == "Reshape" and n.inputs[0] in rewrite.tensors}
        nodes += made
    return simplify_shapes.run(rewrite.done(nodes)) if len(nodes) > len(graph.nodes) else graph


def _sunk(node: Node, before: dict[str, str], rewrite: Rewrite) -> tuple[Node, ...] | None:
    source = before.get(node.inputs[0]) if node.op == "Dense" else None
    if source is None or any(node.inputs[3:]) or len(node.outputs) > 1:
        return None
    shape, given = rewrite.shape(source), rewrite.shape(node.inputs[0])
    if len(shape) < 2 or shape[-1] != given[-1] or shape == given or len(rewrite.shape(node.inputs[1])) != 2:
        return None
    bias = node.inputs[2] if len(node.inputs) > 2 else ""
    if bias and len(rewrite.shape(bias)) > 1:
        return None
    made = rewrite.value(f"{node.outputs[0]}.before", (*shape[:-1], rewrite.shape(node.outputs[0])[-1]))
    return Node("Dense", (source, *node.inputs[1:]), (made,), node.attributes, node.origins), Node("Reshape", (made,), node.outputs, {}, ())
