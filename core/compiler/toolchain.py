"""The C++ compiler of this machine and what it makes: compiled, called and timed in child processes with limits, so that a crash is a message."""

import atexit
import math
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from core.compiler.emit import TEMPLATES, Program, join
from core.compiler.emit import flags_for as flags
from core.compiler.lower.variant import TARGETS, Target
from core.errors import EngineError

LIMITER = "import os,resource as r,sys\nfor k,v in zip((r.RLIMIT_CPU,r.RLIMIT_AS,r.RLIMIT_FSIZE,r.RLIMIT_CORE),map(int,sys.argv[1:5])):\n" \
          " m=r.getrlimit(k)[1]\n v=v if m<0 else min(v,m)\n v>=0 and r.setrlimit(k,(v,v))\nos.execv(sys.argv[5],sys.argv[5:])"
"""Run by a bare interpreter between us and the compiler: sets the limits of its own process and becomes the command. No shell, no code between fork and exec."""
FEATURES = {"avx512": ("avx512f", "avx512vl", "avx512dq", "avx512bw", "fma"), "avx2": ("avx2", "fma"), "scalar": ()}


@dataclass(frozen=True)
class Limits:
    """Of one child: wall-clock and processor seconds, address space, and bytes of any file it writes."""

    seconds: float = 120.0
    memory_bytes: int = 4 << 30
    file_bytes: int = 1 << 30


COMPILING, RUNNING = Limits(180.0), Limits(60.0)


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler: path, g++ or clang++, version as it states it."""

    path: str
    kind: str
    version: str


@dataclass(frozen=True)
class Built:
    """A shared object with one or several programs (or, with sanitizers, a program of its own that holds them), the flags and the seconds it took."""

    library: Path
    programs: tuple[Program, ...]
    flags: tuple[str, ...]
    seconds: float
    sanitised: bool = False


@dataclass(frozen=True)
class Called:
    """What one call of a program did: its outputs, or the sentence that says why there are none; `allocations` counts allocations and locks inside infer."""

    outputs: tuple[np.ndarray, ...]
    failure: str = ""
    allocations: int = 0


@dataclass(frozen=True)
class Timing:
    """One program on one pinned core: us per call of the best and the median block, and of single calls (which carry some 30 ns of the clock).

    histogram  (edges in us, counts) of the single calls, edges spaced evenly in the logarithm
    """

    best_us: float
    median_us: float
    p50_us: float
    p99_us: float
    p999_us: float
    worst_us: float
    calls_per_block: int
    histogram: tuple[tuple[float, ...], tuple[int, ...]]


# ---------------------------------------------------------------- what is here

@cache
def features() -> frozenset[str]:
    """Flags of this processor as Linux names them; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf8", "replace").splitlines()
    except OSError:
        return frozenset()
    return next((frozenset(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")), frozenset())


def targets() -> tuple[Target, ...]:
    """The targets this processor can run, the fastest first; scalar always."""
    return tuple(TARGETS[name] for name, needed in FEATURES.items() if features().issuperset(needed))


@cache
def compiler() -> Compiler:
    """The C++ compiler: CXX, g++ or clang++. Raises EngineError where there is none, or where what is generated could not be run."""
    if os.name != "posix" or platform.machine().lower() not in ("x86_64", "amd64", "aarch64", "arm64"):
        raise EngineError(f"Generated code runs on Linux and a 64-bit processor, not on {platform.system()} {platform.machine()}.")
    for name in (os.environ.get("CXX", ""), "g++", "clang++"):
        path = shutil.which(name) if name and " " not in name else None
        if path:
            version = _run([path, "--version"], Limits(20.0), Path("/")).stdout.splitlines()
            return Compiler(path, "clang++" if "clang" in " ".join(version[:1]) else "g++", version[0] if version else name)
    raise EngineError("There is no C++ compiler here: install g++ or clang++ (Debian: apt install g++), or name one in CXX.")


# ---------------------------------------------------------------- children

def _run(command: Sequence[str], limits: Limits, folder: Path, text: str = "") -> subprocess.CompletedProcess:
    """Run a command (never a shell) in `folder` under limits; its whole process group goes when the time is over.

    Raises EngineError when it does not end in time or cannot be started; the exit status is the caller's business.
    """
    numbers = (math.ceil(limits.seconds), limits.memory_bytes or -1, limits.file_bytes, 0)
    whole = [sys.executable, "-I", "-S", "-c", LIMITER, *map(str, numbers), *command]
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TMPDIR": str(folder) if os.access(folder, os.W_OK) else tempfile.gettempdir(),
                   "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:hard_rss_limit_mb=2048", "UBSAN_OPTIONS": "print_stacktrace=0"}
    name = Path(command[0]).name
    try:
        child = subprocess.Popen(whole, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env=environment, text=True,
                                 errors="replace", start_new_session=True)
    except OSError as error:
        raise EngineError(f"{name} cannot be started: {error.strerror}.") from error
    try:
        out, err = child.communicate(text, timeout=limits.seconds)
    except subprocess.TimeoutExpired:
        raise EngineError(f"{name} was stopped after {limits.seconds:g} seconds: give it a smaller model or more time.") from None
    finally:
        _end(child)
    return subprocess.CompletedProcess(command, child.returncode, out, err)


def _end(child: subprocess.Popen) -> None:
    """Nothing of the group stays, whatever happened."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    child.wait()


def _reason(finished: subprocess.CompletedProcess) -> str:
    """The first line that says error, or how the process ended."""
    said = [line.strip() for line in finished.stderr.splitlines() if "error" in line.lower()] or finished.stderr.splitlines()[-1:]
    if finished.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return "it used up its time or memory"
    return said[0][:300] if said and said[0] else f"it ended with status {finished.returncode}"


# ---------------------------------------------------------------- compiling

def compile_program(program: Program, folder: Path, optimise: str = "-O3", sanitise: bool = False, limits: Limits = COMPILING) -> Built:
    """Write NAME.cpp, NAME.h (and NAME.bin) into `folder` and compile them. Raises EngineError with the compiler's first error."""
    write(program, folder)
    return _compile([program], f"{program.name}.cpp", folder, optimise, sanitise, limits)


def compile_batch(programs: Sequence[Program], folder: Path, name: str = "batch", optimise: str = "-O3", sanitise: bool = False, limits: Limits = COMPILING) -> Built:
    """Compile several programs of one target as one translation unit: their templates are read once."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.cpp").write_text(join(programs), "utf8")
    for program in programs:
        if program.blob:
            (folder / f"{program.name}.bin").write_bytes(program.blob)
    return _compile(programs, f"{name}.cpp", folder, optimise, sanitise, limits)


def write(program: Program, folder: Path) -> tuple[Path, ...]:
    """The files of a program, written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {f"{program.name}.cpp": program.cpp.encode(), f"{program.name}.h": program.header.encode()} | ({f"{program.name}.bin": program.blob} if program.blob else {})
    for name, data in texts.items():
        (folder / name).write_bytes(data)
    return tuple(folder / name for name in texts)


def _compile(programs: Sequence[Program], source: str, folder: Path, optimise: str, sanitise: bool, limits: Limits) -> Built:
    found, options = compiler(), flags(programs[0].target, optimise)
    result = folder / (Path(source).stem + (".checked" if sanitise else ".so"))
    shape = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-rdynamic", str(TEMPLATES / "runner.cpp"), "-ldl"] if sanitise else ["-shared", "-fPIC"]
    started = time.perf_counter()
    limits = Limits(limits.seconds, 0 if sanitise else limits.memory_bytes, limits.file_bytes)
    finished = _run([found.path, *options, "-w", "-I", ".", source, *shape, "-o", str(result.name)], limits, folder)
    if finished.returncode or not result.is_file():
        raise EngineError(f"{found.kind} could not compile {source}: {_reason(finished)}.")
    return Built(result, tuple(programs), options, time.perf_counter() - started, sanitise)


def _runner() -> Path:
    """The child program, compiled once per process (and again where its folder was cleaned away)."""
    if not _compiled_runner().exists():
        _compiled_runner.cache_clear()
    return _compiled_runner()


@cache
def _compiled_runner() -> Path:
    folder, owner = Path(tempfile.mkdtemp(prefix="vitrine-runner-")), os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    finished = _run([compiler().path, "-O2", "-std=c++17", "-w", "-DCOUNT_CALLS", "-rdynamic", str(TEMPLATES / "runner.cpp"), "-o", str(folder / "runner"), "-ldl"], COMPILING, folder)
    if finished.returncode:
        raise EngineError(f"{compiler().kind} could not compile the program that runs kernels: {_reason(finished)}.")
    return folder / "runner"


# ---------------------------------------------------------------- calling and timing

def call(built: Built, inputs: Mapping[str, Sequence[np.ndarray]], at_end: bool = True, strict: bool = False, limits: Limits = RUNNING) -> dict[str, Called]:
    """Call programs of a build once each, every one in a process of its own, its buffers flush against pages that may not be touched.

    inputs  program name -> its inputs in order; only the named programs run
    at_end  the guard page lies behind each buffer (else before it); the rest of the pages is filled and checked
    strict  infer may make no system call at all (Linux secure computing, strict mode)
    """
    chosen = [p for p in built.programs if p.name in inputs]
    with tempfile.TemporaryDirectory(prefix="vitrine-call-") as place:
        results = _job([built], chosen, inputs, f"call {'end' if at_end else 'start'} {'strict' if strict else 'free'}", Path(place), limits)
    made, at = {}, 0
    for program in chosen:
        status, counted = int.from_bytes(results[at:at + 4], "little", signed=True), int.from_bytes(results[at + 4:at + 12], "little")
        at += 12
        outputs = []
        for tensor in program.outputs:
            outputs.append(np.frombuffer(results, tensor.dtype, tensor.size, at).reshape(tensor.shape))
            at += tensor.bytes
        failure = _failure(status, program)
        made[program.name] = Called(() if failure else tuple(outputs), failure, 0 if failure else counted)
    return made


def measure(built: Built | Sequence[Built], inputs: Mapping[str, Sequence[np.ndarray]], blocks: int = 50, singles: int = 2000, block_us: float = 200.0,
            core: int | None = None, limits: Limits = RUNNING) -> dict[str, Timing]:
    """Time programs against each other on one pinned core, block by block in turn.

    inputs  program name -> its inputs in order; only the named programs run
    core    the processor to pin to; the idlest by default
    """
    builds = [built] if isinstance(built, Built) else list(built)
    chosen = [p for b in builds for p in b.programs if p.name in inputs]
    core = idlest_core() if core is None else core
    with tempfile.TemporaryDirectory(prefix="vitrine-time-") as place:
        results = _job(builds, chosen, inputs, f"measure {core} {block_us * 1e3:.0f} {blocks} {singles}", Path(place), limits)
    record = 8 * (1 + blocks + singles)
    if len(results) != record * len(chosen):
        raise EngineError("The timed process wrote less than it should have.")
    return {p.name: _timing(results[i * record:(i + 1) * record], blocks) for i, p in enumerate(chosen)}


def _timing(record: bytes, blocks: int) -> Timing:
    calls, times = int.from_bytes(record[:8], "little"), np.frombuffer(record, np.float64, offset=8) / 1e3
    rounds, singles = times[:blocks], np.sort(times[blocks:] if len(times) > blocks else times)
    edges = np.geomspace(max(singles[0] * 0.98, 1e-3), max(singles[-1] * 1.02, 2e-3), 61)
    p50, p99, p999 = (float(np.quantile(singles, q)) for q in (0.5, 0.99, 0.999))
    counts = np.histogram(singles, edges)[0]
    return Timing(float(rounds.min()), float(np.median(rounds)), p50, p99, p999, float(singles[-1]), calls, (tuple(map(float, edges)), tuple(map(int, counts))))


def idlest_core(seconds: float = 0.05) -> int:
    """The processor, among those we may use, that did least in the last moment."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    before = _idle()
    time.sleep(seconds if len(allowed) > 1 else 0)
    after = _idle()
    return max(allowed, key=lambda core: (after.get(core, 0) - before.get(core, 0), core))


def _idle() -> dict[int, int]:
    """Ticks each processor has been idle, from /proc/stat."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return {}
    return {int(line.split()[0][3:]): int(line.split()[4]) for line in lines if line.startswith("cpu") and line[3].isdigit()}


def _job(builds: Sequence[Built], chosen: Sequence[Program], inputs: Mapping[str, Sequence[np.ndarray]], verb: str, place: Path, limits: Limits) -> bytes:
    """Hand one job to the child program and read what it wrote."""
    data = b"".join(_bytes(p, inputs[p.name]) for p in chosen)
    (place / "data").write_bytes(data)
    sanitised = any(b.sanitised for b in builds)
    lines = [f"limits {math.ceil(limits.seconds)} {0 if sanitised else limits.memory_bytes}", f"data {place / 'data'}", f"results {place / 'results'}"]
    for build in builds:
        lines.append(f"lib {'-' if build.sanitised else build.library.resolve()}")
        for p in build.programs:
            if p in chosen:
                sizes = [" ".join(map(str, (len(side), *(t.bytes for t in side)))) for side in (p.inputs, p.outputs)]
                lines.append(f"entry {p.name} {p.workspace_bytes} {' '.join(sizes)}")
    program = builds[0].library.resolve() if sanitised else _runner()
    finished = _run([str(program)], Limits(limits.seconds, 0, limits.file_bytes), place, "\n".join([*lines, verb, ""]))
    if finished.returncode:
        raise EngineError(f"The process that ran the kernels failed: {_reason(finished)}.")
    return (place / "results").read_bytes()


def _bytes(program: Program, arrays: Sequence[np.ndarray]) -> bytes:
    """The inputs of one program as it reads them."""
    if len(arrays) != len(program.inputs):
        raise EngineError(f"{program.name} takes {len(program.inputs)} inputs and got {len(arrays)}.")
    for array, tensor in zip(arrays, program.inputs):
        if np.shape(array) != tensor.shape:
            raise EngineError(f"{program.name} takes {tensor.dtype} {list(tensor.shape)} and got the shape {list(np.shape(array))}.")
    return b"".join(np.ascontiguousarray(a, t.dtype).tobytes() for a, t in zip(arrays, program.inputs))


def _failure(status: int, program: Program) -> str:
    """The runner's status in words."""
    if status == 0:
        return ""
    if status == 1077:
        return "This system allows no strict mode for a process, so that system calls cannot be ruled out here."
    if status == 2001:
        return f"{program.name} wrote outside its workspace."
    if status > 2001:
        side, index = ("input", status - 2002) if status - 2002 < len(program.inputs) else ("output", status - 2002 - len(program.inputs))
        return f"{program.name} wrote beside its {side} {index}."
    if status > 1000:
        return f"{program.name} ended its process with status {status - 1000}."
    return f"{program.name} crashed: {signal.Signals(status).name if status in set(signal.Signals) else f'signal {status}'}."


def imported(built: Built) -> tuple[str, ...]:
    """Functions a shared object takes from elsewhere, by `nm`. Raises EngineError without it."""
    tool = shutil.which("nm")
    if tool is None:
        raise EngineError("There is no nm here: install binutils.")
    listed = _run([tool, "-D", "--undefined-only", str(built.library.resolve())], RUNNING, built.library.parent)
    return tuple(sorted(line.split()[-1].split("@")[0] for line in listed.stdout.splitlines() if line.split()))
