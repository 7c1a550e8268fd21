"""Pass: convolutions and pools get explicit pads, strides and dilations.

Takes   Conv, ConvTranspose, AveragePool, MaxPool, LpPool and the global pools of any operator set, with auto_pad or pads.
Gives   Conv, ConvTranspose and Pool with strides, dilations and pads (begins, then ends) for every axis; a global pool becomes a Reduce.
"""

from core.compiler.graph import CompileError, Graph, Node
from core.compiler.passes.rewrite import Rewrite, translated, which


def run(graph: Graph) -> Graph:
    """The graph with explicit windows. Raises CompileError for MaxPool's indices, which nothing here computes."""
    return translated(graph, TABLE)


def _window(node: Node, rewrite: Rewrite, kernel: tuple[int, ...]) -> dict[str, object]:
    """strides, dilations and pads as tuples."""
    n = len(kernel)
    strides, dilations = (tuple(node.get(name) or (1,) * n) for name in ("strides", "dilations"))
    auto, pads = node.get("auto_pad", "NOTSET"), tuple(node.get("pads") or (0,) * 2 * n)
    if auto.startswith("SAME"):
        pads = _same(auto, rewrite.shape(node.inputs[0])[2:], kernel, strides, dilations)
    if auto == "VALID":
        pads = (0,) * 2 * n
    if min(pads, default=0) < 0:
        raise CompileError(f"{which(node)} has negative pads.")
    return {"strides": strides, "dilations": dilations, "pads": pads}


def _same(auto: str, sizes, kernel, strides, dilations) -> tuple[int, ...]:
    """Pads with which the result has ceil(size / stride) elements; the odd one at the end (UPPER) or at the beginning."""
    total = [max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size) for size, k, s, d in zip(sizes, kernel, strides, dilations)]
    less, more = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    return (*less, *more) if auto == "SAME_UPPER" else (*more, *less)


def _conv(node: Node, rewrite: Rewrite) -> list[Node]:
    kernel = rewrite.shape(node.inputs[1])[2:]
    attributes = _window(node, rewrite, kernel) | {"group": int(node.get("group", 1)), "activation": "none"}
    return [Node("Conv", tuple(filter(None, node.inputs)), node.outputs, attributes, node.origins)]


def _conv_transpose(node: Node, rewrite: Rewrite) -> list[Node]:
    kernel, sizes = rewrite.shape(node.inputs[1])[2:], rewrite.shape(node.inputs[0])[2:]
    attributes = _window(node, rewrite, kernel)
    added = tuple(node.get("output_padding") or (0,) * len(kernel))
    if node.get("auto_pad", "NOTSET") != "NOTSET" or node.get("output_shape"):
        total = [s * (n - 1) + a + (k - 1) * d + 1 - o for n, k, s, d, a, o in
                 zip(sizes, kernel, attributes["strides"], attributes["dilations"], added, rewrite.shape(node.outputs[0])[2:])]
        upper = node.get("auto_pad", "NOTSET") == "SAME_UPPER"
        begins = tuple(max(0, t // 2 if upper else t - t // 2) for t in total)
        attributes["pads"] = (*begins, *(max(0, t - b) for t, b in zip(total, begins)))
    attributes |= {"group": int(node.get("group", 1)), "activation": "none"}
    return [Node("ConvTranspose", tuple(filter(None, node.inputs)), node.outputs, attributes, node.origins)]


def _pool(node: Node, rewrite: Rewrite) -> list[Node]:
    if len(node.outputs) > 1 and node.outputs[1]:
        raise CompileError(f"{which(node)} gives the positions of its maxima, which are not compiled.")
    kernel = tuple(node.attributes["kernel_shape"])
    kind = {"MaxPool": "max", "AveragePool": "average", "LpPool": "lp"}[node.op]
    attributes = _window(node, rewrite, kernel) | {"kind": kind, "kernel": kernel, "ceil_mode": bool(node.get("ceil_mode", 0)), "count_include_pad": bool(node.get("count_include_pad", 0))}
    return [Node("Pool", node.inputs, node.outputs[:1], attributes | ({"p": int(node.get("p", 2))} if kind == "lp" else {}), node.origins)]


def _global_pool(node: Node, rewrite: Rewrite) -> list[Node]:
    axes = tuple(range(2, len(rewrite.shape(node.inputs[0]))))
    kind = {"GlobalAveragePool": "mean", "GlobalMaxPool": "max", "GlobalLpPool": {1: "l1", 2: "l2"}.get(int(node.get("p", 2)))}[node.op]
    if kind is None:
        raise CompileError(f"{which(node)} takes p={node.get('p')}, and 1 and 2 are compiled.")
    return [Node("Reduce", node.inputs, node.outputs, {"kind": kind, "axes": axes, "keepdims": True}, node.origins)]


TABLE = {"Conv": _conv, "ConvTranspose": _conv_transpose, "MaxPool": _pool, "AveragePool": _pool, "LpPool": _pool,
         "GlobalAveragePool": _global_pool, "GlobalMaxPool": _global_pool, "GlobalLpPool": _global_pool}
