"""The onnx package's own tests as a score: passed, refused with a sentence, wrong. Many programs share a translation unit, each runs in a process of its own."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from core.compiler import toolchain
from core.compiler.emit import EmitOptions, Program, emit
from core.compiler.importer import REFERENCE_OPERATORS, read_model
from core.compiler.lower.variant import Target
from core.compiler.passes import canonicalise
from core.errors import EngineError, VitrineError

PASSED, REFUSED, WRONG = "passed", "refused", "wrong"
PER_UNIT = 120


@dataclass(frozen=True)
class Case:
    """One test of the package: its model, its inputs and expected outputs (the first data set), its tolerances."""

    name: str
    model: object
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    rtol: float
    atol: float


@dataclass(frozen=True)
class Scored:
    """How a test ended, and why it was refused or how it was wrong."""

    name: str
    verdict: str
    reason: str = ""


TYPES = {"float32", "int64", "int32", "bool"}


@cache
def every_node_case() -> tuple[Case, ...]:
    """All node tests of the package whose values are plain tensors of types the compiler takes: most of them of operators it refuses."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        cases = [case for case in collect_testcases(None) if _arrays(case.data_sets[0])]
    made = (Case(c.name, c.model, *(tuple(map(np.asarray, side)) for side in c.data_sets[0]), c.rtol, c.atol) for c in cases)
    return tuple(c for c in made if {a.dtype.name for a in (*c.inputs, *c.outputs)} <= TYPES)


def node_cases() -> tuple[Case, ...]:
    """The node tests whose operators are all in the reference list, with float32 results and float32 or int64 inputs."""
    return tuple(c for c in every_node_case() if {n.op_type for n in c.model.graph.node} <= set(REFERENCE_OPERATORS) and not c.model.functions
                 and {a.dtype.name for a in c.outputs} == {"float32"} and {a.dtype.name for a in c.inputs} <= {"float32", "int64"})


def _arrays(data) -> bool:
    """Whether all values are plain arrays (no sequences, no missing ones)."""
    return all(isinstance(value, (np.ndarray, np.generic)) for side in data for value in side)


@cache
def converted_cases() -> tuple[Case, ...]:
    """The models PyTorch once exported layer by layer."""
    import onnx
    from onnx import numpy_helper
    from onnx.backend.test.loader import load_model_tests

    def side(folder: Path, kind: str) -> tuple[np.ndarray, ...]:
        files = sorted(folder.glob(f"{kind}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
        return tuple(numpy_helper.to_array(onnx.load_tensor(str(path))) for path in files)
    cases = []
    for case in load_model_tests(kind="pytorch-converted"):
        data = Path(case.model_dir) / "test_data_set_0"
        cases.append(Case(case.name, onnx.load(str(Path(case.model_dir) / "model.onnx")), side(data, "input"), side(data, "output"), case.rtol, case.atol))
    return tuple(cases)


def score(cases: Sequence[Case], folder: Path, target: Target | None = None, optimise: str = "-O1", sanitise: bool = False,
          progress: Callable[[int], None] = lambda done: None) -> tuple[Scored, ...]:
    """Compile and run every case for a target (the best of this machine by default); what a sentence of ours refuses is counted apart from what is wrong."""
    target = target or toolchain.targets()[0]
    scored: dict[str, Scored] = {}
    ready: list[tuple[Case, Program, list[np.ndarray]]] = []
    for index, case in enumerate(cases):
        try:
            ready.append((case, *_program(case, index, target)))
        except VitrineError as error:
            scored[case.name] = Scored(case.name, REFUSED, str(error))
    for start in range(0, len(ready), PER_UNIT):
        part = ready[start:start + PER_UNIT]
        scored.update((s.name, s) for s in _run(part, folder / f"unit{start}", optimise, sanitise))
        progress(len(scored))
    return tuple(scored[case.name] for case in cases)


def _program(case: Case, index: int, target: Target) -> tuple[Program, list[np.ndarray]]:
    """The program of a case. Whole numbers are bound (lengths, axes); where that is not enough, single numbers too, as a user of a static compiler would."""
    inputs = dict(zip((v.name for v in _open_inputs(case.model)), case.inputs))
    whole = {name: value for name, value in inputs.items() if value.dtype.kind in "iu"}
    single = {name: value for name, value in inputs.items() if value.ndim == 0}
    shapes = {name: value.shape for name, value in inputs.items()}
    data = case.model.SerializeToString()
    for bound in ({}, whole, {**whole, **single}):
        try:
            given = {name: shape for name, shape in shapes.items() if name not in bound and 0 not in shape and shape}
            graph = canonicalise(read_model(data, case.name, given, bound).graph)
            left = [value for name, value in inputs.items() if name in graph.inputs]
            return emit(graph, target=target, options=EmitOptions(name=f"case{index}_{case.name}")), left
        except VitrineError as error:
            last = error
    raise last


def _open_inputs(model) -> list:
    weights = {w.name for w in model.graph.initializer}
    return [v for v in model.graph.input if v.name not in weights]


def _run(part: Iterable[tuple[Case, Program, list[np.ndarray]]], folder: Path, optimise: str, sanitise: bool) -> list[Scored]:
    programs = [program for _, program, _ in part]
    try:
        built = toolchain.compile_batch(programs, folder, optimise=optimise, sanitise=sanitise)
    except EngineError as error:
        if len(programs) == 1:
            return [Scored(part[0][0].name, WRONG, str(error))]
        return [s for one in part for s in _run([one], folder / one[1].name, optimise, sanitise)]
    called = toolchain.call(built, {program.name: inputs for _, program, inputs in part})
    return [_compare(case, called[program.name]) for case, program, _ in part]


def _compare(case: Case, called: toolchain.Called) -> Scored:
    if called.failure:
        return Scored(case.name, WRONG, called.failure)
    for got, wanted in zip(called.outputs, case.outputs, strict=True):
        if got.shape != wanted.shape:
            return Scored(case.name, WRONG, f"shape {got.shape} for {wanted.shape}")
        if not np.allclose(got, wanted, case.rtol, case.atol, equal_nan=True):
            return Scored(case.name, WRONG, f"differs by up to {np.nanmax(np.abs(got.astype(np.float64) - wanted)):.3g}")
    return Scored(case.name, PASSED)
