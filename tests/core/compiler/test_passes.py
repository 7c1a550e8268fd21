"""Every pass says in a golden what it does, none changes what a graph computes, and the candidates are all valid combinations."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.compiler import passes
from core.compiler.candidates import RULES, STEPS, candidates
from core.compiler.graph import CompileError, Graph, Node, Tensor, check
from core.compiler.graph_text import digest, graph_text
from core.compiler.importer import read_model
from core.compiler.interpret import interpret
from core.compiler.passes import PIPELINE, canonicalise
from tests.core.compiler import nets
from tests.core.compiler.nets import model, node, weights

GOLDEN = Path(__file__).parents[2] / "golden" / "compiler" / "passes"
UPDATE = os.environ.get("VITRINE_UPDATE_GOLDEN") == "1"
SHOWN = {"drop_leftovers": "mlp", "shape_operators": "transformer_split", "data_movement": "transformer_slice", "elementwise": "transformer_spelled", "attention_operator": "attention_and_resize", "resize": "attention_and_resize", "windows": "residual_net",
         "reductions": "residual_net", "fold_constants": "odds_and_ends", "products": "mlp", "fold_pads": "residual_net", "simplify_shapes": "odds_and_ends",
         "common_subexpressions": "odds_and_ends", "fold_batch_norm": "residual_net", "fuse_bias": "transformer_split", "recognise_gelu": "transformer_spelled",
         "recognise_layer_norm": "transformer_spelled", "fuse_activation": "residual_net", "fuse_residual": "transformer_split", "second_output": "residual_net", "fuse_maps": "transformer_spelled"}
"""pass -> the model whose golden shows it."""


def imported(name: str) -> Graph:
    return read_model(nets.data(nets.ALL[name]()), name).graph


def at_work(wanted: str, graph: Graph) -> tuple[Graph, Graph]:
    """The graph before and after a pass, at the pass's place; a rule stands after the rules before it."""
    for name, run in PIPELINE:
        before, graph = graph, run(graph)
        if name == wanted:
            return before, graph
    for _, run in STEPS:
        before, graph = graph, run(graph)
        if run.__module__.endswith(f".{wanted}"):
            return before, graph
    from core.compiler.passes import fuse_maps

    before = canonicalise(imported(SHOWN[wanted]))
    return before, fuse_maps.run(before)


@pytest.mark.parametrize("name", SHOWN)
def test_each_pass_does_what_its_golden_shows(name):
    before, after = at_work(name, imported(SHOWN[name]))
    told = f"before\n{graph_text(before)}\nafter\n{graph_text(after)}"
    file = GOLDEN / f"{name}.txt"
    if UPDATE:
        file.write_text(told, "utf8")
    assert file.read_text("utf8") == told
    assert graph_text(before) != graph_text(after) and check(after)


def test_every_pass_file_of_the_pipeline_has_a_golden_and_a_contract():
    for name, run in (*PIPELINE, *STEPS):
        module = run.__module__.rpartition(".")[2]
        text = __import__(run.__module__, fromlist=["x"]).__doc__
        if module != "candidates":
            assert text and "Takes" in text and "Gives" in text, module
        assert module in SHOWN or module in ("candidates", "merge_qkv", "fuse_attention", "fold_layernorm", "assign_layouts", "sink_reshapes")


# ---------------------------------------------------------------- equivalence

def same(found: dict, wanted, outputs) -> bool:
    """Whether every output is there and as exact as float32 sums are."""
    def close(value, exact) -> bool:
        return value.shape == exact.shape and np.allclose(value, exact, rtol=0, atol=1e-5 * max(1e-6, np.abs(exact).max(initial=0)))
    return len(wanted) == len(outputs) and all(close(found[name], exact) for name, exact in zip(outputs, wanted))


@pytest.mark.parametrize("name", nets.ALL)
def test_canonical_graph_and_all_candidates_compute_what_the_model_says(name):
    proto = nets.ALL[name]()
    inputs = nets.feeds(proto)
    wanted = nets.reference(proto, inputs)
    canonical = canonicalise(imported(name))
    assert same(interpret(canonical, inputs), wanted, canonical.outputs)
    for candidate in candidates(canonical):
        assert same(interpret(candidate.graph, inputs), wanted, candidate.graph.outputs)


STEP_KINDS = ("relu", "gelu", "bias", "scale", "full", "residual", "matmul", "norm", "softmax", "turn", "half", "twice")


def drawn(kinds: list[str]):
    """A random chain over [2, 4, 6] tokens with skips to earlier values of the same shape."""
    nodes, constants, shapes, now = [], {}, {"x": (2, 4, 6)}, "x"
    for k, kind in enumerate(kinds):
        shape, new = shapes[now], f"v{k}"
        last = shape[-1]
        operand = {"bias": (last,), "full": shape, "matmul": (last, 5 + k % 3)}.get(kind)
        if operand:
            constants[f"c{k}"] = weights(operand, k)
        constants |= {"scale": {f"c{k}": np.float32(0.3)}, "norm": {f"c{k}": 1 + weights((last,), k), f"d{k}": weights((last,), k + 50)},
                      "half": {f"c{k}": np.array([0]), f"d{k}": np.array([max(1, shape[1] // 2)]), f"e{k}": np.array([1])}}.get(kind, {})
        earlier = next((n for n, s in reversed(shapes.items()) if s == shape and n != now), now)
        op, reads, extra = {"relu": ("Relu", now, {}), "gelu": ("Gelu", now, {}), "bias": ("Add", f"{now} c{k}", {}), "full": ("Add", f"c{k} {now}", {}), "scale": ("Mul", f"{now} c{k}", {}),
                            "residual": ("Add", f"{now} {earlier}", {}), "matmul": ("MatMul", f"{now} c{k}", {}), "norm": ("LayerNormalization", f"{now} c{k} d{k}", {}),
                            "softmax": ("Softmax", now, {}), "turn": ("Transpose", now, {"perm": [0, 2, 1]}), "half": ("Slice", f"{now} c{k} d{k} e{k}", {}),
                            "twice": ("Concat", f"{now} {now}", {"axis": 1})}[kind]
        nodes.append(node(op, reads, new, **extra))
        a, b, c = shape
        shapes[new] = {"matmul": (a, b, 5 + k % 3), "turn": (a, c, b), "half": (a, max(1, b // 2), c), "twice": (a, 2 * b, c)}.get(kind, shape)
        now = new
    return model([*nodes, node("Neg", now, "y")], {"x": (2, 4, 6)}, ["y"], constants, opset=20)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(STEP_KINDS), min_size=2, max_size=9))
def test_random_chains_keep_their_values_under_every_rule(kinds):
    proto = drawn(kinds)
    inputs = nets.feeds(proto)
    wanted = nets.reference(proto, inputs)
    canonical = canonicalise(read_model(nets.data(proto), "chain").graph)
    for graph in (canonical, *(c.graph for c in candidates(canonical, 16))):
        assert same(interpret(graph, inputs), wanted, graph.outputs)


# ---------------------------------------------------------------- candidates

def test_candidates_are_different_named_and_the_most_fused_comes_first():
    found = candidates(canonicalise(imported("transformer_slice")))
    assert len({digest(c.graph) for c in found}) == len({c.name for c in found}) == len(found) > 8
    assert found[0].name == "all rules" and found[-1].name == "no rules" and not found[-1].rules and found[0].nodes < found[-1].nodes
    assert all(set(c.rules) <= set(RULES) for c in found)


def test_candidates_are_bounded_and_keep_the_extremes():
    canonical = canonicalise(imported("transformer_spelled"))
    few, all_of_them = candidates(canonical, 5), candidates(canonical)
    assert len(few) <= 5 < len(all_of_them) and few[0].nodes == all_of_them[0].nodes and few[-1].nodes == all_of_them[-1].nodes


def test_rules_depend_on_each_other_where_they_must():
    for candidate in candidates(canonicalise(imported("transformer_spelled"))):
        fused = [n for n in candidate.graph.nodes if n.get("activation") == "gelu"]
        assert bool(fused) <= {"gelu", "activation"}.issubset(candidate.rules)


@pytest.mark.parametrize("name, ops", (("mlp", {"Dense": 2}), ("residual_net", {"Conv": 4, "Reduce": 1})))
def test_all_rules_leave_only_layers(name, ops):
    graph = candidates(canonicalise(imported(name)))[0].graph
    found = {op: sum(n.op == op for n in graph.nodes) for op in {n.op for n in graph.nodes} - {"Relayout"}}
    assert found == ops


def test_both_exporters_forms_come_to_one_attention_and_spelled_norms_and_gelu_are_recognised():
    counts = []
    for name in ("transformer_split", "transformer_slice", "transformer_spelled"):
        nodes = candidates(canonicalise(imported(name)))[0].graph.nodes
        counts.append(sorted(n.op for n in nodes if n.op != "Reshape"))
        assert sum(n.get("activation") == "gelu" for n in nodes) == 1
    assert counts[0] == counts[1] == counts[2] and counts[0].count("Attention") == 1 and "Softmax" not in counts[0]


def test_a_result_that_is_read_twice_or_leaves_the_graph_is_not_swallowed():
    nodes = [node("MatMul", "x w", "m"), node("Relu", "m", "r"), node("Add", "r m", "y")]
    proto = model(nodes, {"x": (2, 6)}, ["y", "r"], {"w": weights((6, 6))})
    inputs = nets.feeds(proto)
    for candidate in candidates(canonicalise(read_model(nets.data(proto), "net").graph)):
        assert same(interpret(candidate.graph, inputs), nets.reference(proto, inputs), candidate.graph.outputs)


# ---------------------------------------------------------------- graphs and texts

def test_a_pass_that_breaks_a_graph_is_found():
    broken = Graph("g", ("x",), ("y",), {n: Tensor(n, (2,)) for n in "xy"}, {}, (Node("Map", ("z",), ("y",), {"expr": ("in", 0)}),))
    with pytest.raises(CompileError, match="reads 'z', which nothing has written"):
        check(broken)


def test_what_is_left_of_onnx_after_all_passes_is_named(monkeypatch):
    monkeypatch.setattr(passes, "PIPELINE", PIPELINE[:1])
    with pytest.raises(CompileError, match="Gemm that comes from 'n_a'"):
        canonicalise(imported("mlp"))


def test_the_text_of_a_graph_tells_names_apart_from_structure():
    graph = Graph('g"\n', ("a\nb",), ("y",), {n: Tensor(n, (2,)) for n in ("a\nb", "y")}, {}, (Node("Map", ("a\nb",), ("y",), {"expr": ("relu", ("in", 0))}),))
    assert graph_text(graph).splitlines() == ['graph "g\\"\\n"', 'input "a\\nb" float32[2]', '"y" float32[2] = Map("a\\nb") expr=relu(in0)', 'output "y"']
