"""Rule attention: scores, scale, mask, softmax and the product with v become one Attention, with the reshapes and transposes of both exporters around it.

Takes   MatMul(Softmax(scale MatMul(q, k^T) + mask), v) whose steps nobody else reads; mask constant and the same for all heads.
Gives   Attention `packed` where q, k and v are the thirds of one value (its weights are put in that order where they are not), `merged` where each is a value of its own,
        else `heads`; the way back to [tokens, features] is taken in where it is there.
"""

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.passes.attention_pattern import Found, attentions, moved
from core.compiler.passes.chains import plain, readings
from core.compiler.passes.rewrite import Rewrite


def run(graph: Graph) -> Graph:
    """The graph with attention in one node each."""
    rewrite, replaced, widened = Rewrite(graph), {}, {}
    for found in attentions(graph):
        last, nodes = _fused(found, graph, rewrite, widened)
        replaced[last] = nodes
    nodes = [made for node in graph.nodes for made in replaced.get(node.outputs[0], (widened.get(node.outputs[0], node),))]
    return rewrite.done(nodes) if replaced else graph


def _fused(found: Found, graph: Graph, rewrite: Rewrite, widened: dict[str, Node]) -> tuple[str, tuple[Node, ...]]:
    """(the value the nodes end with, the nodes)"""
    attributes = {"heads": found.q.index.shape[1], "scale": found.scale}
    mask = (rewrite.constant(f"{found.product.outputs[0]}.mask", np.asarray(found.mask, np.float32)),) if found.mask is not None else ()
    sources = _packed(found, graph, rewrite, widened) or _merged(found, graph)
    if sources is None:
        return _on_heads(found, rewrite, mask, attributes)
    kind, names = sources
    end, moves = _way_back(found, graph)
    batch, heads, tokens, _ = found.q.index.shape
    width = heads * found.v.index.shape[3]
    names, before = _in_rows(found, names, rewrite)
    shape = (*rewrite.shape(names[0])[:-1], width)
    origins = tuple(dict.fromkeys((*found.origins, *(o for n in moves for o in n.origins))))
    direct = end is not None and graph.shape(end) == shape
    result = end if direct else rewrite.value(f"{found.product.outputs[0]}.merged", shape)
    nodes = [*before, Node("Attention", (*names, *mask), (result,), {**attributes, "head_layout": kind}, origins)]
    if direct:
        return end, tuple(nodes)
    if end is not None:
        return end, (*nodes, Node("Reshape", (result,), (end,), {}, moves[-1].origins))
    split = rewrite.value(f"{result}.heads", (batch, tokens, heads, width // heads))
    last = found.product.outputs[0]
    turned = last if len(graph.shape(last)) == 4 else rewrite.value(f"{result}.turned", (batch, heads, tokens, width // heads))
    nodes += [Node("Reshape", (result,), (split,), {}, ()), Node("Transpose", (split,), (turned,), {"perm": (0, 2, 1, 3)}, ())]
    return last, tuple(nodes if turned == last else [*nodes, Node("Reshape", (turned,), (last,), {}, ())])


def _in_rows(found: Found, names: tuple[str, ...], rewrite: Rewrite) -> tuple[tuple[str, ...], list[Node]]:
    """The sources as [batch, tokens, features], and the Reshapes for it; their rows are in that order, but tokens may not be their last axis but one ([tokens, 1, features])."""
    batch, tokens = found.q.index.shape[0], [t.index.shape[2] for t in (found.q, found.k, found.v)]
    leads = {rewrite.shape(name)[:-2] for name in names}
    if len(leads) == 1 and all(rewrite.shape(name)[-2] == count for name, count in zip(names, tokens)):
        return names, []
    made = [rewrite.value(f"{name}.rows", (batch, count, rewrite.shape(name)[-1])) for name, count in zip(names, tokens)]
    return tuple(made), [Node("Reshape", (name,), (row,), {}, ()) for name, row in zip(names, made)]


def _packed(found: Found, graph: Graph, rewrite: Rewrite, widened: dict[str, Node]):
    """q, k and v as thirds of one value; columns in another order are put right in the weights of the Dense that writes it."""
    bases, shapes = {t.base for t in (found.q, found.k, found.v)}, {t.index.shape for t in (found.q, found.k, found.v)}
    columns = [t.columns(graph) for t in (found.q, found.k, found.v)]
    if len(bases) > 1 or len(shapes) > 1 or any(c is None for c in columns):
        return None
    base, order = found.q.base, np.concatenate([c.reshape(-1) for c in columns])
    if not np.array_equal(np.sort(order), np.arange(graph.shape(base)[-1])):
        return None
    if np.array_equal(order, np.arange(len(order))):
        return "packed", (base,)
    producer, count = graph.producer(base), readings(graph)[base]
    uses = len({n.inputs[0] for n in graph.nodes if base in n.inputs})
    if producer is None or producer.op != "Dense" or not plain(producer) or base in widened or count != uses * len(graph.readers(base)) or not _all_inside(found, graph, base):
        return None
    weights = rewrite.constant(f"{base}.weights", graph.constants[producer.inputs[1]][:, order])
    bias = [rewrite.constant(f"{base}.bias", np.broadcast_to(graph.constants[b], (len(order),))[order]) for b in producer.inputs[2:3] if b]
    widened[base] = Node("Dense", (producer.inputs[0], weights, *bias), producer.outputs, producer.attributes, producer.origins)
    return "packed", (base,)


def _all_inside(found: Found, graph: Graph, base: str) -> bool:
    """Do all ways from the base end in this attention? Then its columns may be put in another order."""
    ends, todo = {found.scores.outputs[0], found.product.outputs[0]}, [base]
    while todo:
        name = todo.pop()
        if name in graph.outputs:
            return False
        for node in graph.readers(name):
            if node.outputs[0] not in ends:
                if node.op not in ("Reshape", "Transpose", "Slice", "Map"):
                    return False
                todo.append(node.outputs[0])
    return True


def _merged(found: Found, graph: Graph):
    """q, k and v as values of their own, heads side by side along their last axis."""
    for traced in (found.q, found.k, found.v):
        columns = traced.columns(graph)
        if columns is None or not np.array_equal(columns.reshape(-1), np.arange(graph.shape(traced.base)[-1])):
            return None
    return "merged", (found.q.base, found.k.base, found.v.base)


def _on_heads(found: Found, rewrite: Rewrite, mask: tuple[str, ...], attributes) -> tuple[str, tuple[Node, ...]]:
    """Whatever q, k and v are: read as they are, k turned back."""
    q, turned, v = found.scores.inputs[0], found.scores.inputs[1], found.product.inputs[1]
    shape = rewrite.shape(turned)
    k = rewrite.value(f"{turned}.back", (*shape[:-2], shape[-1], shape[-2]))
    perm = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2)
    scale = found.scale / found.q.factor / found.k.factor
    node = Node("Attention", (q, k, v, *mask), found.product.outputs, {**attributes, "scale": scale, "head_layout": "heads"}, found.origins)
    return found.product.outputs[0], (Node("Transpose", (turned,), (k,), {"perm": perm}, ()), node)


def _way_back(found: Found, graph: Graph) -> tuple[str | None, tuple[Node, ...]]:
    """(the value in which the heads lie side by side again, the moves to it), None where there is none."""
    name, moves = found.product.outputs[0], []
    shape = (*found.q.index.shape[:3], found.v.index.shape[3])
    index = np.arange(int(np.prod(shape))).reshape(graph.shape(name))
    wanted = np.arange(int(np.prod(shape))).reshape(shape).transpose(0, 2, 1, 3).reshape(-1)
    best: tuple[str | None, tuple[Node, ...]] = (None, ())
    while name not in graph.outputs and len(readers := graph.readers(name)) == 1 and readers[0].op in ("Reshape", "Transpose"):
        node, name = readers[0], readers[0].outputs[0]
        index = moved(node, index, graph.shape(name))
        moves.append(node)
        if index.shape[-1] == shape[1] * shape[3] and np.array_equal(index.reshape(-1), wanted):
            best = (name, tuple(moves))
    return best
