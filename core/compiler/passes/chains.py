"""How fusion passes walk: a node together with the only reader of its result, replaced by one node in the reader's place."""

from collections import Counter
from collections.abc import Callable

from core.compiler.graph import Graph, Node
from core.compiler.passes.rewrite import Rewrite

Join = Callable[[Node, Node, Rewrite], Node | None]
"""(first, second, rewrite) -> the node that does both; None where the two do not go together."""


def readings(graph: Graph) -> Counter:
    """How often each value is read; leaving the graph counts too."""
    return Counter([*graph.outputs, *(name for node in graph.nodes for name in set(node.inputs) if name)])


def joined(graph: Graph, join: Join) -> Graph:
    """Every pair of a node and the only reader of its first result offered to `join`, until nothing changes in a round."""
    while True:
        made = _round(graph, join)
        if len(made.nodes) == len(graph.nodes):
            return made
        graph = made


def _round(graph: Graph, join: Join) -> Graph:
    rewrite, count, nodes = Rewrite(graph), readings(graph), {}
    writer: dict[str, Node] = {}
    for node in graph.nodes:
        for name in dict.fromkeys(node.inputs):
            first = writer.get(name)
            if first is None or count[name] != 1 or name != first.outputs[0]:
                continue
            made = join(first, node, rewrite)
            if made is not None:
                for gone in first.outputs:
                    writer.pop(gone, None)
                nodes.pop(id(first), None)
                node = made
        nodes[id(node)] = node
        writer |= {name: node for name in node.outputs if name}
    return rewrite.done(tuple(nodes.values()))


def both(first: Node, second: Node) -> tuple[str, ...]:
    """The ONNX nodes behind the two."""
    return tuple(dict.fromkeys((*first.origins, *second.origins)))


def plain(node: Node) -> bool:
    """True for a Dense or convolution whose epilogue is still free."""
    return node.op in ("Dense", "Conv", "ConvTranspose") and node.get("activation", "none") == "none" and len([n for n in node.inputs if n]) <= 3 and len(node.outputs) == 1 \
        and not any(node.inputs[3:])
