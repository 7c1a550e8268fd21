"""The one public verb: a model's bytes in, a verified program out, with everything it was chosen from (the post's section 3, parse, optimise, generate)."""

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from core.compiler import optimise, toolchain
from core.compiler.bundle import bundle
from core.compiler.candidates import Candidate, candidates
from core.compiler.config import CompilerConfig, shapes_of
from core.compiler.emit import EmitOptions, Program, emit, flags_for
from core.compiler.graph import CompileError, Graph
from core.compiler.importer import Imported, operators_of, read_model
from core.compiler.interpret import interpret
from core.compiler.lower.variant import TARGETS, Target
from core.compiler.passes import canonicalise
from core.compiler.toolchain import Built, Timing
from core.compiler.verify import Check, Verified, inputs_of, verify
from core.errors import EngineError
from core.exhibit import Progress, silent
from core.ran.result_cache import Cache

ATTEMPTS = 3
SINGLES = 10_000


@dataclass(frozen=True)
class Compiled:
    """What a compilation gives.

    imported   the model as it was read; canonical: its graph in canonical operations
    choice     the winning candidate, its mapping, and what it was chosen from (totals, measured, discarded)
    program    the source, the header, the weights, and where each node stands in them
    verified   None where nothing could be run here; then a note says why
    timing     our file on one pinned core, None likewise
    built      its shared object, where a folder to keep it was given
    seconds    stage -> seconds
    """

    name: str
    data: bytes = field(repr=False)
    config: CompilerConfig
    imported: Imported
    canonical: Graph
    choice: optimise.Choice
    program: Program
    verified: Verified | None
    timing: Timing | None
    built: Built | None
    seconds: Mapping[str, float]
    notes: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def within_budget(self) -> bool | None:
        """Whether the slowest of a thousand calls keeps the slot budget; None where nothing was timed."""
        return None if self.timing is None else self.timing.p999_us <= self.config.budget_us


def compile_model(data: bytes, name: str, config: CompilerConfig = CompilerConfig(), progress: Progress = silent, folder: Path | None = None, cache: Cache | None = None,
                  bind: Mapping[str, np.ndarray] | None = None) -> Compiled:
    """Compile a model for this machine.

    data    an ONNX file; name: what to call it, made an identifier in the program
    folder  where the source and the shared object are left, for a race; a temporary one by default
    cache   measurements of earlier compilations; those of this user by default
    bind    inputs that are known (importer.read_model)
    Raises CompileError with the node and the reason, LimitError, ConfigError, EngineError when what was generated is wrong, Cancelled out of progress.
    """
    with _Folder(folder) as place:
        work = _Work(data, name, config, progress, place, cache if cache is not None else optimise.default_cache(), dict(bind or {}), folder is not None)
        try:
            return work.run()
        finally:
            if cache is None:
                work.cache.close()


class _Folder:
    """The caller's folder, or one that goes."""

    def __init__(self, folder: Path | None) -> None:
        self.given, self.own = folder, None if folder else tempfile.TemporaryDirectory(prefix="vitrine-compile-")

    def __enter__(self) -> Path:
        return self.given or Path(self.own.name)

    def __exit__(self, *_) -> None:
        if self.own:
            self.own.cleanup()


@dataclass
class _Work:
    """One compilation while it goes on."""

    data: bytes
    name: str
    config: CompilerConfig
    progress: Progress
    place: Path
    cache: Cache
    bind: dict[str, np.ndarray]
    keep: bool
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, share: float, message: str) -> Iterator[None]:
        self.progress(share, message)
        begun = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun

    def part(self, low: float, high: float) -> Progress:
        """This work's progress as the part from low to high."""
        return lambda share, message: self.progress(low + (high - low) * share, message)

    def run(self) -> Compiled:
        with self.stage("read", 0.0, "Reading the model"):
            imported = read_model(self.data, self.name, shapes_of(self.config), self.bind)
        with self.stage("normalise", 0.02, "Normalising the graph"):
            canonical = canonicalise(imported.graph)
        with self.stage("candidates", 0.03, "Making candidate graphs"):
            offered = candidates(canonical)
        target, runs = self._target()
        self.notes += imported.notes
        wrong: list[optimise.Discarded] = []
        for _ in range(ATTEMPTS):
            made = self._attempt(imported, canonical, offered, target, runs, wrong)
            if isinstance(made, Compiled):
                return made
            wrong.append(made)
            offered = tuple(c for c in offered if f"candidate {c.name}" != made.what)
            if not offered:
                break
        raise EngineError(f"What was generated for {self.name} does not compute what the model says: {wrong[-1].reason}")

    def _target(self) -> tuple[Target, bool]:
        """The target, and whether it can be compiled and run here; a note where it cannot."""
        here = toolchain.targets()
        target = here[0] if self.config.target == "auto" else TARGETS[self.config.target]
        try:
            toolchain.compiler()
        except EngineError as error:
            self.notes.append(f"Nothing was measured or verified: {error}")
            return target, False
        if target.name not in {t.name for t in here}:
            self.notes.append(f"Nothing was measured or verified: this processor does not run {target.name}, for which the file is written.")
            return target, False
        return target, True

    def _attempt(self, imported: Imported, canonical: Graph, offered: tuple[Candidate, ...], target: Target, runs: bool,
                 wrong: list[optimise.Discarded]) -> "Compiled | optimise.Discarded":
        """One choice, written and verified; where it turns out wrong, which candidate and why."""
        effort = self.config.effort if runs else "rules"
        with self.stage("measure", 0.05, "Measuring kernels"):
            choice = optimise.choose(offered, target, self.cache, effort, self.part(0.05, 0.7), canonical)
            choice = replace(choice, discarded=(*wrong, *choice.discarded))
        with self.stage("write", 0.7, "Writing the program"):
            program = self._emit(choice)
        made = Compiled(self.name, self.data, self.config, imported, canonical, choice, program, None, None, None, self.seconds, tuple(self.notes))
        return self._tried(made) if runs else made

    def _emit(self, choice: optimise.Choice) -> Program:
        notes = (("candidate", choice.candidate.name), ("rules", ", ".join(choice.candidate.rules) or "none"), ("options", f"effort={self.config.effort} weights={self.config.weights}"))
        options = EmitOptions(self.name, hashlib.sha256(self.data).hexdigest(), notes, self.config.weights)
        return emit(choice.graph, choice.mapping, choice.target, options)

    def _tried(self, made: Compiled) -> "Compiled | optimise.Discarded":
        """The program compiled, verified and timed; what is known of the same text from before is taken."""
        key = self._key(made.program)
        kept = self._kept(key)
        built = None
        if self.keep or kept is None:
            with self.stage("compile", 0.72, "Compiling the program"):
                built = toolchain.compile_program(made.program, self.place)
        if kept is None:
            with self.stage("verify", 0.78, "Verifying"):
                verified = verify(made.program, self.data, self.place, built, self.bind, progress=self.part(0.78, 0.95))
            if verified.failures:
                return optimise.Discarded(f"candidate {made.choice.candidate.name}", "", " ".join(verified.failures[:2]))
            with self.stage("time", 0.96, "Timing the program"):
                timing = toolchain.measure(built, {made.program.name: inputs_of(made.program.inputs, "random")}, singles=_singles(made.choice))[made.program.name]
            kept = verified, timing
            self.cache.put(key, json.dumps([asdict(verified), asdict(timing)]))
        self.progress(1.0, "Compiled and verified")
        verified, timing = kept
        return replace(made, verified=verified, timing=timing, built=built if self.keep else None, notes=(*self.notes, *verified.notes))

    def _key(self, program: Program) -> str:
        text = "\n".join((hashlib.sha256(self.data).hexdigest(), program.cpp, hashlib.sha256(program.blob).hexdigest(), repr(sorted(self.bind)), optimise.here(program.target), "verified"))
        return hashlib.sha256(text.encode("utf8", "backslashreplace")).hexdigest()

    def _kept(self, key: str) -> tuple[Verified, Timing] | None:
        text = self.cache.get(key)
        if text is None:
            return None
        verified, timing = json.loads(text)
        checks = tuple(Check(**check) for check in verified.pop("checks"))
        lists = {name: tuple(value) for name, value in verified.items() if isinstance(value, list)}
        histogram = tuple(tuple(side) for side in timing.pop("histogram"))
        return Verified(checks=checks, **{**verified, **lists}), Timing(histogram=histogram, **timing)


def _singles(choice: optimise.Choice) -> int:
    """Single calls to time: ten thousand, or as many as take about two seconds."""
    known = [t.measured_us or t.predicted_us for t in choice.totals if t.chosen]
    return int(np.clip(2e6 / max(known[0] or 1.0, 0.1), 200, SINGLES)) if known else 2000


# ---------------------------------------------------------------- what is told and handed out

def report(compiled: Compiled, runtimes: Mapping[str, Mapping[str, float]] | None = None, limit_us: float | None = None) -> dict[str, object]:
    """What report.json holds, as plain values.

    runtimes  name -> best, median, p999, worst in us, of a race; our own timing stands in it in any case
    limit_us  the hardware's own limit for the model's arithmetic (core.compiler.roofline), None where it was not measured
    """
    choice, timing, verified = compiled.choice, compiled.timing, compiled.verified
    ours = {} if timing is None else {"ours": {"best": timing.best_us, "median": timing.median_us, "p999": timing.p999_us, "worst": timing.worst_us}}
    return {
        "model": {"name": compiled.name, "sha256": compiled.sha256, "opset": compiled.imported.opset, "exporter": compiled.imported.exporter,
                  "nodes": len(compiled.imported.graph.nodes), "operators": dict(operators_of(compiled.imported.graph))},
        "target": choice.target.name, "flags": list(flags_for(choice.target)), "processor": optimise.processor(), "compiler": _compiler(), "config": asdict(compiled.config),
        "latency_us": {**ours, **{name: dict(row) for name, row in (runtimes or {}).items()}}, "limit_us": limit_us,
        "budget_us": compiled.config.budget_us, "within_budget": compiled.within_budget,
        "max_abs_error": None if verified is None else _number(verified.max_abs_error), "max_relative_error": None if verified is None else _number(verified.max_relative_error),
        "verified": None if verified is None else {**asdict(verified), "passed": verified.passed},
        **optimise.rows_of(choice), "mapping": json.loads(optimise.mapping_json(choice, compiled.sha256)), "refused": [asdict(d) for d in choice.discarded if "no kernel" in d.reason],
        "multiplies": compiled.program.multiplies, "weight_bytes": compiled.program.weight_bytes, "workspace_bytes": compiled.program.workspace_bytes,
        "seconds": dict(compiled.seconds), "notes": list(compiled.notes),
    }


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _compiler() -> str | None:
    try:
        return toolchain.compiler().version
    except EngineError:
        return None


def files_of(compiled: Compiled, told: Mapping[str, object]) -> dict[str, bytes]:
    """NAME.cpp, NAME.h, NAME.bin where weights lie beside the source, NAME.bundle.zip and report.json; the recorded outputs in the bundle are the definition's own."""
    program = compiled.program
    inputs = inputs_of(program.inputs, "random")
    exact = interpret(compiled.canonical, dict(zip(compiled.canonical.inputs, inputs)), np.float64)
    outputs = [np.asarray(exact[name]).astype(tensor.dtype) for name, tensor in zip(compiled.canonical.outputs, program.outputs)]
    files = {f"{program.name}.cpp": program.cpp.encode(), f"{program.name}.h": program.header.encode(), f"{program.name}.bundle.zip": bundle(program, inputs, outputs, told),
             "report.json": (json.dumps(told, indent=1, default=str) + "\n").encode()}
    return files | ({f"{program.name}.bin": program.blob} if program.blob else {})


def refusal(name: str, data: bytes, error: CompileError) -> dict[str, object]:
    """What report.json holds for a model that was not compiled."""
    return {"model": {"name": name, "sha256": hashlib.sha256(data).hexdigest()}, "refused": [{"what": name, "variant": "", "reason": str(error)}]}
