"""Verification finds what is wrong and says so; what is right passes."""

from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from core.compiler import toolchain
from core.compiler.emit import EmitOptions, emit
from core.compiler.importer import read_model
from core.compiler.passes import canonicalise
from core.compiler.verify import KINDS, compare, inputs_of, verify
from core.errors import EngineError

WEIGHTS = np.random.default_rng(0).standard_normal((20, 37)).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def a_compiler():
    try:
        toolchain.compiler()
    except EngineError as error:
        pytest.skip(str(error))


def model() -> bytes:
    """y = softmax(tanh(x w)), x [3, 20]."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Tanh", ["a"], ["t"]), helper.make_node("Softmax", ["t"], ["y"], axis=-1)]
    about = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [3, 20]), ("y", [3, 37]))]
    graph = helper.make_graph(nodes, "net", about[:1], about[1:], [numpy_helper.from_array(WEIGHTS, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


def program():
    return emit(canonicalise(read_model(model(), "net").graph), {}, toolchain.targets()[0], EmitOptions(name="net"))


def test_a_right_program_passes_everything(tmp_path) -> None:
    said = []
    found = verify(program(), model(), tmp_path, progress=lambda share, text: said.append((share, text)))
    assert found.passed and found.failures == () and found.allocations == 0
    assert {(c.inputs, c.reference) for c in found.checks} == {(k, r) for k in KINDS for r in ("onnxruntime", "onnx.reference")}
    assert 0 < found.max_relative_error < 2e-6 and found.max_abs_error < 1e-6
    assert found.sanitised or any("sanitizers" in note for note in found.notes)
    assert found.strict or any("strict mode" in note for note in found.notes)
    assert [share for share, _ in said] == sorted(share for share, _ in said) and said[-1][0] == 1.0


def test_a_wrong_program_fails(tmp_path) -> None:
    """Another model's weights, and a write past the end of a static array that only the sanitizers see."""
    made = program()
    slower = replace(made, cpp=made.cpp.replace("static inline void run(", "static int kept[4];\nstatic inline void run(", 1)
                     .replace("    (void)workspace,", "    volatile int beyond = 4; if (inputs) kept[beyond] = 1;\n    (void)workspace,", 1))
    other = model().replace(WEIGHTS.tobytes(), (WEIGHTS * np.float32(1.01)).tobytes())
    found = verify(slower, other, tmp_path)
    assert not found.passed
    assert any("random inputs the result differs from onnxruntime by" in failure for failure in found.failures)
    assert not found.sanitised or any("Under sanitizers" in failure for failure in found.failures)


def test_a_model_no_reference_takes_is_not_passed(tmp_path) -> None:
    found = verify(program(), b"nothing", tmp_path, sanitise=False)
    assert not found.passed and len(found.notes) == 2 and np.isnan(found.max_abs_error)


def test_comparison_of_ends() -> None:
    inf, nan = np.inf, np.nan
    assert not compare("random", "r", [np.array([1.0, inf, nan])], [np.array([1.0, inf, nan])], 1e-6).failure
    assert not compare("large", "r", [np.array([3.39e38])], [np.array([inf])], 1e-6).failure
    assert "value at (1,) is inf" in compare("random", "r", [np.array([1.0, inf])], [np.array([1.0, 2.0])], 1e-6).failure
    assert compare("random", "r", [np.array([0.0, 2.0])], [np.array([0.5, 4.0])], 1e-6).max_relative_error == 0.5
    assert "shape" in compare("random", "r", [np.zeros(3)], [np.zeros(4)], 1e-6).failure


def test_inputs_are_of_their_kind_and_the_same_again() -> None:
    tensors = program().inputs
    drawn = {kind: inputs_of(tensors, kind)[0] for kind in KINDS}
    assert np.abs(drawn["large"]).max() > 1e4 and 0 < np.abs(drawn["denormal"]).max() < 1.2e-38 and not drawn["zeros"].any() and drawn["structured"].max() == 8
    assert all(np.array_equal(drawn[kind], inputs_of(tensors, kind)[0]) for kind in KINDS)
