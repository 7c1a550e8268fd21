"""The definition of every operation is held to the onnx package's own node tests and to onnx.reference; what they do not know is held to plain formulas."""

import numpy as np
import pytest
from scipy import special

from core.compiler.graph import CompileError, Graph, Node, Tensor
from core.compiler.importer import read_model
from core.compiler.interpret import FUNCTIONS, OPERATIONS, activated, everything, evaluate, interpret
from core.compiler.passes import canonicalise
from core.errors import VitrineError
from tests.core.compiler.conformance import converted_cases, node_cases

RANDOM = np.random.default_rng(3)


def one(op: str, inputs: dict, outputs: dict, attributes: dict | None = None, constants: dict | None = None) -> Graph:
    """A graph of one node; inputs and outputs are name -> shape."""
    names = (*inputs, *(constants or {}))
    tensors = {n: Tensor(n, tuple(s)) for n, s in {**inputs, **outputs}.items()}
    return Graph("one", tuple(inputs), tuple(outputs), tensors, constants or {}, (Node(op, names, tuple(outputs), attributes or {}),))


def verdict(case) -> str:
    """passed, or why it was refused; a wrong value fails the test."""
    types = {v.name: v.type.tensor_type.elem_type for v in case.model.graph.input}
    feeds = dict(zip((n for n in types if n not in {w.name for w in case.model.graph.initializer}), case.inputs))
    bind = {name: value for name, value in feeds.items() if value.dtype != np.float32}
    try:
        graph = canonicalise(read_model(case.model.SerializeToString(), case.name, bind=bind).graph)
    except VitrineError as error:
        return str(error)
    found = interpret(graph, {name: value for name, value in feeds.items() if name not in bind})
    for name, wanted in zip(graph.outputs, case.outputs, strict=True):
        np.testing.assert_allclose(found[name], wanted, rtol=case.rtol, atol=max(case.atol, 1e-7), err_msg=case.name)
        assert found[name].shape == wanted.shape and found[name].dtype == wanted.dtype, case.name
    return "passed"


def test_the_reference_list_is_231_tests_of_which_only_training_is_refused():
    cases = node_cases()
    found = {case.name: verdict(case) for case in cases}
    refused = {name: why for name, why in found.items() if why != "passed"}
    assert len(found) == 231 and len(refused) <= 2
    assert all("set to train" in why for why in refused.values())


def test_pytorchs_converted_models_all_pass():
    found = [verdict(case) for case in converted_cases()]
    assert len(found) == 82 and set(found) == {"passed"}


# ---------------------------------------------------------------- what ONNX has no node for

def test_dense_does_products_scale_bias_activation_and_residual_in_this_order():
    x, w, b, r, s = (RANDOM.standard_normal(shape).astype(np.float32) for shape in ((2, 3, 4), (4, 5), (5,), (2, 3, 5), (2, 3, 1)))
    for first in (False, True):
        graph = one("Dense", {"x": x.shape, "w": w.shape, "b": b.shape, "r": r.shape, "s": s.shape}, {"y": r.shape, "q": s.shape},
                    {"activation": "relu", "residual_before_activation": first, "sum_squares": True})
        found = interpret(graph, [x, w, b, r, s], np.float64)
        raw = (x.astype(np.float64) @ w) * s + b
        y = np.maximum(raw + r, 0) if first else np.maximum(raw, 0) + r
        np.testing.assert_allclose(found["y"], y, rtol=1e-12)
        np.testing.assert_allclose(found["q"], (y**2).sum(-1, keepdims=True), rtol=1e-12)


def test_a_convolution_writes_its_raw_and_its_activated_result():
    shapes = {"x": (1, 2, 5, 6), "w": (4, 2, 3, 3), "b": (4,), "r": (1, 4, 5, 6), "g": (4,), "h": (4,)}
    values = {n: RANDOM.standard_normal(s) for n, s in shapes.items()}
    attributes = {"strides": (1, 1), "dilations": (1, 1), "pads": (1, 1, 1, 1), "group": 1, "activation": "none", "second_activation": "relu"}
    found = interpret(one("Conv", shapes, {"y": (1, 4, 5, 6), "a": (1, 4, 5, 6)}, attributes), values, np.float64)
    np.testing.assert_allclose(found["a"], np.maximum(found["y"] * values["g"].reshape(4, 1, 1) + values["h"].reshape(4, 1, 1), 0), rtol=1e-6, atol=1e-7)
    values["r"][:] = 0
    plain = interpret(one("Conv", shapes, {"y": (1, 4, 5, 6), "a": (1, 4, 5, 6)}, attributes), values, np.float64)["y"]
    assert np.abs(found["y"] - plain).max() > 0.1


@pytest.mark.parametrize("layout", ("packed", "merged", "heads"))
def test_attention_is_softmax_of_scores_times_values_in_every_layout(layout):
    q, k, v = (RANDOM.standard_normal((1, 2, t, 3)) for t in (4, 5, 5)) if layout != "packed" else (RANDOM.standard_normal((1, 2, 4, 3)) for _ in range(3))
    wanted = special.softmax(0.5 * q @ np.swapaxes(k, -1, -2), -1) @ v

    def merged(part):
        return np.swapaxes(part, 1, 2).reshape(1, part.shape[2], 6)
    parts = [q, k, v] if layout == "heads" else [merged(p) for p in (q, k, v)]
    parts = [np.concatenate(parts, -1)] if layout == "packed" else parts
    shape = wanted.shape if layout == "heads" else (1, 4, 6)
    graph = one("Attention", {f"i{n}": p.shape for n, p in enumerate(parts)}, {"y": shape}, {"head_layout": layout, "heads": 2, "scale": 0.5})
    np.testing.assert_allclose(interpret(graph, parts, np.float64)["y"], wanted if layout == "heads" else merged(wanted), atol=1e-6)


def test_activations_may_carry_parameters():
    x = np.linspace(-3, 3, 13)
    np.testing.assert_allclose(activated(x, ("leaky_relu", 0.1)), np.where(x < 0, 0.1 * x, x))
    np.testing.assert_allclose(activated(x, ("clip", -1.0, 2.0)), np.clip(x, -1, 2))
    np.testing.assert_array_equal(activated(x, "none"), x)


@pytest.mark.parametrize("name, exact", (("gelu", lambda x: x * special.ndtr(x)), ("swish", lambda x, a: x / (1 + np.exp(-a * x))), ("mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
                                         ("softplus", lambda x: np.log1p(np.exp(x))), ("sigmoid", lambda x: 1 / (1 + np.exp(-x)))))
def test_functions_are_what_their_names_say_and_hold_in_the_tails(name, exact):
    arity, function = FUNCTIONS[name]
    x = np.linspace(-8, 8, 33)
    np.testing.assert_allclose(function(x, *[1.5] * (arity - 1)), exact(x, *[1.5] * (arity - 1)), rtol=1e-12, atol=1e-12)
    far = function(np.array([-1e4, 1e4]), *[1.5] * (arity - 1))
    assert np.isfinite(far).all() and abs(far[0]) < 1e-6


def test_float64_is_the_exact_answer_and_float32_stays_float32():
    graph = one("Softmax", {"x": (3, 7)}, {"y": (3, 7)}, {"axis": 1, "log": False})
    x = RANDOM.standard_normal((3, 7))
    assert interpret(graph, [x])["y"].dtype == np.float32 and interpret(graph, [x], np.float64)["y"].dtype == np.float64
    assert set(everything(graph, [x])) == {"x", "y"}


def test_what_cannot_be_computed_is_said():
    graph = one("Softmax", {"x": (3, 7)}, {"y": (3, 7)}, {"axis": 1})
    with pytest.raises(CompileError, match="'x' was not given"):
        interpret(graph, {})
    with pytest.raises(CompileError, match="'x' has the shape"):
        interpret(graph, [np.zeros((7, 3))])
    with pytest.raises(CompileError, match="Gemm is not a canonical operation"):
        evaluate(Node("Gemm", ("x",), ("y",)), graph, [np.zeros((3, 7))])
    wrong = one("Transpose", {"x": (3, 7)}, {"y": (3, 7)}, {"perm": (1, 0)})
    with pytest.raises(CompileError, match="gave 'y' the shape"):
        interpret(wrong, [np.zeros((3, 7))])


def test_every_operation_says_what_it_means():
    assert all(function.__doc__ for function in OPERATIONS.values())
