"""The bundle configures, builds and passes its own test with cmake as it is, and fails it when a recorded value is changed."""

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.compiler.bundle import bundle
from core.compiler.emit import EmitOptions, Program, emit
from core.compiler.graph import Graph, Node, Tensor
from core.compiler.toolchain import compiler, targets
from core.errors import EngineError

X = np.linspace(-3, 3, 40, dtype=np.float32).reshape(1, 40)
W = np.random.default_rng(0).standard_normal((40, 9)).astype(np.float32)


def program(weights: str = "inside") -> Program:
    tensors = {"x": Tensor("x", (1, 40)), "y": Tensor("y", (1, 9)), "b": Tensor("b", (1, 9), "bool")}
    nodes = (Node("Dense", ("x", "w"), ("y",), {}), Node("Map", ("y",), ("b",), {"expr": ("less", ("in", 0), ("const", 0.0))}))
    return emit(Graph("net", ("x",), ("y", "b"), tensors, {"w": W}, nodes), {}, targets()[0], EmitOptions(name="net", weights=weights))


def made(weights: str = "inside", change: float = 0.0) -> bytes:
    y = X @ W
    return bundle(program(weights), [X], [y + np.float32(change), y < 0], {"best_us": 1.5, "name": "net"})


def test_contents_and_bytes() -> None:
    data = made("blob")
    assert data == made("blob")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = {Path(name).name for name in archive.namelist()}
        assert names == {"net.cpp", "net.h", "net.bin", "CMakeLists.txt", "net_test.cpp", "net_benchmark.cpp", "recorded.inputs", "recorded.outputs", "README.md", "report.json"}
        assert all(name.startswith("net/") for name in archive.namelist()) and b'"best_us": 1.5' in archive.read("net/report.json")
        assert archive.read("net/recorded.inputs") == X.tobytes()


def test_it_builds_and_tests_itself(tmp_path) -> None:
    try:
        compiler()
    except EngineError as error:
        pytest.skip(str(error))
    if shutil.which("cmake") is None:
        pytest.skip("there is no cmake here")
    zipfile.ZipFile(io.BytesIO(made("blob"))).extractall(tmp_path)

    def run(*command: str) -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=tmp_path / "net", capture_output=True, text=True, timeout=200)
    for step in (("cmake", "-S", ".", "-B", "build"), ("cmake", "--build", "build"), ("ctest", "--test-dir", "build")):
        done = run(*step)
        assert done.returncode == 0, done.stdout + done.stderr
    timed = run("build/net_benchmark", ".", "0", "50")
    assert timed.returncode == 0 and "best block" in timed.stdout and "worst" in timed.stdout
    (tmp_path / "net" / "recorded.outputs").write_bytes((X @ W + np.float32(0.1)).tobytes() + (X @ W < 0).tobytes())
    assert run("build/net_test", ".").returncode == 1 and run("build/net_test", "nowhere").returncode == 2
