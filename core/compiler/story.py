"""A compilation as plain values for the page: both graphs, candidates, what was measured, where each node stands in the C++."""

from collections.abc import Mapping

from core.compiler.graph import Graph, Node

MOST_NODES = 400
"""Nodes of a graph that are told; a larger one is cut there and says so."""


def graph_story(graph: Graph, variants: Mapping[int, str] | None = None) -> dict:
    """{"nodes": [{op, inputs, shape, origins, detail, variant}], "of": nodes in all}: inputs are indices of nodes, -1 an input of the model; constants are left out."""
    variants, writer = variants or {}, {name: -1 for name in graph.inputs}
    told = []
    for index, node in enumerate(graph.nodes[:MOST_NODES]):
        read = [writer[name] for name in node.inputs if name in writer]
        told.append(dict(op=node.op, inputs=sorted(set(read)), shape=list(graph.shape(node.outputs[0])), origins=list(node.origins), detail=detail(graph, node),
                         variant=variants.get(index, "")))
        writer |= {name: index for name in node.outputs if name}
    return {"nodes": told, "of": len(graph.nodes)}


def detail(graph: Graph, node: Node) -> str:
    """What a node carries with it, in a few words: weights, activation, residual, layout."""
    words = []
    weights = [graph.constants[name] for name in node.inputs if name in graph.constants and graph.constants[name].ndim > 1]
    if weights:
        words.append("weights " + " × ".join(map(str, weights[0].shape)))
    activation = node.get("activation", "none")
    if activation != "none":
        words.append(str(activation).replace("_", " "))
    if len(node.inputs) > 3 and node.op in ("Dense", "Conv") and node.inputs[3]:
        words.append("residual")
    if len(node.outputs) > 1:
        words.append(f"{len(node.outputs)} outputs")
    layout = graph.tensors[node.outputs[0]].layout
    if layout != "rows":
        words.append(layout.replace("_", " "))
    return ", ".join(words)
