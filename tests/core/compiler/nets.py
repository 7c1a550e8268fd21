"""Small models for the tests of the compiler, written with the onnx package, and what they should give by onnx.reference."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def weights(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Normal numbers scaled by the fan-in, the same for the same seed."""
    drawn = np.random.default_rng(seed).standard_normal(shape)
    return (drawn / np.sqrt(max(1, int(np.prod(shape[1:]))))).astype(np.float32)


def model(nodes: Sequence, inputs: Mapping[str, Sequence], outputs: Sequence[str], constants: Mapping[str, np.ndarray] | None = None, opset: int = 18, dtype: int = TensorProto.FLOAT):
    """A model proto; the types and shapes of its outputs are left to inference."""
    ins = [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()]
    outs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(list(nodes), "net", ins, outs, [numpy_helper.from_array(np.asarray(a), n) for n, a in (constants or {}).items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def data(proto) -> bytes:
    return proto.SerializeToString()


def node(op: str, inputs: str, outputs: str, **attributes):
    """A node from names parted by spaces, a dash for an absent one; its own name is n_ and its first result."""
    names = [["" if n == "-" else n for n in side.split()] for side in (inputs, outputs)]
    return helper.make_node(op, *names, name=f"n_{names[1][0]}", **attributes)


def reference(proto, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """What onnx.reference computes."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(proto).run(None, dict(feeds))


def mlp():
    """Two Gemm layers with a ReLU, weights transposed as torch writes them, and what training leaves behind."""
    nodes = [node("Gemm", "x w1 b1", "a", transB=1, alpha=0.5), node("Relu", "a", "r"), node("Dropout", "r", "d"), node("Identity", "d", "i"), node("Gemm", "i w2 b2", "y", transB=1, beta=2.0)]
    return model(nodes, {"x": (1, 6)}, ["y"], {"w1": weights((8, 6)), "b1": weights((8,), 1), "w2": weights((3, 8), 2), "b2": weights((3,), 3)})


def residual_net():
    """A stem, a pre-activation block whose batch norms cannot all be folded, a padded strided convolution and a pool."""
    bn = {f"{name}{k}": np.abs(weights((4,), 10 * k + i)) + 0.5 for k in (1, 2) for i, name in enumerate(("scale", "shift", "mean", "var"))}
    nodes = [node("Conv", "x w0 b0", "stem", pads=[1, 1, 1, 1]), node("BatchNormalization", "stem scale1 shift1 mean1 var1", "n1"), node("Relu", "n1", "r1"),
             node("Conv", "r1 w1", "c1", auto_pad="SAME_UPPER"), node("BatchNormalization", "c1 scale2 shift2 mean2 var2", "n2"), node("Relu", "n2", "r2"),
             node("Conv", "r2 w2 b0", "c2", pads=[1, 1, 1, 1]), node("Add", "stem c2", "sum"), node("Pad", "sum pads", "p"), node("Conv", "p w3", "c3", strides=[2, 2]),
             node("LeakyRelu", "c3", "l", alpha=0.1), node("GlobalAveragePool", "l", "y")]
    constants = {"w0": weights((4, 2, 3, 3)), "b0": weights((4,), 5), "w1": weights((4, 4, 3, 3), 6), "w2": weights((4, 4, 3, 3), 7), "w3": weights((5, 4, 3, 3), 8),
                 "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), **bn}
    return model(nodes, {"x": (1, 2, 6, 7)}, ["y"], constants)


def transformer(split: bool = True, spelled: bool = False):
    """One pre-norm block of 4 features x 2 heads over 5 tokens; QKV by Split or by Slice and Squeeze; with `spelled` its norms and its gelu in elementary operators."""
    c = {"we": weights((6, 8)), "be": weights((8,), 1), "pos": weights((1, 5, 8), 2), "g": 1 + weights((8,), 3), "b": weights((8,), 4), "wqkv": weights((8, 24), 5),
         "bqkv": weights((24,), 6), "wp": weights((8, 8), 7), "bp": weights((8,), 8), "w1": weights((8, 16), 9), "b1": weights((16,), 10), "w2": weights((16, 8), 11), "b2": weights((8,), 12),
         "s5": np.array([1, 5, 3, 2, 4], np.int64), "s3": np.array([1, 5, 8], np.int64), "zero": np.array([0], np.int64), "one": np.array([1], np.int64), "two": np.array([2], np.int64),
         "three": np.array([3], np.int64), "root": np.float32(np.sqrt(2)), "unit": np.float32(1), "half": np.float32(0.5), "scale": np.float32(0.5), "eps": np.float32(1e-5), "square": np.float32(2)}
    nodes = [node("MatMul", "x we", "e0"), node("Add", "be e0", "e1"), node("Add", "e1 pos", "e"), *_norm("e", "n1", spelled), node("MatMul", "n1 wqkv", "q0"), node("Add", "bqkv q0", "q1"),
             node("Reshape", "q1 s5", "q2"), node("Transpose", "q2", "q3", perm=[2, 0, 3, 1, 4])]
    if split:
        nodes += [node("Split", "q3", "q4 k4 v4", axis=0, num_outputs=3), *(node("Squeeze", f"{p}4 zero", p) for p in "qkv")]
    else:
        ends = ("zero one", "one two", "two three")
        nodes += [n for p, between in zip("qkv", ends) for n in (node("Slice", f"q3 {between} zero", f"{p}4"), node("Squeeze", f"{p}4 zero", p))]
    nodes += [node("Transpose", "k", "kt", perm=[0, 1, 3, 2]), node("MatMul", "q kt", "s0"), node("Mul", "s0 scale", "s1"), node("Softmax", "s1", "s2"), node("MatMul", "s2 v", "o0"),
              node("Transpose", "o0", "o1", perm=[0, 2, 1, 3]), node("Reshape", "o1 s3", "o2"), node("MatMul", "o2 wp", "p0"), node("Add", "bp p0", "p1"), node("Add", "e p1", "h"),
              *_norm("h", "n2", spelled), node("MatMul", "n2 w1", "f0"), node("Add", "b1 f0", "f1"), *_gelu("f1", "f2", spelled), node("MatMul", "f2 w2", "f3"), node("Add", "b2 f3", "f4"),
              node("Add", "h f4", "y")]
    used = {name for n in nodes for name in n.input}
    return model(nodes, {"x": (1, 5, 6)}, ["y"], {k: v for k, v in c.items() if k in used}, opset=20)


def _norm(x: str, y: str, spelled: bool):
    if not spelled:
        return [node("LayerNormalization", f"{x} g b", y)]
    return [node("ReduceMean", f"{x} two", f"{y}m"), node("Sub", f"{x} {y}m", f"{y}c"), node("Pow", f"{y}c square", f"{y}s"), node("ReduceMean", f"{y}s two", f"{y}v"),
            node("Add", f"{y}v eps", f"{y}e"), node("Sqrt", f"{y}e", f"{y}r"), node("Div", f"{y}c {y}r", f"{y}d"), node("Mul", f"{y}d g", f"{y}g"), node("Add", f"{y}g b", y)]


def _gelu(x: str, y: str, spelled: bool):
    if not spelled:
        return [node("Gelu", x, y)]
    return [node("Div", f"{x} root", f"{y}d"), node("Erf", f"{y}d", f"{y}e"), node("Add", f"{y}e unit", f"{y}a"), node("Mul", f"{x} {y}a", f"{y}m"), node("Mul", f"{y}m half", y)]


ALL = {"mlp": mlp, "residual_net": residual_net, "transformer_split": transformer, "transformer_slice": lambda: transformer(False), "transformer_spelled": lambda: transformer(True, True)}


def feeds(proto, seed: int = 0) -> dict[str, np.ndarray]:
    """Normal numbers for every input."""
    random = np.random.default_rng(seed)
    return {v.name: random.standard_normal([d.dim_value for d in v.type.tensor_type.shape.dim]).astype(np.float32) for v in proto.graph.input}


def parsed(proto) -> onnx.ModelProto:
    """A copy to change."""
    return onnx.load_model_from_string(data(proto))


def odds_and_ends():
    """Constants to fold, things done twice, shapes that undo each other."""
    constants = {"w": weights((4, 6)), "s": np.float32(0.5), "shape": np.array([2, 3, 2], np.int64), "back": np.array([2, 6], np.int64), "same": weights((4, 6))}
    nodes = [node("Transpose", "w", "wt", perm=[1, 0]), node("Mul", "wt s", "ws"), node("MatMul", "x ws", "m"), node("Transpose", "same", "st", perm=[1, 0]), node("Mul", "st s", "ss"),
             node("MatMul", "x ss", "m2"), node("Reshape", "x shape", "r1"), node("Transpose", "r1", "t1", perm=[0, 2, 1]), node("Transpose", "t1", "t2", perm=[0, 2, 1]),
             node("Reshape", "t2 back", "r2"), node("Slice", "r2 zero four axis", "part"), node("Add", "m m2", "a"), node("Add", "a part", "y"), node("Exp", "s", "k")]
    constants |= {"zero": np.array([0]), "four": np.array([4]), "axis": np.array([1])}
    return model(nodes, {"x": (2, 6)}, ["y", "k"], constants)


ALL["odds_and_ends"] = odds_and_ends


def tokens_first():
    """Attention as torch's MultiheadAttention has it: [tokens, 1, features], q, k and v picked by Gather, scores scaled on both sides."""
    c = {"wqkv": weights((6, 18), 5), "bqkv": weights((18,), 6), "s": np.array([5, 1, 3, 6]), "h": np.array([5, 3, 2]), "f": np.array([1, 3, 5, 2]), "back": np.array([5, 6]),
         "zero": np.array(0), "one": np.array(1), "two": np.array(2), "root": np.float32(0.8), "wo": weights((6, 6), 7), "last": np.array([5, 1, 6])}
    nodes = [node("Transpose", "x", "t", perm=[1, 0, 2]), node("MatMul", "t wqkv", "m"), node("Add", "m bqkv", "a"), node("Reshape", "a s", "r"), node("Transpose", "r", "p", perm=[2, 0, 1, 3])]
    for name, place in (("q", "zero"), ("k", "one"), ("v", "two")):
        nodes += [node("Gather", f"p {place}", f"{name}0", axis=0), node("Reshape", f"{name}0 h", f"{name}1"), node("Transpose", f"{name}1", f"{name}2", perm=[1, 0, 2]), node("Reshape", f"{name}2 f", f"{name}3")]
    nodes += [node("Mul", "q3 root", "q"), node("Transpose", "k3", "k4", perm=[0, 1, 3, 2]), node("Mul", "k4 root", "k"), node("MatMul", "q k", "s0"), node("Softmax", "s0", "s1"),
              node("MatMul", "s1 v3", "o"), node("Transpose", "o", "o1", perm=[2, 0, 1, 3]), node("Reshape", "o1 back", "o2"), node("MatMul", "o2 wo", "o3"), node("Reshape", "o3 last", "o4"),
              node("Transpose", "o4", "o5", perm=[1, 0, 2]), node("Add", "x o5", "y")]
    return model(nodes, {"x": (1, 5, 6)}, ["y"], c)


ALL["tokens_first"] = tokens_first


def attention_and_resize():
    """ONNX's own Attention, causal, two key heads for four query heads, and a linear Resize behind it."""
    c = {"wq": weights((6, 8)), "wk": weights((6, 4), 1), "wv": weights((6, 4), 2), "to": np.array([1, 1, 5, 8]), "scales": np.array([1, 1, 2, 1.5], np.float32)}
    nodes = [*(node("MatMul", f"x w{p}", p) for p in "qkv"), node("Attention", "q k v", "a", is_causal=1, q_num_heads=4, kv_num_heads=2), node("Reshape", "a to", "r"),
             node("Resize", "r - scales", "y", mode="linear")]
    return model(nodes, {"x": (1, 5, 6)}, ["y"], c, opset=23)


ALL["attention_and_resize"] = attention_and_resize
