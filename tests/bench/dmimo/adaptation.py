"""Schedulers against each other, and link adaptation against the genie and against adapters that do not know the TRPs: ratios over seeds that chose nothing."""

from argparse import Namespace
from collections.abc import Iterator, Sequence

import numpy as np

from core.dmimo.presets import PRESETS
from core.ran.sweep import Point, local_executor, sweep
from tests.bench.harness import Section

FIRST_SEED = 52_000
"""None of these seeds was looked at while the schedulers and adapters were written."""
ADAPTATION_SCENES = (("post", "scheduled", 1.2), ("post", "scheduled", 5.0), ("post", "cluster", 1.2), ("iid", "scheduled", 1.2), ("cell_edge", "scheduled", 1.2),
                     ("spread", "scheduled", 1.2), ("office", "scheduled", 1.2), ("office", "cluster", 1.2))
SCHEDULING_SCENES = ("post", "spread", "iid", "cell_edge", "office")


class Mean(dict):
    """mean, low, high: an object in the record, one cell in the table."""

    def __str__(self) -> str:
        return f"{self['mean']:.3f} [{self['low']:.3f}-{self['high']:.3f}]"


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Link adaptation, then the schedulers; the headline has the post's regime."""
    seeds = range(FIRST_SEED, FIRST_SEED + (2 if options.quick else 8))
    adaptation = adaptation_section(seeds, 60 if options.quick else 600)
    yield adaptation, {f"adaptation_{name}": adaptation.rows[0][name] for name in ("predicted", "blind", "measured", "predicted_over_blind")}
    scheduling = scheduling_section(seeds, 20 if options.quick else 120)
    yield scheduling, dict(joint_over_two_stage=scheduling.rows[0]["throughput"])


def adaptation_section(seeds: Sequence[int], steps: int) -> Section:
    """Throughput ratios to the genie, and of the adapter that predicts over the one that is blind to changes."""
    section = Section("adaptation", "Link adaptation over a walk",
                      f"{len(seeds)} seeds, {steps} steps of 10 ms; throughput relative to the genie, and predicted over blind; mean [90 % band of the mean]. "
                      "scheduled: TRPs chosen anew at every step; cluster: slow clusters, which change too seldom to matter")
    points = [Point(dict(scenario=PRESETS[name], sets=sets, speed_m_s=speed, steps=steps), seed) for name, sets, speed in ADAPTATION_SCENES for seed in seeds]
    found = _values("core.dmimo.link_adaptation:compare", points)
    for n, (name, sets, speed) in enumerate(ADAPTATION_SCENES):
        runs = [{row["adapter"]: row for row in rows} for rows in found[n * len(seeds):(n + 1) * len(seeds)]]
        column = {a: [run[a]["throughput_ratio"] for run in runs] for a in ("predicted", "blind", "measured")}
        section.rows.append(dict(
            name=f"{name}, {sets}, {speed:g} m/s", changed_percent=100 * float(np.mean([run["genie"]["changed_share"] for run in runs])),
            **{a: mean_band(values) for a, values in column.items()}, predicted_over_blind=mean_band(np.divide(column["predicted"], column["blind"])),
            bler_predicted=float(np.mean([run["predicted"]["bler"] for run in runs]))))
    return section


def scheduling_section(seeds: Sequence[int], steps: int) -> Section:
    """Throughput, fifth percentile and cost of every scheduler relative to two stages."""
    section = Section("scheduling", "Schedulers over a walk, relative to two stages",
                      f"{len(seeds)} seeds, {steps} steps of 0.25 s at 1.2 m/s; throughput of all users and what 5 % of users and seconds get less than; "
                      "SINRs evaluated and operations per step for choosing; mean [90 % band of the mean]")
    points = [Point(dict(scenario=PRESETS[name], steps=steps), seed) for name in SCHEDULING_SCENES for seed in seeds]
    found = _values("core.dmimo.scheduling:compare", points)
    for n, name in enumerate(SCHEDULING_SCENES):
        runs = [{row["scheduler"]: row for row in rows} for rows in found[n * len(seeds):(n + 1) * len(seeds)]]
        for scheduler in runs[0]:
            ratio = {c: [run[scheduler][c] / run["two_stage"][c] for run in runs] for c in ("throughput_bps", "p5_user_bps")}
            section.rows.append(dict(name=f"{name}: {scheduler}", throughput=mean_band(ratio["throughput_bps"]), p5_user=mean_band(ratio["p5_user_bps"]),
                                     evaluations=float(np.mean([run[scheduler]["evaluations_per_step"] for run in runs])),
                                     kflops=float(np.mean([run[scheduler]["flops_per_step"] for run in runs])) / 1e3))
    return section


def _values(work: str, points: Sequence[Point]) -> list:
    """The value of every point in order. Raises RuntimeError where one failed."""
    found = {}
    for result in sweep(work, points, local_executor()):
        if result.error:
            raise RuntimeError(f"{result.point.params} with seed {result.point.seed}: {result.error}")
        found[result.index] = result.value
    return [found[n] for n in range(len(points))]


def mean_band(values: Sequence[float]) -> Mean:
    """Mean and the 90 % band of the mean (bootstrap over seeds)."""
    values = np.asarray(values, float)
    draws = np.random.default_rng(0).choice(values, (2000, len(values))).mean(axis=1)
    low, high = np.percentile(draws, [5, 95])
    return Mean(mean=float(values.mean()), low=float(low), high=float(high))
