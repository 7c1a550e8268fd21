"""The D-MIMO exhibit as the studio runs it: no or one scenario file in; sweep.csv, scenario.json and report.html out, the curve's points shown as they come."""

import csv
import io
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from core.dmimo.config import Config, changed, snr_grid, with_radio
from core.dmimo.cost import flops, fronthaul_bits, load_of
from core.dmimo.link import COLUMNS, SCHEMES
from core.dmimo.moving import KINDS
from core.dmimo.scenario import Scenario, from_json, to_json
from core.errors import Cancelled, EngineError, InputError
from core.exhibit import Outcome, Progress, Source, show, silent
from core.ran.sweep import default_cache, grid, listed, sweep

__all__ = ["Config", "inspect", "moved", "preset", "run", "scenario_of", "warm"]

LINK = "core.dmimo.link:simulate_point"
THREE = ("iqc", "deqc", "llrc")
SPREADS_DEG = (2.0, 5.0, 15.0, 45.0)
STREAMS = (1, 2, 4, 8, 16)
EDITED = ", edited"
PAPER_METRICS = {"throughput_ratio": "throughput_bps", "fronthaul_ratio": "fronthaul_bps", "flops_ratio": "flops_per_slot"}


def preset(name: str) -> Scenario:
    """A built-in scenario (core.dmimo.presets)."""
    from core.dmimo.presets import PRESETS

    return PRESETS[name]


def scenario_of(sources: Sequence[Source], config: Config) -> Scenario:
    """The scenario that runs: the file's or the preset's, with the radio settings the config asks for. Raises InputError, LimitError."""
    if len(sources) > 1:
        raise InputError(f"{len(sources)} scenario files were brought, and one is swept at a time. Run them one after the other.")
    return changed(from_json(sources[0].data) if sources else preset(config.preset), config)


def inspect(source: Source) -> Scenario:
    """A check at upload: the scenario in the file. Raises InputError, LimitError."""
    return from_json(source.data)


def moved(scenario: Scenario, radios: Sequence[Sequence[float]], users: Sequence[Sequence[float]]) -> Scenario:
    """The scenario with its radios and users at these places [x_m, y_m]; a user that was moved stays where it is put in every placement.

    Raises InputError for a place outside the plan, on top of another, or another number of places.
    """
    if (len(radios), len(users)) != (len(scenario.trps), len(scenario.ues)):
        raise InputError(f"The plan has {len(scenario.trps)} radios and {len(scenario.ues)} users, and {len(radios)} and {len(users)} places were given.")
    trps = tuple(replace(trp, x_m=x, y_m=y) for trp, (x, y) in zip(scenario.trps, radios))
    ues = tuple(replace(ue, x_m=x, y_m=y) for ue, (x, y) in zip(scenario.ues, users))
    radio = scenario.radio if ues == scenario.ues else replace(scenario.radio, placement="fixed")
    name = scenario.name if scenario.name.endswith(EDITED) else scenario.name[:60] + EDITED
    return replace(scenario, name=name, trps=trps, ues=ues, radio=radio)


def warm() -> None:
    """Load what the first run would otherwise wait for: the link simulation, here and in the pool's processes."""
    _one(preset("post"))
    for result in sweep(LINK, grid({"snr_db": [0.0, 20.0]}, fixed={"scenario": preset("post"), "drops": 1, "schemes": ("iqc",)})):
        if result.error:
            raise EngineError(f"The link simulation does not run here: {result.error}")


def _one(scenario: Scenario) -> None:
    from core.dmimo.link import simulate_point

    simulate_point(scenario, snr_db=20.0, drops=1, seed=0, schemes=("iqc",))


@dataclass
class _Work:
    """One run while it goes on: what it has so far, and whether it was asked to stop."""

    scenario: Scenario
    config: Config
    progress: Progress
    rows: list[dict] = field(default_factory=list)
    failed: list[dict] = field(default_factory=list)
    story: dict = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stopped: str = ""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; a wish to stop ends it and all later ones, and what it has stays."""
        begun = time.perf_counter()
        try:
            yield
        except Cancelled:
            self.stopped = name
        finally:
            self.seconds[name] = time.perf_counter() - begun

    def share(self, low: float, high: float, message: str) -> Progress:
        """This run's progress as the part from low to high."""
        return lambda fraction, said: self.progress(low + (high - low) * fraction, f"{message}: {said}" if said else message)


def run(sources: Sequence[Source], config: Config = Config(), progress: Progress = silent) -> Outcome:
    """Sweep the combining schemes over SNR, map the regimes, and see what happens when users move.

    sources  none, or one scenario.json
    files    sweep.csv (a row per point and scheme), scenario.json, report.html; with extras regimes.csv, schedulers.csv, adaptation.csv, walk.csv
    trace    trace.json: everything the page draws
    metrics  throughput_ratio, fronthaul_ratio, flops_ratio: {deqc, llrc}, all of IQC at the scenario's SNR; points, failed
    A wish to stop ends the run with what it has; before the first point it raises Cancelled.
    Raises InputError, LimitError (the scenario; a sweep longer than most_points, with its estimated duration), ConfigError.
    """
    scenario = scenario_of(sources, config)
    work = _Work(scenario, config, progress)
    curve(work)
    if config.extras and not work.stopped:
        for stage in (regimes, moving):
            if not work.stopped:
                stage(work)
    if not work.rows:
        raise Cancelled("The sweep was stopped before its first point.") if work.stopped else EngineError(
            f"No point of the sweep could be computed: {work.failed[0]['error'] if work.failed else 'there was none'}.")
    progress(0.98, "Writing the files")
    return _outcome(work)


def curve(work: _Work) -> None:
    """Every scheme over SNR; each point is shown as it comes."""
    config, scenario = work.config, work.scenario
    points = grid({"snr_db": snr_grid(config, scenario.radio.snr_db)}, fixed={"scenario": scenario, "drops": config.drops, "schemes": SCHEMES},
                  seed=config.seed, paired=("snr_db",))
    with work.stage("curve"), default_cache() as cache:
        for result in sweep(LINK, points, cache=cache, progress=work.share(0.0, 0.5 if config.extras else 0.97, "Sweeping the SNR"), most_points=config.most_points):
            if result.error:
                work.failed.append({"snr_db": result.point.params["snr_db"], "error": result.error})
            else:
                work.rows += result.value
            show(work.progress, {"rows": result.value or [], "reference_snr_db": scenario.radio.snr_db})


def regimes(work: _Work) -> None:
    """DEQC's share of IQC over angular spread and streams per radio, at the scenario's SNR, every cell on the same draws."""
    scenario, own = work.scenario, work.scenario.radio
    most = min(scenario.antennas, scenario.layers)
    streams = sorted({s for s in (*STREAMS, own.streams_per_trp, most) if s <= most})
    spreads = sorted({*SPREADS_DEG, own.angular_spread_deg}) if own.channel == "geometric" else [own.angular_spread_deg]
    cells = {(a, s): with_radio(scenario, angular_spread_deg=a, streams_per_trp=s) for a in spreads for s in streams}
    points = listed([{"scenario": s} for s in cells.values()], fixed={"snr_db": own.snr_db, "drops": work.config.map_drops, "schemes": ("iqc", "deqc")},
                    seed=work.config.seed, paired=("scenario",))
    found: dict[tuple[float, int], float | None] = dict.fromkeys(cells)
    with work.stage("regime map"), default_cache() as cache:
        for result in sweep(LINK, points, cache=cache, progress=work.share(0.5, 0.8, "Mapping where it holds")):
            found[list(cells)[result.index]] = None if result.error else _ratio(result.value, "deqc", "throughput_bps")
    costs = [_cost_ratio(cells[spreads[0], s], "deqc") for s in streams]
    work.story["regime"] = {"spreads_deg": spreads, "streams": streams, "ratio": [[found[a, s] for s in streams] for a in spreads],
                            "fronthaul_ratio": costs, "drops": work.config.map_drops, "snr_db": own.snr_db}
    full = found.get((own.angular_spread_deg, most))
    if full is not None:
        work.story["exact"] = {"streams": most, "ratio": full, "fronthaul_ratio": costs[-1]}


def moving(work: _Work) -> None:
    """Users that walk: which radios serve them, how schedulers share, how the code rate is chosen."""
    points = grid({"kind": KINDS}, fixed={"scenario": work.scenario}, seed=work.config.seed, paired=("kind",))
    with work.stage("moving users"), default_cache() as cache:
        for result in sweep("core.dmimo.moving:point", points, cache=cache, progress=work.share(0.8, 0.98, "Letting users walk")):
            if result.error:
                work.notes.append(f"{result.point.params['kind'].capitalize()}: not computed ({result.error}).")
            else:
                work.story[result.point.params["kind"]] = result.value


def _ratio(rows: Sequence[dict], scheme: str, column: str) -> float | None:
    """A scheme's column relative to IQC's; None where IQC has nothing."""
    found = {row["scheme"]: row[column] for row in rows}
    return found[scheme] / found["iqc"] if scheme in found and found.get("iqc") else None


def _cost_ratio(scenario: Scenario, scheme: str) -> float:
    load = load_of(scenario)
    return fronthaul_bits(scheme, load) / fronthaul_bits("iqc", load)


def forms(scenario: Scenario) -> dict:
    """Operations and fronthaul bits per slot with the weights formed over antennas and over layers: {form: {scheme: {flops, trp, centre, bits}}}."""
    def count(scheme: str, form: str) -> dict:
        load = load_of(with_radio(scenario, weight_form=form))
        spent = flops(scheme, load)
        return {"flops": spent.total, "trp": spent.trp, "centre": spent.centre, "bits": fronthaul_bits(scheme, load)}

    return {form: {scheme: count(scheme, form) for scheme in THREE} for form in ("antenna", "layer")}


def _metrics(work: _Work) -> dict:
    at = [row for row in work.rows if row["snr_db"] == work.scenario.radio.snr_db]
    ratios = {name: {s: _ratio(at, s, column) for s in ("deqc", "llrc")} for name, column in PAPER_METRICS.items()}
    return {**ratios, "reference_snr_db": work.scenario.radio.snr_db, "points": len({row["snr_db"] for row in work.rows}), "failed": len(work.failed)}


def _outcome(work: _Work) -> Outcome:
    from core.dmimo.report import page

    radio, begun = work.scenario.radio, time.perf_counter()
    work.story |= {"rows": work.rows, "failed": work.failed, "reference_snr_db": radio.snr_db, "angular_spread_deg": radio.angular_spread_deg,
                   "streams_per_trp": radio.streams_per_trp, "forms": forms(work.scenario), "scenario": json.loads(to_json(work.scenario)),
                   "drops": work.config.drops, "is_post": work.scenario == preset("post")}
    metrics = _metrics(work)
    files = {"sweep.csv": sweep_csv(work.rows, work.failed), "scenario.json": to_json(work.scenario).encode(), **_tables(work.story)}
    files["report.html"] = page(work.scenario, work.story, metrics).encode()
    work.seconds["files"] = time.perf_counter() - begun
    return Outcome(files, {"trace.json": json.dumps(_finite(work.story)).encode()}, _finite(metrics), work.seconds, _notes(work), seed=work.config.seed)


def _notes(work: _Work) -> list[str]:
    notes = list(work.notes)
    if work.stopped:
        notes.append(f"Stopped during: {work.stopped}. What was computed until then is shown.")
    for point in work.failed:
        notes.append(f"The point at {point['snr_db']:g} dB failed: {point['error']}.")
    return notes


def _finite(value):
    """The same value with None where a number is not finite (JSON has no nan)."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))) else value


# ---- tables

def sweep_csv(rows: Sequence[dict], failed: Sequence[dict]) -> bytes:
    """One row per point and scheme by SNR; a failed point is a row with its reason in the last column."""
    ordered = sorted(rows, key=lambda r: (r["snr_db"], SCHEMES.index(r["scheme"])))
    return table([*COLUMNS, "error"], [*({**row, "error": ""} for row in ordered), *failed])


def table(columns: Sequence[str], rows: Sequence[dict]) -> bytes:
    """Rows as CSV with these columns; what a row lacks stays empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _tables(story: dict) -> dict[str, bytes]:
    """What the extras found, as CSV."""
    made = {}
    if regime := story.get("regime"):
        rows = [{"angular_spread_deg": a, "streams_per_trp": s, "throughput_ratio": r, "fronthaul_ratio": f, "snr_db": regime["snr_db"], "drops": regime["drops"]}
                for a, line in zip(regime["spreads_deg"], regime["ratio"]) for s, r, f in zip(regime["streams"], line, regime["fronthaul_ratio"])]
        made["regimes.csv"] = table(list(rows[0]), rows)
    for name in ("schedulers", "adaptation", "walk"):
        if found := story.get(name, {}).get("rows"):
            made[f"{name}.csv"] = table(list(found[0]), found)
    return made
