"""Sweeps: which points, with which seeds, each once, whatever fails or dies, and never twice what was computed before."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.errors import Cancelled, ConfigError, EngineError, LimitError
from core.ran import result_cache
from core.ran.pool import Pool
from core.ran.result_cache import Cache, canonical, from_text, to_text
from core.ran.sweep import expected_seconds, grid, listed, local_executor, on_cluster, sweep

ROOT = Path(__file__).resolve().parents[3]
WORK = "tests.core.ran.sweep_work"


@pytest.fixture(scope="module")
def pool():
    """Two warm workers for this file."""
    return local_executor(2)


@pytest.fixture
def cache(tmp_path):
    with Cache(tmp_path / "kept" / "sweeps.sqlite") as found:
        yield found


def until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.01)


# ---------------------------------------------------------------- points and seeds

def test_a_grid_holds_every_combination_with_the_last_axis_fastest():
    points = grid({"a": [1, 2], "b": "xyz"}, {"c": 0})
    assert [p.params for p in points] == [{"c": 0, "a": a, "b": b} for a in (1, 2) for b in "xyz"]
    assert points[-1].params == {"c": 0, "a": 2, "b": "z"} and len(points[1:3]) == 2
    assert len({p.seed for p in points}) == 6 and all(p.seed < 2**53 for p in points)


def test_a_seed_hangs_on_what_a_point_is_and_not_on_where_it_stands():
    few, many = grid({"a": [1, 2]}, seed=5), grid({"a": [0, 1, 2]}, {"drops": 9}, seed=5)
    assert [p.seed for p in few] == [p.seed for p in many][1:] == [p.seed for p in listed([{"a": 1}, {"a": 2}], seed=5)]
    assert few[0].seed != grid({"a": [1]}, seed=6)[0].seed


def test_paired_points_see_the_same_draws():
    points = grid({"snr_db": [0, 10], "streams": [1, 2]}, paired=("snr_db",))
    assert points[0].seed == points[2].seed != points[1].seed == points[3].seed


@pytest.mark.parametrize("call, says", [
    (lambda: grid({"a": [1]}, {"a": 2}), "varied and fixed"), (lambda: grid({"seed": [1]}), "by the sweep itself"),
    (lambda: grid({"a": [1]}, paired=("b",)), "b is paired but not varied"), (lambda: grid({"a": [1]}, seed=-1), "whole number from 0"),
    (lambda: sweep(lambda seed: 0, []), "cannot be found by a worker"), (lambda: grid({"a": [object()]})[0], "cannot vary over a object")])
def test_what_cannot_be_swept_is_a_sentence(call, says):
    with pytest.raises(ConfigError, match=says):
        call()


# ---------------------------------------------------------------- results and failures

def test_points_run_beside_each_other_in_plain_children_and_arrive_once(pool):
    results = list(sweep(f"{WORK}:echo", grid({"a": range(20)}), pool))
    assert sorted(r.index for r in results) == list(range(20))
    assert all(r.value["a"] == r.point.params["a"] and r.value["threads"] == "1" and r.value["main"] is None for r in results)
    assert os.getpid() not in {r.value["pid"] for r in results}


def test_a_result_does_not_depend_on_who_computes_it(pool):
    points = grid({"x": [0.1, 0.2, 1 / 3]}, seed=3)
    with ThreadPoolExecutor(3) as threads:
        there = {r.index: r.value for r in sweep(f"{WORK}:square", points, threads)}
    assert there == {r.index: r.value for r in sweep(f"{WORK}:square", points, pool)}
    assert there[2] == [{"name": "square", "y": 1 / 9}, {"name": "seed", "y": points[2].seed}]


def test_a_point_that_fails_is_a_row_with_its_reason(pool):
    results = {r.index: r for r in sweep(f"{WORK}:wrong", grid({"x": range(6)}), pool)}
    assert [results[i].error for i in range(4)] == [None, "InputError: Too odd.", "ZeroDivisionError: of nothing", "SystemExit: 3"]
    assert "holds a object" in results[4].error and results[5].value == 5
    assert results[1].rows() == [{"x": 1, "seed": results[1].point.seed, "error": "InputError: Too odd."}]


def test_work_that_is_not_there_is_a_failed_row(pool):
    assert "ModuleNotFoundError" in next(sweep("tests.core.ran.no_such:thing", grid({"x": [1]}), pool)).error


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills a worker by signal")
def test_the_point_of_a_killed_worker_is_tried_once_more_and_then_a_failed_row(pool, tmp_path):
    results = {r.index: r for r in sweep(f"{WORK}:dies", grid({"x": range(8)}, {"folder": str(tmp_path)}), pool)}
    assert results.pop(1).error.startswith("WorkerError: The worker on this point died 2 times")
    assert {i: r.value for i, r in results.items()} == {i: i for i in range(8) if i != 1}
    assert [len(list(tmp_path.glob(f"{i}-*"))) for i in range(8)] == [1, 2, 2, 1, 1, 1, 1, 1]


# ---------------------------------------------------------------- stopping

def test_a_sweep_stops_in_the_middle_of_its_points_and_its_workers_are_free_again(pool, tmp_path):
    started = lambda: bool(list(tmp_path.iterdir()))  # noqa: E731
    results = sweep(f"{WORK}:slow", grid({"x": range(6)}, {"folder": str(tmp_path), "seconds": 3600.0}), pool, cancelled=started)
    with pytest.raises(Cancelled, match="after 0 of 6 points"):
        next(results)
    assert [r.value["a"] for r in sweep(f"{WORK}:echo", grid({"a": [1]}), pool)] == [1]     # the points of an hour are not waited for
    assert len(list(tmp_path.iterdir())) <= 2


def test_progress_may_stop_a_sweep_and_is_told_the_end(pool):
    told = []
    assert len(list(sweep(f"{WORK}:echo", grid({"a": range(3)}), pool, progress=lambda f, m: told.append((f, m))))) == 3
    assert told[-1] == (1.0, "3 of 3 points") and told == sorted(told)

    def stop(fraction, message):
        raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        list(sweep(f"{WORK}:slow", grid({"x": [1]}), pool, progress=stop))


def test_a_sweep_nobody_reads_on_leaves_nothing_behind(pool):
    results = sweep(f"{WORK}:slow", listed([{"x": 0, "seconds": 0.0}, *({"x": n, "seconds": 3600.0} for n in range(1, 5))]), pool)
    assert next(results).value == 0
    results.close()
    assert pool.submit(os.getpid).result(120) > 0


def test_a_million_points_are_a_question_first(pool):
    with pytest.raises(LimitError, match=r"1,000,000 points.*would take about .*2 at a time.*most_points=1000000"):
        sweep(f"{WORK}:slow", grid({"x": range(1_000_000)}, {"seconds": 0.05}), pool)
    assert 250 <= expected_seconds(f"{WORK}:slow", grid({"x": range(10_000)}, {"seconds": 0.05}), pool)
    with pytest.raises(LimitError, match="Set long=true"):
        sweep(f"{WORK}:slow", grid({"x": range(3)}, {"seconds": 0.0}), pool, most_points=2, way_out="Set long=true to run it all the same.")
    with pytest.raises(LimitError, match="its first point failed .InputError: Too odd"):
        sweep(f"{WORK}:wrong", grid({"x": [1, 1, 1]}), pool, most_points=2)


# ---------------------------------------------------------------- cache

def test_what_was_computed_is_never_computed_again(pool, cache, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    points = grid({"x": range(5)}, {"seconds": 0.0, "folder": str(marks)})
    first = sweep(f"{WORK}:slow", points, pool, cache)
    next(first), next(first), first.close()
    results = list(sweep(f"{WORK}:slow", points, pool, cache))
    assert sum(r.cached for r in results) >= 2 and sorted(r.value for r in results) == list(range(5))
    before = len(list(marks.iterdir()))
    again = list(sweep(f"{WORK}:slow", points, None, cache))
    assert all(r.cached for r in again) and [r.value for r in again] == list(range(5)) and len(list(marks.iterdir())) == before
    other = list(sweep(f"{WORK}:slow", grid({"x": range(5)}, {"seconds": 0.001, "folder": str(marks)}), pool, cache))
    assert not any(r.cached for r in other)


def test_other_code_is_another_key(cache, monkeypatch):
    with ThreadPoolExecutor(1) as here:
        points = grid({"x": [2.0]})
        assert [r.cached for _ in range(2) for r in sweep(f"{WORK}:square", points, here, cache)] == [False, True]
        monkeypatch.setattr(result_cache, "code_version", lambda work: "after an edit")
        assert [r.cached for r in sweep(f"{WORK}:square", points, here, cache)] == [False]


def test_a_damaged_entry_is_computed_again(tmp_path):
    points, path = grid({"x": [1.0, 2.0]}), tmp_path / "s.sqlite"
    with ThreadPoolExecutor(1) as here:
        with Cache(path) as cache:
            list(sweep(f"{WORK}:square", points, here, cache))
        with sqlite3.connect(path) as db:
            db.execute("UPDATE results SET value = substr(value, 1, 9) WHERE rowid = 1")
            db.execute("UPDATE results SET value = x'ff00' WHERE rowid = 2")
        with Cache(path) as cache:
            assert [r.cached for r in sweep(f"{WORK}:square", points, here, cache)] == [False, False]
            assert all(r.cached for r in sweep(f"{WORK}:square", points, here, cache))


def test_failed_points_are_not_kept(cache):
    with ThreadPoolExecutor(1) as here:
        assert [r.cached for _ in range(2) for r in sweep(f"{WORK}:wrong", grid({"x": [1]}), here, cache)] == [False, False]


def test_a_file_that_is_no_cache_makes_room_and_a_folder_that_is_none_does_no_harm(tmp_path):
    (tmp_path / "s.sqlite").write_bytes(b"not a database at all" * 100)
    with Cache(tmp_path / "s.sqlite") as cache:
        cache.put("k", "v")
        assert cache.get("k") == "v"
    with Cache(tmp_path / "s.sqlite" / "below a file") as none:
        none.put("k", "v")
        assert none.get("k") is None


def test_the_oldest_results_go_when_it_is_full(tmp_path):
    with Cache(tmp_path / "s.sqlite") as cache:
        for n in range(6):
            cache.put(str(n), "x" * 100)
    with Cache(tmp_path / "s.sqlite", most_bytes=250) as cache:
        assert [cache.get(str(n)) is not None for n in range(6)] == [False] * 4 + [True] * 2


@pytest.mark.parametrize("value", [1.1, float("inf"), [1, "a", None], {"a": np.arange(6, dtype=np.complex64).reshape(2, 3)}, {"b": np.float32(0.1)}, []])
def test_values_survive_as_text(value):
    np.testing.assert_equal(from_text(to_text(value)), value if not isinstance(value, dict) or "b" not in value else {"b": np.float32(0.1).item()})


def test_equal_parameters_have_one_text():
    assert canonical({"a": 1, "b": (1, 2)}) == canonical({"b": [1, 2], "a": np.int64(1)})
    assert canonical(np.arange(3)) != canonical(np.arange(3.0))


# ---------------------------------------------------------------- the pool

def test_a_pool_says_what_cannot_be_sent_and_ends_when_told():
    with Pool(1) as pool:
        with pytest.raises((TypeError, AttributeError)):
            pool.submit(threading.Lock())
        future: Future = pool.submit(sum, (1, 2))
        assert future.result(120) == 3
    with pytest.raises(RuntimeError):
        pool.submit(sum, ())


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_leave_when_their_parent_is_killed():
    code = ("from core.ran.sweep import grid, local_executor, sweep\nimport os\np = local_executor(1)\n"
            "print(p.submit(os.getpid).result(), flush=True)\n"
            f"list(sweep('{WORK}:slow', grid({{'x': [1]}}), p))\n")
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        worker = int(parent.stdout.readline())
        assert Path(f"/proc/{worker}").exists()
    finally:
        parent.kill()
        parent.wait()
    until(lambda: not Path(f"/proc/{worker}").exists())


def test_a_sweep_runs_inside_a_worker_process_of_the_studio(tmp_path):
    """A lane is a spawned process that holds its own pool."""
    from app.lanes import ProcessLane

    lane = ProcessLane()
    try:
        state, value = lane.submit("job", f"{WORK}:in_a_lane", (4,)).result(300)
    finally:
        lane.close()
    assert state == "done" and value == [0, 1, 2, 3], value


# ---------------------------------------------------------------- the cluster

SCHEDULER = """
import asyncio
from distributed import Scheduler
async def main():
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as s:
        print(s.address, flush=True)
        await s.finished()
asyncio.run(main())
"""
WORKER = """
import asyncio, sys
from distributed import Worker
async def main():
    async with Worker(sys.argv[1], host="127.0.0.1", nthreads=1, dashboard=False) as w:
        await w.finished()
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def cluster():
    """(scheduler's address, the two worker processes) on loopback."""
    pytest.importorskip("distributed", reason="distributed is in the test requirements only")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = lambda code, *words: subprocess.Popen([sys.executable, "-c", code, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: E731
    scheduler = start(SCHEDULER)
    processes = [scheduler]
    try:
        address = scheduler.stdout.readline().strip()
        processes += [start(WORKER, address) for _ in range(2)]
        yield address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_cluster_takes_sweeps_and_loses_no_point_when_a_worker_is_killed(cluster, tmp_path):
    address, workers = cluster
    from distributed import Client

    with Client(address, timeout=30, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    executor = on_cluster(address)
    try:
        nested = list(sweep(f"{WORK}:outer", grid({"x": [3, 4]}, {"address": address}), executor))
        assert sorted(r.value[1] for r in nested) == [[0, 1, 2], [0, 1, 2, 3]] and all(r.value[0] == "Cluster" for r in nested), nested
        seen, points = [], grid({"x": range(30)}, {"seconds": 0.05, "folder": str(tmp_path)})
        for result in sweep(f"{WORK}:slow", points, executor):
            seen.append(result)
            if len(seen) == 8:
                workers[0].kill()
        assert sorted(r.index for r in seen) == list(range(30)) and [r.error for r in seen if r.error] == []
        assert all(r.value == r.point.params["x"] for r in seen)
        assert {int(mark.name.split("-")[1]) for mark in tmp_path.iterdir()} == {w.pid for w in workers}
    finally:
        executor.shutdown(wait=False)


def test_an_address_where_nobody_answers_is_a_sentence(monkeypatch):
    pytest.importorskip("distributed", reason="distributed is in the test requirements only")
    monkeypatch.setattr("core.ran.sweep.SCHEDULER_SECONDS", 1.5)
    with pytest.raises(EngineError, match="No Dask scheduler answers at tcp://127.0.0.1:9"):
        on_cluster("tcp://127.0.0.1:9")
    with pytest.raises(EngineError, match="No Dask scheduler answers at nonsense://x"):
        on_cluster("nonsense://x")
