"""Pass: a Pad with zeros before a convolution becomes the convolution's own pads.

Takes   canonical operations.
Gives   Conv with the pads added, where the Pad writes zeros, touches neither batch nor channels, and has no other reader.
"""

from core.compiler.graph import Graph, Node
from core.compiler.passes.rewrite import Rewrite


def run(graph: Graph) -> Graph:
    """The graph with pads inside the convolutions."""
    rewrite, nodes = Rewrite(graph), []
    writer = {name: node for node in graph.nodes for name in node.outputs}
    for node in graph.nodes:
        pad = writer.get(node.inputs[0]) if node.inputs else None
        nodes.append(_taken(node, pad, graph) if pad is not None and _fits(node, pad, graph) else node)
    return rewrite.done(nodes)


def _fits(node: Node, pad: Node, graph: Graph) -> bool:
    if pad.op != "Pad" or pad.attributes["mode"] != "constant" or pad.attributes["value"] != 0 or pad.outputs[0] in graph.outputs:
        return False
    pads, rank = pad.attributes["pads"], len(graph.shape(node.inputs[0]))
    return node.op == "Conv" and rank > 2 and not any((*pads[:2], *pads[rank:rank + 2])) and len(graph.readers(pad.outputs[0])) == 1


def _taken(node: Node, pad: Node, graph: Graph) -> Node:
    own, pads, rank = node.attributes["pads"], pad.attributes["pads"], len(graph.shape(node.inputs[0]))
    n = rank - 2
    added = tuple(a + b for a, b in zip(own, (*pads[2:rank], *pads[rank + 2:])))
    assert len(added) == 2 * n
    return Node("Conv", (pad.inputs[0], *node.inputs[1:]), node.outputs, {**node.attributes, "pads": added}, (*pad.origins, *node.origins))
