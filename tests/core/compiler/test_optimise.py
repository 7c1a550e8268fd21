"""What is chosen was measured or decided by rule, what fails or computes something else is discarded with its reason, and nothing known is measured twice."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from core.compiler import optimise, toolchain
from core.compiler.candidates import Candidate, candidates
from core.compiler.graph import CHANNELS_LAST, COLUMNS, CompileError, Graph, Node, Tensor
from core.compiler.graph_text import digest
from core.compiler.importer import read_model
from core.compiler.lower.variant import TARGETS, Code, Variant
from core.compiler.optimise import apply_mapping, choose, mapping_json, rows_of
from core.compiler.passes import canonicalise
from core.compiler.single import logical, samples, single, stored
from core.errors import Cancelled
from core.ran.result_cache import Cache
from tests.core.compiler import nets

SCALAR = TARGETS["scalar"]
needs_compiler = pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler here")


def mlp() -> tuple[Candidate, ...]:
    return candidates(canonicalise(read_model(nets.data(nets.mlp()), "mlp").graph))


def doubling() -> Candidate:
    """One Map, y = 2 x."""
    graph = Graph("double", ("x",), ("y",), {n: Tensor(n, (64,)) for n in "xy"}, {}, (Node("Map", ("x",), ("y",), {"expr": ("add", ("in", 0), ("in", 0))}, ("n",)),))
    return Candidate("as it is", (), graph)


def variant(name: str, statement: str, error: float = 0.0) -> Variant:
    return Variant(name, lambda operand: Code(f"const float* x = {operand('i0')}; float* y = {operand('o0')};\nfor (int k = 0; k < 64; ++k) {{ {statement} }}"), error=error)


OFFERED = (variant("wrong", "y[k] = 2.001f * x[k];"), variant("broken", "y[k] = there_is_no_such_thing;"), variant("slow", "float s = 0; for (int j = 0; j < 400; ++j) s += x[k] * 0.005f; y[k] = s;", 1e-4),
           variant("fast", "y[k] = x[k] + x[k];"), variant("crash", "y[k] = *(volatile float*)8;"))


def named(text):
    """The same code under the names a whole graph gives its values."""
    return lambda node, graph, target: tuple(replace(v, emit=lambda operand, v=v: v.emit(lambda name: operand({"i0": node.inputs[0], "o0": node.outputs[0]}[name]))) for v in text)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    """The choice among good and bad variants, and the cache it filled."""
    file = tmp_path_factory.mktemp("cache") / "kernels.sqlite"
    with pytest.MonkeyPatch.context() as patch, Cache(file) as cache:
        patch.setattr(optimise, "variants", named(OFFERED))
        patch.setattr("core.compiler.emit.variants", named(OFFERED))
        return choose([doubling()], SCALAR, cache, "thorough"), file


@needs_compiler
def test_the_fastest_right_variant_wins_and_the_others_say_why_not(chosen):
    choice, _ = chosen
    assert choice.mapping == {0: "fast"}
    reasons = {d.variant: d.reason for d in choice.discarded}
    assert set(reasons) == {"wrong", "broken", "crash"}
    assert "differs from the definition" in reasons["wrong"] and "there_is_no_such_thing" in reasons["broken"] and "crashed" in reasons["crash"]
    rows = {m.variant: m for m in choice.measured}
    assert rows["fast"].chosen and rows["fast"].us < rows["slow"].us and rows["fast"].decided == "measured" and rows["fast"].error == 0
    assert choice.totals[0].chosen and choice.totals[0].measured_us > 0 and choice.totals[0].predicted_us == rows["fast"].us


@needs_compiler
def test_what_is_known_is_not_measured_again(chosen, monkeypatch):
    first, file = chosen
    monkeypatch.setattr(optimise, "variants", named(OFFERED))
    monkeypatch.setattr(optimise, "compile_batch", lambda *_, **__: pytest.fail("nothing is left to compile"))
    with Cache(file) as cache:
        again = choose([doubling()], SCALAR, cache, "thorough")
    assert again.mapping == first.mapping and {m.decided for m in again.measured} == {"known"}
    assert {(d.variant, d.reason) for d in again.discarded} == {(d.variant, d.reason) for d in first.discarded}


def test_other_code_another_compiler_or_another_target_asks_for_new_measurements(monkeypatch):
    monkeypatch.setattr(toolchain, "compiler", lambda: toolchain.Compiler("g++", "g++", "one"))
    monkeypatch.setattr(optimise, "compiler", toolchain.compiler)
    one = optimise.here(SCALAR)
    assert optimise.here(TARGETS["avx2"]) != one
    monkeypatch.setattr(optimise, "code_version", lambda: "other")
    assert optimise.here(SCALAR) != one


def test_rules_alone_choose_the_most_fused_candidate_without_a_compiler(monkeypatch):
    monkeypatch.setattr(optimise, "compile_batch", lambda *_, **__: pytest.fail("nothing may be compiled"))
    choice = choose(mlp(), SCALAR, None, "rules")
    assert choice.candidate.name == "all rules" and set(choice.mapping) == {0, 1}
    assert {m.decided for m in choice.measured} == {"rule"} and all(t.measured_us is None for t in choice.totals)


def test_a_candidate_without_a_kernel_is_listed_and_when_all_are_the_reason_is_raised(monkeypatch):
    real = optimise.variants

    def none_for_activations(node, graph, target):
        if node.get("activation", "none") != "none":
            raise CompileError("Dense has no kernel for this.")
        return real(node, graph, target)
    monkeypatch.setattr(optimise, "variants", none_for_activations)
    choice = choose(mlp(), SCALAR, None, "rules")
    assert choice.candidate.name == "no rules" and choice.discarded[0].what == "candidate all rules" and choice.discarded[0].reason == "Dense has no kernel for this."
    with pytest.raises(CompileError, match="no kernel for this"):
        choose(mlp()[:1], SCALAR, None, "rules")


def test_a_candidate_whose_rules_change_the_result_is_discarded_before_anything_is_measured():
    good, other = mlp()
    halved = replace(other.graph, constants={n: (a * np.float32(0.5) if n.startswith("w2") else a) for n, a in other.graph.constants.items()})
    choice = choose((Candidate("bad", (), halved), good), SCALAR, None, "rules", definition=other.graph)
    assert choice.candidate is good and choice.discarded[0].what == "candidate bad" and "change the result by" in choice.discarded[0].reason


def test_a_wish_to_stop_ends_it():
    def stop(share, message):
        raise Cancelled("stop")
    with pytest.raises(Cancelled):
        choose(mlp(), SCALAR, None, "quick", stop)


# ---------------------------------------------------------------- the mapping as a file

def test_a_mapping_file_leads_back_to_the_same_choice():
    offered = mlp()
    choice = choose(offered, SCALAR, None, "rules")
    text = mapping_json(choice, "ab" * 32)
    again = apply_mapping(text, offered, SCALAR)
    assert again.mapping == choice.mapping and digest(again.graph) == digest(choice.graph)
    assert json.loads(text)["nodes"][0]["origins"] == ["n_a", "n_r"]
    with pytest.raises(CompileError, match="another model"):
        apply_mapping(text, offered[1:], SCALAR)
    with pytest.raises(CompileError, match="another model"):
        apply_mapping(text, offered, TARGETS["avx2"])
    for junk in ("", "{}", "[1]", '{"nodes": [{}]}'):
        with pytest.raises(CompileError, match="not a file this compiler wrote"):
            apply_mapping(junk, offered, SCALAR)
    assert json.loads(json.dumps(rows_of(choice)))["candidates"][0]["chosen"]


# ---------------------------------------------------------------- single nodes

def test_equal_work_has_one_key_whatever_its_names_and_weights():
    graph = mlp()[0].graph
    keys = [single(graph, n).key for n in graph.nodes]
    assert len(set(keys)) == 2
    other = candidates(canonicalise(read_model(nets.data(nets.mlp()).replace(b"b1", b"zz"), "other").graph))[0].graph
    assert [single(other, n).key for n in other.nodes] == keys
    moved = replace(graph, tensors={k: replace(t, layout=COLUMNS) for k, t in graph.tensors.items()})
    assert single(moved, moved.nodes[0]).key != keys[0]


def test_values_go_into_a_layout_and_come_back():
    for shape, layout in (((1, 3, 4, 5), CHANNELS_LAST), ((2, 4, 6), COLUMNS)):
        tensor = Tensor("x", shape, "float32", layout)
        values = np.arange(tensor.size, dtype=np.float32).reshape(shape)
        lying = stored(values, tensor)
        assert lying.shape == shape and not np.array_equal(lying, values)
        np.testing.assert_array_equal(logical(lying, tensor), values)
    assert stored(values, tensor).ravel()[:3].tolist() == [0, 6, 12]


def test_samples_are_the_same_for_the_same_seed():
    graph = doubling().graph
    assert np.array_equal(samples(graph)[0], samples(graph)[0]) and not np.array_equal(samples(graph)[0], samples(graph, 1)[0])
