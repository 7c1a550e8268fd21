"""Pass: what is computed twice is computed once, and equal constants are stored once.

Takes   canonical operations.
Gives   the same values with every operation on the same inputs standing once.
"""

from core.compiler.graph import Graph, Node
from core.compiler.passes.elementwise import map_node
from core.compiler.passes.rewrite import Rewrite, renamed


def run(graph: Graph) -> Graph:
    """The graph without repetitions."""
    rewrite, names, seen, nodes = Rewrite(graph), _equal_constants(graph), {}, []
    for node in graph.nodes:
        node = renamed([node], names)[0]
        node = map_node(node.attributes["expr"], node.inputs, node.outputs[0], node.origins, rewrite) if node.op == "Map" else node
        key = (node.op, node.inputs, repr(sorted(node.attributes.items())), tuple((rewrite.shape(n), rewrite.dtype(n)) for n in node.outputs if n))
        first = seen.setdefault(key, node)
        if first is node or any(name in graph.outputs for name in node.outputs) or len(first.outputs) != len(node.outputs):
            nodes.append(node)
        else:
            names |= dict(zip(node.outputs, first.outputs))
    return rewrite.done(nodes)


def _equal_constants(graph: Graph) -> dict[str, str]:
    """Constants that hold what an earlier one holds -> the earlier one."""
    first: dict[tuple, str] = {}
    keys = {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in graph.constants.items()}
    return {name: first[key] for name, key in keys.items() if first.setdefault(key, name) != name}
