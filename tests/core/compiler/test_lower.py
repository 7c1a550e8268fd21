"""Lowerings against their NumPy definition: every variant the registry offers, over shapes, layouts and types, on every target this machine runs."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from core.compiler import toolchain
from core.compiler.emit import EmitOptions, emit
from core.compiler.graph import CHANNELS_LAST, COLUMNS, ROWS, CompileError, Graph, Node, Tensor
from core.compiler.interpret import FUNCTIONS, interpret
from core.compiler.lower import elementwise, generic_conv, generic_matmul, pool, reduce, shapes
from core.compiler.lower.variant import TARGETS
from core.errors import EngineError

RANDOM = np.random.default_rng(5)


@pytest.fixture(scope="module", autouse=True)
def a_compiler():
    try:
        toolchain.compiler()
    except EngineError as error:
        pytest.skip(str(error))


def one(op: str, shapes, out, layouts=(), out_layout=ROWS, types=(), out_type="float32", constants=None, second=None, **attributes) -> Graph:
    """A graph of one node: inputs x0, x1, ... of these shapes (None: absent), then the constants; outputs y and, if asked, z."""
    given = [(f"x{k}", shape) for k, shape in enumerate(shapes)]
    layouts, types = (*layouts, *(ROWS,) * len(given)), (*types, *("float32",) * len(given))
    tensors = {n: Tensor(n, s, t, l) for (n, s), t, l in zip(given, types, layouts) if s is not None} | {"y": Tensor("y", out, out_type, out_layout)}
    nodes, inputs, ends = [], [], {}
    for name in [n for n, s in given if s is not None]:                       # what is not in rows is brought there and back, as passes do
        tensor = tensors[name]
        inputs.append(name if tensor.layout == ROWS else f"{name}_in")
        if tensor.layout != ROWS:
            tensors[f"{name}_in"] = replace(tensor, name=f"{name}_in", layout=ROWS)
            nodes.append(Node("Relayout", (f"{name}_in",), (name,)))
    outputs = ("y",) if second is None else ("y", "z")
    if second is not None:
        tensors["z"] = Tensor("z", second, "float32", out_layout if len(second) == len(out) else ROWS)
    nodes.append(Node(op, (*(n if s is not None else "" for n, s in given), *(constants or {})), outputs, attributes))
    for name in outputs:
        ends[name] = name
        if tensors[name].layout != ROWS:
            tensors[f"{name}_out"], ends[name] = replace(tensors[name], name=f"{name}_out", layout=ROWS), f"{name}_out"
            nodes.append(Node("Relayout", (name,), (ends[name],)))
    return Graph("one", tuple(inputs), tuple(ends.values()), tensors, {k: np.asarray(v) for k, v in (constants or {}).items()}, tuple(nodes))


def weights(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32) * 0.5


def conv(x, w, out, **more) -> Graph:
    n = len(x) - 2
    about = {"strides": (1,) * n, "pads": (0,) * 2 * n, "dilations": (1,) * n, "group": 1, "activation": "none"} | more
    constants = {"w": weights(*w), "b": weights(w[0])} | about.pop("constants", {})
    return one(about.pop("op", "Conv"), about.pop("shapes", [x]), out, constants=constants, **about)


def pooled(kind, x, out, kernel, **more) -> Graph:
    n = len(kernel)
    return one("Pool", [x], out, kind=kind, kernel=kernel, **({"strides": (1,) * n, "pads": (0,) * 2 * n, "dilations": (1,) * n} | more))


A, B = ("in", 0), ("in", 1)
GRAPHS = {
    "map rows": one("Map", [(3, 37), (37,)], (3, 37), expr=("gelu", ("add", A, B))),
    "map columns broadcast": one("Map", [(4, 5, 6), (4, 1, 6), (5, 1)], (4, 5, 6), expr=("mul", ("sub", A, B), ("in", 2))),
    "map one value": one("Map", [(), ()], (), expr=("add", A, ("mul", B, ("const", 3.0)))),
    "map layouts differ": one("Map", [(2, 19, 4, 3), (2, 19, 4, 3)], (2, 19, 4, 3), (CHANNELS_LAST, ROWS), CHANNELS_LAST, expr=("max", A, B)),
    "map channels last, per channel": one("Map", [(2, 19, 4, 3)], (2, 19, 4, 3), (CHANNELS_LAST,), CHANNELS_LAST, constants={"s": weights(19, 1, 1)}, expr=("mul", A, B)),
    "map columns": one("Map", [(2, 7, 20)], (2, 7, 20), (COLUMNS,), COLUMNS, constants={"s": weights(20)}, expr=("relu", ("add", A, B))),
    "map where": one("Map", [(5, 21), (5, 21), (21,)], (5, 21), expr=("where", ("and", ("less", A, B), ("not", ("greater", A, ("in", 2)))), A, ("neg", B))),
    "map int": one("Map", [(9, 5), (5,)], (9, 5), types=("int64", "int64"), out_type="int64", expr=("add", ("div", A, B), ("mod", A, ("const", 3.0)))),
    "map bool": one("Map", [(40,), (40,)], (40,), types=("float32", "float32"), out_type="bool", expr=("less_equal", A, B)),
    "map bool to float": one("Map", [(40,), (40,)], (40,), types=("bool", "float32"), expr=("where", A, B, ("const", 0.25))),
    "cast": one("Cast", [(6, 7)], (6, 7), out_type="int32"),
    "dense": one("Dense", [(5, 33)], (5, 45), constants={"w": weights(33, 45), "b": weights(45)}, activation="tanh"),
    "dense all": one("Dense", [(2, 7, 20), None, None, (2, 7, 35), (2, 7, 1)], (2, 7, 35), second=(2, 7, 1), activation=("leaky_relu", 0.2), residual_before_activation=True),
    "dense columns": one("Dense", [(2, 7, 20)], (2, 7, 12), (COLUMNS,), COLUMNS, constants={"w": weights(20, 12)}, activation="relu"),
    "matmul": one("MatMul", [(2, 1, 9, 17), (3, 17, 37)], (2, 3, 9, 37)),
    "matmul vectors": one("MatMul", [(17,), (17,)], ()),
    "matmul by a column": one("MatMul", [(4, 17), (17, 1)], (4, 1)),
    "matmul int": one("MatMul", [(4, 3), (3, 5)], (4, 5), types=("int32", "int32"), out_type="int32"),
    "conv 1d dilated": conv((2, 6, 23), (8, 6, 3), (2, 8, 10), strides=(2,), pads=(1, 1), dilations=(2,), activation="sigmoid"),
    "conv grouped": conv((1, 6, 9, 11), (9, 2, 3, 2), (1, 9, 9, 10), pads=(1, 0, 1, 0), group=3),
    "conv depthwise": conv((1, 20, 8, 9), (20, 1, 3, 3), (1, 20, 8, 9), pads=(1, 1, 1, 1), group=20, activation="relu"),
    "conv channels last": conv((1, 5, 8, 9), (7, 5, 3, 3), (1, 7, 4, 5), pads=(1, 1, 1, 1), strides=(2, 2), layouts=(CHANNELS_LAST,), out_layout=CHANNELS_LAST),
    "conv residual": conv((1, 4, 6, 7), (18, 4, 3, 3), (1, 18, 6, 7), pads=(1, 1, 1, 1), shapes=[(1, 4, 6, 7)], activation="relu"),
    "conv strided": conv((2, 3, 11, 40), (10, 3, 3, 4), (2, 10, 5, 12), strides=(2, 3), pads=(1, 2, 0, 1), dilations=(1, 2), activation=("clip", -0.5, 0.75)),
    "conv second": conv((1, 4, 6, 7), (5, 4, 3, 3), (1, 5, 6, 7), pads=(1, 1, 1, 1), second=(1, 5, 6, 7), constants={"gamma": weights(5), "beta": weights(5)}),
    "conv 3d": conv((1, 2, 4, 5, 6), (3, 2, 2, 3, 2), (1, 3, 3, 5, 6), pads=(0, 1, 1, 0, 1, 0)),
    "conv transposed": conv((1, 4, 5, 6), (4, 3, 3, 2), (1, 6, 11, 8), op="ConvTranspose", group=2, strides=(2, 1), pads=(0, 0, 0, 0), dilations=(1, 2), constants={"b": weights(6)}),
    "pool max": pooled("max", (1, 3, 9, 10), (1, 3, 5, 5), (3, 2), strides=(2, 2), pads=(1, 0, 1, 0)),
    "pool average": pooled("average", (2, 3, 9, 10), (2, 3, 5, 5), (3, 3), strides=(2, 2), pads=(1, 1, 1, 0), count_include_pad=0),
    "pool average over the end": pooled("average", (1, 2, 10), (1, 2, 5), (3,), strides=(2,), pads=(1, 0), ceil_mode=1, count_include_pad=1),
    "pool lp channels last": one("Pool", [(1, 5, 6, 6)], (1, 5, 4, 4), (CHANNELS_LAST,), CHANNELS_LAST, kind="lp", p=3, kernel=(3, 3), strides=(1, 1), pads=(0,) * 4, dilations=(1, 1)),
    "lrn": one("LRN", [(1, 9, 4, 5)], (1, 9, 4, 5), size=5, alpha=0.02, beta=0.75, bias=1.5),
    "softmax last": one("Softmax", [(3, 4, 37)], (3, 4, 37), axis=2),
    "softmax middle": one("Softmax", [(3, 4, 37)], (3, 4, 37), axis=1, log=1),
    "softmax columns": one("Softmax", [(3, 21, 20)], (3, 21, 20), (COLUMNS,), COLUMNS, axis=2),
    "layer norm": one("Normalise", [(3, 4, 21)], (3, 4, 21), constants={"g": weights(21), "b": weights(21)}, axes=(2,), epsilon=1e-5),
    "layer norm over two": one("Normalise", [(3, 4, 21)], (3, 4, 21), second=(3, 1, 1), constants={"g": weights(4, 21)}, axes=(1, 2), epsilon=1e-5),
    "rms norm": one("Normalise", [(3, 40)], (3, 40), constants={"g": weights(40)}, axes=(1,), epsilon=1e-5, centre=False),
    "instance norm channels last": one("Normalise", [(2, 5, 6, 7)], (2, 5, 6, 7), (CHANNELS_LAST,), CHANNELS_LAST, constants={"g": weights(5, 1, 1), "b": weights(5, 1, 1)}, axes=(2, 3), epsilon=1e-4),
    "transpose": one("Transpose", [(2, 33, 3, 35)], (2, 35, 3, 33), perm=(0, 3, 2, 1)),
    "transpose int": one("Transpose", [(20, 30)], (30, 20), types=("int32",), out_type="int32", perm=(1, 0)),
    "slice": one("Slice", [(5, 9, 8)], (3, 2, 8), starts=(4, 1, 7), ends=(1, 9, -1), steps=(-1, 4, -1)),
    "concat": one("Concat", [(2, 3, 4), (2, 5, 4), (2, 1, 4)], (2, 9, 4), axis=1),
    "pad constant": one("Pad", [(3, 4)], (6, 9), pads=(1, 2, 2, 3), mode="constant", value=-1.5),
    "pad reflect": one("Pad", [(3, 4, 5)], (3, 6, 9), pads=(0, 1, 2, 0, 1, 2), mode="reflect"),
    "pad edge channels last": one("Pad", [(1, 5, 4, 4)], (1, 5, 6, 7), (CHANNELS_LAST,), CHANNELS_LAST, pads=(0, 0, 1, 1, 0, 0, 1, 2), mode="edge"),
    "gather": one("Gather", [(3, 8, 5)], (3, 2, 3, 5), constants={"i": np.array([[7, 0, 2], [1, 1, 6]])}, axis=1),
    "expand": one("Expand", [(3, 1, 5)], (2, 3, 4, 5)),
    **{f"reduce {kind}": one("Reduce", [(3, 4, 37)], (3, 4), kind=kind, axes=(2,), keepdims=0) for kind in ("sum", "mean", "max", "min", "prod", "l1", "l2", "sumsquare", "logsumexp")},
    "reduce across": one("Reduce", [(6, 5, 37)], (1, 5, 37), kind="logsumexp", axes=(0,), keepdims=1),
    "reduce both ends": one("Reduce", [(6, 5, 7)], (5,), kind="mean", axes=(0, 2), keepdims=0),
    "reduce channels last": one("Reduce", [(2, 19, 4, 5)], (2, 19, 1, 1), (CHANNELS_LAST,), ROWS, kind="mean", axes=(2, 3), keepdims=1),
    "reduce int": one("Reduce", [(6, 5)], (6,), types=("int64",), out_type="int64", kind="max", axes=(1,), keepdims=0),
}
GRAPHS["dense all"] = replace(GRAPHS["dense all"], constants={"w": weights(20, 35), "b": weights(35)}, nodes=tuple(
    replace(n, inputs=("x0", "w", "b", "x3", "x4")) for n in GRAPHS["dense all"].nodes))
GRAPHS["conv residual"] = replace(GRAPHS["conv residual"], inputs=("x0", "r"), tensors={**GRAPHS["conv residual"].tensors, "r": Tensor("r", (1, 18, 6, 7))}, nodes=tuple(
    replace(n, inputs=("x0", "w", "b", "r")) for n in GRAPHS["conv residual"].nodes))

GRAPHS["conv second"] = replace(GRAPHS["conv second"], nodes=tuple(replace(n, inputs=("x0", "w", "b", "", "gamma", "beta")) for n in GRAPHS["conv second"].nodes))


def sample(tensor: Tensor, rng: np.random.Generator) -> np.ndarray:
    if tensor.dtype == "float32":
        return (rng.standard_normal(tensor.shape) * 1.5).astype(np.float32)
    return rng.integers(0 if tensor.dtype == "bool" else 1, 2 if tensor.dtype == "bool" else 9, tensor.shape).astype(tensor.dtype)


FAMILIES = (elementwise, generic_conv, generic_matmul, pool, reduce, shapes)


def programs(target):
    """Each graph once per variant that the families for any shape offer for its node that is not a Relayout (the others have tests of their own)."""
    made = {}
    for name, graph in GRAPHS.items():
        at = next(i for i, n in enumerate(graph.nodes) if n.op != "Relayout")
        for variant in (v for family in FAMILIES for v in family.lower(graph.nodes[at], graph, target)):
            program = emit(graph, {at: variant.name}, target, EmitOptions(name=f"p{len(made)}"))
            made[f"{name}: {variant.name}"] = (graph, program)
    return made


@pytest.mark.parametrize("target", ["avx512", "avx2", "scalar"])
def test_every_variant_computes_its_definition(target: str, tmp_path) -> None:
    if TARGETS[target] not in toolchain.targets():
        pytest.skip(f"this processor has no {target}")
    made = programs(TARGETS[target])
    built = toolchain.compile_batch([p for _, p in made.values()], tmp_path, optimise="-O1")
    rng = np.random.default_rng(1)
    inputs = {program.name: [sample(t, rng) for t in program.inputs] for _, program in made.values()}
    for at_end in (True, False):
        called = toolchain.call(built, inputs, at_end=at_end)
        for name, (graph, program) in made.items():
            wanted = interpret(graph, inputs[program.name])
            assert not called[program.name].failure, (name, called[program.name].failure)
            for got, key in zip(called[program.name].outputs, graph.outputs, strict=True):
                value = wanted[key]
                assert got.dtype == value.dtype and got.shape == value.shape, name
                np.testing.assert_allclose(got, value, rtol=2e-5, atol=2e-5 * max(1.0, float(np.abs(value).max(initial=0))), err_msg=f"{name} {key}")


STATED = {"exp": 2e-7, "log": 2e-7, "erf": 3e-7, "tanh": 3e-7, "sigmoid": 3e-7, "softplus": 5e-7}
EDGES = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 88.7, -87.5, -103.0, 1e-30, 3.4e38, 1e-6, -1e-6], np.float32)


def test_functions_keep_their_stated_errors_and_their_ends(tmp_path) -> None:
    target = toolchain.targets()[0]
    grid = np.concatenate([np.linspace(-20, 20, 40001), np.geomspace(1e-38, 80, 4000), -np.geomspace(1e-38, 80, 4000)]).astype(np.float32)
    x = np.concatenate([grid, EDGES])
    names = [name for name, (arity, _) in FUNCTIONS.items() if arity == 1 and name not in ("not", "isnan", "to_bool", "to_int", "to_float")]
    made = {name: emit(one("Map", [x.shape], x.shape, expr=(name, A)), {}, target, EmitOptions(name=f"f_{name}")) for name in names}
    called = toolchain.call(toolchain.compile_batch(list(made.values()), tmp_path, optimise="-O1"), {p.name: [x] for p in made.values()})
    for name in names:
        got = called[f"f_{name}"].outputs[0].astype(np.float64)
        with np.errstate(all="ignore"):
            exact = np.asarray(FUNCTIONS[name][1](x.astype(np.float64)), np.float64)
            kept = exact.astype(np.float32)
        usual = slice(0, len(grid))
        known = np.isfinite(kept[usual]) & (np.abs(exact[usual]) > 1.2e-38)
        apart = np.abs(got[usual][known] - exact[usual][known]) / np.abs(exact[usual][known])
        if name in STATED:
            assert apart.max() <= STATED[name], (name, apart.max(), x[usual][known][apart.argmax()])
        np.testing.assert_allclose(got[usual][known], exact[usual][known], rtol=2e-5, atol=3e-7, err_msg=name)
        if name not in ("sin", "cos", "tan", "gelu_tanh", "mish"):       # at infinity these are undefined or 0 times infinity
            np.testing.assert_allclose(got[len(grid):], kept[len(grid):].astype(np.float64), rtol=3e-5, atol=1e-38, equal_nan=True, err_msg=f"{name} at the ends")


def test_the_plain_loops_define_what_the_instructions_do(tmp_path) -> None:
    target = toolchain.targets()[0]
    if target.lanes == 1:
        pytest.skip("this processor has no vector target: there are only the plain loops")
    graph = one("Map", [(5, 29), (29,)], (5, 29), expr=("mul", ("tanh", A), ("log", ("add", ("exp", ("min", A, B)), ("abs", ("round", B))))))
    program = emit(graph, {}, target, EmitOptions(name="twin"))
    inputs = {"twin": [sample(t, np.random.default_rng(3)) for t in program.inputs]}
    fast = toolchain.call(toolchain.compile_program(program, tmp_path / "fast"), inputs)["twin"].outputs[0]
    plain = replace(program, cpp="#define VEC_PLAIN 1\n" + program.cpp)
    slow = toolchain.call(toolchain.compile_program(plain, tmp_path / "plain"), inputs)["twin"].outputs[0]
    np.testing.assert_allclose(slow, fast, rtol=1e-6, atol=1e-6)


def test_what_no_family_takes_is_refused_by_name() -> None:
    graph = one("Fancy", [(2, 3)], (2, 3))
    with pytest.raises(CompileError, match=r"Fancy over \[2, 3\] has no kernel for avx2"):
        emit(graph, {}, TARGETS["avx2"])


def test_gelu_loses_nothing_far_out(tmp_path) -> None:
    x = np.linspace(-5, 5, 1001, dtype=np.float32)
    program = emit(one("Map", [x.shape], x.shape, expr=("gelu", A)), {}, toolchain.targets()[0], EmitOptions(name="gelu"))
    got = toolchain.call(toolchain.compile_program(program, tmp_path, "-O1"), {"gelu": [x]})["gelu"].outputs[0]
    wide = x.astype(np.float64)
    exact = wide * special.ndtr(wide)
    assert np.max(np.abs(got - exact)[x != 0] / np.abs(exact[x != 0])) < 5e-6
