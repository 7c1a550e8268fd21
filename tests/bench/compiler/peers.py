"""What a user would pick instead: OpenVINO and ONNX Runtime behind C++ callers, in turn with ours; ncnn, IREE and torch in processes of their own, on the same core."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.compiler.graph import Tensor
from core.compiler.race import relative_error
from core.compiler.toolchain import Built, compiler
from tests.bench.harness import REQUIREMENTS, RIVALS, RivalMissing, Worker, prepare

ONNXRUNTIME_NODE = "onnxruntime-node@1.30.0"
COMPILING_SECONDS = 300.0


@dataclass(frozen=True)
class Case:
    """One model as a peer gets it: its name, its ONNX file, our program (for names, shapes and types), the inputs everybody gets, a folder, a core."""

    name: str
    model: Path
    ours: Built
    inputs: Sequence[np.ndarray]
    reference: np.ndarray
    folder: Path
    core: int

    @property
    def sides(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        program = self.ours.programs[0]
        return program.inputs, program.outputs


# ---------------------------------------------------------------- behind a C++ caller

def openvino(case: Case) -> Built:
    """OpenVINO's C++ library out of its wheel. Raises RivalMissing."""
    python = prepare("openvino")
    home = next(python.parents[1].glob("lib/python*/site-packages/openvino"), None)
    libraries = sorted((home / "libs").glob("libopenvino.so.*")) if home else []
    if not libraries:
        raise RivalMissing("Its wheel has no C++ library.")
    options = [f"-I{home / 'include'}", str(libraries[-1]), f"-Wl,-rpath,{home / 'libs'}"]
    return _caller(case, "openvino", [f'-DMODEL="{case.model}"'], options)


def onnxruntime_c(case: Case) -> Built:
    """ONNX Runtime's C library out of its package for Node.js. Raises RivalMissing."""
    library = _onnxruntime_library()
    inputs, outputs = case.sides
    defines = [f'-DMODEL="{case.model}"', f"-DINPUTS={_names(inputs)}", f"-DOUTPUTS={_names(outputs)}", f"-DSHAPES_IN={_shapes(inputs)}", f"-DSHAPES_OUT={_shapes(outputs)}"]
    return _caller(case, "onnxruntime", defines, [str(library), f"-Wl,-rpath,{library.parent}"])


def _names(tensors: Sequence[Tensor]) -> str:
    return ",".join(json.dumps(t.name) for t in tensors)


def _shapes(tensors: Sequence[Tensor]) -> str:
    return ",".join("{" + ",".join(map(str, (len(t.shape), *t.shape))) + "}" for t in tensors)


def _caller(case: Case, peer: str, defines: Sequence[str], options: Sequence[str]) -> Built:
    """The caller of rivals/, compiled for one model as a shared object with the entry the toolchain knows."""
    symbol = f"{case.name}_{peer}"
    library = case.folder / f"{symbol}.so"
    command = [compiler().path, "-O2", "-std=c++17", "-w", "-shared", "-fPIC", f"-DENTRY={symbol}_infer_in", *defines, str(REQUIREMENTS / f"{peer}_caller.cpp"), *options, "-o", str(library)]
    done = _run(command, COMPILING_SECONDS)
    if done.returncode:
        raise RivalMissing(f"Its caller could not be compiled: {_last(done.stderr)}")
    program = replace(case.ours.programs[0], name=symbol, workspace_bytes=0)
    return Built(library, (program,), ("-O2",), 0.0)


def _onnxruntime_library() -> Path:
    """libonnxruntime.so.1, fetched once by `npm pack`."""
    home = RIVALS / "onnxruntime_c"
    library, stamp = home / "libonnxruntime.so.1", home / "stamp"
    if library.is_file() and stamp.is_file() and stamp.read_text() == ONNXRUNTIME_NODE:
        return library
    if shutil.which("npm") is None:
        raise RivalMissing("Its library comes in a package of npm, which is not here.")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    done = _run(["npm", "pack", "--silent", ONNXRUNTIME_NODE], COMPILING_SECONDS, home)
    packed = next(home.glob("*.tgz"), None)
    if done.returncode or packed is None:
        raise RivalMissing(f"npm could not fetch {ONNXRUNTIME_NODE}: {_last(done.stderr)}")
    with tarfile.open(packed) as archive:
        member = next((m for m in archive if m.isfile() and m.name.endswith("linux/x64/libonnxruntime.so.1")), None)
        if member is None:
            raise RivalMissing("Its package has no library for this machine.")
        library.write_bytes(archive.extractfile(member).read())
    packed.unlink()
    stamp.write_text(ONNXRUNTIME_NODE)
    return library


# ---------------------------------------------------------------- in a process of their own

@dataclass(frozen=True)
class Answer:
    """What a peer in its own process took and how far off it was."""

    best_us: float
    median_us: float
    error: float | None


def ncnn(case: Case, blocks: int) -> Answer:
    """ncnn with Winograd, called from Python, on a model that pnnx converted. Raises RivalMissing."""
    python = prepare("ncnn")
    converter = next(python.parents[1].glob("lib/python*/site-packages/pnnx/pnnx"), None)
    if converter is None:
        raise RivalMissing("Its converter is missing.")
    converter.chmod(0o755)
    place = case.folder / "ncnn"
    place.mkdir(exist_ok=True)
    shutil.copy(case.model, place / "model.onnx")
    shape = ",".join(map(str, case.sides[0][0].shape))
    _run([str(converter), "model.onnx", f"inputshape=[{shape}]", "fp16=0"], COMPILING_SECONDS, place)
    if not (place / "model.ncnn.bin").is_file():
        raise RivalMissing("Its converter makes no model of this file.")
    np.save(place / "input.npy", case.inputs[0])
    with Worker(python, REQUIREMENTS / "ncnn_worker.py") as worker:
        said = worker.ask(stem=str(place / "model.ncnn"), input=str(place / "input.npy"), blocks=blocks, core=case.core)
    if "error" in said:
        raise RivalMissing(f"It cannot run the converted model: {said['error']}")
    output = np.array(said["output"], np.float32)
    return Answer(said["best_us"], said["median_us"], relative_error(output, case.reference.ravel()) if output.size == case.reference.size else None)


def torch(case: Case, blocks: int) -> Answer:
    """Eager torch of this environment on the model rebuilt from its constants. Raises RivalMissing."""
    np.save(case.folder / "torch.npy", case.inputs[0])
    with Worker(sys.executable, REQUIREMENTS / "torch_worker.py") as worker:
        said = worker.ask(name=case.name, model=str(case.model), input=str(case.folder / "torch.npy"), blocks=blocks, core=case.core)
    if "error" in said:
        raise RivalMissing(f"It did not run: {said['error']}")
    return Answer(said["best_us"], said["median_us"], relative_error(np.array(said["output"], np.float32), case.reference.ravel()))


def iree(case: Case, blocks: int) -> Answer:
    """IREE for this processor, timed by its own tool: CPU time of one thread. Raises RivalMissing."""
    tools = prepare("iree").parent
    place = case.folder / "iree"
    place.mkdir(exist_ok=True)
    steps = ([tools / "iree-import-onnx", case.model, "-o", "model.mlir"],
             [tools / "iree-compile", "model.mlir", "--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu", "--iree-llvmcpu-target-cpu=host",
              "--iree-opt-level=O3", "-o", "model.vmfb"])
    for step in steps:
        done = _run([str(part) for part in step], COMPILING_SECONDS, place)
        if done.returncode:
            raise RivalMissing(f"{Path(step[0]).name} failed: {_last(done.stderr)}")
    np.save(place / "input.npy", case.inputs[0])
    entry = re.search(r"func\.func @([\w.$-]+)\(", (place / "model.mlir").read_text("utf8"))
    if entry is None:
        raise RivalMissing("What it imported has no function.")
    command = ["taskset", "-c", str(case.core), str(tools / "iree-benchmark-module"), "--module=model.vmfb", f"--function={entry[1]}", "--device=local-sync", "--input=@input.npy",
               f"--benchmark_repetitions={max(3, blocks // 4)}", "--benchmark_min_time=0.05s", "--benchmark_format=json"]
    done = _run(command, COMPILING_SECONDS, place)
    try:
        rows = [row for row in json.loads(done.stdout[done.stdout.index("{"):])["benchmarks"] if row.get("run_type") == "iteration"]
        times = [row["cpu_time"] * {"ns": 1e-3, "us": 1.0, "ms": 1e3}[row["time_unit"]] for row in rows]
    except (ValueError, KeyError) as error:
        raise RivalMissing(f"Its benchmark tool failed: {_last(done.stderr)}") from error
    if not times:
        raise RivalMissing("Its benchmark tool timed nothing.")
    return Answer(min(times), float(np.median(times)), None)


def _run(command: Sequence[str], seconds: float, folder: Path | None = None) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RivalMissing(f"{Path(command[0]).name} did not run: {type(error).__name__}.") from error


def _last(said: str) -> str:
    lines = [line for line in said.splitlines() if "error" in line.lower()] or said.splitlines() or ["no message"]
    return lines[0].strip()[:160]


CALLED = {"OpenVINO": openvino, "onnxruntime C": onnxruntime_c}
APART = {"ncnn": ncnn, "IREE": iree, "torch eager": torch}
