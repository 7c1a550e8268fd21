"""Pass: Resize and Upsample, axis by axis.

Takes   Resize and Upsample, nearest or linear, of any operator set, with scales or sizes that are constant.
Gives   for every axis that changes one Gather (nearest), or two and a Map that mixes them (linear). Cubic and cropping forms are refused.
"""

import numpy as np

from core.compiler.graph import CompileError, Graph, Node
from core.compiler.passes.rewrite import Rewrite, translated, which

ROUND = {"round_prefer_floor": lambda x: np.ceil(x - 0.5), "round_prefer_ceil": lambda x: np.floor(x + 0.5), "floor": np.floor, "ceil": np.ceil}


def run(graph: Graph) -> Graph:
    """The graph with gathers in place of resizing."""
    return translated(graph, TABLE)


def _resize(node: Node, rewrite: Rewrite) -> list[Node]:
    mode, where = node.get("mode", "nearest"), node.get("coordinate_transformation_mode", "asymmetric" if node.op == "Upsample" or node.attributes["opset"] < 11 else "half_pixel")
    rounding = node.get("nearest_mode", "floor" if where == "asymmetric" and (node.op == "Upsample" or node.attributes["opset"] < 11) else "round_prefer_floor")
    if mode not in ("nearest", "linear") or where == "tf_crop_and_resize" or node.get("antialias", 0):
        raise CompileError(f"{which(node)} resizes with mode {mode} and {where}; nearest and linear without cropping or antialiasing are compiled.")
    x, (y,), nodes = node.inputs[0], node.outputs, []
    shape, wanted, scales = list(rewrite.shape(x)), rewrite.shape(y), _scales(node, rewrite)
    for axis, (size, made, scale) in enumerate(zip(rewrite.shape(x), wanted, scales)):
        if size == made and scale == 1:
            continue
        places = _places(where, size, made, scale, node)
        shape[axis] = made
        if mode == "nearest":
            x = _gathered(x, np.clip(ROUND[rounding](places), 0, size - 1), axis, shape, node, rewrite, nodes)
        else:
            x = _mixed(x, places, axis, size, shape, node, rewrite, nodes)
    return [*nodes, Node("Reshape", (x,), (y,), {}, node.origins)]


def _scales(node: Node, rewrite: Rewrite) -> list[float]:
    """The factor of every axis, from scales or from the sizes asked for."""
    shape, wanted = rewrite.shape(node.inputs[0]), rewrite.shape(node.outputs[0])
    made = [b / a if a else 1.0 for a, b in zip(shape, wanted)]
    name = node.inputs[2 if node.op == "Resize" and node.attributes["opset"] >= 11 else 1] if len(node.inputs) > (2 if node.op == "Resize" and node.attributes["opset"] >= 11 else 1) else ""
    given = np.asarray(node.attributes["scales"]) if "scales" in node.attributes else rewrite.constants.get(name)
    if given is not None and given.size:
        axes = [a % len(shape) for a in node.get("axes", range(len(shape)))]
        for axis, scale in zip(axes, given.ravel()):
            made[axis] = float(scale)
    return made


def _places(where: str, size: int, made: int, scale: float, node: Node) -> np.ndarray:
    """Where each new element lies among the old ones (the coordinate transformations of the operator's own text)."""
    k = np.arange(made, dtype=np.float64)
    if where in ("half_pixel", "pytorch_half_pixel") and not (where == "pytorch_half_pixel" and made == 1):
        return (k + 0.5) / scale - 0.5
    if where == "half_pixel_symmetric":
        return size / 2 * (1 - made / (scale * size)) + (k + 0.5) / scale - 0.5
    if where == "align_corners":
        return k * (size - 1) / (made - 1) if made > 1 else k * 0
    if where in ("asymmetric", "pytorch_half_pixel"):
        return k / scale if where == "asymmetric" else k * 0
    raise CompileError(f"{which(node)} places its elements by {where!r}, which is not compiled.")


def _gathered(x: str, indices: np.ndarray, axis: int, shape: list[int], node: Node, rewrite: Rewrite, nodes: list[Node]) -> str:
    made = rewrite.value(f"{node.outputs[0]}.axis", shape, rewrite.dtype(x))
    nodes.append(Node("Gather", (x, rewrite.constant(f"{node.outputs[0]}.indices", indices.astype(np.int64))), (made,), {"axis": axis}, node.origins))
    return made


def _mixed(x: str, places: np.ndarray, axis: int, size: int, shape: list[int], node: Node, rewrite: Rewrite, nodes: list[Node]) -> str:
    """x[below] + (x[above] - x[below]) t."""
    places = np.clip(places, 0, size - 1)
    below = np.minimum(np.floor(places), max(0, size - 2))
    parts = [_gathered(x, np.clip(below + step, 0, size - 1), axis, shape, node, rewrite, nodes) for step in (0, 1)]
    share = rewrite.constant(f"{node.outputs[0]}.share", (places - below).reshape([-1 if k == axis else 1 for k in range(len(shape))]))
    made = rewrite.value(f"{node.outputs[0]}.mixed", shape)
    expr = ("add", ("in", 0), ("mul", ("sub", ("in", 1), ("in", 0)), ("in", 2)))
    nodes.append(Node("Map", (*parts, share), (made,), {"expr": expr}, node.origins))
    return made


TABLE = {"Resize": _resize, "Upsample": _resize}
