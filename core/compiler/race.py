"""The race: our file, hand-written and naive C++ and ONNX Runtime on the same input and the same pinned core, in turn, beside the hardware's own limit."""

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.compiler.hand import build as by_hand
from core.compiler.roofline import Limit, Roofline, Work, limit
from core.compiler.toolchain import RUNNING, Built, Limits, Timing, call, idlest_core, measure
from core.compiler.verify import inputs_of
from core.errors import EngineError, VitrineError
from core.exhibit import Progress, silent

OURS, RUNTIME = "ours", "onnxruntime"
WORKER = Path(__file__).with_name("race_onnxruntime.py")
BINS = 60
SLOW_US = 3000.0
"""Slower than this, a competitor runs a few times only: naive loops would take longer than everybody else together."""


@dataclass(frozen=True)
class Effort:
    """How long the race takes: rounds of blocks, in turn; then up to `runs` single calls each, for as long as `seconds`."""

    rounds: int = 8
    blocks: int = 12
    block_us: float = 200.0
    runs: int = 10_000
    seconds: float = 3.0


QUICK = Effort(rounds=3, blocks=8, runs=1000, seconds=0.3)


@dataclass(frozen=True)
class Row:
    """One competitor. Times in us per call; 0 where it has not run.

    best_us        the fastest block of about 200 us: what the code costs when nothing disturbs it
    median_us      of the blocks
    p999_us        of `runs` single calls, with worst_us and the histogram (edges in us, counts)
    error          max |y - onnxruntime's| / max |onnxruntime's|, None where there is nothing to compare with
    limit_share    limit / best_us; above 1 only where the algorithm needs fewer multiplications than the model's own arithmetic (Winograd)
    times_ours     its best over ours, round by round: (median, least, most); None for ours
    failure        why it is not in the race
    """

    name: str
    says: str
    best_us: float = 0.0
    median_us: float = 0.0
    p999_us: float = 0.0
    worst_us: float = 0.0
    runs: int = 0
    histogram: tuple[tuple[float, ...], tuple[int, ...]] = ((), ())
    error: float | None = None
    limit_share: float | None = None
    times_ours: tuple[float, float, float] | None = None
    failure: str = ""


@dataclass(frozen=True)
class Race:
    """Rows from fast to slow, those that failed last; `limit` of the model's own arithmetic; the core; what calling onnxruntime costs on a model that only copies one number."""

    rows: tuple[Row, ...]
    limit: Limit | None
    core: int
    overhead_us: float | None


Publish = Callable[[tuple[Row, ...]], None]


def race(data: bytes, ours: Built, folder: Path, work: Work | None = None, machine: Roofline | None = None, effort: Effort = Effort(), names: Sequence[str] | None = None,
         more: Mapping[str, Built] | None = None, inputs: Sequence[np.ndarray] | None = None, progress: Progress = silent, publish: Publish = lambda rows: None) -> Race:
    """Everybody on one core, in turn.

    data      the ONNX file
    ours      our file, compiled: its one program
    folder    where baselines are compiled
    work      multiply-adds and weights of the model; machine: what this core can do; the limit is left out without them
    names     of by_hand.BASELINES and "onnxruntime"; all that there are for this model by default
    more      other competitors, as shared objects with the same inputs and outputs
    inputs    of the one call everybody repeats; standard normal numbers by default
    publish   given the rows so far after every round
    Raises EngineError when our own file does not run, Cancelled out of progress. A competitor that fails is a row with its reason.
    """
    given = list(inputs) if inputs is not None else inputs_of(ours.programs[0].inputs, "random")
    best = limit(work, machine) if work and machine else None
    names = [*by_hand.BASELINES, RUNTIME] if names is None else list(names)
    progress(0.0, "Building the competitors")
    with tempfile.TemporaryDirectory(prefix="vitrine-race-") as place, _Field(data, ours, Path(place), folder, given, best, effort) as course:
        course.enter(names, more or {})
        for turn in range(effort.rounds):
            progress(0.1 + 0.6 * turn / effort.rounds, f"Round {turn + 1} of {effort.rounds}")
            course.turn(turn)
            publish(course.rows())
        entries = course.ready()
        for n, entry in enumerate(entries):
            progress(0.7 + 0.3 * n / len(entries), f"Single calls: {entry.name}")
            course.repeat(entry)
            publish(course.rows())
        return Race(course.rows(), best, course.core, course.overhead())


@dataclass
class _Entry:
    """A competitor while the race runs; `built` None: ONNX Runtime."""

    name: str
    says: str
    built: Built | None
    error: float | None = None
    failure: str = ""
    rounds: list[float] = field(default_factory=list)
    medians: list[float] = field(default_factory=list)
    singles: Timing | None = None
    runs: int = 0

    @property
    def program(self) -> str:
        return self.built.programs[0].name

    @property
    def slow(self) -> bool:
        return bool(self.rounds) and min(self.rounds) > SLOW_US


class _Field:
    """Everybody in one race, and the processes behind them."""

    def __init__(self, data: bytes, ours: Built, place: Path, folder: Path, inputs: list[np.ndarray], best: Limit | None, effort: Effort) -> None:
        self.data, self.place, self.folder, self.inputs, self.best, self.effort = data, place, folder, inputs, best, effort
        self.core = idlest_core()
        self.entries = [_Entry(OURS, "the generated file", ours)]
        self.runtime: Runtime | None = None

    def __enter__(self) -> "_Field":
        return self

    def __exit__(self, *_) -> None:
        if self.runtime:
            self.runtime.close()

    # ---- who is there

    def enter(self, names: Sequence[str], more: Mapping[str, Built]) -> None:
        """Build and check everybody; ours must run, the others may fail."""
        reference = self._start_runtime() if RUNTIME in names else None
        if by_hand.available(self.data):
            self.entries += [self._baseline(name) for name in names if name in by_hand.BASELINES]
        self.entries += [_Entry(name, name, built) for name, built in more.items()]
        for entry in self.entries:
            if entry.built and not entry.failure:
                self._check(entry, reference)
        if self.entries[0].failure:
            raise EngineError(self.entries[0].failure)

    def _baseline(self, name: str) -> _Entry:
        says = by_hand.BASELINES[name].says
        try:
            return _Entry(name, says, by_hand.build(self.data, name, self.folder))
        except VitrineError as error:
            return _Entry(name, says, None, failure=str(error))

    def _start_runtime(self) -> list[np.ndarray] | None:
        """ONNX Runtime's outputs; None, and a row with the reason, where it cannot run the model."""
        entry = _Entry(RUNTIME, "ONNX Runtime, one thread, called from Python", None)
        self.entries.append(entry)
        try:
            self.runtime = Runtime(self.data, self.inputs, self.place, self.core)
        except EngineError as error:
            entry.failure = str(error)
            return None
        entry.says, entry.error = f"ONNX Runtime {self.runtime.version}, one thread, called from Python", 0.0
        return self.runtime.outputs

    def _check(self, entry: _Entry, reference: Sequence[np.ndarray] | None) -> None:
        try:
            done = call(entry.built, {entry.program: self.inputs}, limits=_limits(entry))[entry.program]
        except VitrineError as error:
            entry.failure = str(error)
            return
        entry.failure = done.failure
        if reference is not None and not done.failure:
            entry.error = max((relative_error(a, b) for a, b in zip(done.outputs, reference)), default=0.0)

    # ---- the race

    def ready(self) -> list[_Entry]:
        return [e for e in self.entries if not e.failure]

    def turn(self, number: int) -> None:
        """One round: the compiled ones block by block in turn, then ONNX Runtime. Slow ones take part in the first round only, with three blocks."""
        native = [e for e in self.ready() if e.built and not e.slow]
        new = number == 0
        self._time(native, 3 if new else self.effort.blocks)
        if new:
            self._time([e for e in native if not e.slow], self.effort.blocks)
        if self.runtime and (entry := self._runtime_entry()):
            found = self.runtime.ask(blocks=dict(count=self.effort.blocks, block_us=self.effort.block_us))
            entry.rounds.append(min(found))
            entry.medians.append(float(np.median(found)))

    def _runtime_entry(self) -> _Entry | None:
        return next((e for e in self.ready() if e.name == RUNTIME and not e.slow), None)

    def _time(self, entries: Sequence[_Entry], blocks: int) -> None:
        if not entries:
            return
        found = measure([e.built for e in entries], {e.program: self.inputs for e in entries}, blocks, 1, self.effort.block_us, self.core, _limits(*entries))
        for entry in entries:
            timing = found[entry.program]
            entry.rounds.append(timing.best_us)
            entry.medians.append(timing.median_us)

    def repeat(self, entry: _Entry) -> None:
        """Single calls, for percentiles and the histogram."""
        entry.runs = int(np.clip(self.effort.seconds * 1e6 / min(entry.rounds), 3, self.effort.runs))
        if entry.built:
            entry.singles = measure(entry.built, {entry.program: self.inputs}, 1, entry.runs, self.effort.block_us, self.core, _limits(entry))[entry.program]
        else:
            entry.singles = timing_of(self.runtime.ask(singles=dict(count=entry.runs)))

    def rows(self) -> tuple[Row, ...]:
        """As they stand, from fast to slow."""
        return tuple(sorted(map(self._row, self.entries), key=lambda row: (bool(row.failure), row.best_us or math.inf)))

    def _row(self, entry: _Entry) -> Row:
        if entry.failure or not entry.rounds:
            return Row(entry.name, entry.says, failure=entry.failure)
        best, late = min(entry.rounds), entry.singles
        ratios = [] if entry.name == OURS else [theirs / ours for theirs, ours in zip(entry.rounds[-self.effort.rounds:], self.entries[0].rounds[-self.effort.rounds:])]
        return Row(entry.name, entry.says, best, float(np.median(entry.medians)), late.p999_us if late else 0.0, late.worst_us if late else 0.0, entry.runs,
                   late.histogram if late else ((), ()), entry.error, self.best.us / best if self.best else None,
                   (float(np.median(ratios)), min(ratios), max(ratios)) if ratios else None)

    def overhead(self) -> float | None:
        """Best block of a call of ONNX Runtime that copies one number: what of its time is not the model."""
        if not self.runtime:
            return None
        (self.place / "copy").mkdir()
        one = Runtime(_copy_model(), [np.zeros(1, np.float32)], self.place / "copy", self.core)
        try:
            return min(one.ask(blocks=dict(count=self.effort.blocks, block_us=self.effort.block_us)))
        finally:
            one.close()


def _limits(*entries: _Entry) -> Limits:
    """Ours and the hand-written ones run under the toolchain's limits; a whole runtime behind a shared object reserves more address space than those allow."""
    bounded = all(e.name == OURS or e.name in by_hand.BASELINES for e in entries)
    return RUNNING if bounded else Limits(120.0, 0, RUNNING.file_bytes)


def relative_error(found: np.ndarray, reference: np.ndarray) -> float:
    """max |found - reference| / max |reference|; inf where it is not a number."""
    difference = float(np.max(np.abs(found.astype(np.float64) - reference.reshape(found.shape)), initial=0.0))
    return difference / max(float(np.max(np.abs(reference), initial=0.0)), 1e-30) if math.isfinite(difference) else math.inf


def timing_of(times_us: Sequence[float]) -> Timing:
    """Percentiles and histogram of single calls."""
    x = np.sort(np.asarray(times_us))
    edges = np.geomspace(max(x[0] * 0.98, 1e-3), max(x[-1] * 1.02, 2e-3), BINS + 1)
    p50, p99, p999 = (float(np.quantile(x, q)) for q in (0.5, 0.99, 0.999))
    return Timing(float(x[0]), p50, p50, p99, p999, float(x[-1]), 1, (tuple(map(float, edges)), tuple(map(int, np.histogram(x, edges)[0]))))


def _copy_model() -> bytes:
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    return helper.make_model(helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "copy", [x], [y]), opset_imports=[helper.make_opsetid("", 18)],
                             ir_version=9).SerializeToString()


class Runtime:
    """ONNX Runtime in a child process; it is killed when an answer takes longer than `timeout` seconds."""

    def __init__(self, data: bytes, inputs: Sequence[np.ndarray], place: Path, core: int, timeout: float = 60.0) -> None:
        self.timeout, model, given, made = timeout, place / "model.onnx", place / "in.npz", place / "out.npz"
        model.write_bytes(data)
        np.savez(given, *inputs)
        self.process = subprocess.Popen([sys.executable, "-W", "ignore", str(WORKER), str(model), str(given), str(made), str(core)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        try:
            self.version = self._answer()["ready"]
            with np.load(made) as outputs:
                self.outputs = [outputs[name] for name in outputs.files]
        except BaseException:
            self.close()
            raise

    def ask(self, **asked) -> list[float]:
        try:
            print(json.dumps(asked), file=self.process.stdin, flush=True)
        except OSError as error:
            raise EngineError("The process of ONNX Runtime has ended.") from error
        return self._answer()

    def _answer(self):
        timer = threading.Timer(self.timeout, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            raise EngineError("ONNX Runtime could not run this model here.")
        return json.loads(line)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
