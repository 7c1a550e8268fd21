"""Compiling, calling and timing in child processes: what goes wrong there is a sentence here."""

import time
from dataclasses import replace

import numpy as np
import pytest

from core.compiler import toolchain
from core.compiler.emit import EmitOptions, Program, emit
from core.compiler.graph import Graph, Node, Tensor
from core.compiler.toolchain import Limits
from core.errors import EngineError

X = [np.linspace(-1, 1, 100, dtype=np.float32)]


@pytest.fixture(scope="module", autouse=True)
def a_compiler():
    try:
        toolchain.compiler()
    except EngineError as error:
        pytest.skip(str(error))


def program(name: str, instead: str = "") -> Program:
    """y = 2 x + 1 over 100 values; `instead` replaces the body of its node (x, y: its buffers)."""
    graph = Graph(name, ("x",), ("y",), {n: Tensor(n, (100,)) for n in ("x", "y")}, {}, (Node("Map", ("x",), ("y",), {"expr": ("add", ("mul", ("in", 0), ("const", 2.0)), ("const", 1.0))}),))
    made = emit(graph, {}, toolchain.targets()[0], EmitOptions(name=name))
    start, end = made.body.index("    const auto apply"), made.body.index("\n}\n}")
    return replace(made, body=made.body[:start] + instead + made.body[end:]) if instead else made


BAD = {
    "null": ("*(volatile int*)0 = 1;", "null crashed: SIGSEGV"),
    "behind": ("volatile float s = 0; for (int i = 0; i <= 100; ++i) s = s + v0_x[i];", "behind crashed: SIGSEGV"),
    "beside": ("v1_y[-1] = 3.0f;", "beside wrote beside its output 0"),
    "asks": ("volatile long t = time(0); (void)t; getppid();", "asks crashed: SIGKILL"),
    "quits": ("_exit(5);", "quits ended its process with status 5"),
}


def test_a_crash_is_a_sentence_and_the_others_go_on(tmp_path) -> None:
    made = [program("good"), *(program(name, body) for name, (body, _) in BAD.items()), program("hoards", "void* volatile p = malloc(10); free(p);")]
    made[0] = replace(made[0], body="#include <stdlib.h>\n#include <time.h>\n#include <unistd.h>\n" + made[0].body)
    built = toolchain.compile_batch(made, tmp_path, optimise="-O1")
    called = toolchain.call(built, {p.name: X for p in made}, strict=False)
    np.testing.assert_allclose(called["good"].outputs[0], 2 * X[0] + 1, rtol=1e-6)
    assert not called["good"].failure and called["good"].allocations == 0
    for name in ("null", "behind", "beside", "quits"):
        assert called[name].failure.startswith(BAD[name][1]) and called[name].outputs == ()
    assert called["hoards"].failure == "" and called["hoards"].allocations == 1
    strict = toolchain.call(built, {"good": X, "asks": X}, strict=True)
    if "strict mode" in strict["good"].failure:
        pytest.skip(strict["good"].failure)
    assert strict["good"].failure == "" and strict["asks"].failure.startswith(BAD["asks"][1])
    assert "malloc" in toolchain.imported(built)


def test_an_endless_program_is_stopped(tmp_path) -> None:
    built = toolchain.compile_program(_whole(program("endless", "for (volatile int i = 0;; i = i + 1) {}")), tmp_path, "-O1")
    started = time.monotonic()
    with pytest.raises(EngineError, match="stopped after 1 seconds|endless crashed|failed"):
        called = toolchain.call(built, {"endless": X}, limits=Limits(1.0))
        raise EngineError(called["endless"].failure)
    assert time.monotonic() - started < 30


def _whole(made: Program) -> Program:
    """A changed body inside a whole file again."""
    return replace(made, cpp=made.cpp[:made.cpp.index(f"namespace program_{made.name} {{")] + made.body)


def test_an_error_of_the_compiler_is_its_first_line(tmp_path) -> None:
    with pytest.raises(EngineError, match=r"could not compile wrong.cpp: .*error.*nonsense"):
        toolchain.compile_program(_whole(program("wrong", "nonsense;")), tmp_path)


def test_limits_hold_for_the_compiler(tmp_path) -> None:
    with pytest.raises(EngineError, match="could not compile"):
        toolchain.compile_program(program("small"), tmp_path, limits=Limits(60.0, memory_bytes=40 << 20))
    with pytest.raises(EngineError, match="stopped after|could not compile"):
        toolchain.compile_program(program("slow"), tmp_path, limits=Limits(0.01))


def test_strange_folders_are_only_folders(tmp_path) -> None:
    folder = tmp_path / "a b; touch hacked $(id) 'q'"
    built = toolchain.compile_program(program("plainly"), folder, "-O1")
    assert not toolchain.call(built, {"plainly": X})["plainly"].failure
    assert sorted(p.name for p in tmp_path.iterdir()) == [folder.name]


def test_measured_times_are_ordered(tmp_path) -> None:
    built = toolchain.compile_batch([program("one"), program("two")], tmp_path, optimise="-O1")
    for timing in toolchain.measure(built, {"one": X, "two": X}, blocks=5, singles=200, block_us=50).values():
        assert 0 < timing.best_us <= timing.median_us and timing.p50_us <= timing.p99_us <= timing.p999_us <= timing.worst_us
        assert sum(timing.histogram[1]) == 200 and len(timing.histogram[0]) == len(timing.histogram[1]) + 1


def test_wrong_inputs_are_refused(tmp_path) -> None:
    built = toolchain.Built(tmp_path / "none.so", (program("asked"),), (), 0.0)
    with pytest.raises(EngineError, match=r"asked takes float32 \[100\] and got the shape \[3\]"):
        toolchain.call(built, {"asked": [np.zeros(3)]})
    with pytest.raises(EngineError, match="takes 1 inputs and got 2"):
        toolchain.call(built, {"asked": X * 2})


def test_without_a_compiler_there_is_a_way_out(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    toolchain.compiler.cache_clear()
    try:
        with pytest.raises(EngineError, match="no C\\+\\+ compiler here: install"):
            toolchain.compiler()
    finally:
        monkeypatch.undo()
        toolchain.compiler.cache_clear()


def test_targets_follow_the_processor(monkeypatch) -> None:
    def with_flags(*flags: str) -> list[str]:
        monkeypatch.setattr(toolchain, "features", lambda: frozenset(flags))
        return [t.name for t in toolchain.targets()]
    assert with_flags() == ["scalar"] and with_flags("avx2", "fma") == ["avx2", "scalar"]
    assert with_flags("avx2", "fma", "avx512f", "avx512vl", "avx512dq", "avx512bw") == ["avx512", "avx2", "scalar"]
