"""How attention is found: from the softmax outwards, by asking which elements of which value reach each operand, whatever reshapes, slices and transposes lie between."""

from dataclasses import dataclass

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.passes.affine import affine_of

MOST_ELEMENTS = 1 << 22
"""Beyond this an operand is not traced."""


@dataclass(frozen=True)
class Traced:
    """A value as a selection from another one: element i is factor * base.flat[index[i]]."""

    base: str
    index: np.ndarray
    factor: float

    def columns(self, graph: Graph) -> np.ndarray | None:
        """[H, d] columns of the base's last axis that [B, H, T, d] takes from row (b, t), None where it is not made so."""
        shape = graph.shape(self.base)
        if len(shape) < 2 or self.index.ndim != 4:
            return None
        batch, heads, tokens, depth = self.index.shape
        if batch * tokens * shape[-1] != int(np.prod(shape)):
            return None
        rows = np.arange(batch * tokens).reshape(batch, 1, tokens, 1) * shape[-1]
        columns = self.index - rows
        first = columns[0, :, 0, :]
        fits = np.all(columns == first[None, :, None, :]) and first.min() >= 0 and first.max() < shape[-1]
        return first if fits else None


@dataclass(frozen=True)
class Found:
    """softmax(scale q k^T + mask) v: its nodes from the scores to the product with v, and where q, k and v come from ([B, H, T, d] each)."""

    scores: Node
    product: Node
    scale: float
    mask: np.ndarray | None
    q: Traced
    k: Traced
    v: Traced
    origins: tuple[str, ...]


def attentions(graph: Graph) -> tuple[Found, ...]:
    """All of them, in the order of their products with v."""
    return tuple(found for node in graph.nodes if node.op == "MatMul" and (found := _attention(node, graph)) is not None)


def _attention(product: Node, graph: Graph) -> Found | None:
    softmax = graph.producer(product.inputs[0])
    if softmax is None or softmax.op != "Softmax" or softmax.get("log") or softmax.attributes["axis"] != len(graph.shape(softmax.outputs[0])) - 1:
        return None
    scores, scale, mask, between = _scores(softmax.inputs[0], graph)
    if scores is None or not _only_read_here((softmax, *between, scores), graph):
        return None
    q, k, v = trace(scores.inputs[0], graph), trace(scores.inputs[1], graph, turned=True), trace(product.inputs[1], graph)
    if None in (q, k, v) or not q.index.shape[:2] == k.index.shape[:2] == v.index.shape[:2] or k.index.shape[2] != v.index.shape[2]:
        return None
    if v.factor != 1 or (mask is not None and np.ndim(mask) > 2 and any(s != 1 for s in np.shape(mask)[:-2])):
        return None
    origins = tuple(dict.fromkeys(o for node in (scores, *between, softmax, product) for o in node.origins))
    return Found(scores, product, scale * q.factor * k.factor, mask, q, k, v, origins)


def _only_read_here(nodes: tuple[Node, ...], graph: Graph) -> bool:
    return all(len(graph.readers(n.outputs[0])) == 1 and n.outputs[0] not in graph.outputs for n in nodes)


def _scores(name: str, graph: Graph):
    """(the product q k^T, scale, mask, Maps between) behind the softmax; None where there is none."""
    scale, mask, between = 1.0, None, []
    while (node := graph.producer(name)) is not None and node.op == "Map":
        affine = affine_of(node, graph)
        if affine is None or np.size(affine.scale) != 1 or (mask is not None and np.any(affine.shift)):
            return None, 0.0, None, ()
        if np.any(affine.shift):
            mask = np.asarray(affine.shift) * scale
        scale, name = scale * float(np.ravel(affine.scale)[0]), affine.source
        between.append(node)
    return (node, scale, mask, tuple(reversed(between))) if node is not None and node.op == "MatMul" else (None, 0.0, None, ())


def trace(name: str, graph: Graph, turned: bool = False) -> Traced | None:
    """The operand as a selection [B, H, T, d]; `turned` exchanges its last two axes first (k arrives as [B, H, d, S])."""
    shape = graph.shape(name)
    if len(shape) not in (3, 4) or name in graph.constants or int(np.prod(shape)) > MOST_ELEMENTS:
        return None
    base, factor, steps = _base(name, graph)
    index = np.arange(int(np.prod(graph.shape(base)))).reshape(graph.shape(base))
    for node in steps:
        index = moved(node, index, graph.shape(node.outputs[0]))
    index = index if index.ndim == 4 else index[None]
    return Traced(base, np.swapaxes(index, -1, -2) if turned else index, factor)


def _base(name: str, graph: Graph):
    """(what only moves of elements and a factor lead back to, the factor, the moves in order)"""
    factor, steps = 1.0, []
    while (node := graph.producer(name)) is not None:
        affine = affine_of(node, graph) if node.op == "Map" else None
        if node.op in ("Reshape", "Transpose", "Slice"):
            steps.append(node)
            name = node.inputs[0]
        elif affine is not None and np.size(affine.scale) == 1 and not np.any(affine.shift):
            factor *= float(np.ravel(affine.scale)[0])
            name = affine.source
        else:
            break
    return name, factor, tuple(reversed(steps))


def moved(node: Node, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """What a Reshape, Transpose or Slice does to an array."""
    if node.op == "Reshape":
        return array.reshape(shape)
    if node.op == "Transpose":
        return array.transpose(node.attributes["perm"])
    return array[tuple(slice(start, start + step * size if start + step * size >= 0 else None, step)
                       for start, step, size in zip(node.attributes["starts"], node.attributes["steps"], shape))]
