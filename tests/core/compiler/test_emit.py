"""The generated file: the same bytes each time, names that stay names, buffers that never meet, an interface as ONNX has it."""

import hashlib
import inspect
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.compiler import toolchain
from core.compiler.buffers import LINE, plan
from core.compiler.emit import TEMPLATES, EmitOptions, comment, emit, identifier, identifiers, join, literal, number, order, template
from core.compiler.graph import CHANNELS_LAST, CompileError, Graph, Node, Tensor
from core.compiler.interpret import interpret
from core.compiler.lower.variant import TARGETS
from core.errors import EngineError

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests" / "golden" / "compiler" / "emit"
UPDATE = "VITRINE_UPDATE_GOLDENS"
HOSTILE = 'x"; system("id"); //\\\n#include "/etc/passwd"\n*/ ??/ \u202e \x00'


def small() -> Graph:
    """Three nodes and an alias, every name hostile."""
    w = np.array([[0.5, -1.25, 1 / 3], [2.0, np.float32(1e-40), -0.0]], np.float32)
    tensors = {n: Tensor(n, s) for n, s in ((HOSTILE, (1, 2)), (HOSTILE + "a", (1, 3)), (HOSTILE + "b", (3,)), (HOSTILE + "y", (3,)))}
    nodes = (Node("Dense", (HOSTILE, "w\\"), (HOSTILE + "a",), {"activation": "relu"}, (HOSTILE, "b\n}")), Node("Reshape", (HOSTILE + "a",), (HOSTILE + "b",)),
             Node("Map", (HOSTILE + "b",), (HOSTILE + "y",), {"expr": ("add", ("in", 0), ("const", 0.1))}, ("add",)))
    return Graph(HOSTILE, (HOSTILE,), (HOSTILE + "y",), tensors, {"w\\": w}, nodes)


def chain(length: int = 6, size: int = 100) -> Graph:
    """y = x + 1 + 1 ..., each in a buffer of its own life."""
    names = ["x", *(f"t{k}" for k in range(length - 1)), "y"]
    nodes = tuple(Node("Map", (a,), (b,), {"expr": ("add", ("in", 0), ("const", 1.0))}) for a, b in zip(names, names[1:]))
    return Graph("chain", ("x",), ("y",), {n: Tensor(n, (size,)) for n in names}, {}, nodes)


def run(graph: Graph, folder: Path, inputs, **options) -> tuple[np.ndarray, ...]:
    try:
        toolchain.compiler()
    except EngineError as error:
        pytest.skip(str(error))
    program = emit(graph, {}, toolchain.targets()[0], EmitOptions(**options))
    called = toolchain.call(toolchain.compile_program(program, folder, "-O1"), {program.name: inputs})[program.name]
    assert not called.failure
    return called.outputs


# ---------------------------------------------------------------- the text

def test_golden() -> None:
    program = emit(small(), {0: "plain"}, TARGETS["avx2"], EmitOptions("tiny", "ab" * 32, (("budget", "2 us\n#error"),)))
    made = program.cpp.split("namespace {")[0] + "// (templates)\n\n" + program.body
    for path, text in ((GOLDEN / "tiny.cpp", made), (GOLDEN / "tiny.h", program.header)):
        if os.environ.get(UPDATE):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf8")
        assert path.read_text("utf8") == text, f"run with {UPDATE}=1 where the change is meant"


def test_the_same_bytes_in_another_process() -> None:
    script = "\n".join(("import hashlib", "import numpy as np", "from core.compiler.emit import emit", "from core.compiler.graph import Graph, Node, Tensor",
                        f"HOSTILE = {HOSTILE!r}", inspect.getsource(small), "made = emit(small())", "print(hashlib.sha256((made.cpp + made.header).encode()).hexdigest())"))
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    other = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout.strip()
    made = emit(small())
    assert other == hashlib.sha256((made.cpp + made.header).encode()).hexdigest()


def test_hostile_names_stay_in_comments_and_literals() -> None:
    program = emit(small(), {}, TARGETS["scalar"])
    for text in (program.body, program.header):
        assert text.isascii() and "\x00" not in text and "??" not in text
        for line in text.split("\n"):
            assert not line.endswith("\\")
            code = re.sub(r'"(?:[^"\\]|\\.)*"', "", line).split("//")[0]
            assert not re.search(r"\bsystem\b|#include <?/|\bid\b", code), line
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", program.name)


@given(st.lists(st.text(max_size=30), max_size=8))
@settings(max_examples=60, deadline=None)
def test_identifiers_differ_and_are_identifiers(names: list[str]) -> None:
    made = identifiers(names)
    assert set(made) == set(names) and len(set(made.values())) == len(made)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", i) and "__" not in i for i in (*made.values(), *map(identifier, names)))
    for name in names:
        assert re.fullmatch(r"[ -~]*", comment(name)) and not set(comment(name)) & set("\\?*\"'")
        assert re.fullmatch(r'"([A-Za-z0-9_ ./:,\[\]()-]|\\[0-7]{3})*"', literal(name))


@given(st.floats(width=32))
@settings(max_examples=200, deadline=None)
def test_numbers_keep_their_bits(value: float) -> None:
    text = number(np.float32(value), "float32")
    if np.isfinite(value):
        back = np.float32(float.fromhex(text[:-1]) if "x" in text else float(text[:-1]))
        assert text.endswith("f") and back.tobytes() == np.float32(value).tobytes()
    else:
        assert text.startswith("__builtin_nanf" if np.isnan(value) else ("-" if value < 0 else "") + "__builtin_inff")


def test_spans_name_the_lines_of_each_node() -> None:
    program = emit(small(), {}, TARGETS["avx512"])
    lines = program.cpp.split("\n")
    assert [s.node for s in program.spans] == [0, 2] and program.mapping.keys() == {0, 2}
    for span in program.spans:
        assert lines[span.first - 1].startswith(f"// [{span.node}] ") and lines[span.last - 1] == "}"
        assert any(f"namespace node_{span.node} {{" == line for line in lines[span.first - 1:span.last])
        assert span.weights is None or span.first < span.weights[0] <= span.weights[1] < span.last


def test_templates_come_after_what_they_need() -> None:
    names = [path.name for path in TEMPLATES.glob("*.h")]
    placed = order(names)
    assert sorted(placed) == sorted(names)
    for name in names:
        for need in re.findall(r"^// needs: (.*)$", template(name), re.M):
            assert all(placed.index(other) < placed.index(name) for other in need.split())
    with pytest.raises(CompileError, match="no template"):
        template("../emit.py")


# ---------------------------------------------------------------- refusals

def test_what_cannot_be_emitted_is_a_sentence() -> None:
    with pytest.raises(CompileError, match=r"no variant 'fast'"):
        emit(chain(), {0: "fast"})
    with pytest.raises(CompileError, match="node 17"):
        emit(chain(), {17: "vectors"})
    with pytest.raises(CompileError, match="layout channels_last"):
        emit(replace(chain(), tensors={**chain().tensors, "x": Tensor("x", (1, 4, 5, 5), layout=CHANNELS_LAST)}))
    with pytest.raises(CompileError, match="weights = 'outside'"):
        emit(chain(), options=EmitOptions(weights="outside"))
    with pytest.raises(CompileError, match="float16"):
        emit(replace(chain(), tensors={**chain().tensors, "x": Tensor("x", (100,), "float16")}))
    with pytest.raises(CompileError, match="different names"):
        join([emit(chain()), emit(chain())])


def test_without_its_flags_the_file_refuses_to_compile(tmp_path) -> None:
    program = emit(chain(2), {}, TARGETS["avx512"])
    bare = replace(program, target=replace(program.target, flags=()))
    with pytest.raises(EngineError, match="written for avx512: compile it with -mavx512f|no C\\+\\+ compiler"):
        toolchain.compile_program(bare, tmp_path)


# ---------------------------------------------------------------- buffers

def test_buffers_are_used_again() -> None:
    assert plan(chain(9), {}).bytes == 2 * 448


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 300)), min_size=1, max_size=20), st.lists(st.integers(0, 200), min_size=20, max_size=20))
@settings(max_examples=50, deadline=None)
def test_living_buffers_never_overlap(reads: list[tuple[int, int]], scratch: list[int]) -> None:
    """Node k makes t_k and reads x and one of the values before it."""
    names = ["x", *(f"t{k}" for k in range(len(reads)))]
    tensors = {"x": Tensor("x", (1,))} | {f"t{k}": Tensor(f"t{k}", (size,)) for k, (_, size) in enumerate(reads)}
    nodes = tuple(Node("Map", ("x", names[max(0, k - back)]), (f"t{k}",), {}) for k, (back, _) in enumerate(reads))
    graph = Graph("g", ("x",), (names[-1],), tensors, {}, nodes)
    made = plan(graph, dict(enumerate(scratch[:len(reads)])))
    alive = []
    for k, (_, size) in enumerate(reads):
        last = max([j for j, node in enumerate(nodes) if f"t{k}" in node.inputs] + [k])
        place = made.places[f"t{k}"]
        if place.kind == "workspace":
            alive.append((k, last, place.number, place.number + 4 * size))
        if scratch[k]:
            alive.append((k, k, made.scratch[k], made.scratch[k] + scratch[k]))
    assert all(start % LINE == 0 and end <= made.bytes for *_, start, end in alive)
    for i, (first, last, start, end) in enumerate(alive):
        assert all(last < f or l < first or end <= s or e <= start for f, l, s, e in alive[:i])


# ---------------------------------------------------------------- the interface, run

def test_outputs_of_every_kind(tmp_path) -> None:
    """An output that is an input, a constant, a Reshape of either, one value under two names, and bool beside int64."""
    tensors = {n: Tensor(n, s, t) for n, s, t in (("x", (2, 3), "float32"), ("n", (2,), "int64"), ("flat", (6,), "float32"), ("k2", (4,), "float32"),
                                                 ("s", (2, 3), "float32"), ("s2", (3, 2), "float32"), ("b", (2,), "bool"))}
    nodes = (Node("Reshape", ("x",), ("flat",)), Node("Reshape", ("k",), ("k2",)), Node("Map", ("x",), ("s",), {"expr": ("sqrt", ("abs", ("in", 0)))}),
             Node("Reshape", ("s",), ("s2",)), Node("Map", ("n",), ("b",), {"expr": ("less", ("in", 0), ("const", 5.0))}))
    graph = Graph("every", ("x", "n"), ("x", "flat", "k", "k2", "s", "s2", "b", "n"), tensors, {"k": np.arange(4, dtype=np.float32).reshape(2, 2)}, nodes)
    x, n = np.arange(6, dtype=np.float32).reshape(2, 3) - 2, np.array([3, 2**40])
    wanted = interpret(graph, [x, n])
    for name, got in zip(graph.outputs, run(graph, tmp_path, [x, n]), strict=True):
        np.testing.assert_array_equal(got, wanted[name], strict=True)


def test_weights_in_a_blob_give_the_same_bits(tmp_path) -> None:
    rng = np.random.default_rng(0)
    tensors = {"x": Tensor("x", (3, 40)), "y": Tensor("y", (3, 50))}
    graph = Graph("blob", ("x",), ("y",), tensors, {"w": rng.standard_normal((40, 50)).astype(np.float32)}, (Node("Dense", ("x", "w"), ("y",), {}),))
    x = [rng.standard_normal((3, 40)).astype(np.float32)]
    inside, outside = (run(graph, tmp_path / where, x, weights=where)[0] for where in ("inside", "blob"))
    assert inside.tobytes() == outside.tobytes()
    np.testing.assert_allclose(inside, x[0] @ graph.constants["w"], rtol=1e-5, atol=1e-5)
