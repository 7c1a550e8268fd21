"""Rule LayerNorm, second part: a norm over features vanishes into the products around it.

1. Scale and bias of a norm that only products read go into their weights: (n g + b) W = n (g W) + b W.
2. Where every value of a residual stream is written by a product and read by norms, or added to the stream again, the means are folded away: weights, biases and constant
   residuals are centred over their outputs, so every value has mean 0 and the norm is x / sqrt(mean(x^2) + epsilon).
3. That factor belongs to a row, so it is applied behind the next product (`row_scale`); the sum of squares is taken while the values are in registers.

Takes   Normalise over the last axis without further outputs whose readers are all Dense that read it as x and have no row_scale.
Gives   Dense with row_scale, one Map per norm over one number per token; 1 alone where the stream cannot be centred.
"""

from dataclasses import dataclass

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.passes.fold_batch_norm import bias_of
from core.compiler.passes.rewrite import Rewrite


def run(graph: Graph) -> Graph:
    """The graph with the norms folded into products."""
    graph = _factors_folded(graph)
    norms = {n.outputs[0]: n for n in graph.nodes if _foldable(n, graph)}
    streams = [s for s in _streams(norms, graph) if _centrable(s, norms, graph)]
    return _centred(graph, streams, norms) if streams else graph


def _foldable(node: Node, graph: Graph) -> bool:
    """A norm over the last axis that only products read, as what they multiply."""
    if node.op != "Normalise" or node.get("axes") != (len(graph.shape(node.inputs[0])) - 1,) or len([o for o in node.outputs if o]) > 1 or node.outputs[0] in graph.outputs:
        return False
    readers = graph.readers(node.outputs[0])
    return bool(readers) and all(_reads_as_x(reader, node.outputs[0], graph) for reader in readers) and all(n in graph.constants for n in node.inputs[1:] if n)


def _reads_as_x(node: Node, name: str, graph: Graph) -> bool:
    bias = node.inputs[2] if len(node.inputs) > 2 else ""
    return node.op == "Dense" and node.inputs[0] == name and name not in node.inputs[1:] and not any(node.inputs[4:5]) and node.inputs[1] in graph.constants \
        and (not bias or (bias in graph.constants and graph.constants[bias].size in (1, graph.shape(node.inputs[1])[1])))


# ---------------------------------------------------------------- 1: scale and bias into the next products

def _factors_folded(graph: Graph) -> Graph:
    rewrite, made = Rewrite(graph), {}
    for norm in graph.nodes:
        if _foldable(norm, graph) and any(norm.inputs[1:]):
            made[norm.outputs[0]] = Node("Normalise", norm.inputs[:1], norm.outputs, norm.attributes, norm.origins)
            for reader in graph.readers(norm.outputs[0]):
                made[reader.outputs[0]] = _with_factors(reader, norm, rewrite)
    return rewrite.done([made.get(n.outputs[0], n) for n in graph.nodes]) if made else graph


def _with_factors(dense: Node, norm: Node, rewrite: Rewrite) -> Node:
    scale, bias = (rewrite.constants[n].astype(np.float64) if n else None for n in (*norm.inputs[1:], "", "")[:2])
    w = rewrite.constants[dense.inputs[1]].astype(np.float64)
    inputs = [*dense.inputs, *("",) * (3 - len(dense.inputs))]
    if bias is not None:
        shifted = bias_of(dense, rewrite, w.shape[1]) + np.broadcast_to(bias.reshape(-1), w.shape[:1]) @ w
        inputs[2] = rewrite.constant(f"{dense.outputs[0]}.bias", shifted)
    if scale is not None:
        inputs[1] = rewrite.constant(f"{dense.outputs[0]}.weights", np.broadcast_to(scale.reshape(-1), w.shape[:1])[:, None] * w)
    return Node("Dense", tuple(inputs), dense.outputs, dense.attributes, dense.origins)


# ---------------------------------------------------------------- 2: which values form a stream, and may it be centred?

@dataclass(frozen=True)
class Stream:
    """Values that are residuals of each other."""

    values: frozenset[str]


def _streams(norms, graph: Graph) -> list[Stream]:
    """The streams that norms read: closed under `y has the residual r`."""
    groups: list[set[str]] = []
    for node in graph.nodes:
        residual = node.inputs[3] if node.op == "Dense" and len(node.inputs) > 3 else ""
        if residual in graph.tensors:
            groups.append({residual, node.outputs[0]})
    for norm in norms.values():
        groups.append({norm.inputs[0]})
    joined: list[set[str]] = []
    for group in groups:
        touching = [g for g in joined if g & group]
        joined = [g for g in joined if not g & group] + [group.union(*touching)]
    read = {n.inputs[0] for n in norms.values()}
    return [Stream(frozenset(g)) for g in joined if g & read]


def _centrable(stream: Stream, norms, graph: Graph) -> bool:
    """All of it is written by products that may be centred, and read by norms or as a residual of itself."""
    return all(_written_well(name, stream, graph) and _read_well(name, stream, norms, graph) for name in stream.values)


def _written_well(name: str, stream: Stream, graph: Graph) -> bool:
    node = graph.producer(name)
    if node is None or node.op != "Dense" or node.get("activation", "none") != "none" or len(node.outputs) > 1 or node.inputs[1] not in graph.constants:
        return False
    bias, residual = (*node.inputs, "", "")[2:4]
    return (not bias or bias in graph.constants) and (not residual or residual in stream.values or residual in graph.constants)


def _read_well(name: str, stream: Stream, norms, graph: Graph) -> bool:
    def well(reader: Node) -> bool:
        if reader.outputs[0] in norms and reader.op == "Normalise":
            return True
        return reader.op == "Dense" and reader.outputs[0] in stream.values and reader.inputs[3:4] == (name,) and name not in (*reader.inputs[:3], *reader.inputs[4:])
    return name not in graph.outputs and all(well(reader) for reader in graph.readers(name))


# ---------------------------------------------------------------- 3: centred products, sums of squares, factors behind the next product

def _centred(graph: Graph, streams: list[Stream], norms) -> Graph:
    rewrite, made = Rewrite(graph), {}
    inside = frozenset().union(*(s.values for s in streams))
    folded = [n for n in norms.values() if n.inputs[0] in inside]
    squares = {name: rewrite.value(f"{name}.squares", (*graph.shape(name)[:-1], 1)) for name in dict.fromkeys(n.inputs[0] for n in folded)}
    for name in inside:
        made[name] = (_centre(graph.producer(name), squares.get(name), folded, rewrite),)
    for norm in folded:
        factor = rewrite.value(f"{norm.outputs[0]}.factor", rewrite.shape(squares[norm.inputs[0]]))
        made[norm.outputs[0]] = (_factor(norm, squares[norm.inputs[0]], factor, graph.shape(norm.inputs[0])[-1]),)
        for reader in graph.readers(norm.outputs[0]):
            held = made.get(reader.outputs[0], (reader,))[0]
            inputs = (norm.inputs[0], *held.inputs[1:], *("",) * (4 - len(held.inputs)))[:4]
            made[reader.outputs[0]] = (Node("Dense", (*inputs, factor), held.outputs, held.attributes, held.origins),)
    return rewrite.done([m for n in graph.nodes for m in made.get(n.outputs[0], (n,))])


def _centre(node: Node, squares: str | None, folded: list[Node], rewrite: Rewrite) -> Node:
    """The product with weights, bias and constant residual centred over the outputs."""
    inputs = [*node.inputs, *("",) * (4 - len(node.inputs))]
    for k, tag in ((1, "weights"), (2, "bias"), (3, "residual")):
        if inputs[k] in rewrite.constants:
            values = rewrite.constants[inputs[k]].astype(np.float64)
            inputs[k] = rewrite.constant(f"{node.outputs[0]}.{tag}", values - values.mean(axis=-1, keepdims=True))
    outputs = node.outputs if squares is None else (*node.outputs, squares)
    attributes = node.attributes if squares is None else {**node.attributes, "sum_squares": True}
    origins = (*node.origins, *(o for n in folded if n.inputs[0] == node.outputs[0] for o in n.origins))
    return Node("Dense", tuple(inputs), outputs, attributes, tuple(dict.fromkeys(origins)))


def _factor(norm: Node, squares: str, factor: str, width: int) -> Node:
    """1 / sqrt(sum of squares / width + epsilon)"""
    mean = ("mul", ("in", 0), ("const", 1.0 / width))
    return Node("Map", (squares,), (factor,), {"expr": ("reciprocal", ("sqrt", ("add", mean, ("const", float(norm.attributes["epsilon"])))))}, norm.origins)
