"""The line of jobs with real worker processes: order, places, cancel, death of a worker, fairness, the end of the house."""

import os
import signal
import subprocess
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app import jobs as line
from app.jobs import Jobs
from core.errors import BusyError, EngineError, InputError, WorkerError
from core.exhibit import Source

ROOT = Path(__file__).resolve().parents[2]
FAKE = "tests.app.fake_work:run"


@pytest.fixture(scope="module")
def one():
    with Jobs(1, queue_limit=4, work=FAKE) as made:
        yield made


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def do(jobs, what, owner="ann", sources=(), **settings):
    return jobs.submit("fake", sources, {"do": what, **settings}, owner)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"


def test_a_job_runs_in_another_process_and_brings_its_files(one):
    job = do(one, "echo", sources=[Source("a.png", b"pixels")])
    assert job.wait(20)
    assert (job.state, job.fraction, job.ahead, job.error) == ("done", 1.0, 0, None)
    assert job.result.files == {"a.png": b"pixels"} and job.result.record["pid"] != os.getpid()
    assert job.seconds_so_far >= 0 and job.seconds_left == 0.0


def test_progress_arrives_in_order(one):
    job, seen = do(one, "steps", steps=20, seconds=0.03), []
    while not job.finished:
        seen.append((job.fraction, job.message))
        time.sleep(0.005)
    assert job.state == "done" and job.message == "step 19"
    fractions = [f for f, _ in seen]
    assert fractions == sorted(fractions) and len({m for _, m in seen if m}) > 5


def test_what_work_shows_arrives_in_order(one):
    job = do(one, "showing", steps=5)
    assert job.wait(20) and job.state == "done"
    assert job.shown == [{"step": n} for n in range(5)]


def test_work_that_ends_early_keeps_what_it_has(one):
    job = do(one, "showing", steps=10_000, seconds=0.01)
    until(lambda: len(job.shown) > 2)
    job.cancel()
    assert job.wait(10) and job.state == "done" and 2 < job.result.record["steps"] < 10_000


def test_places_in_line_and_a_full_line(one):
    first = do(one, "steps", steps=1000, seconds=0.01)
    until(lambda: first.state == "running")
    rest = [do(one, "echo", owner=f"v{n}") for n in range(4)]
    assert [job.ahead for job in rest] == [1, 2, 3, 4] and first.ahead == 0
    with pytest.raises(BusyError, match="4 jobs are waiting"):
        do(one, "echo", owner="late")
    rest[0].cancel()
    assert rest[0].state == "cancelled" and [job.ahead for job in rest[1:]] == [1, 2, 3]
    first.cancel()
    assert all(job.wait(20) for job in rest) and [job.state for job in rest[1:]] == ["done"] * 3


def test_one_visitor_has_three_unfinished_jobs_at_most(one):
    mine = [do(one, "steps", steps=1000, seconds=0.01) for _ in range(3)]
    with pytest.raises(BusyError, match="3 unfinished jobs"):
        do(one, "echo")
    other = do(one, "echo", owner="bob")
    for job in mine:
        job.cancel()
    assert other.wait(20) and other.state == "done"
    assert all(job.wait(20) for job in mine)
    assert do(one, "echo").wait(20)


def test_cancel_of_a_running_job_keeps_the_worker(one):
    before = do(one, "echo")
    before.wait(20)
    job = do(one, "steps", steps=10_000, seconds=0.005)
    until(lambda: job.fraction > 0)
    job.cancel()
    assert job.wait(5) and job.state == "cancelled" and job.error is None and job.result is None
    after = do(one, "echo")
    assert after.wait(20) and after.result.record["pid"] == before.result.record["pid"]


def test_a_worker_that_does_not_listen_is_replaced(one):
    before = do(one, "echo")
    before.wait(20)
    job = do(one, "deaf")
    until(lambda: job.message == "deaf")
    job.cancel()
    assert job.wait(10) and job.state == "cancelled"
    after = do(one, "echo")
    assert after.wait(20) and after.result.record["pid"] != before.result.record["pid"]
    assert not alive(before.result.record["pid"])


def test_a_worker_that_dies_fails_its_own_job_only(one):
    job, behind = do(one, "die"), do(one, "echo")
    assert job.wait(20) and behind.wait(20)
    assert job.state == "failed" and isinstance(job.error, WorkerError) and "died" in str(job.error)
    assert behind.state == "done"


def test_a_worker_killed_from_outside_while_it_works(one):
    before = do(one, "echo")
    before.wait(20)
    job = do(one, "deaf")
    until(lambda: job.message == "deaf")
    os.kill(before.result.record["pid"], signal.SIGKILL)
    assert job.wait(20) and isinstance(job.error, WorkerError)


def test_a_worker_killed_while_idle_costs_nobody_a_job(one):
    before = do(one, "echo")
    before.wait(20)
    os.kill(before.result.record["pid"], signal.SIGKILL)
    after = do(one, "echo")
    assert after.wait(20) and after.state == "done"


@pytest.mark.parametrize("what, kind, words", [
    ("wrong", InputError, "The file is empty. Bring one with something in it."),
    ("picky", InputError, "The width is 7."),
    ("bug", WorkerError, "does not explain"),
    ("exit", WorkerError, "does not explain"),
])
def test_errors_arrive_as_sentences(one, what, kind, words):
    job = do(one, what)
    assert job.wait(20) and job.state == "failed" and type(job.error) is kind
    assert words in str(job.error) and "Traceback" not in str(job.error)


def test_jobs_belong_to_their_owner_and_are_dropped_when_collected(one):
    job = do(one, "echo")
    job.wait(20)
    assert one.get(job.id, "ann") is job and one.get(job.id, "bob") is None and one.get("nonsense", "ann") is None
    assert job in one.of("ann") and job not in one.of("bob")
    one.collect(job)
    assert one.get(job.id, "ann") is None


def test_results_nobody_collects_are_dropped(one, monkeypatch):
    job = do(one, "echo")
    job.wait(20)
    monkeypatch.setattr(line, "SECONDS_KEPT", -1)
    assert one.get(job.id, "ann") is None


def test_forget_cancels_and_drops_all_of_an_owner(one):
    jobs = [do(one, "steps", owner="eve", steps=10_000, seconds=0.01) for _ in range(3)]
    until(lambda: jobs[0].state == "running")
    one.forget("eve")
    assert one.of("eve") == [] and all(job.wait(10) for job in jobs)
    assert {job.state for job in jobs} == {"cancelled"}


def test_the_guess_of_the_time_left_follows_the_work(one):
    job = do(one, "steps", owner="time", steps=40, seconds=0.05)
    until(lambda: job.fraction > 0.5)
    assert 0 < job.seconds_left < 20
    job.cancel()
    job.wait(10)


def test_workers_have_one_thread_each(one):
    job = do(one, "threads")
    assert job.wait(60) and job.result.record["cv2"] == 1 and job.result.record["omp"] == "1"


def test_a_worker_never_runs_what_streamlit_calls_main(tmp_path, monkeypatch):
    page = tmp_path / "page.py"
    page.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    main = types.ModuleType("__main__")
    main.__file__ = str(page)
    monkeypatch.setitem(sys.modules, "__main__", main)
    with Jobs(1, work=FAKE) as jobs:
        assert do(jobs, "echo").wait(20)
    assert not (tmp_path / "ran").exists()


def test_two_lanes_work_at_the_same_time():
    with Jobs(2, work=FAKE) as two:
        jobs = [do(two, "steps", steps=100, seconds=0.01) for _ in range(2)]
        until(lambda: all(job.fraction > 0 for job in jobs))
        assert [job.state for job in jobs] == ["running"] * 2
        assert all(job.wait(20) for job in jobs)
        assert len({job.result.record["pid"] for job in jobs}) == 2


def test_closing_ends_what_runs_and_what_waits():
    jobs = Jobs(1, work=FAKE)
    first = do(jobs, "echo")
    first.wait(20)
    running, waiting = do(jobs, "deaf"), do(jobs, "echo")
    until(lambda: running.message == "deaf")
    jobs.close()
    assert running.state == "cancelled" and waiting.state == "cancelled"
    until(lambda: not alive(first.result.record["pid"]))
    with pytest.raises(BusyError, match="closing"):
        do(jobs, "echo")


def test_warming_is_visible_and_gives_way_to_jobs(monkeypatch):
    with Jobs(1, work=FAKE) as jobs:
        jobs.warm(["nowhere"])
        until(lambda: not jobs.state()["loading"])
        assert "nowhere" in jobs.state()["cold"]["nowhere"]
        assert do(jobs, "echo").wait(20)


def test_any_executor_will_do():
    release = threading.Event()
    with ThreadPoolExecutor(1) as pool, Jobs(1, make_executor=lambda: pool, work=FAKE) as jobs:
        pool.submit(release.wait)
        job = do(jobs, "echo", sources=[Source("a", b"1")])
        until(lambda: job.state == "running")
        release.set()
        assert job.wait(20) and job.result.files == {"a": b"1"}
        assert isinstance(_ended(do(jobs, "wrong")).error, InputError)


def _ended(job):
    assert job.wait(20)
    return job


@pytest.mark.parametrize("processes", [False, True])
def test_a_dask_cluster_does_the_same_work(processes):
    distributed = pytest.importorskip("distributed", reason="distributed is in the test requirements only")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=processes, dashboard_address=None, protocol="tcp", host="127.0.0.1") as cluster:
        with line.on_cluster(cluster.scheduler_address, work=FAKE) as jobs:
            assert jobs.workers == 1
            assert _ended(do(jobs, "echo", sources=[Source("a", b"1")])).result.files == {"a": b"1"}
            assert isinstance(_ended(do(jobs, "wrong")).error, InputError)
            busy, behind = do(jobs, "steps", steps=300, seconds=0.01), do(jobs, "echo")
            until(lambda: busy.state == "running")
            assert behind.ahead == 1
            busy.cancel()
            assert _ended(busy).state == "cancelled" and _ended(behind).state == "done"


def test_a_cluster_that_is_not_there_is_a_sentence(monkeypatch):
    pytest.importorskip("distributed", reason="distributed is in the test requirements only")
    monkeypatch.setattr(line, "SCHEDULER_SECONDS", 1.5)
    with pytest.raises(EngineError, match="No Dask scheduler answers at tcp://127.0.0.1:9"):
        line.on_cluster("tcp://127.0.0.1:9")


def test_a_missing_package_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EngineError, match="pip install distributed"):
        line.on_cluster("tcp://127.0.0.1:9")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_do_not_outlive_a_server_that_is_killed():
    code = (
        "import time\nfrom app.jobs import Jobs\n"
        f"j = Jobs(1, work={FAKE!r})\n"
        "a = j.submit('fake', (), {'do': 'echo'}, 'a'); a.wait(30); print(a.result.record['pid'], flush=True)\n"
        "b = j.submit('fake', (), {'do': 'deaf'}, 'a'); time.sleep(60)\n")
    server = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        worker = int(server.stdout.readline())
        assert alive(worker)
    finally:
        server.kill()
        server.wait()
    until(lambda: not alive(worker))
