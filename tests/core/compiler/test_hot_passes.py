"""The passes for transformers and layouts: every candidate means what the unfused graph means, and the patterns of both exporters end in the same few nodes."""

import json

import numpy as np
import pytest

from core.compiler.candidates import candidates
from core.compiler.graph import CHANNELS_LAST, COLUMNS, Graph
from core.compiler.importer import read_model
from core.compiler.interpret import interpret
from core.compiler.passes import canonicalise
from tests.core.compiler.nets import data, model, node, weights

WIDTH, HEADS, DEPTH = 12, 3, 4


def graph_of(proto, name: str = "net") -> Graph:
    return canonicalise(read_model(data(proto), name).graph)


def operations(graph: Graph) -> list[str]:
    return [n.op for n in graph.nodes if n.op != "Reshape"]


def same(graph: Graph, seed: int = 1) -> tuple:
    """All candidates, after each has been found to mean the same as the graph itself."""
    random = np.random.default_rng(seed)
    feeds = [random.standard_normal(graph.shape(name)) for name in graph.inputs]
    expected = interpret(graph, feeds, np.float64)
    made = candidates(graph)
    for candidate in made:
        for name, array in interpret(candidate.graph, feeds, np.float64).items():
            assert np.abs(array - expected[name]).max() <= 2e-6 * np.abs(expected[name]).max(), candidate.name  # constants are folded in double and kept in float32
    return made


def norm(tag: str) -> dict[str, np.ndarray]:
    return {f"{tag}g": 1 + weights((WIDTH,), 3), f"{tag}b": weights((WIDTH,), 4)}


def attention(x: str, tokens: int, order: str = "split", mask: bool = False, batch: bool = True) -> tuple[list, dict[str, np.ndarray]]:
    """Nodes of self-attention from x to `a`, as different exporters write it. order: split | slices | interleaved | three."""
    lead, axes = ([1], 0) if batch else ([], -1)
    constants: dict[str, np.ndarray] = {"heads_shape": np.array([*lead, tokens, HEADS, DEPTH]), "back_shape": np.array([*lead, tokens, WIDTH]), "scale": np.array(0.5, np.float32)}
    turn, kturn = ([0, 2, 1, 3], [0, 2, 3, 1]) if batch else ([1, 0, 2], [1, 2, 0])
    if order == "three":
        nodes = []
        for part, seed in zip("qkv", (11, 12, 13)):
            constants |= {f"w{part}": weights((WIDTH, WIDTH), seed), f"c{part}": weights((WIDTH,), seed + 3)}
            nodes += [node("MatMul", f"{x} w{part}", f"m{part}"), node("Add", f"m{part} c{part}", f"l{part}"), node("Reshape", f"l{part} heads_shape", f"h{part}"),
                      node("Transpose", f"h{part}", part, perm=kturn if part == "k" else turn)]
    else:
        constants |= {"wqkv": weights((WIDTH, 3 * WIDTH), 11), "cqkv": weights((3 * WIDTH,), 12)}
        inner = [HEADS, 3, DEPTH] if order == "interleaved" else [3, HEADS, DEPTH]
        constants["five"] = np.array([*lead, tokens, *inner])
        first = len(lead)
        perm = [first + (2 if order == "interleaved" else 1), *range(first), first + (1 if order == "interleaved" else 2), first, first + 3]
        nodes = [node("MatMul", f"{x} wqkv", "mqkv"), node("Add", "mqkv cqkv", "qkv"), node("Reshape", "qkv five", "v5"), node("Transpose", "v5", "p5", perm=perm)]
        constants |= {"axis0": np.array([0])}
        if order == "slices":
            for i, part in enumerate(("q", "kk", "v")):
                constants |= {f"from{i}": np.array([i]), f"to{i}": np.array([i + 1])}
                nodes += [node("Slice", f"p5 from{i} to{i} axis0", f"s{part}"), node("Squeeze", f"s{part} axis0", part)]
        else:
            nodes += [node("Split", "p5", "sq skk sv", axis=0, num_outputs=3), *(node("Squeeze", f"s{part} axis0", part) for part in ("q", "kk", "v"))]
        last = [0, 1, 3, 2] if batch else [0, 2, 1]
        nodes.append(node("Transpose", "kk", "k", perm=last))
    nodes += [node("MatMul", "q k", "scores"), node("Mul", "scores scale", "scaled")]
    if mask:
        constants["mask"] = np.triu(np.full((tokens, tokens), -1e9, np.float32), 1)
        nodes.append(node("Add", "scaled mask", "masked"))
    nodes += [node("Softmax", "masked" if mask else "scaled", "soft", axis=-1), node("MatMul", "soft v", "mixed"),
              node("Transpose", "mixed", "turned", perm=turn), node("Reshape", "turned back_shape", "a")]
    return nodes, constants


def block(tokens: int = 6, order: str = "split", mask: bool = False, batch: bool = True, post: bool = False):
    """A transformer layer: pre-norm (or post-norm) attention and a small network, residuals, a last norm and head."""
    nodes, constants = attention("x1" if post else "n1", tokens, order, mask, batch)
    shape = (1, tokens, WIDTH) if batch else (tokens, WIDTH)
    constants |= norm("one") | norm("two") | {"we": weights((5, WIDTH), 20), "ce": weights((WIDTH,), 21), "pos": weights(shape, 22), "wo": weights((WIDTH, WIDTH), 23), "co": weights((WIDTH,), 24),
                                              "wf": weights((WIDTH, 20), 25), "cf": weights((20,), 26), "wg": weights((20, WIDTH), 27), "wh": weights((WIDTH, 7), 28)}
    start = [node("MatMul", "x we", "e0"), node("Add", "e0 ce", "e1"), node("Add", "e1 pos", "x1")]
    first = [] if post else [node("LayerNormalization", "x1 oneg oneb", "n1", axis=-1)]
    after = [node("MatMul", "a wo", "o0"), node("Add", "o0 co", "o1"), node("Add", "x1 o1", "r1")]
    second = [node("LayerNormalization", "r1 twog twob", "n2", axis=-1), node("MatMul", "n2 wf", "f0"), node("Add", "f0 cf", "f1"), node("Relu", "f1", "f2"), node("MatMul", "f2 wg", "f3")]
    end = [node("Add", f"{'n2' if post else 'r1'} f3", "r2"), node("LayerNormalization", "r2 oneg oneb", "n3", axis=-1), node("MatMul", "n3 wh", "y")]
    lead = [1] if batch else []
    return model([*start, *first, *nodes, *after, *second, *end], {"x": [*lead, tokens, 5]}, ["y"], constants)


@pytest.mark.parametrize(("order", "mask", "batch"), [("split", False, True), ("slices", True, True), ("interleaved", False, True), ("three", False, True), ("split", False, False)])
def test_a_transformer_layer_becomes_six_products_and_three_factors(order, mask, batch):
    made = same(graph_of(block(order=order, mask=mask, batch=batch)))
    assert sorted(operations(made[0].graph)) == ["Attention", *["Dense"] * 6, *["Map"] * 3]
    attentions = [n for n in made[0].graph.nodes if n.op == "Attention"]
    assert attentions[0].get("head_layout") == "packed" and attentions[0].get("heads") == HEADS
    assert len(made) > 2 and any("Softmax" in operations(c.graph) for c in made)


def test_a_stream_with_other_readers_keeps_its_mean():
    """Post-norm: the norm's result is added to the stream, so nothing may be centred; only the last norm's factors and stream can go."""
    made = same(graph_of(block(post=True)))
    norms = [n for n in made[0].graph.nodes if n.op == "Normalise"]
    assert norms and any(len(n.inputs) == 3 for n in norms)


def test_a_stream_that_leaves_the_graph_keeps_its_mean():
    proto = model([node("MatMul", "x w", "h"), node("LayerNormalization", "h g b", "n", axis=-1), node("MatMul", "n v", "y")], {"x": [4, 5]}, ["y", "h"],
                  {"w": weights((5, 8), 1), "g": weights((8,), 2), "b": weights((8,), 3), "v": weights((8, 3), 4)})
    made = same(graph_of(proto))
    assert operations(made[0].graph) == ["Dense", "Normalise", "Dense"] and made[0].graph.nodes[1].inputs[1:] == ()


def test_columns_need_whole_registers_of_tokens():
    layouts = {tokens: {t.layout for t in same(graph_of(block(tokens=tokens)))[0].graph.tensors.values()} for tokens in (6, 32)}
    assert COLUMNS not in layouts[6] and COLUMNS in layouts[32]


def test_pictures_lie_channels_last_between_convolutions():
    conv = {"w": weights((8, 3, 3, 3), 1), "v": weights((8, 8, 3, 3), 2), "u": weights((2, 8, 1, 1), 3)}
    nodes = [node("Conv", "x w", "a", pads=[1, 1, 1, 1]), node("Relu", "a", "r"), node("Conv", "r v", "c", pads=[1, 1, 1, 1]), node("Add", "a c", "s"), node("MaxPool", "s", "m", kernel_shape=[2, 2], strides=[2, 2]),
             node("Conv", "m u", "y")]
    made = same(graph_of(model(nodes, {"x": [1, 3, 6, 8]}, ["y"], conv)))
    best = made[0].graph
    assert all((best.tensors[o].layout == CHANNELS_LAST) == (o not in best.outputs) for n in best.nodes for o in n.outputs)


def test_a_residual_that_leaves_the_graph_is_brought_back():
    nodes = [node("Conv", "x w", "c", pads=[1, 1, 1, 1]), node("Add", "x c", "y")]
    best = same(graph_of(model(nodes, {"x": [1, 4, 6, 8]}, ["y"], {"w": weights((4, 4, 3, 3), 1)})))[0].graph
    assert operations(best) == ["Relayout", "Conv", "Relayout"]


@pytest.mark.parametrize("name", ["tr_csi", "tr_2x32", "cnn_deeprx"])
@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_both_exporters_end_in_the_same_nodes(name, exporter, shared_data):
    folder = shared_data / "compiler"
    about = json.loads((folder / "models.json").read_text())[name]
    x, y = (np.fromfile(folder / f"{name}.{side}.bin", "<f4").reshape(about[f"{side}_shape"]) for side in ("in", "out"))
    best = candidates(canonicalise(read_model((folder / exporter / f"{name}.onnx").read_bytes(), name).graph))[0].graph
    expected = {"tr_csi": {"Dense": 6, "Attention": 1, "Map": 3}, "tr_2x32": {"Dense": 10, "Attention": 2, "Map": 5}, "cnn_deeprx": {"Conv": 8}}[name]
    found = operations(best)
    assert {op: found.count(op) for op in set(found)} == expected
    (made,) = interpret(best, [x], np.float64).values()
    assert np.abs(made - y).max() <= 1e-6 * np.abs(y).max()


def test_reshapes_between_products_and_residuals_are_no_obstacle():
    """As torch's own encoder layer has it: products on [tokens, width] between norms and sums on [1, tokens, width]."""
    proto = model([node("LayerNormalization", "h g b", "n", axis=-1), node("Reshape", "n flat", "f"), node("MatMul", "f v", "m"), node("Add", "m c", "l"), node("Reshape", "l whole", "w3"),
                   node("Add", "h w3", "y")], {"h": [1, 6, WIDTH]}, ["y"],
                  {"g": weights((WIDTH,), 2), "b": weights((WIDTH,), 3), "v": weights((WIDTH, WIDTH), 4), "c": weights((WIDTH,), 5), "flat": np.array([6, WIDTH]), "whole": np.array([1, 6, WIDTH])})
    best = same(graph_of(proto))[0].graph
    assert [n.op for n in best.nodes] == ["Normalise", "Dense"] and len(best.nodes[1].inputs) == 4 and best.nodes[0].inputs[1:] == ()
