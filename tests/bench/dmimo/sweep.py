"""The sweep runner: when the first points of a curve are there, what the runner itself costs, what a repeat costs, and the cold start of a pool."""

import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.dmimo.presets import PRESETS
from core.ran.pool import Pool
from core.ran.result_cache import Cache
from core.ran.sweep import Grid, grid, sweep
from tests.bench.harness import ROOT, Section

LINK = "core.dmimo.link:simulate_point"
SCHEMES = ("iqc", "deqc", "llrc")
WORKERS = 2
COLD = """
import json, sys, time
sys.path[:0] = json.loads(sys.argv[2])
begun = time.perf_counter()
from tests.bench.dmimo.sweep import LINK, curve
from core.ran.sweep import local_executor, sweep
loaded, found = time.perf_counter(), []
for result in sweep(LINK, curve(*json.loads(sys.argv[1])), local_executor(2, "core.dmimo.link")):
    found.append(time.perf_counter() - loaded)
    assert result.error is None, result.error
print(json.dumps([loaded - begun, found[0], found[-1]]))
"""


def curve(points: int, drops: int, seed: int) -> Grid:
    """Throughput over SNR of the post's preset."""
    return grid({"snr_db": np.linspace(0, 30, points).tolist()}, {"scenario": PRESETS["post"], "drops": drops, "schemes": list(SCHEMES)}, seed, ("snr_db",))


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Start and repeat; overhead; the headline has the figures that were promised."""
    size, rounds = ((4, 3), 1) if options.quick else ((20, 30), 5)
    curve_found, overhead = curve_section(size, rounds), overhead_section(size, rounds)
    cold, _, repeat = curve_found.rows
    yield curve_found, dict(sweep_first_point_s=cold["first_point_s"], sweep_repeat_s=repeat["all_points_s"])
    yield overhead, dict(sweep_overhead_percent=overhead.rows[1]["overhead_percent"])


def curve_section(size: tuple[int, int], rounds: int) -> Section:
    """A curve from a process that has just started, and the same again out of the cache."""
    section = Section("sweep", f"A curve of {size[0]} points x {size[1]} drops, {WORKERS} workers",
                      "wall seconds after the imports; cold: the pool starts with the sweep; repeat: all points from the cache; median [least-most] of the rounds")
    cold = [_cold(size, 100 + n) for n in range(rounds)]
    with tempfile.TemporaryDirectory() as folder, Pool(WORKERS, "core.dmimo.link") as pool:
        warm, repeat = [], []
        with Cache(Path(folder) / "sweeps.sqlite") as cache:
            list(sweep(LINK, curve(2, 1, 1), pool))
            for n in range(rounds):
                warm.append(_timed(size, 200 + n, pool, cache))
                repeat.append(_timed(size, 200 + n, pool, cache))
    for name, row in (("cold pool", [c[1:] for c in cold]), ("warm pool", warm), ("repeat from the cache", repeat)):
        first, last = np.array(row).T
        section.rows.append(dict(name=name, first_point_s=float(np.median(first)), first_range=_range(first), all_points_s=float(np.median(last)), all_range=_range(last)))
    return section


def _range(values: np.ndarray) -> str:
    return f"{values.min():.2f}-{values.max():.2f}"


def _cold(size: tuple[int, int], seed: int) -> list[float]:
    """[seconds of import, first point, all points] of a fresh process."""
    done = subprocess.run([sys.executable, "-c", COLD, json.dumps([*size, seed]), json.dumps([str(ROOT)])], cwd=ROOT, capture_output=True, text=True,
                          timeout=900, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    return json.loads(done.stdout)


def _timed(size: tuple[int, int], seed: int, pool: Pool, cache: Cache) -> tuple[float, float]:
    begun, found = time.perf_counter(), []
    for _ in sweep(LINK, curve(*size, seed), pool, cache):
        found.append(time.perf_counter() - begun)
    return found[0], found[-1]


def overhead_section(size: tuple[int, int], rounds: int) -> Section:
    """What the runner adds to the work: one worker, so that no time is lost waiting for the other at the end."""
    section = Section("sweep_overhead", "What the runner adds to the points' own time", "one worker, warm; (wall - work) / work, with and without the cache; "
                      "goal: under 5 %. Empty points: milliseconds per point of a work that does nothing")
    with tempfile.TemporaryDirectory() as folder, Pool(1, "core.dmimo.link") as pool, Cache(Path(folder) / "sweeps.sqlite") as cache:
        list(sweep(LINK, curve(2, 1, 1), pool))
        for name, kept in (("no cache", None), ("cache", cache)):
            shares = [_overhead(size, 300 + n, pool, kept) for n in range(rounds)]
            section.rows.append(dict(name=name, overhead_percent=100 * float(np.median(shares)), least=100 * min(shares), most=100 * max(shares)))
        count = 200 if size[0] < 20 else 2000
        begun = time.perf_counter()
        assert all(result.error is None for result in sweep("tests.bench.dmimo.sweep:nothing", grid({"x": range(count)}), pool))
        section.rows.append(dict(name="empty points", ms_per_point=1e3 * (time.perf_counter() - begun) / count))
    return section


def _overhead(size: tuple[int, int], seed: int, pool: Pool, cache: Cache | None) -> float:
    begun = time.perf_counter()
    work = sum(result.seconds for result in sweep(LINK, curve(*size, seed), pool, cache))
    return (time.perf_counter() - begun - work) / work


def nothing(x: int, seed: int) -> int:
    """Work that takes no time."""
    return x
