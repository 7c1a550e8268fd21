"""The compiler exhibit as the studio runs it: an ONNX model in; its C++ file, header, bundle and report out; graphs, measurements and the race for the page."""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.compiler import toolchain
from core.compiler.compile_model import Compiled, compile_model, files_of, report
from core.compiler.config import CompilerConfig
from core.compiler.hand.weights import recognise
from core.compiler.importer import Imported, read_model
from core.compiler.race import Effort, Race, Row, race
from core.compiler.roofline import Limit, Roofline, roofline, work_of
from core.compiler.story import graph_story
from core.errors import EngineError, InputError
from core.exhibit import Outcome, Progress, Source, part, show, silent, stems

__all__ = ["Config", "inspect", "run", "warm"]

Config = CompilerConfig
NAMES = {"ours": "Generated here", "hand": "Hand-tuned AVX-512", "plain hand": "Hand-tuned, plainer", "naive -O3": "Plain C++, -O3", "naive -Ofast": "Plain C++, -Ofast", "onnxruntime": "ONNX Runtime"}
RACING = Effort(rounds=6, blocks=10, runs=10_000, seconds=1.0)


def inspect(source: Source) -> None:
    """A check at upload: the header of the protocol buffer. Raises InputError, LimitError."""
    if not source.data:
        raise InputError(f"{source.name} is empty: 0 bytes. Bring a model as torch.onnx.export writes it.")
    if source.data[:1] not in (b"\x08", b"\x12", b"\x1a", b"\x22", b"\x2a", b"\x32", b"\x3a", b"\x42"):
        raise InputError(f"{source.name} is not an ONNX file: it begins with {source.data[:4]!r}. Bring a model as torch.onnx.export writes it.")


def warm() -> None:
    """Measure this core once, as the first run would have to."""
    _machine()


def run(sources: Sequence[Source], config: CompilerConfig = CompilerConfig(), progress: Progress = silent) -> Outcome:
    """Compile one model for this machine and race what came out.

    files    NAME.cpp NAME.h (NAME.bin where weights lie beside the source) NAME.bundle.zip report.json
    trace    trace.json: both graphs, candidates, measurements, where each node stands in the C++, the race
    metrics  best_us, median_us, p999_us, limit_us, times_onnxruntime, times_hand, max_abs_error, nodes_before, nodes_after, candidates, within_budget
    Raises InputError (CompileError), LimitError, ConfigError, EngineError, and whatever `progress` raises to stop.
    """
    if len(sources) != 1:
        raise InputError(f"{len(sources)} models were brought, and one is compiled at a time. Run them one after the other.")
    source, stem = sources[0], stems(sources, "model")[0]
    with tempfile.TemporaryDirectory(prefix="vitrine-compiler-") as folder:
        place = Path(folder)
        compiled = compile_model(source.data, stem, config, part(progress, 0.0, 0.7), place)
        seconds, begun = dict(compiled.seconds), time.perf_counter()
        machine = _machine() if compiled.built else None
        ran, refused = _raced(compiled, machine, place, part(progress, 0.7, 0.97)) if config.race else (None, "the race was switched off")
        seconds["race"] = time.perf_counter() - begun
    progress(0.98, "Writing the report")
    told = _told(compiled, ran, refused, machine)
    files = files_of(compiled, report(compiled, {row.name: _latency(row) for row in ran.rows if not row.failure} if ran else None, _limit(compiled, machine).us if machine else None))
    models = {"C++ compiler": toolchain.compiler().version} if compiled.built else {}
    return Outcome(files, {"trace.json": json.dumps(told, default=str).encode()}, metrics(compiled, ran, told), seconds, compiled.notes, models)


def _machine() -> Roofline | None:
    """What this core can do; None where nothing can be compiled or run."""
    try:
        return roofline()
    except EngineError:
        return None


def _limit(compiled: Compiled, machine: Roofline) -> Limit:
    from core.compiler.roofline import limit

    return limit(work_of(compiled.canonical), machine)


def _raced(compiled: Compiled, machine: Roofline | None, place: Path, progress: Progress) -> tuple[Race | None, str]:
    """The race, or why there is none."""
    if compiled.built is None:
        return None, "; ".join(compiled.notes) or "nothing could be compiled or run here"
    limit = _row_limit(compiled, machine)

    def publish(rows: tuple[Row, ...]) -> None:
        show(progress, {"race": [row_story(row) for row in rows], "limit": limit})

    return race(compiled.data, compiled.built, place, work_of(compiled.canonical), machine, RACING, progress=progress, publish=publish), ""


def _row_limit(compiled: Compiled, machine: Roofline | None) -> dict | None:
    if machine is None:
        return None
    found = _limit(compiled, machine)
    return {"us": found.us, "words": "memory limit" if found.bound.startswith("weights") else "arithmetic limit", "bound": found.bound}


def _latency(row: Row) -> dict[str, float]:
    return {"best": row.best_us, "median": row.median_us, "p999": row.p999_us, "worst": row.worst_us}


def row_story(row: Row) -> dict:
    """A competitor as plain values; times that were not taken are None."""
    timed = not row.failure and row.best_us > 0
    edges, counts = row.histogram
    return {"key": row.name, "name": NAMES.get(row.name, row.name), "says": row.says, "best_us": row.best_us if timed else None, "median_us": row.median_us if timed else None,
            "p999_us": row.p999_us or row.median_us, "worst_us": row.worst_us or row.median_us, "error": row.error, "runs": row.runs, "failure": row.failure,
            "histogram": {"edges_us": list(edges), "counts": list(counts)} if counts else None}


def _told(compiled: Compiled, ran: Race | None, refused: str, machine: Roofline | None) -> dict:
    """Everything the page shows."""
    choice, program, graph = compiled.choice, compiled.program, compiled.imported.graph
    where = {span.node: span for span in program.spans}
    variants = {index: span.variant for index, span in where.items()}
    return {
        "model": {"name": compiled.name, "sha256": compiled.sha256, "bytes": len(compiled.data), "opset": compiled.imported.opset, "exporter": compiled.imported.exporter, "benchmark": recognise(compiled.data),
                  "inputs": _tensors(compiled.imported, graph.inputs), "outputs": _tensors(compiled.imported, graph.outputs)},
        "stem": program.name, "before": graph_story(graph), "after": graph_story(choice.graph, variants),
        "candidates": [{"name": t.candidate, "rules": list(t.rules), "nodes": t.nodes, "best_us": t.measured_us, "predicted_us": t.predicted_us, "chosen": t.chosen} for t in choice.totals],
        "measured": [{"label": f"{m.operation} {m.shapes}", "variant": m.variant, "best_us": m.us, "chosen": m.chosen, "decided": m.decided} for m in choice.measured if m.us],
        "ruled": sum(m.us is None for m in choice.measured), "discarded": [{"What": d.what, "Variant": d.variant, "Reason": d.reason} for d in choice.discarded],
        "blocks": [{"node": s.node, "first": s.first, "last": s.last, "weights": s.weights} for s in program.spans], "race": [row_story(row) for row in ran.rows] if ran else [], "race_refused": refused,
        "overhead_us": ran.overhead_us if ran else None, "core": ran.core if ran else None, "limit": _row_limit(compiled, machine), "target": choice.target.name,
        "verified": {"passed": bool(compiled.verified and compiled.verified.passed), "words": _verified_words(compiled)}, "method": _method(compiled, ran, machine)}


def _tensors(imported: Imported, names: Sequence[str]) -> list[dict]:
    return [{"name": name, "shape": list(imported.graph.shape(name)), "dtype": imported.graph.tensors[name].dtype if name in imported.graph.tensors else "constant"} for name in names]


def _verified_words(compiled: Compiled) -> str:
    """What was checked of the file, in a sentence or two."""
    found = compiled.verified
    if found is None:
        return "The file was not run here, so it is not verified."
    kinds = ", ".join(dict.fromkeys(c.inputs for c in found.checks))
    against = " and ".join(dict.fromkeys(c.reference for c in found.checks))
    more = ["guard pages round every buffer"] + ["address and undefined-behaviour sanitizers"] * found.sanitised + ["a process that may make no system call"] * found.strict
    return (f"Verified on {kinds} inputs against {against}: largest difference {found.max_abs_error:.1e}, {found.max_relative_error:.1e} of the largest value. "
            f"Run with {', '.join(more)}; {found.allocations} allocations.")


def _method(compiled: Compiled, ran: Race | None, machine: Roofline | None) -> str:
    choice = compiled.choice
    words = [f"Written for {choice.target.name} with {' '.join(toolchain.flags(choice.target))}; {compiled.program.multiplies:,} multiply-adds, {compiled.program.weight_bytes:,} bytes of weights, "
             f"{compiled.program.workspace_bytes:,} bytes of workspace."]
    if machine:
        words.append(f"This core reaches {machine.gflops:.0f} GFLOP/s in single precision and streams {machine.gbps[0]:.0f}, {machine.gbps[1]:.0f} and {machine.gbps[2]:.0f} GB/s from its three caches, measured here.")
    if ran and ran.overhead_us:
        words.append(f"ONNX Runtime is called from Python; a call that copies one number takes {ran.overhead_us:.1f} µs of its time.")
    return " ".join(words)


def metrics(compiled: Compiled, ran: Race | None, told: Mapping) -> dict:
    """Counts and figures of a run."""
    rows = {row.name: row for row in ran.rows if not row.failure} if ran else {}
    ours = rows.get("ours")
    found = compiled.verified

    def times(*names: str) -> float | None:
        there = [rows[name].best_us for name in names if name in rows and rows[name].best_us]
        return round(min(there) / ours.best_us, 3) if there and ours else None

    return {"best_us": ours.best_us if ours else None, "median_us": ours.median_us if ours else None, "p999_us": ours.p999_us if ours else None,
            "limit_us": told["limit"]["us"] if told["limit"] else None, "times_onnxruntime": times("onnxruntime"), "times_hand": times("hand", "plain hand"),
            "max_abs_error": found.max_abs_error if found else None, "nodes_before": told["before"]["of"], "nodes_after": told["after"]["of"],
            "candidates": len(told["candidates"]), "within_budget": compiled.within_budget}
