"""The hardware's own limit: what one core can multiply and stream, measured here, and what that leaves a model at best (the roofline of Williams, Waterman and Patterson, 2009)."""

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from core.compiler.emit import Program
from core.compiler.graph import Graph, Node, Tensor
from core.compiler.lower.variant import TARGETS, Target
from core.compiler.toolchain import Built, compiler, idlest_core, measure, targets
from core.errors import EngineError

SOURCE = Path(__file__).with_suffix(".cpp")
PASSES, CHAINS = 2000, 12
DEFAULT_CACHES = (32 << 10, 1 << 20, 16 << 20)
"""Bytes of the three levels where the system does not say."""
BLOCKS = 60


@dataclass(frozen=True)
class Roofline:
    """One core of this machine.

    gflops           fp32 multiply-adds out of registers, counted as two operations each, 10^9 per second
    gbps             weights streamed through multiply-adds from the first, second and third cache, 10^9 bytes per second
    cache_bytes      sizes of those caches
    """

    gflops: float
    gbps: tuple[float, float, float]
    cache_bytes: tuple[int, int, int]
    target: str

    def level(self, weight_bytes: int) -> int:
        """Which cache (0, 1, 2) holds this many bytes from call to call; activations are small and not counted."""
        return next((n for n, size in enumerate(self.cache_bytes[:2]) if weight_bytes <= size), 2)


@dataclass(frozen=True)
class Work:
    """What a model asks for: multiply-adds (taps on the zero border counted) and bytes of weights read at least once per call."""

    multiplies: int
    weight_bytes: int


@dataclass(frozen=True)
class Limit:
    """No implementation of this arithmetic takes less: the larger of the two times, and which one it is."""

    us: float
    bound: str


def limit(work: Work, roofline: Roofline) -> Limit:
    """max(2 multiplies / peak, bytes / bandwidth of the cache that holds the weights). Another algorithm (Winograd) has another count, so another limit."""
    level = roofline.level(work.weight_bytes)
    times = {"multiply-adds": 2e-3 * work.multiplies / roofline.gflops, f"weights from L{level + 1}": 1e-3 * work.weight_bytes / roofline.gbps[level]}
    bound = max(times, key=times.get)
    return Limit(times[bound], bound)


# ---------------------------------------------------------------- what a model asks for

def work_of(graph: Graph) -> Work:
    """Products of matrices, convolutions and attention of a canonical or fused graph; everything else is not counted, which makes the limit lower, never higher."""
    matrices = {name for node in graph.nodes if node.op in ("Dense", "Conv", "ConvTranspose", "MatMul", "Gemm") for name in node.inputs if name in graph.constants}
    return Work(sum(multiplies_of(node, graph) for node in graph.nodes), sum(graph.constants[name].nbytes for name in matrices))


def multiplies_of(node: Node, graph: Graph) -> int:
    """Multiply-adds of one node by the definition of its operator."""
    shapes = [graph.shape(name) if name else () for name in node.inputs]
    out = int(np.prod(graph.shape(node.outputs[0]), dtype=np.int64))
    if node.op == "Dense":
        return out * shapes[1][0]
    if node.op == "Gemm":
        return out * shapes[0][0 if node.get("transA") else 1]
    if node.op == "MatMul":
        return out * shapes[0][-1]
    if node.op == "Conv":
        return out * int(np.prod(shapes[1][1:]))
    if node.op == "ConvTranspose":
        return int(np.prod(shapes[0])) * int(np.prod(shapes[1][1:]))
    return _attention(node, shapes) if node.op == "Attention" else 0


def _attention(node: Node, shapes: list[tuple[int, ...]]) -> int:
    """Scores and weighted sums: tokens x keys x width, twice; one input holds q, k and v side by side."""
    q = shapes[0]
    if len(q) < 2:
        return 0
    single = len([s for s in shapes if s]) == 1
    width, keys = (q[-1] // 3, q[-2]) if single else (q[-1], shapes[1][-2])
    return 2 * int(np.prod(q[:-1], dtype=np.int64)) * keys * width


# ---------------------------------------------------------------- what the core can do

@cache
def roofline(target: Target | None = None, core: int | None = None) -> Roofline:
    """Measured now, about two seconds, once per process. Raises EngineError without a compiler."""
    chosen, sizes = target or targets()[0], cache_sizes()
    streams = {f"level_{n + 1}": _part(size, n) for n, size in enumerate(sizes)}
    with tempfile.TemporaryDirectory(prefix="vitrine-roofline-") as place:
        built = _build(chosen, streams, Path(place))
        inputs = {p.name: [np.array([0.999, 1e-3], np.float32)] for p in built.programs}
        times = measure(built, inputs, blocks=BLOCKS, singles=16, core=idlest_core() if core is None else core)
    flops = 2 * PASSES * CHAINS * chosen.lanes
    gbps = tuple(1e-3 * size / times[name].best_us for name, size in streams.items())
    return Roofline(1e-3 * flops / times["multiply"].best_us, gbps, sizes, chosen.name)


def _part(size: int, level: int) -> int:
    """Bytes to stream so that they stay in this cache and not in the one before: three quarters of the first, a quarter of the second and third."""
    return (size * 3 // 4 if level == 0 else size // 4) // 4096 * 4096


def _build(target: Target, streams: Mapping[str, int], folder: Path) -> Built:
    defines = [f"-D{name.upper()}={size}" for name, size in streams.items()]
    command = [compiler().path, "-O3", "-std=c++17", "-ffp-contract=fast", "-mprefer-vector-width=512" if target.lanes == 16 else "-O3", *target.flags, f"-DPASSES={PASSES}",
               f"-DVECTOR_BYTES={4 * target.lanes}", *defines, "-w", "-shared", "-fPIC", str(SOURCE), "-o", "roofline.so"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"The limit of this machine could not be measured: {type(error).__name__}.") from error
    if done.returncode:
        raise EngineError(f"The limit of this machine could not be measured: {([line for line in done.stderr.splitlines() if 'error' in line] or ['no message'])[0][:200]}.")
    programs = tuple(_program(name, bytes_, target) for name, bytes_ in {"multiply": 0, **streams}.items())
    return Built(folder / "roofline.so", programs, tuple(command[1:6]), 0.0)


def _program(name: str, workspace_bytes: int, target: Target) -> Program:
    return Program(name=name, target=target, cpp="", header="", blob=b"", body="", templates=(), inputs=(Tensor("x", (2,)),), outputs=(Tensor("y", (1,)),), spans=(), mapping={},
                   workspace_bytes=workspace_bytes)


def cache_sizes() -> tuple[int, int, int]:
    """Bytes of the data caches of the first processor, levels 1 to 3, from Linux; the defaults elsewhere."""
    found = dict(zip((1, 2, 3), DEFAULT_CACHES))
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            kind, level, size = ((folder / name).read_text().strip() for name in ("type", "level", "size"))
        except OSError:
            continue
        if kind != "Instruction" and level in "123":
            found[int(level)] = int(size.rstrip("KMG")) * {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(size[-1], 1)
    return found[1], found[2], found[3]
