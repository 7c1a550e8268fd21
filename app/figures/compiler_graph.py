"""A network drawn as a graph, top to bottom: nodes in layers, what the chosen node computes lit."""

from collections.abc import Collection, Mapping

import plotly.graph_objects as go

from app.figures.style import INK, figure, tint

HEAVY = {"Dense", "Gemm", "MatMul", "Conv", "ConvTranspose", "Attention"}
"""Operations that do most of the arithmetic: drawn filled."""
ROW, WIDE = 2.5, 7.5
"""Height of a layer and width of a node, in rem."""


def layers(graph: Mapping) -> list[int]:
    """Layer of every node: one below the lowest of those it reads."""
    depth: list[int] = []
    for node in graph["nodes"]:
        depth.append(1 + max((depth[k] for k in node["inputs"] if k >= 0), default=-1))
    return depth


def places(graph: Mapping) -> list[tuple[float, int]]:
    """(x, layer) of every node: x in node widths, the middle of a layer at 0, nodes below those they read."""
    depth = layers(graph)
    x: list[float] = [0.0] * len(depth)
    for layer in range(max(depth, default=-1) + 1):
        inside = [k for k, d in enumerate(depth) if d == layer]
        wished = {k: _mean([x[p] for p in graph["nodes"][k]["inputs"] if p >= 0]) for k in inside}
        for place, k in enumerate(sorted(inside, key=lambda k: (wished[k], k))):
            x[k] = place - (len(inside) - 1) / 2
    return list(zip(x, depth))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def graph_figure(graph: Mapping, lit: Collection[int], mode: str, px: int) -> tuple[go.Figure, str]:
    """The graph with the nodes of `lit` (indices) in the accent; a click names a node (its index in customdata).

    graph  {"nodes": [{"op", "inputs": node indices (-1: an input of the model), "shape", "detail"}]}
    """
    fig, ink, where = figure(mode, px), INK[mode], places(graph)
    deep, broad = max((d for _, d in where), default=0) + 1, max((abs(x) for x, _ in where), default=0) * 2 + 1
    for k, node in enumerate(graph["nodes"]):
        x, y = where[k]
        for parent in (p for p in node["inputs"] if p >= 0):
            _edge(fig, where[parent], (x, y), ink["ours"] if k in lit and parent in lit else ink["axis"])
        colour = ink["ours"] if k in lit else ink["text"] if node["op"] in HEAVY else ink["rest"]
        fig.add_shape(type="rect", x0=x - 0.44, x1=x + 0.44, y0=y - 0.32, y1=y + 0.32, line=dict(color=colour, width=2.4 if k in lit else 1.4),
                      fillcolor=tint(ink["ours"], 0.16) if k in lit else tint(ink["text"], 0.07) if node["op"] in HEAVY else ink["page"], layer="between")
        fig.add_annotation(x=x, y=y, text=node["op"], showarrow=False, font=dict(size=0.8 * px, color=ink["ours"] if k in lit else ink["text"]))
    fig.add_scatter(x=[x for x, _ in where], y=[y for _, y in where], mode="markers", marker=dict(size=2 * px, color="rgba(0,0,0,0)"), customdata=list(range(len(where))),
                    text=[_hover(node) for node in graph["nodes"]], hovertemplate="%{text}<extra></extra>")
    half = max(broad / 2, 1.3)
    fig.update_xaxes(visible=False, range=[-half - 0.1, half + 0.1], fixedrange=True)
    fig.update_yaxes(visible=False, range=[deep - 0.4, -0.6], fixedrange=True)
    fig.update_layout(height=int(ROW * px * deep + px), margin=dict(l=0, r=0, t=0, b=0), hovermode="closest")
    counted: dict[str, int] = {}
    for node in graph["nodes"]:
        counted[node["op"]] = counted.get(node["op"], 0) + 1
    return fig, f"{len(graph['nodes'])} nodes: " + ", ".join(f"{n} {op}" for op, n in counted.items()) + "."


def _edge(fig: go.Figure, start: tuple[float, int], end: tuple[float, int], colour: str) -> None:
    (x0, y0), (x1, y1) = start, end
    far = 0.6 * (y1 - y0 > 1 and abs(x1 - x0) < 0.3)             # round the nodes between
    fig.add_shape(type="path", path=f"M{x0},{y0 + 0.32} C{x0 + far},{y0 + 0.9} {x1 + far},{y1 - 0.9} {x1},{y1 - 0.32}", line=dict(color=colour, width=1.3), layer="below")


def _hover(node: Mapping) -> str:
    shape = " × ".join(map(str, node["shape"])) or "scalar"
    return f"{node['op']} → {shape}" + (f"<br>{node['detail']}" if node.get("detail") else "")
