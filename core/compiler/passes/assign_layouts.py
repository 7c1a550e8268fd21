"""Rule layout: where values lie so that no kernel has to turn them.

Takes   a graph of canonical operations, everything in rows.
Gives   channels_last for values between convolutions and what works pixel by pixel; columns for the tokens of a transformer whose number fills whole registers.
        What enters and leaves the graph stays as it is; convolutions and products read and write the other layout at the borders.
"""

from dataclasses import replace

from core.compiler.graph import CHANNELS_LAST, COLUMNS, Graph, Node
from core.compiler.passes.rewrite import Rewrite

PIXELWISE = frozenset({"Conv", "Map", "Pool", "Concat", "LRN"})
TOKENWISE = frozenset({"Dense", "Attention", "Map"})
TOKENS = 16
"""Columns pay when tokens come in whole registers of the widest target."""


def run(graph: Graph) -> Graph:
    """The graph with layouts."""
    graph = _marked(graph, _pictures(graph), CHANNELS_LAST)
    graph = _residuals_agree(graph)
    return _marked(graph, _tokens(graph), COLUMNS)


def _marked(graph: Graph, names: set[str], layout: str) -> Graph:
    return replace(graph, tensors={k: replace(t, layout=layout) if k in names else t for k, t in graph.tensors.items()}) if names else graph


def _inner(graph: Graph, kinds: frozenset[str]) -> set[str]:
    """float32 values written and read only by these operations."""
    names = set()
    for node in graph.nodes:
        if node.op in kinds:
            names |= {o for o in node.outputs if o and o not in graph.outputs and graph.tensors[o].dtype == "float32" and all(r.op in kinds for r in graph.readers(o))}
    return names


# ---------------------------------------------------------------- pictures

def _pictures(graph: Graph) -> set[str]:
    """Values of rank 3 and 4 in parts of the graph that hold a convolution."""
    names = {n for n in _inner(graph, PIXELWISE) if len(graph.shape(n)) in (3, 4)}
    names = {n for n in names if all(_same_rank(reader, graph) for reader in (*graph.readers(n), graph.producer(n)))}
    reached = {o for node in graph.nodes if node.op == "Conv" for o in (*node.outputs, node.inputs[0]) if o in names}
    grown = True
    while grown:
        near = {n for node in graph.nodes if node.op in PIXELWISE and reached & {*node.inputs, *node.outputs} for n in (*node.inputs, *node.outputs) if n in names}
        grown, reached = not near <= reached, reached | near
    return reached


def _same_rank(node: Node, graph: Graph) -> bool:
    """Does everything the node touches count its axes alike?"""
    rank = len(graph.shape(node.outputs[0]))
    return all(len(graph.shape(n)) in (rank, 1, 0) if n in graph.constants else len(graph.shape(n)) == rank for n in node.inputs if n) or node.op == "Conv"


def _residuals_agree(graph: Graph) -> Graph:
    """A convolution's result and its residual lie alike: where one of them has to stay in rows, a Relayout stands between."""
    rewrite, nodes = Rewrite(graph), []
    for node in graph.nodes:
        nodes += _agreeing(node, graph, rewrite)
    return rewrite.done(nodes) if len(nodes) > len(graph.nodes) else graph


def _agreeing(node: Node, graph: Graph, rewrite: Rewrite) -> list[Node]:
    residual = node.inputs[3] if node.op == "Conv" and len(node.inputs) > 3 else ""
    shape = graph.shape(node.outputs[0])
    if len(shape) not in (3, 4) or not (residual in graph.tensors or (node.op == "Conv" and len(node.outputs) > 1)):
        return [node]
    before, after, inputs, outputs = [], [], list(node.inputs), list(node.outputs)
    if residual in graph.tensors and graph.tensors[residual].layout != CHANNELS_LAST:
        inputs[3] = _last(residual, rewrite)
        before.append(Node("Relayout", (residual,), (inputs[3],), {}, node.origins))
    for k, name in enumerate(outputs):
        if graph.tensors[name].layout != CHANNELS_LAST:
            outputs[k] = _last(name, rewrite)
            after.append(Node("Relayout", (outputs[k],), (name,), {}, node.origins))
    return [*before, Node(node.op, tuple(inputs), tuple(outputs), node.attributes, node.origins), *after]


def _last(name: str, rewrite: Rewrite) -> str:
    made = rewrite.value(f"{name}.last", rewrite.shape(name))
    rewrite.tensors[made] = replace(rewrite.tensors[made], layout=CHANNELS_LAST)
    return made


# ---------------------------------------------------------------- tokens

def _tokens(graph: Graph) -> set[str]:
    """Values [..., tokens, features] of a transformer in one set of tokens, where all its tokens come in whole registers."""
    attentions = [n for n in graph.nodes if n.op == "Attention"]
    names = {n for n in _inner(graph, TOKENWISE) if len(graph.shape(n)) >= 2 and graph.tensors[n].size > graph.shape(n)[-2]}
    touched = [name for node in attentions for name in (*node.inputs, *node.outputs) if name in graph.tensors]
    shapes = {graph.shape(name) for name in touched}
    fitting = all(s[-2] % TOKENS == 0 and s[-2] > 0 and all(x == 1 for x in s[:-2]) for s in shapes)
    if not attentions or not fitting or not set(touched) <= names or any(n.get("head_layout") == "heads" for n in attentions):
        return set()
    if any(n.op == "Normalise" for n in graph.nodes):  # a norm that could not be folded runs along features, which lie side by side in rows only
        return set()
    tokens = {s[-2] for s in shapes}
    return {n for n in names if graph.shape(n)[-2] in tokens and all(x == 1 for x in graph.shape(n)[:-2])}
