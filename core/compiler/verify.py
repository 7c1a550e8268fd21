"""Whether a program computes what its model says: against onnxruntime and onnx.reference on inputs of many kinds, between guard pages, under sanitizers, without system calls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.compiler import toolchain
from core.compiler.emit import Program
from core.compiler.graph import Tensor
from core.errors import EngineError

TOLERANCE = 1e-5
"""Largest difference over the largest value of the reference; Winograd and polynomials stay below 3e-6 of it on the benchmark models."""
HARMLESS = frozenset({"_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable", "__cxa_finalize", "__gmon_start__", "memcpy", "memset", "memmove"})
"""What every shared object names, and copies of memory; beside these only functions of the C mathematics library are expected."""
ARITHMETIC = frozenset(f"{name}{suffix}" for suffix in ("", "f") for name in
                       "sin cos tan asin acos atan sinh cosh asinh acosh atanh pow fmod exp log log1p expm1 erf sqrt floor ceil rint round trunc ldexp fma tanh".split())

Sources = Mapping[str, Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]]


@dataclass(frozen=True)
class Check:
    """One kind of input against one reference: the largest difference, and that over the largest value of the reference."""

    inputs: str
    reference: str
    max_abs_error: float
    max_relative_error: float
    failure: str = ""


@dataclass(frozen=True)
class Verified:
    """What was found. `notes` say in sentences what could not be tried here; `failures` what is wrong, empty when all is well."""

    checks: tuple[Check, ...]
    failures: tuple[str, ...]
    notes: tuple[str, ...]
    imports: tuple[str, ...]
    allocations: int
    sanitised: bool
    strict: bool

    @property
    def passed(self) -> bool:
        """Whether nothing failed and at least one reference was there to compare with."""
        return not self.failures and bool(self.checks)

    @property
    def max_abs_error(self) -> float:
        """Over the random and structured inputs, whose values have the size of real ones."""
        return max((c.max_abs_error for c in self.checks if c.inputs in ("random", "structured")), default=float("nan"))

    @property
    def max_relative_error(self) -> float:
        """The same over the largest value of the reference."""
        return max((c.max_relative_error for c in self.checks if c.inputs in ("random", "structured")), default=float("nan"))


def verify(program: Program, model: bytes, folder: Path, built: toolchain.Built | None = None, bound: Mapping[str, np.ndarray] | None = None,
           sanitise: bool = True, tolerance: float = TOLERANCE, seed: int = 0, progress: Callable[[float, str], None] = lambda share, text: None) -> Verified:
    """Try a program in every way this machine offers.

    model   the ONNX bytes it was made from; bound: inputs that were taken as constants, which the references still ask for
    built   its shared object, compiled into `folder` when absent
    Raises EngineError where nothing can be compiled or run; a wrong result is a value, not an exception.
    """
    built = built or toolchain.compile_program(program, folder)
    kinds = {kind: inputs_of(program.inputs, kind, seed) for kind in KINDS}
    progress(0.1, "Comparing with other runtimes")
    sources, notes = references(model, program, bound or {})
    checks, failures = _compared(built, program, kinds, sources, tolerance)
    progress(0.5, "Looking beside the buffers")
    failures += _repeated(built, program, kinds["random"])
    strict, counted, found = _strict(built, program, kinds["random"])
    notes, failures = notes + found[0], failures + found[1]
    imports, found = _imports(built)
    failures += found
    progress(0.6, "Running under sanitizers")
    sanitised, found = _sanitised(program, folder, kinds) if sanitise else (False, ([], []))
    notes, failures = notes + found[0], failures + found[1]
    progress(1.0, "Verified")
    return Verified(tuple(checks), tuple(failures), tuple(notes), imports, counted, sanitised, strict)


# ---------------------------------------------------------------- inputs

def _structured(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A ramp, its sign turned from value to value, with one spike."""
    size = int(np.prod(shape, dtype=np.int64))
    ramp = np.linspace(-2.0, 2.0, max(size, 1))[:size] * (1 - 2 * (np.arange(size) % 2))
    if size:
        ramp[int(rng.integers(size))] = 8.0
    return ramp.reshape(shape)


KINDS: Mapping[str, Callable[[tuple[int, ...], np.random.Generator], np.ndarray]] = {
    "random": lambda shape, rng: rng.standard_normal(shape),
    "structured": _structured,
    "zeros": lambda shape, rng: np.zeros(shape),
    "denormal": lambda shape, rng: rng.standard_normal(shape) * 1e-39,
    "large": lambda shape, rng: rng.standard_normal(shape) * 1e4,
}
"""Kinds of float32 inputs. Whole numbers are drawn from 0 to 3, truth values evenly, whatever the kind."""


def inputs_of(tensors: Sequence[Tensor], kind: str, seed: int = 0) -> list[np.ndarray]:
    """One set of inputs of a kind; the same seed gives the same values."""
    rng = np.random.default_rng((seed, sorted(KINDS).index(kind)))
    made = []
    for tensor in tensors:
        if tensor.dtype == "float32":
            made.append(np.asarray(KINDS[kind](tensor.shape, rng), np.float32))
        else:
            made.append(rng.integers(0, 2 if tensor.dtype == "bool" else 4, tensor.shape).astype(tensor.dtype))
    return made


# ---------------------------------------------------------------- references

def references(model: bytes, program: Program, bound: Mapping[str, np.ndarray]) -> tuple[Sources, list[str]]:
    """onnxruntime and onnx.reference as functions of the inputs in the program's order, and a sentence for each that does not take the model."""
    made, notes = {}, []
    for name, build in (("onnxruntime", _onnxruntime), ("onnx.reference", _onnx_reference)):
        try:
            run = build(model)
            made[name] = lambda inputs, run=run: run({**bound, **{t.name: value for t, value in zip(program.inputs, inputs)}}, [t.name for t in program.outputs])
        except Exception as error:             # both raise whatever their parsers do
            notes.append(f"{name} does not take this model: {' '.join(str(error).split())[:200]}")
    return made, notes


def _onnxruntime(model: bytes) -> Callable[[Mapping[str, np.ndarray], list[str]], list[np.ndarray]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda inputs, names: session.run(names, dict(inputs))


def _onnx_reference(model: bytes) -> Callable[[Mapping[str, np.ndarray], list[str]], list[np.ndarray]]:
    import onnx
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(onnx.load_model_from_string(model))

    def run(inputs: Mapping[str, np.ndarray], names: list[str]) -> list[np.ndarray]:
        with np.errstate(all="ignore"):
            return evaluator.run(names, dict(inputs))
    return run


# ---------------------------------------------------------------- comparisons

def _compared(built: toolchain.Built, program: Program, kinds: Mapping[str, list[np.ndarray]], sources: Sources, tolerance: float) -> tuple[list[Check], list[str]]:
    checks, failures = [], []
    for kind, inputs in kinds.items():
        called = toolchain.call(built, {program.name: inputs})[program.name]
        if called.failure:
            failures.append(f"On {kind} inputs: {called.failure}")
            continue
        for name, source in sources.items():
            check = compare(kind, name, called.outputs, source(inputs), tolerance)
            checks.append(check)
            failures += [check.failure] if check.failure else []
    return checks, failures


def compare(kind: str, reference: str, ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], tolerance: float) -> Check:
    """The largest differences over all outputs. What is not finite has to be the same on both sides, except where the other is about to overflow."""
    worst, relative = 0.0, 0.0
    for a, b in zip(ours, theirs, strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        if a.shape != b.shape:
            return Check(kind, reference, float("inf"), float("inf"), f"On {kind} inputs the shape is {a.shape}, and {reference} gives {b.shape}.")
        both = np.isfinite(a) & np.isfinite(b)
        odd = ~both & ~((a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a) > 1e37) & (np.abs(b) > 1e37))
        if odd.any():
            place = tuple(map(int, np.argwhere(odd)[0]))
            return Check(kind, reference, float("inf"), float("inf"), f"On {kind} inputs the value at {place} is {a[place]:g}, and {reference} gives {b[place]:g}.")
        apart = np.abs(a[both] - b[both])
        if apart.size:
            worst = max(worst, float(apart.max()))
            relative = max(relative, float(apart.max() / max(np.abs(b[both]).max(), 1e-30)))
    failure = f"On {kind} inputs the result differs from {reference} by {relative:.2g} of its largest value; {tolerance:g} is allowed." if relative > tolerance else ""
    return Check(kind, reference, worst, relative, failure)


def _repeated(built: toolchain.Built, program: Program, inputs: list[np.ndarray]) -> list[str]:
    """The same bits again, with the guard pages on the other side of the buffers."""
    sides = [toolchain.call(built, {program.name: inputs}, at_end=side)[program.name] for side in (True, False)]
    failures = [f"With guard pages {where} the buffers: {side.failure}" for where, side in zip(("behind", "before"), sides) if side.failure]
    if not failures and any(a.tobytes() != b.tobytes() for a, b in zip(sides[0].outputs, sides[1].outputs)):
        return ["Two calls with the same inputs gave different bits."]
    return failures


def _strict(built: toolchain.Built, program: Program, inputs: list[np.ndarray]) -> tuple[bool, int, tuple[list[str], list[str]]]:
    """infer in a process that the kernel ends at the first system call, with allocations and locks counted."""
    called = toolchain.call(built, {program.name: inputs}, strict=True)[program.name]
    if "strict mode" in called.failure:
        return False, called.allocations, ([called.failure], [])
    failures = [f"In strict mode: {called.failure} A system call was made or the program failed."] if called.failure else []
    failures += [f"{program.name} allocated or locked {called.allocations} times."] if called.allocations else []
    return not called.failure, called.allocations, ([], failures)


def _imports(built: toolchain.Built) -> tuple[tuple[str, ...], list[str]]:
    """Functions the object asks of others: none but copies and arithmetic."""
    try:
        names = tuple(name for name in toolchain.imported(built) if name not in HARMLESS)
    except EngineError:
        return (), []
    foreign = [name for name in names if name not in ARITHMETIC]
    return names, [f"The object asks for {', '.join(foreign)}, which is neither a copy nor arithmetic."] if foreign else []


def _sanitised(program: Program, folder: Path, kinds: Mapping[str, list[np.ndarray]]) -> tuple[bool, tuple[list[str], list[str]]]:
    """The same source under the address and undefined-behaviour sanitizers; a finding ends its process."""
    try:
        checked = toolchain.compile_program(program, folder / "sanitised", "-O1", sanitise=True)
        called = [(kind, toolchain.call(checked, {program.name: kinds[kind]})[program.name]) for kind in ("random", "structured")]
    except EngineError as error:
        return False, ([f"The sanitizers could not be used here: {error}"], [])
    return True, ([], [f"Under sanitizers, on {kind} inputs: {one.failure}" for kind, one in called if one.failure])
