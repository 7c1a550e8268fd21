"""Pass: ONNX's own Attention operator (sets 23 and on) written out, so that one rule recognises attention whoever exported it.

Takes   Attention over [B, H, T, d] or [B, T, H d] with or without a mask, causal or not, key and value heads shared by groups of query heads.
Gives   products, scale, mask, softmax, product; a grouped head is gathered as often as it is read. A query that may look at nothing gives zeros.
        A cache of earlier keys, further results and settings of later sets are refused.
"""

import numpy as np

from core.compiler.graph import CompileError, Graph, Node
from core.compiler.passes.elementwise import map_node
from core.compiler.passes.rewrite import Rewrite, translated, which


def run(graph: Graph) -> Graph:
    """The graph with attention in products and softmax. Raises CompileError for a cache, soft capping's inner results or lower precision inside."""
    return translated(graph, TABLE)


KNOWN = {"opset", "is_causal", "q_num_heads", "kv_num_heads", "scale", "softcap", "softmax_precision", "qk_matmul_output_mode"}
LOWEST = -3e38


class _Writer:
    """Nodes one after the other, each result under a new name."""

    def __init__(self, node: Node, rewrite: Rewrite) -> None:
        self.node, self.rewrite, self.nodes = node, rewrite, []

    def add(self, op: str, inputs: tuple[str, ...], shape, attributes: dict | None = None) -> str:
        name = self.rewrite.value(f"{self.node.outputs[0]}.{op.lower()}", shape)
        self.nodes.append(Node(op, inputs, (name,), attributes or {}, self.node.origins))
        return name

    def map(self, expr: tuple, *inputs: str) -> str:
        shape = np.broadcast_shapes(*(self.rewrite.shape(n) for n in inputs))
        name = self.rewrite.value(f"{self.node.outputs[0]}.map", shape)
        self.nodes.append(map_node(expr, inputs, name, self.node.origins, self.rewrite))
        return name


def _attention(node: Node, rewrite: Rewrite) -> list[Node]:
    inputs = (*node.inputs, *("",) * 6)[:6]
    if any(inputs[4:]) or any(node.inputs[6:]) or any(node.outputs[1:]):
        raise CompileError(f"{which(node)} keeps earlier keys and values or gives its scores out, which is not compiled.")
    if set(node.attributes) - KNOWN:
        raise CompileError(f"{which(node)} has the setting {sorted(set(node.attributes) - KNOWN)[0]}, which is not compiled.")
    write, (y,) = _Writer(node, rewrite), node.outputs[:1]
    flat = len(rewrite.shape(inputs[0])) == 3
    heads = [int(node.get(name, 0)) for name in ("q_num_heads", "kv_num_heads", "kv_num_heads")]
    q, k, v = (_heads(write, name, count) if flat else name for name, count in zip(inputs[:3], heads))
    k, v = (_shared(write, name, rewrite.shape(q)[1]) for name in (k, v))
    batch, count, tokens, depth = rewrite.shape(q)
    mixed = _mixed(write, node, q, k, v, inputs[3])
    if flat:
        turned = write.add("Transpose", (mixed,), (batch, tokens, count, rewrite.shape(v)[3]), {"perm": (0, 2, 1, 3)})
        return [*write.nodes, Node("Reshape", (turned,), (y,), {}, node.origins)]
    return [*write.nodes, Node("Reshape", (mixed,), (y,), {}, node.origins)]


def _mixed(write: _Writer, node: Node, q: str, k: str, v: str, mask: str) -> str:
    """softmax(scale q k^T + mask) v."""
    (batch, heads, tokens, depth), keys = write.rewrite.shape(q), write.rewrite.shape(k)[2]
    turned = write.add("Transpose", (k,), (batch, heads, depth, keys), {"perm": (0, 1, 3, 2)})
    scores = write.add("MatMul", (q, turned), (batch, heads, tokens, keys))
    scores = write.map(("mul", ("in", 0), ("const", float(np.float32(node.get("scale", 1 / np.sqrt(depth)))))), scores)
    cap = float(node.get("softcap", 0.0))
    if mask and cap or node.get("softmax_precision", 1) not in (0, 1):
        raise CompileError(f"{which(node)} caps masked scores or rounds inside, which is not compiled.")
    if cap:
        scores = write.map(("mul", ("tanh", ("mul", ("in", 0), ("const", 1 / cap))), ("const", cap)), scores)
    allowed, added = _masks(write, node, mask, tokens, keys)
    scores = write.map(("add", ("in", 0), ("in", 1)), scores, added) if added else scores
    scores = write.map(("where", ("in", 1), ("in", 0), ("const", LOWEST)), scores, allowed) if allowed else scores
    weights = write.add("Softmax", (scores,), (batch, heads, tokens, keys), {"axis": 3, "log": False})
    weights = write.map(("where", ("in", 1), ("in", 0), ("const", 0.0)), weights, allowed) if allowed else weights
    return write.add("MatMul", (weights, v), (batch, heads, tokens, write.rewrite.shape(v)[3]))


def _masks(write: _Writer, node: Node, mask: str, tokens: int, keys: int) -> tuple[str, str]:
    """(who may look at whom, what is added to the scores): the first only where a query may be left with nothing, which has to give zeros."""
    if mask and write.rewrite.shape(mask)[-1] not in (1, keys):
        raise CompileError(f"{which(node)} has a mask for {write.rewrite.shape(mask)[-1]} keys, and there are {keys}.")
    causal = np.tril(np.ones((tokens, keys), bool)) if node.get("is_causal", 0) else np.ones((1, 1), bool)
    if mask and write.rewrite.dtype(mask) == "bool":
        known = write.rewrite.constants.get(mask)
        if known is None:
            name = write.rewrite.constant(f"{node.outputs[0]}.causal", causal)
            return _both(write, mask, name), ""
        open_ = np.logical_and(known, causal)
        if not open_.any(-1).all():
            return write.rewrite.constant(f"{node.outputs[0]}.allowed", open_), ""
        return "", write.rewrite.constant(f"{node.outputs[0]}.mask", np.where(open_, 0, -np.inf))
    if mask and causal.size > 1:
        name = write.rewrite.constant(f"{node.outputs[0]}.causal", np.where(causal, 0, -np.inf))
        return "", write.map(("add", ("in", 0), ("in", 1)), mask, name)
    return "", mask or (write.rewrite.constant(f"{node.outputs[0]}.causal", np.where(causal, 0, -np.inf)) if causal.size > 1 else "")


def _both(write: _Writer, mask: str, causal: str) -> str:
    name = write.rewrite.value(f"{write.node.outputs[0]}.allowed", np.broadcast_shapes(write.rewrite.shape(mask), write.rewrite.shape(causal)), "bool")
    write.nodes.append(Node("Map", (mask, causal), (name,), {"expr": ("and", ("in", 0), ("in", 1))}, write.node.origins))
    return name


def _heads(write: _Writer, name: str, count: int) -> str:
    """[B, T, H d] -> [B, H, T, d]."""
    batch, tokens, width = write.rewrite.shape(name)
    parts = write.add("Reshape", (name,), (batch, tokens, count, width // count))
    return write.add("Transpose", (parts,), (batch, count, tokens, width // count), {"perm": (0, 2, 1, 3)})


def _shared(write: _Writer, name: str, count: int) -> str:
    """Key or value heads, each repeated for its group of query heads."""
    batch, own, tokens, depth = write.rewrite.shape(name)
    if own == count:
        return name
    indices = write.rewrite.constant(f"{name}.groups", np.repeat(np.arange(own), count // own))
    return write.add("Gather", (name, indices), (batch, count, tokens, depth), {"axis": 1})


TABLE = {"Attention": _attention}
