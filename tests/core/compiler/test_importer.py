"""ONNX files come in as they were meant, and whatever is wrong with one is a sentence that names it."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from core.compiler import importer
from core.compiler.graph import CompileError
from core.compiler.importer import operators_of, read_model
from core.compiler.interpret import interpret
from core.compiler.passes import canonicalise
from core.errors import InputError, LimitError, VitrineError
from tests.core.compiler import nets
from tests.core.compiler.nets import data, model, node, weights

SIX = ("mlp_beam", "mlp_la", "cnn_chest", "cnn_deeprx", "tr_csi", "tr_2x32")


@pytest.mark.parametrize("exporter", ("dynamo", "torchscript"))
@pytest.mark.parametrize("name", SIX)
def test_both_exporters_models_give_the_recorded_output(shared_data, name, exporter):
    folder = shared_data / "compiler"
    imported = read_model((folder / exporter / f"{name}.onnx").read_bytes(), name)
    assert imported.opset == 18 and imported.exporter.startswith("pytorch 2.13")
    graph = canonicalise(imported.graph)
    given_in, wanted = (np.fromfile(folder / f"{name}.{side}.bin", np.float32) for side in ("in", "out"))
    found = interpret(graph, [given_in.reshape(graph.shape(graph.inputs[0]))])[graph.outputs[0]].ravel()
    assert np.abs(found - wanted).max() <= 1e-6 * np.abs(wanted).max()


def test_both_exporters_come_to_the_same_operations(shared_data):
    for name in SIX:
        counts = [operators_of(canonicalise(read_model((shared_data / "compiler" / e / f"{name}.onnx").read_bytes(), name).graph)) for e in ("dynamo", "torchscript")]
        dynamo, script = (dict(c) for c in counts)
        for moved in ("Slice", "Map", "Reshape", "Transpose"):  # one scales the scores, the other queries and keys
            dynamo.pop(moved, None), script.pop(moved, None)
        assert dynamo == script


def test_open_sizes_are_asked_for_by_name_and_taken_from_the_setting():
    proto = nets.mlp()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    with pytest.raises(CompileError, match=r"'x' has the shape batchx6.*shapes=\"x=1x6\""):
        read_model(data(proto), "net")
    assert read_model(data(proto), "net", {"x": (4, 6)}).graph.shape("y") == (4, 3)
    with pytest.raises(CompileError, match="no input 'z' to give a shape"):
        read_model(data(proto), "net", {"z": (4, 6)})
    with pytest.raises(CompileError, match="'x' has 2 dimensions"):
        read_model(data(proto), "net", {"x": (4,)})


def test_a_shape_that_is_computed_from_shapes_is_folded():
    nodes = [node("Shape", "x", "s"), node("Gather", "s zero", "b"), node("Unsqueeze", "b axes", "b1"), node("Concat", "b1 rest", "to", axis=0), node("Reshape", "x to", "r"),
             node("ConstantOfShape", "to", "c", value=onnx.numpy_helper.from_array(np.array([2], np.float32))), node("Mul", "r c", "y")]
    proto = model(nodes, {"x": (2, 3, 4)}, ["y"], {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1])})
    proto.graph.node[5].input[0] = "r_shape"
    proto.graph.node.insert(5, node("Shape", "r", "r_shape"))
    graph = canonicalise(read_model(data(proto), "net").graph)
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(interpret(graph, [x])["y"], 2 * x.reshape(2, 12))
    assert {n.op for n in graph.nodes} == {"Reshape", "Map"}


def test_bound_inputs_become_constants():
    proto = model([node("Reshape", "x s", "y")], {"x": (2, 6)}, ["y"])
    proto.graph.input.append(helper.make_tensor_value_info("s", TensorProto.INT64, (2,)))
    found = read_model(data(proto), "net", bind={"s": np.array([3, 4])})
    assert found.graph.inputs == ("x",) and found.graph.shape("y") == (3, 4) and "'s'" in found.notes[0]
    with pytest.raises(CompileError, match="depends on the data|cannot|shape"):
        read_model(data(proto), "net")


def test_weights_may_stand_among_the_inputs_as_older_files_have_them():
    proto = nets.mlp()
    proto.ir_version = 3
    proto.graph.input.extend(helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in proto.graph.initializer)
    assert read_model(data(proto), "net").graph.inputs == ("x",)


def test_outputs_that_are_inputs_constants_or_named_twice_are_written_by_a_node():
    proto = model([node("Constant", "", "k", value=onnx.numpy_helper.from_array(np.ones(2, np.float32))), node("Relu", "x", "r")], {"x": (2,)}, ["x", "k", "r", "r"])
    graph = canonicalise(read_model(data(proto), "net").graph)
    assert len(set(graph.outputs)) == 4 and all(name in graph.tensors and graph.producer(name) for name in graph.outputs)
    found = interpret(graph, [np.array([-1, 2], np.float32)])
    assert [found[name].tolist() for name in graph.outputs] == [[-1, 2], [1, 1], [0, 2], [0, 2]]


def test_nodes_may_stand_in_any_order_and_unused_ones_are_dropped():
    proto = nets.mlp()
    nodes = [*reversed(proto.graph.node), node("Relu", "x", "unused")]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    assert [n.op for n in read_model(data(proto), "net").graph.nodes] == ["Gemm", "Relu", "Dropout", "Identity", "Gemm"]


def test_names_are_data_whatever_they_are():
    hostile = '*/ system("rm -rf /"); /*\n\\"$(reboot)`\u202e'
    proto = model([helper.make_node("Relu", ["x"], [hostile], name=hostile), node("Neg", "a", "y")], {"x": (2,)}, ["y"])
    proto.graph.node[1].input[0] = hostile
    graph = canonicalise(read_model(data(proto), hostile).graph)
    assert hostile in graph.tensors and graph.nodes[0].origins == (hostile,) and graph.name == hostile


# ---------------------------------------------------------------- what is refused

def _functions(calls):
    proto = nets.mlp()
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    for name, called in calls.items():
        body = [helper.make_node(op, ["a"], [f"b{k}"], domain="own" if op in calls else "") for k, op in enumerate(called)]
        body.append(helper.make_node("Sum", [f"b{k}" for k in range(len(called))], ["b"]))
        proto.functions.append(helper.make_function("own", name, ["a"], ["b"], body, opsets))
    proto.opset_import.append(helper.make_opsetid("own", 1))
    proto.graph.node[1].op_type, proto.graph.node[1].domain = next(iter(calls)), "own"
    return proto


def _changed(change):
    proto = nets.parsed(nets.mlp())
    change(proto)
    return proto


def _external(proto):
    proto.graph.initializer[0].data_location = TensorProto.EXTERNAL
    proto.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def _control():
    body = helper.make_graph([node("Relu", "x", "b")], "body", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, (2,))])
    proto = model([node("If", "k", "y", then_branch=body, else_branch=body)], {"x": (2,)}, ["y"], {"k": np.array(True)})
    return proto


def _opset(version):
    return lambda p: setattr(p.opset_import[0], "version", version)


REFUSED = {
    "another opset": (_changed(_opset(3)), "operator set 3, and 6 to"),
    "a future opset": (_changed(_opset(999)), "operator set 999"),
    "weights missing": (_changed(lambda p: p.graph.initializer.pop(0)), "Gemm named 'n_a' reads 'w1'.*weights seem to be missing"),
    "weights elsewhere": (_changed(_external), "'w1' lies in another file"),
    "a cycle": (_changed(lambda p: p.graph.node[0].input.__setitem__(0, "i")), "cycle"),
    "written twice": (_changed(lambda p: p.graph.node[1].output.__setitem__(0, "a")), "written twice|written by"),
    "an output nobody writes": (_changed(lambda p: setattr(p.graph.output[0], "name", "z")), "'z' is written by no node"),
    "another domain": (_changed(lambda p: setattr(p.graph.node[1], "domain", "com.microsoft")), "belongs to 'com.microsoft'"),
    "an unknown operator": (_changed(lambda p: setattr(p.graph.node[1], "op_type", "GridSample")), "GridSample named 'n_r'.*does not know"),
    "an operator that is none": (_changed(lambda p: setattr(p.graph.node[1], "op_type", "Rellu")), "Rellu named 'n_r'"),
    "control flow": (_control(), "control flow"),
    "a function that calls itself": (_functions({"f": ["f"]}), "calls itself"),
    "functions that multiply": (_functions({f"f{k}": [f"f{k + 1}"] * 9 if k < 8 else ["Relu"] * 9 for k in range(9)}), "nodes, and up to"),
    "half precision": (model([node("Relu", "x", "y")], {"x": (2,)}, ["y"], dtype=TensorProto.FLOAT16), "float16"),
    "a sequence": (_changed(lambda p: p.graph.input[0].type.sequence_type.elem_type.tensor_type.SetInParent()), "sequence"),
    "shapes that clash": (_changed(lambda p: p.graph.initializer[0].dims.__setitem__(slice(0, 2), [12, 4])), "shapes do not fit"),
    "a huge input": (_changed(lambda p: setattr(p.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 1 << 40)), "elements"),
    "a constant that grows": (model([node("ConstantOfShape", "s", "c"), node("Add", "c x", "y")], {"x": (1,)}, ["y"], {"s": np.array([1 << 15, 1 << 15])}), "folded|elements"),
    "a shape from the data": (model([node("NonZero", "x", "y")], {"x": (4,)}, ["y"]), "NonZero"),
    "a training batch norm": (model([node("BatchNormalization", "x g g g g", "y m v", training_mode=1)], {"x": (1, 2, 3)}, ["y"], {"g": np.ones(2, np.float32)}), "set to train"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_compiled_is_refused_with_one_sentence_that_names_it(what):
    proto, says = REFUSED[what]
    with pytest.raises(InputError, match=says) as caught:
        canonicalise(read_model(data(proto), "net.onnx").graph)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value) and len(str(caught.value)) < 420


@pytest.mark.parametrize("junk", (b"", b"\x89PNG\r\n\x1a\n", b"not a model", bytes(64), b"\x08\x08", b"\xff" * 100))
def test_other_files_are_no_model(junk):
    with pytest.raises(CompileError, match="not an ONNX"):
        read_model(junk, "file")


def test_limits_are_looked_at_before_the_file_is_read(monkeypatch):
    monkeypatch.setattr(importer, "MOST_BYTES", 100)
    with pytest.raises(LimitError, match="MB"):
        read_model(bytes(101), "big.onnx")
    monkeypatch.undo()
    monkeypatch.setattr(importer, "MOST_NODES", 4)
    with pytest.raises(LimitError, match="has 5 nodes, and up to 4"):
        read_model(data(nets.mlp()), "net")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_damaged_files_are_refused_or_read_but_never_crash(draw):
    raw = bytearray(data(nets.transformer()))
    for _ in range(draw.draw(st.integers(1, 6))):
        raw[draw.draw(st.integers(0, len(raw) - 1))] = draw.draw(st.integers(0, 255))
    try:
        canonicalise(read_model(bytes(raw[:draw.draw(st.integers(len(raw) // 2, len(raw)))]), "net").graph)
    except VitrineError as error:
        assert str(error)
