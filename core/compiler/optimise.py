"""Hardware in the loop (the post's section 3.2): every operator's variants compiled, checked and timed on one pinned core, then whole candidates against each other."""

import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from core.compiler.candidates import Candidate
from core.compiler.emit import EmitOptions, Program, emit
from core.compiler.graph import ROWS, CompileError, Graph
from core.compiler.graph_text import digest
from core.compiler.interpret import interpret
from core.compiler.lower.registry import variants
from core.compiler.lower.variant import Target, Variant
from core.compiler.single import Single, logical, samples, single, stored
from core.compiler.toolchain import Built, call, compile_batch, compiler, measure
from core.errors import EngineError
from core.exhibit import Progress, silent
from core.ran.result_cache import Cache

MEASURED_OPERATIONS = frozenset({"Dense", "Conv", "ConvTranspose", "MatMul", "Attention", "Softmax", "Normalise", "Reduce", "Pool", "Map", "Relayout", "Transpose"})
"""Operators whose variants are timed; of the others the first one is taken by rule."""
VARIANTS = {"rules": 1, "quick": 2, "normal": 4, "thorough": 64}
FINALISTS = {"rules": 1, "quick": 2, "normal": 3, "thorough": 8}
FULL = 3
"""Of so many candidates, the most fused ones, all variants that the effort allows are timed; of operators that only others have, two."""
MOST_SECONDS = {"rules": 0.0, "quick": 30.0, "normal": 120.0, "thorough": 1200.0}
"""Seconds given to operators; what has not been timed then is decided by rule."""
GUESS_MULTIPLIES_PER_US, GUESS_BYTES_PER_US = 30e3, 20e3
"""Of a vector core, roughly: what ranks operators nobody has timed."""
BATCH = 8
BLOCKS, FINAL_BLOCKS, SINGLES = 24, 60, 16
TOLERANCE, TIE = 2e-5, 0.015
CHECK_SECONDS = 10.0
PLAUSIBLE = 1.1
"""A third candidate is compiled as a whole only where the sum of its operators is within this of the best."""
FORMAT = 1


@dataclass(frozen=True)
class Measured:
    """One variant of one operator (or a whole candidate): what it took; `decided` says whether it was measured now, known from before, or taken by rule."""

    operation: str
    shapes: str
    variant: str
    us: float | None
    error: float | None
    decided: str
    chosen: bool = False


@dataclass(frozen=True)
class Discarded:
    """What was not used, and why."""

    what: str
    variant: str
    reason: str


@dataclass(frozen=True)
class Total:
    """A whole candidate: the sum of its operators' times, and its own time where it came to that."""

    candidate: str
    rules: tuple[str, ...]
    nodes: int
    predicted_us: float | None
    measured_us: float | None
    chosen: bool = False


@dataclass(frozen=True)
class Choice:
    """The winning graph and mapping (node index -> variant), and everything it was chosen from."""

    candidate: Candidate
    mapping: Mapping[int, str]
    target: Target
    totals: tuple[Total, ...] = ()
    measured: tuple[Measured, ...] = ()
    discarded: tuple[Discarded, ...] = ()

    @property
    def graph(self) -> Graph:
        return self.candidate.graph


def choose(candidates: Sequence[Candidate], target: Target, cache: Cache | None = None, effort: str = "normal", progress: Progress = silent,
           definition: Graph | None = None) -> Choice:
    """The candidate and the variants that run fastest here.

    candidates  as core.compiler.candidates gives them
    definition  the canonical graph they were made of: candidates that compute something else are discarded
    cache       measurements of earlier runs; None keeps none
    effort      rules | quick | normal | thorough: how many variants of an operator and how many whole candidates are timed
    Raises CompileError when no candidate can be compiled (with the reason of the most fused one), EngineError without a compiler, Cancelled out of progress.
    """
    work = _Work(target, cache, effort, progress)
    offered = work.offers(work.right(candidates, definition) if definition is not None else candidates)
    first = {key for name in list(offered)[:FULL] for key in offered[name]}
    keys = dict.fromkeys(k for keys in offered.values() for k in keys if k)
    work.time_operators([(work.singles[key], VARIANTS[effort] if key in first else min(VARIANTS[effort], 2)) for key in keys])
    ranked = sorted((c for c in candidates if c.name in offered), key=lambda c: work.predicted(offered[c.name]))
    limit = PLAUSIBLE * work.predicted(offered[ranked[0].name])
    finalists = [c for k, c in enumerate(ranked[:FINALISTS[effort]]) if k < 2 or work.predicted(offered[c.name]) <= limit]
    mappings = {c.name: work.mapping(offered[c.name]) for c in finalists}
    times = work.time_whole(finalists, mappings) if effort != "rules" else {}
    if effort != "rules" and not times:
        raise CompileError(f"No candidate runs correctly for {target.name}: {work.discarded[-1].reason}")
    best = _winner(finalists, times) if times else ranked[0]
    totals = tuple(Total(c.name, c.rules, c.nodes, _finite(work.predicted(offered[c.name])) if c.name in offered else None, times.get(c.name), c is best) for c in candidates)
    return Choice(best, mappings[best.name], target, totals, work.rows(offered[best.name]), tuple(work.discarded))


def _winner(finalists: Sequence[Candidate], times: Mapping[str, float]) -> Candidate:
    """The fastest; of those that are as fast within TIE, the one with the fewest nodes."""
    limit = min(times.values()) * (1 + TIE)
    return min((c for c in finalists if times.get(c.name, np.inf) <= limit), key=lambda c: (c.nodes, times[c.name]))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


@dataclass
class _Result:
    """What is known of one variant of one operator."""

    us: float
    error: float
    known: bool = False


@dataclass
class _Work:
    """One choice while it is made."""

    target: Target
    cache: Cache | None
    effort: str
    progress: Progress
    singles: dict[str, Single] = field(default_factory=dict)
    offers_of: dict[str, tuple[Variant, ...]] = field(default_factory=dict)
    results: dict[tuple[str, str], _Result] = field(default_factory=dict)
    failed: set[tuple[str, str]] = field(default_factory=set)
    discarded: list[Discarded] = field(default_factory=list)

    # ---- what there is to measure

    def right(self, candidates: Sequence[Candidate], definition: Graph) -> list[Candidate]:
        """The candidates that compute what the definition does; where that takes long, the rest is only compared once it is compiled and verified."""
        inputs, end = samples(definition), time.monotonic() + CHECK_SECONDS
        wanted = [interpret(definition, inputs, np.float64)[name] for name in definition.outputs]
        kept = []
        for candidate in candidates:
            error = _apart(interpret(candidate.graph, inputs, np.float64), candidate.graph.outputs, wanted) if time.monotonic() < end else 0.0
            if error <= TOLERANCE:
                kept.append(candidate)
            else:
                self.discarded.append(Discarded(f"candidate {candidate.name}", "", f"Its rules change the result by {error:.1e} of the largest value."))
        return kept

    def offers(self, candidates: Sequence[Candidate]) -> dict[str, list[str]]:
        """candidate -> the key of every node ("" where nothing is computed); candidates with a node that has no kernel are discarded."""
        made = {}
        for candidate in candidates:
            try:
                made[candidate.name] = [self._offer(candidate.graph, node) for node in candidate.graph.nodes]
            except CompileError as error:
                self.discarded.append(Discarded(f"candidate {candidate.name}", "", str(error)))
        if not made:
            raise CompileError(self.discarded[-1].reason)
        return made

    def _offer(self, graph: Graph, node) -> str:
        if node.op == "Reshape":
            return ""
        alone = single(graph, node)
        if alone.key not in self.singles:
            found = variants(node, graph, self.target)
            self.singles[alone.key], self.offers_of[alone.key] = alone, found
        return alone.key

    def _wanted(self, alone: Single, most: int) -> tuple[Variant, ...]:
        """The variants worth timing: the first ones of a measured operator, one of the others."""
        return self.offers_of[alone.key][:most if alone.node.op in MEASURED_OPERATIONS else 1]

    # ---- operators

    def time_operators(self, alone: Sequence[tuple[Single, int]]) -> None:
        """Times of so many variants of each operator, from the cache or measured now."""
        todo = []
        for one, most in alone:
            for variant in self._wanted(one, most) if self.effort != "rules" else ():
                kept = self._kept(one.key, variant.name)
                if kept is None:
                    todo.append((one, variant))
                else:
                    self._note(one, variant, kept, known=True)
        todo.sort(key=lambda pair: -_guess(*pair))
        end = time.monotonic() + MOST_SECONDS[self.effort]
        together = BATCH * jobs()
        for done in range(0, len(todo), together):
            self.progress(0.8 * done / len(todo), f"Measuring kernels: {done} of {len(todo)}")
            if time.monotonic() > end:
                self.discarded += [Discarded(f"{one.node.op} {_shapes(one.graph)}", v.name, "Not timed: the time for measuring was over.") for one, v in todo[done:]]
                break
            self._time_some(todo[done:done + together])

    def _time_some(self, pairs: Sequence[tuple[Single, Variant]]) -> None:
        """Compile some variants, several files at once; then, while nothing is compiled, check and time them."""
        programs: dict[str, tuple[Single, Variant, Program]] = {}
        for k, (alone, variant) in enumerate(pairs):
            try:
                program = emit(alone.graph, {0: variant.name}, self.target, EmitOptions(f"k{k}", weights="blob", any_layout=True))
                programs[program.name] = (alone, variant, program)
            except CompileError as error:
                self._note(alone, variant, {"failure": str(error)})
        with tempfile.TemporaryDirectory(prefix="vitrine-kernels-") as place:
            files = _parts([p for *_, p in programs.values()], BATCH)
            for built in _compiled_together(files, Path(place), lambda name, why: self._note(*programs[name][:2], {"failure": why})):
                self._check_and_time(built, programs)

    def _check_and_time(self, built: Built, programs: Mapping[str, tuple[Single, Variant, Program]]) -> None:
        names = [p.name for p in built.programs]
        inputs = {name: _stored(programs[name][0].graph) for name in names}
        called = call(built, inputs)
        good = {}
        for name in names:
            alone, variant, _ = programs[name]
            if called[name].failure:
                self._note(alone, variant, {"failure": called[name].failure})
                continue
            error = _error(alone.graph, called[name].outputs)
            if not error <= TOLERANCE + 4 * variant.error:
                self._note(alone, variant, {"failure": f"It differs from the definition by {error:.1e} of the largest value, more than {TOLERANCE + 4 * variant.error:.1e}."})
            else:
                good[name] = error
        timed = measure(built, {name: inputs[name] for name in good}, blocks=BLOCKS, singles=SINGLES) if good else {}
        for name, timing in timed.items():
            self._note(*programs[name][:2], {"us": timing.best_us, "error": good[name]})

    def _kept(self, key: str, variant: str) -> dict | None:
        text = self.cache.get(self._hash(key, variant)) if self.cache is not None else None
        return None if text is None else json.loads(text)

    def _hash(self, key: str, variant: str) -> str:
        return hashlib.sha256(f"{key}\n{variant}\n{here(self.target)}".encode("utf8", "backslashreplace")).hexdigest()

    def _note(self, alone: Single, variant: Variant, found: Mapping, known: bool = False) -> None:
        if not known and self.cache is not None:
            self.cache.put(self._hash(alone.key, variant.name), json.dumps(found))
        if "failure" in found:
            self.failed.add((alone.key, variant.name))
            self.discarded.append(Discarded(f"{alone.node.op} {_shapes(alone.graph)}", variant.name, found["failure"]))
        else:
            self.results[alone.key, variant.name] = _Result(found["us"], found["error"], known)

    # ---- candidates

    def _best(self, key: str) -> tuple[str, float]:
        """The fastest variant and its time; where nothing was timed the first one that did not fail and a guess."""
        timed = [(r.us, v.name) for v in self.offers_of[key] if (r := self.results.get((key, v.name)))]
        if timed:
            us, name = min(timed)
            return name, us
        left = [v for v in self.offers_of[key] if (key, v.name) not in self.failed]
        return (left[0].name, _guess(self.singles[key], left[0])) if left else ("", np.inf)

    def predicted(self, keys: Sequence[str]) -> float:
        """The sum of the best times, in us."""
        return float(sum(self._best(key)[1] for key in keys if key))

    def mapping(self, keys: Sequence[str]) -> dict[int, str]:
        """node index -> best variant."""
        return {index: name for index, key in enumerate(keys) if key and (name := self._best(key)[0])}

    def time_whole(self, finalists: Sequence[Candidate], mappings: Mapping[str, Mapping[int, str]]) -> dict[str, float]:
        """Times of whole candidates, in us, measured in turn in one process; those that fail are discarded."""
        keys = {c.name: self._hash(f"{digest(c.graph)}{sorted(mappings[c.name].items())}", "whole") for c in finalists}
        kept = {name: json.loads(text) for name, key in keys.items() if self.cache is not None and (text := self.cache.get(key)) is not None}
        if len(kept) == len(keys):  # all or none: only what was measured side by side is compared
            return {name: found["us"] for name, found in kept.items() if "us" in found}
        self.progress(0.8, f"Comparing {len(finalists)} whole candidates")
        times = self._timed(finalists, mappings)
        for candidate in finalists:
            if self.cache is not None:
                self.cache.put(keys[candidate.name], json.dumps({"us": times[candidate.name]} if candidate.name in times else {}))
        return times

    def _timed(self, finalists: Sequence[Candidate], mappings: Mapping[str, Mapping[int, str]]) -> dict[str, float]:
        named: dict[str, Candidate] = {}
        programs = []
        for k, candidate in enumerate(finalists):
            try:
                programs.append(emit(candidate.graph, mappings[candidate.name], self.target, EmitOptions(f"w{k}", weights="blob")))
                named[programs[-1].name] = candidate
            except CompileError as error:
                self.discarded.append(Discarded(f"candidate {candidate.name}", "", str(error)))
        with tempfile.TemporaryDirectory(prefix="vitrine-candidates-") as place:
            self.progress(0.85, f"Compiling {len(programs)} whole candidates")
            built = _compiled_together(_parts(programs, 1), Path(place), lambda name, why: self.discarded.append(Discarded(f"candidate {named[name].name}", "", why)))
            self.progress(0.95, f"Timing {len(programs)} whole candidates")
            return self._race(built, named)

    def _race(self, built: Sequence[Built], named: Mapping[str, Candidate]) -> dict[str, float]:
        right, inputs = [], {}
        for one in built:
            (program,) = one.programs
            inputs[program.name] = _stored(named[program.name].graph)
            called = call(one, {program.name: inputs[program.name]})[program.name]
            error = np.inf if called.failure else _error(named[program.name].graph, called.outputs)
            if error <= 10 * TOLERANCE:
                right.append(one)
            else:
                why = called.failure or f"It differs from the definition by {error:.1e} of the largest value."
                self.discarded.append(Discarded(f"candidate {named[program.name].name}", "", why))
        timed = measure(right, {b.programs[0].name: inputs[b.programs[0].name] for b in right}, blocks=FINAL_BLOCKS, singles=SINGLES) if right else {}
        return {named[name].name: timing.best_us for name, timing in timed.items()}

    # ---- what is told

    def rows(self, keys: Sequence[str]) -> tuple[Measured, ...]:
        """Every variant of every different operator of the winner."""
        made = []
        for key in dict.fromkeys(filter(None, keys)):
            best, alone = self._best(key)[0], self.singles[key]
            for variant in self.offers_of[key]:
                result = self.results.get((key, variant.name))
                if result is not None or variant.name == best:
                    decided = "rule" if result is None else "known" if result.known else "measured"
                    made.append(Measured(alone.node.op, _shapes(alone.graph), variant.name, result and result.us, result and result.error, decided, variant.name == best))
        return tuple(made)


# ---------------------------------------------------------------- compiling and checking

def _guess(alone: Single, variant: Variant) -> float:
    """us an operator may take, from its multiplies and the bytes it moves."""
    moved = sum(tensor.bytes for tensor in alone.graph.tensors.values())
    return variant.multiplies / GUESS_MULTIPLIES_PER_US + moved / GUESS_BYTES_PER_US


def _parts(items: Sequence, size: int) -> Iterator[Sequence]:
    return (items[k:k + size] for k in range(0, len(items), size))


def _compiled(programs: Sequence[Program], folder: Path, failed: Callable[[str, str], None]) -> list[Built]:
    """The programs compiled as one file; where that fails, each half on its own, down to the one at fault."""
    if not programs:
        return []
    try:
        return [compile_batch(programs, folder)]
    except EngineError as error:
        compiler()  # raises where the reason is that there is none
        if len(programs) == 1:
            failed(programs[0].name, str(error))
            return []
    half = len(programs) // 2
    return [*_compiled(programs[:half], folder / "a", failed), *_compiled(programs[half:], folder / "b", failed)]


def jobs() -> int:
    """How many files are compiled at once: as many as there are processors for us, four at most."""
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)


def _compiled_together(files: Iterable[Sequence[Program]], folder: Path, failed: Callable[[str, str], None]) -> list[Built]:
    """Several files compiled at the same time."""
    with ThreadPoolExecutor(jobs()) as pool:
        made = pool.map(lambda one: _compiled(one[1], folder / f"f{one[0]}", failed), enumerate(files))
        return [built for some in made for built in some]


def _stored(graph: Graph) -> list[np.ndarray]:
    """Sample inputs as they lie in memory."""
    return [stored(array, graph.tensors[name]) for array, name in zip(samples(graph), graph.inputs)]


def _error(graph: Graph, outputs: Sequence[np.ndarray]) -> float:
    """The largest difference from the definition in double precision."""
    wanted = interpret(graph, samples(graph), np.float64)
    return _apart({name: logical(array, graph.tensors[name]) for name, array in zip(graph.outputs, outputs)}, graph.outputs, [wanted[name] for name in graph.outputs])


def _apart(values: Mapping[str, np.ndarray], names: Sequence[str], wanted: Sequence[np.ndarray]) -> float:
    """The largest difference over all results, relative to the largest value; inf where one side is finite and the other is not."""
    worst = 0.0
    for name, exact in zip(names, wanted, strict=True):
        found, exact = np.asarray(values[name], np.float64), np.asarray(exact, np.float64)
        finite = np.isfinite(exact)
        if not np.array_equal(finite, np.isfinite(found)):
            return np.inf
        scale = np.abs(exact[finite]).max(initial=0.0)
        worst = max(worst, np.abs(found[finite] - exact[finite]).max(initial=0.0) / (scale or 1.0))
    return float(worst)


def _shapes(graph: Graph) -> str:
    """Sizes of what an operator reads and writes, for people: 1x14x24, 24x64 -> 1x14x64; a layout is named where it is not rows."""
    node = graph.nodes[0]

    def about(name: str) -> str:
        layout = graph.tensors[name].layout if name in graph.tensors else ROWS
        return _times(graph.shape(name)) + ("" if layout == ROWS else f" {layout.replace('_', ' ')}")
    sides = ([about(n) for n in names if n] for names in (node.inputs, node.outputs))
    return " -> ".join(", ".join(side) for side in sides)


def _times(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes)) or "scalar"


# ---------------------------------------------------------------- what a measurement holds for

@cache
def code_version() -> str:
    """A hash over the lowerings, the templates and what puts them together."""
    root, made = Path(__file__).parent, hashlib.sha256(np.__version__.encode())
    for path in sorted([*root.glob("lower/*.py"), *root.glob("templates/*.h"), root / "templates" / "runner.cpp", *(root / f"{name}.py" for name in ("emit", "buffers", "single", "toolchain"))]):
        made.update(path.name.encode() + path.read_bytes())
    return made.hexdigest()


@cache
def processor() -> str:
    """The processor's own name."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf8", "replace").splitlines()
    except OSError:
        lines = []
    found = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    return f"{found.get('model name') or platform.processor() or platform.machine()} family {found.get('cpu family', '?')} model {found.get('model', '?')}"


def here(target: Target) -> str:
    """What a measurement holds for: processor, compiler, target and the code that writes and compiles the kernels."""
    return json.dumps([processor(), compiler().version, target.name, target.flags, code_version()])


def default_cache() -> Cache:
    """Measurements beside the saved runs: in VITRINE_HOME, else in this user's data folder."""
    from platformdirs import user_data_path

    home = os.environ.get("VITRINE_HOME")
    return Cache((Path(home) if home else user_data_path("vitrine", appauthor=False)) / "kernels.sqlite")


# ---------------------------------------------------------------- the mapping as a file

def mapping_json(choice: Choice, model_sha256: str) -> str:
    """The winning mapping as a file: candidate, rules, and a variant for every node; `apply_mapping` reads it."""
    nodes = [{"index": i, "operation": n.op, "variant": choice.mapping.get(i, ""), "origins": list(n.origins)} for i, n in enumerate(choice.graph.nodes)]
    about = {"format": FORMAT, "model_sha256": model_sha256, "target": choice.target.name, "processor": processor(), "candidate": choice.candidate.name,
             "rules": list(choice.candidate.rules), "graph_sha256": digest(choice.graph), "nodes": nodes}
    return json.dumps(about, indent=1)


def apply_mapping(text: str, candidates: Sequence[Candidate], target: Target) -> Choice:
    """The choice a mapping file names, nothing measured. Raises CompileError when it belongs to another model, target or version of the compiler."""
    try:
        found = json.loads(text)
        mapping = {int(n["index"]): str(n["variant"]) for n in found["nodes"] if n["variant"]}
        wanted = found["target"], found["graph_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise CompileError("The mapping is not a file this compiler wrote.") from error
    candidate = next((c for c in candidates if digest(c.graph) == wanted[1]), None)
    if candidate is None or wanted[0] != target.name:
        raise CompileError(f"The mapping is for {wanted[0]} and another model or version of the compiler; compile the model anew.")
    return Choice(candidate, mapping, target)


def rows_of(choice: Choice) -> dict[str, list[dict]]:
    """Totals, measurements and what was discarded, as plain values."""
    return {"candidates": [asdict(t) for t in choice.totals], "measured": [asdict(m) for m in choice.measured], "discarded": [asdict(d) for d in choice.discarded]}
