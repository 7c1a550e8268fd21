"""The hand-written and the naive baselines of a model, compiled: shared objects that the toolchain calls and times like generated ones."""

import hashlib
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.compiler.emit import Program
from core.compiler.graph import Tensor
from core.compiler.hand.weights import MODELS, Model, pack, recognise
from core.compiler.lower.variant import TARGETS
from core.compiler.toolchain import Built, compiler, features, flags
from core.errors import EngineError

FOLDER = Path(__file__).resolve().parent
COMPILING_SECONDS = 120.0
OUTPUT_SHAPES: Mapping[str, tuple[int, ...]] = {"mlp_beam": (1, 12), "mlp_la": (1, 32), "cnn_chest": (1, 2, 12, 14), "cnn_deeprx": (1, 4, 14, 72),
                                                "tr_csi": (1, 14, 12), "tr_2x32": (1, 32, 12)}


@dataclass(frozen=True)
class Baseline:
    """One way somebody may have written a family by hand.

    sources  family -> file in this folder
    packing  the key of `weights.PACKERS`
    options  compiler options beside those of the target
    says     what it is, for the page
    """

    sources: Mapping[str, str]
    packing: str
    options: tuple[str, ...]
    says: str


EXPERT = (*flags(TARGETS["avx512"]), "-mtune=skylake-avx512")
"""The tuning was chosen by measuring: 4 % on the larger transformer, nothing elsewhere."""
PLAIN = ("-std=c++17", *TARGETS["avx512"].flags, "-mprefer-vector-width=512")
NAIVE = {"dnn": "naive_dnn.cpp", "cnn": "naive_cnn.cpp", "transformer": "naive_transformer.cpp"}
BASELINES: Mapping[str, Baseline] = {
    "hand": Baseline({"dnn": "dense.cpp", "cnn": "winograd.cpp", "transformer": "transformer.cpp"}, "hand", EXPERT,
                     "AVX-512 by hand: repacked dense layers, Winograd, fused transformers"),
    "plain hand": Baseline({"dnn": "dense_rows.cpp", "cnn": "direct.cpp", "transformer": "transformer_layers.cpp"}, "plain hand", EXPERT,
                           "AVX-512 by hand, plainer: dot products, direct convolution, layer by layer"),
    "naive -O3": Baseline(NAIVE, "naive", ("-O3", *PLAIN), "plain loops, g++ -O3"),
    "naive -Ofast": Baseline(NAIVE, "naive", ("-Ofast", *PLAIN), "plain loops, g++ -Ofast, 512-bit vectors"),
}


def available(data: bytes) -> str | None:
    """The name of the model when there is hand-written code for it and this processor can run it, else None."""
    return recognise(data) if features().issuperset(("avx512f", "avx512vl", "avx512dq", "avx512bw", "fma")) else None


def build(data: bytes, baseline: str, folder: Path, options: Sequence[str] = ()) -> Built:
    """Compile one baseline of one of the six models, its weights beside it.

    data      the ONNX file, as either torch exporter writes it
    baseline  a key of BASELINES
    options   more compiler options, for tests
    Raises EngineError where the model is none of the six, there is no compiler, or it fails.
    """
    name, chosen = recognise(data), BASELINES[baseline]
    if name is None:
        raise EngineError("There is hand-written code for the six models of the set only, and this is none of them.")
    made, symbol = MODELS[name], f"{name}_{''.join(c if c.isalnum() else '_' for c in baseline)}"
    weights, used = pack(name, chosen.packing, data), (*chosen.options, *options)
    texts = {f"{symbol}.cpp": _source(symbol, name, chosen.sources[made.family]).encode(), f"{symbol}.bin": weights.tobytes()}
    library, stamp = folder / f"{symbol}.so", folder / f"{symbol}.stamp"
    wanted, seconds = _digest(texts, used), 0.0
    if not library.is_file() or not stamp.is_file() or stamp.read_text("utf8") != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in texts.items():
            (folder / file).write_bytes(content)
        seconds = _compile(folder / f"{symbol}.cpp", library, used)
        stamp.write_text(wanted, "utf8")
    return Built(library, (_program(symbol, name, made, weights),), used, seconds)


def _digest(texts: Mapping[str, bytes], options: Sequence[str]) -> str:
    """Of everything the library comes from: a folder that is kept saves the compilation the next time."""
    sources = [path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in (".cpp", ".h")]
    return hashlib.sha256(b"\0".join([compiler().version.encode(), " ".join(options).encode(), *texts.values(), *sources])).hexdigest()


def _source(symbol: str, name: str, file: str) -> str:
    """The file, the packed weights included by the assembler, and the entry the toolchain calls."""
    return "\n".join([
        f'#include "{file}"',
        f'asm(".pushsection .rodata\\n.balign 64\\n.hidden {symbol}_weights\\n.globl {symbol}_weights\\n{symbol}_weights:\\n.incbin \\"{symbol}.bin\\"\\n.popsection\\n");',
        f'extern "C" __attribute__((visibility("hidden"))) const float {symbol}_weights[];',
        f'extern "C" void {symbol}_infer_in(void*, const void* const* in, void* const* out) {{',
        f"    {name}({symbol}_weights, static_cast<const float*>(in[0]), static_cast<float*>(out[0]));",
        "}", ""])


def _compile(source: Path, library: Path, options: Sequence[str]) -> float:
    started = time.perf_counter()
    command = [compiler().path, *options, "-w", "-I", str(FOLDER), source.name, "-shared", "-fPIC", "-o", library.name]
    try:
        done = subprocess.run(command, cwd=source.parent, capture_output=True, text=True, timeout=COMPILING_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"The hand-written code could not be compiled: {type(error).__name__}.") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "error" in line] or ["no message"]
        raise EngineError(f"The hand-written code could not be compiled: {said[0][:200]}.")
    return time.perf_counter() - started


def _program(symbol: str, name: str, model: Model, weights: np.ndarray) -> Program:
    """What the toolchain must know to call it; there is no text of it to show beside the file itself."""
    return Program(name=symbol, target=TARGETS["avx512"], cpp="", header="", blob=b"", body="", templates=(), inputs=(Tensor("x", model.input_shape),),
                   outputs=(Tensor("y", OUTPUT_SHAPES[name]),), spans=(), mapping={}, workspace_bytes=0, multiplies=0, weight_bytes=weights.nbytes)


def text(name: str, baseline: str) -> str:
    """The C++ of a baseline, for the page."""
    return (FOLDER / BASELINES[baseline].sources[MODELS[name].family]).read_text("utf8")


def multiplies(name: str) -> int:
    """Multiply-adds of the better baseline: Winograd's where it is used, padding taps counted."""
    model = MODELS[name]
    if model.family == "dnn":
        return sum(int(np.prod(shape)) for shape in model.layers)
    if model.family == "transformer":
        tokens, width = model.input_shape[1], 64
        return sum(int(np.prod(shape)) * tokens for shape in model.layers) + (len(model.layers) - 2) // 4 * 2 * tokens * tokens * width
    height, columns = model.input_shape[2:]
    points = WINOGRAD_POINTS[name]
    return sum(int(np.prod(shape)) * height * columns if shape != (32, 32, 3, 3) else points * 32 * 32 for shape in model.layers)


WINOGRAD_POINTS = {"cnn_chest": 3 * (2 * 36 + 48), "cnn_deeprx": 12 * (2 * 48 + 64)}
"""Products per channel pair in one layer: tiles times points, as winograd.cpp cuts the two pictures."""
