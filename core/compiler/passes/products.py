"""Pass: matrix products with constant weights become Dense, the others MatMul.

Takes   Gemm and MatMul; weights are folded before (fold_constants).
Gives   Dense(x, w[, bias]) with w [K, N], transposes, alpha and beta worked into w and bias; MatMul where both sides are computed, with Transpose and Map around it where Gemm asks for them.
"""

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.passes.elementwise import map_node
from core.compiler.passes.rewrite import Rewrite, translated

PLAIN = {"activation": "none"}


def run(graph: Graph) -> Graph:
    """The graph with Dense and MatMul."""
    return translated(graph, TABLE)


def _matmul(node: Node, rewrite: Rewrite) -> list[Node]:
    (a, b), (y,) = node.inputs, node.outputs
    w = rewrite.constants.get(b)
    rank = len(rewrite.shape(a))
    if w is None or a in rewrite.constants or rank == 0 or any(n != 1 for n in w.shape[:-2]) or (w.ndim > 2 and w.ndim > rank):
        return [Node("MatMul", (a, b), (y,), {}, node.origins)]
    if w.ndim == 1:
        column = rewrite.value(f"{y}.column", (*rewrite.shape(y), 1))
        return [Node("Dense", (a, rewrite.constant(f"{b}.matrix", w[:, None])), (column,), PLAIN, node.origins), Node("Reshape", (column,), (y,), {}, node.origins)]
    if w.ndim > 2 and rank < 2:
        return [Node("MatMul", (a, b), (y,), {}, node.origins)]
    return [Node("Dense", (a, b if w.ndim == 2 else rewrite.constant(f"{b}.matrix", w.reshape(w.shape[-2:]))), (y,), PLAIN, node.origins)]


def _gemm(node: Node, rewrite: Rewrite) -> list[Node]:
    (a, b, c), (y,), made = (*node.inputs, "")[:3], node.outputs, []
    alpha, beta = float(node.get("alpha", 1.0)), float(node.get("beta", 1.0))
    if node.get("transA", 0):
        a = _transposed(a, rewrite, made, node.origins)
    if b not in rewrite.constants:
        b = _transposed(b, rewrite, made, node.origins) if node.get("transB", 0) else b
        return made + _sum(Node("MatMul", (a, b), (y,), {}, node.origins), c, alpha, beta, rewrite)
    w = rewrite.constants[b].T if node.get("transB", 0) else rewrite.constants[b]
    w = rewrite.constant(f"{b}.matrix", w.astype(np.float64) * alpha if alpha != 1 else w)
    bias = _row(c, rewrite, beta, rewrite.shape(w)[1])
    if bias is None:
        return made + _sum(Node("Dense", (a, w), (y,), PLAIN, node.origins), c, 1.0, beta, rewrite)
    return [*made, Node("Dense", (a, w, *((rewrite.constant(f"{c}.row", bias),) if c else ())), (y,), PLAIN, node.origins)]


def _transposed(name: str, rewrite: Rewrite, made: list[Node], origins: tuple[str, ...]) -> str:
    turned = rewrite.value(f"{name}.transposed", rewrite.shape(name)[::-1])
    made.append(Node("Transpose", (name,), (turned,), {"perm": (1, 0)}, origins))
    return turned


def _row(c: str, rewrite: Rewrite, beta: float, columns: int) -> np.ndarray | bool | None:
    """beta C as one row of N columns, False without C, None where it is computed or differs from row to row."""
    if not c:
        return False
    found = rewrite.constants.get(c)
    if found is None or (found.ndim == 2 and found.shape[0] != 1):
        return None
    return np.broadcast_to(found.reshape(-1).astype(np.float64) * beta, (columns,))


def _sum(product: Node, c: str, alpha: float, beta: float, rewrite: Rewrite) -> list[Node]:
    """alpha product + beta C, as the product and a Map where there is anything to do."""
    if not c and alpha == 1:
        return [product]
    (y,) = product.outputs
    raw = rewrite.value(f"{y}.product", rewrite.shape(y))
    expr = ("in", 0) if alpha == 1 else ("mul", ("in", 0), ("const", alpha))
    if c:
        expr = ("add", expr, ("in", 1) if beta == 1 else ("mul", ("in", 1), ("const", beta)))
    return [Node(product.op, product.inputs, (raw,), product.attributes, product.origins), map_node(expr, (raw, c) if c else (raw,), y, product.origins, rewrite)]


TABLE = {"MatMul": _matmul, "Gemm": _gemm}
