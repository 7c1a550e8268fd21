"""Pass: operators that only change the shape become one, Reshape.

Takes   Reshape, Flatten, Squeeze, Unsqueeze, DepthToSpace, SpaceToDepth of any operator set.
Gives   Reshape with one input (the shape is the result's), and Transpose between two of them for DepthToSpace and SpaceToDepth.
"""

from core.compiler.graph import Graph, Node
from core.compiler.passes.rewrite import Rewrite, translated


def run(graph: Graph) -> Graph:
    """The graph with Reshape for all of them."""
    return translated(graph, TABLE)


def _reshape(node: Node, rewrite: Rewrite) -> list[Node]:
    return [Node("Reshape", node.inputs[:1], node.outputs, {}, node.origins)]


def _through(node: Node, rewrite: Rewrite, shape: tuple[int, ...], perm: tuple[int, ...]) -> list[Node]:
    """Reshape, Transpose, Reshape."""
    x, (y,) = node.inputs[0], node.outputs
    dtype = rewrite.dtype(x)
    parts = rewrite.value(f"{y}.parts", shape, dtype)
    moved = rewrite.value(f"{y}.moved", (shape[p] for p in perm), dtype)
    return [Node("Reshape", (x,), (parts,), {}, node.origins), Node("Transpose", (parts,), (moved,), {"perm": perm}, node.origins),
            Node("Reshape", (moved,), (y,), {}, node.origins)]


def _depth_to_space(node: Node, rewrite: Rewrite) -> list[Node]:
    n, c, h, w = rewrite.shape(node.inputs[0])
    b = int(node.attributes["blocksize"])
    if node.get("mode", "DCR") == "CRD":
        return _through(node, rewrite, (n, c // b**2, b, b, h, w), (0, 1, 4, 2, 5, 3))
    return _through(node, rewrite, (n, b, b, c // b**2, h, w), (0, 3, 4, 1, 5, 2))


def _space_to_depth(node: Node, rewrite: Rewrite) -> list[Node]:
    n, c, h, w = rewrite.shape(node.inputs[0])
    b = int(node.attributes["blocksize"])
    perm = (0, 1, 3, 5, 2, 4) if node.get("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
    return _through(node, rewrite, (n, c, h // b, b, w // b, b), perm)


TABLE = {"Reshape": _reshape, "Flatten": _reshape, "Squeeze": _reshape, "Unsqueeze": _reshape, "DepthToSpace": _depth_to_space, "SpaceToDepth": _space_to_depth}
