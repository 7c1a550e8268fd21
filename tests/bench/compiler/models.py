"""The six radio models: compiled from nothing and again from the cache, raced against hand-written code and every runtime there is, and how steady single calls are."""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np

from core.compiler import toolchain
from core.compiler.compile_model import Compiled, compile_model
from core.compiler.config import CompilerConfig
from core.compiler.hand.weights import MODELS
from core.compiler.race import OURS, QUICK, RUNTIME, Effort, Race, Row, race
from core.compiler.roofline import Work, limit, roofline, work_of
from core.errors import VitrineError
from core.ran.result_cache import Cache
from tests.bench.compiler import peers
from tests.bench.harness import Ratio, RivalMissing, Section

EXPORTER = "dynamo"
WHOLE = Effort(rounds=10, blocks=15, runs=10_000, seconds=3.0)
BLOCKS = 60


@dataclass
class Found:
    """All of one model: what compiling took, the race, peers in processes of their own, and who is missing and why."""

    name: str
    compiled: Compiled | None = None
    cold_s: float = 0.0
    cached_s: float = 0.0
    race: Race | None = None
    apart: dict[str, peers.Answer] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failure: str = ""

    def row(self, name: str) -> Row | None:
        return next((r for r in self.race.rows if r.name == name and not r.failure), None) if self.race else None

    def best(self, name: str) -> float | None:
        row = self.row(name)
        return row.best_us if row else self.apart[name].best_us if name in self.apart else None

    def over(self, name: str) -> float | None:
        """How many times longer `name` takes than ours."""
        theirs, ours = self.best(name), self.best(OURS)
        return theirs / ours if theirs and ours else None


def sections(options: Namespace, versions: dict, place: Path) -> Iterator[tuple[Section, dict | None]]:
    """A race per model, the summary, real time, turnaround."""
    folder = options.data / "compiler" / EXPORTER
    if not folder.is_dir():
        yield Section("race", "The six radio models", "").skip("the six models are not in the data folder"), None
        return
    names = [*MODELS][:2] if options.quick else [*MODELS]
    everything = []
    with Cache(place / "cold.sqlite") as cache:
        for name in names:
            found = examine(name, folder / f"{name}.onnx", place / name, cache, options)
            everything.append(found)
            yield race_section(found), None
    whole = [found for found in everything if found.race]
    yield summary_section(whole), headline(whole)
    yield real_time_section(whole), None
    yield turnaround_section(everything), {f"turnaround_{f.name}_s": round(f.cold_s, 1) for f in whole if f.name in ("mlp_la", "cnn_deeprx")}


# ---------------------------------------------------------------- one model

def examine(name: str, path: Path, place: Path, cache: Cache, options: Namespace) -> Found:
    """Compile twice, race, ask the others."""
    found, data = Found(name), path.read_bytes()
    config = CompilerConfig(effort="quick" if options.quick else "normal")
    try:
        begun = perf_counter()
        found.compiled = compile_model(data, name, config, folder=place, cache=cache)
        found.cold_s, begun = perf_counter() - begun, perf_counter()
        compile_model(data, name, config, folder=place, cache=cache)
        found.cached_s = perf_counter() - begun
        run_race(found, data, path, place, options)
    except VitrineError as error:
        found.failure = str(error)
    return found


def run_race(found: Found, data: bytes, path: Path, place: Path, options: Namespace) -> None:
    recorded = path.parents[1]
    x, y = (np.fromfile(recorded / f"{found.name}.{side}.bin", np.float32) for side in ("in", "out"))
    program = found.compiled.built.programs[0]
    case = peers.Case(found.name, path.resolve(), found.compiled.built, [x.reshape(program.inputs[0].shape)], y, place, toolchain.idlest_core())
    more = {} if options.no_rival else called(case, found.missing)
    found.race = race(data, found.compiled.built, place, work_of(found.compiled.canonical), roofline(), QUICK if options.quick else WHOLE, more=more, inputs=case.inputs)
    for name, ask in () if options.no_rival else peers.APART.items():
        try:
            found.apart[name] = ask(case, 12 if options.quick else BLOCKS)
        except RivalMissing as error:
            found.missing[name] = str(error)


def called(case: peers.Case, missing: dict[str, str]) -> dict[str, toolchain.Built]:
    """The peers behind a C++ caller; who is not to be had goes into `missing`."""
    made = {}
    for name, make in peers.CALLED.items():
        try:
            made[name] = make(case)
        except RivalMissing as error:
            missing[name] = str(error)
    return made


# ---------------------------------------------------------------- what it says

def race_section(found: Found) -> Section:
    """Everybody on one model, from fast to slow."""
    if not found.race:
        return Section(f"race_{found.name}", found.name, "").skip(found.failure)
    best, core = found.race.limit, found.race.core
    note = (f"one thread, core {core}, in turn, best of blocks of 200 us; limit {best.us:.3g} us by {best.bound}; ours: {found.compiled.choice.candidate.name}; "
            "times ours: median [least-most] over the rounds, one figure where the runtime has a process of its own")
    section = Section(f"race_{found.name}", f"{found.name}: best block, us", note)
    for row in found.race.rows:
        if row.failure:
            section.rows.append(dict(name=row.name, missing=row.failure))
        else:
            section.rows.append(dict(name=row.name, best_us=row.best_us, median_us=row.median_us, p999_us=row.p999_us, worst_us=row.worst_us, calls=row.runs, error=_error(row.error),
                                     limit_percent=100 * (row.limit_share or 0), times_ours=Ratio(*row.times_ours) if row.times_ours else None))
    for name, answer in found.apart.items():
        section.rows.append(dict(name=name, best_us=answer.best_us, median_us=answer.median_us, error=_error(answer.error), limit_percent=100 * best.us / answer.best_us,
                                 times_ours=answer.best_us / found.best(OURS)))
    section.rows += [dict(name=name, missing=reason) for name, reason in found.missing.items()]
    if found.race.overhead_us:
        section.rows.append(dict(name="onnxruntime, a model that copies one number", best_us=found.race.overhead_us))
    return section


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"


def summary_section(whole: list[Found]) -> Section:
    """What the table of the issue asks for, one row per model."""
    section = Section("summary", "All models", "limits of the model's own arithmetic; own limit: by the multiply-adds our program does (Winograd does fewer); "
                      "other columns: how many times longer the other one takes than ours")
    machine = roofline()
    for found in whole:
        program, ours = found.compiled.program, found.row(OURS)
        own = limit(Work(program.multiplies, program.weight_bytes), machine)
        section.rows.append({"name": found.name, "ours_us": ours.best_us, "over_limit": ours.best_us / found.race.limit.us, "over_own_limit": ours.best_us / own.us, "error": _error(ours.error),
                             **{name: found.over(name) for name in ("hand", "plain hand", "naive -Ofast", "onnxruntime C", RUNTIME, "OpenVINO", *peers.APART)}})
    return section


def headline(whole: list[Found]) -> dict:
    """Figures of the card: ratios to OpenVINO and ONNX Runtime (by C++ where it is there) and to the fastest of all peers, and to the better hand-written code."""
    made: dict = {}
    for found in whole:
        theirs = {name: found.over(name) for name in ("OpenVINO", "onnxruntime C", "ncnn", "IREE")}
        theirs = {name: value for name, value in theirs.items() if value}
        if theirs:
            made[f"{found.name}_over_fastest_peer"] = round(min(theirs.values()), 2)
            made |= {f"{found.name}_over_{name.split()[0].lower()}": round(value, 2) for name, value in theirs.items()}
        hand = [value for value in (found.over("hand"), found.over("plain hand")) if value]
        made |= {f"{found.name}_over_hand": round(min(hand), 3)} if hand else {}
    for peer in ("openvino", "onnxruntime", "fastest_peer", "hand"):
        values = [made[f"{f.name}_over_{peer}"] for f in whole if f"{f.name}_over_{peer}" in made]
        if len(values) == len(MODELS):
            made[f"mean_over_{peer}"] = round(float(np.exp(np.mean(np.log(values)))), 2)
    return made


def real_time_section(whole: list[Found]) -> Section:
    """Percentiles of single calls, and what a call of ours asks of the system."""
    section = Section("real_time", "Single calls of our file", "us, with the clock's own 30 ns; other programs of the machine disturb the slowest ones; "
                      "allocations and locks are counted inside infer; strict: a process that may make no system call at all")
    for found in whole:
        ours, built = found.row(OURS), found.compiled.built
        program = built.programs[0]
        done = toolchain.call(built, {program.name: toolchain_inputs(found)}, strict=True)[program.name]
        section.rows.append(dict(name=found.name, calls=ours.runs, p50_us=_quantile(ours, 0.5), p999_us=ours.p999_us, worst_us=ours.worst_us, p999_over_best=ours.p999_us / ours.best_us,
                                 allocations_and_locks=done.allocations, strict=done.failure or "kept"))
    return section


def toolchain_inputs(found: Found) -> list[np.ndarray]:
    return [np.zeros(t.shape, t.dtype) for t in found.compiled.built.programs[0].inputs]


def _quantile(row: Row, share: float) -> float:
    """From the histogram: the edge below which this share of the calls lies."""
    edges, counts = row.histogram
    return edges[int(np.searchsorted(np.cumsum(counts), share * sum(counts))) + 1] if counts else float("nan")


def turnaround_section(everything: list[Found]) -> Section:
    """From the file to the verified program."""
    section = Section("turnaround", "From a model to verified C++", "wall seconds on this machine with whatever else it does; measured kernels are kept between the two")
    for found in everything:
        if found.failure and not found.compiled:
            section.rows.append(dict(name=found.name, missing=found.failure))
            continue
        stages: Mapping[str, float] = found.compiled.seconds
        section.rows.append(dict(name=found.name, cold_s=found.cold_s, cached_s=found.cached_s, **{f"{stage}_s": seconds for stage, seconds in stages.items()}))
    return section
