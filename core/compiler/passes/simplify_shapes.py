"""Pass: Reshape and Transpose that undo or repeat each other become one or none.

Takes   canonical operations.
Gives   the same values: a Reshape of a Reshape reads the first one's source, a Transpose of a Transpose likewise; a Transpose that only moves axes of one element is a Reshape;
        whole Slices, single Concats, idle Pads, Expands and Reshapes are gone where their result does not leave the graph.
"""

from core.compiler.graph import Graph, Node
from core.compiler.passes.rewrite import Rewrite, renamed


def run(graph: Graph) -> Graph:
    """The graph with fewer shape operations."""
    while True:
        made = _once(graph)
        if made.nodes == graph.nodes:
            return made
        graph = made


def _once(graph: Graph) -> Graph:
    rewrite, writer, names, nodes = Rewrite(graph), {}, {}, []
    for node in graph.nodes:
        node = renamed([node], names)[0]
        node = _joined(node, writer, rewrite)
        if _idle(node, rewrite):
            if node.outputs[0] not in graph.outputs:
                names[node.outputs[0]] = node.inputs[0]
                continue
            node = Node("Reshape", node.inputs[:1], node.outputs, {}, node.origins)
        nodes.append(node)
        writer |= dict.fromkeys(node.outputs, node)
    return rewrite.done(nodes)


def _joined(node: Node, writer: dict[str, Node], rewrite: Rewrite) -> Node:
    """The node with the one before it taken in."""
    before = writer.get(node.inputs[0]) if node.inputs else None
    if node.op == "Reshape" and before is not None and before.op == "Reshape":
        return Node("Reshape", before.inputs, node.outputs, {}, (*before.origins, *node.origins))
    if node.op != "Transpose":
        return node
    perm = node.attributes["perm"]
    if before is not None and before.op == "Transpose":
        inner = before.attributes["perm"]
        node = Node("Transpose", before.inputs, node.outputs, {"perm": tuple(inner[p] for p in perm)}, (*before.origins, *node.origins))
    shape = rewrite.shape(node.inputs[0])
    moving = [p for p in node.attributes["perm"] if shape[p] != 1]
    return Node("Reshape", node.inputs, node.outputs, {}, node.origins) if moving == sorted(moving) else node


def _idle(node: Node, rewrite: Rewrite) -> bool:
    """True where the result is the first input."""
    if not node.inputs or len(node.outputs) != 1 or rewrite.shape(node.inputs[0]) != rewrite.shape(node.outputs[0]):
        return False
    if node.op == "Slice":
        return all(s == 1 for s in node.attributes["steps"]) or all(s == 1 or n == 1 for s, n in zip(node.attributes["steps"], rewrite.shape(node.inputs[0])))
    return node.op in ("Reshape", "Expand", "Pad") or (node.op == "Concat" and len(node.inputs) == 1) or (node.op == "Map" and node.attributes["expr"] == ("in", 0))
