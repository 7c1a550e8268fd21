"""Rule qkv: the projections of queries, keys and values become one product.

Takes   three Dense that read the same value, without activation, residual or scale, and lead to the q, k and v of one attention and to nothing else.
Gives   one Dense with their weights side by side, and a Slice for each of them.
"""

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.passes.attention_pattern import attentions
from core.compiler.passes.chains import plain, readings
from core.compiler.passes.fold_batch_norm import bias_of
from core.compiler.passes.rewrite import Rewrite


def run(graph: Graph) -> Graph:
    """The graph with merged projections."""
    rewrite, replaced = Rewrite(graph), {}
    for found in attentions(graph):
        three = [graph.producer(t.base) for t in (found.q, found.k, found.v)]
        if _mergeable(three, graph):
            replaced |= _merged(three, rewrite)
    nodes = [made for node in graph.nodes for made in replaced.get(node.outputs[0], (node,))]
    return rewrite.done(_sorted(nodes, graph)) if replaced else graph


def _mergeable(three, graph: Graph) -> bool:
    if any(n is None or n.op != "Dense" or not plain(n) or n.inputs[1] not in graph.constants for n in three) or len({n.outputs[0] for n in three}) < 3:
        return False
    count = readings(graph)
    biases = [n.inputs[2] for n in three if len(n.inputs) > 2 and n.inputs[2]]
    return len({n.inputs[0] for n in three}) == 1 and all(count[n.outputs[0]] == 1 for n in three) and all(b in graph.constants for b in biases)


def _merged(three, rewrite: Rewrite) -> dict[str, tuple[Node, ...]]:
    """output name -> the nodes that stand in for its Dense; the first one brings the merged product."""
    widths = [rewrite.shape(n.inputs[1])[1] for n in three]
    lead = rewrite.shape(three[0].outputs[0])[:-1]
    name = f"{three[0].outputs[0]}.qkv"
    weights = rewrite.constant(f"{name}.weights", np.concatenate([rewrite.constants[n.inputs[1]] for n in three], axis=1))
    bias = rewrite.constant(f"{name}.bias", np.concatenate([bias_of(n, rewrite, w) for n, w in zip(three, widths)]))
    whole = rewrite.value(name, (*lead, sum(widths)))
    origins = tuple(dict.fromkeys(o for n in three for o in n.origins))
    product = Node("Dense", (three[0].inputs[0], weights, bias), (whole,), three[0].attributes, origins)
    made, start = {}, 0
    for node, width in zip(three, widths):
        zeros = (0,) * len(lead)
        attributes = {"starts": (*zeros, start), "ends": (*lead, start + width), "steps": (1,) * (len(lead) + 1)}
        made[node.outputs[0]] = (Node("Slice", (whole,), node.outputs, attributes, node.origins),)
        start += width
    first = three[0].outputs[0]
    made[first] = (product, *made[first])
    return made


def _sorted(nodes: list[Node], graph: Graph) -> list[Node]:
    """Every node behind what it reads, otherwise in the order given."""
    known, waiting, ordered = {*graph.inputs, *graph.constants}, list(nodes), []
    written = {o for n in nodes for o in n.outputs}
    while waiting:
        ready = next(n for n in waiting if all(not i or i in known or i not in written for i in n.inputs))
        waiting.remove(ready)
        ordered.append(ready)
        known.update(ready.outputs)
    return ordered
