"""Heavy work off the page: a bounded line of jobs before N lanes, with place, progress, cancel, and a fresh worker when one dies."""

import atexit
import logging
import os
import secrets
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from functools import partial

from app.execute import Run
from app.lanes import BorrowedLane, ProcessLane
from core.errors import BusyError, EngineError, VitrineError, WorkerError
from core.exhibit import Source

QUEUE_LIMIT = 32
OWN_LIMIT = 3
SECONDS_KEPT = 600
SECONDS_TO_STOP = 2.0
TICK = 0.05
WORK = "app.execute:execute"
WARM = "app.lanes:warm"

_log = logging.getLogger("vitrine.jobs")
SCHEDULER_SECONDS = 10
"""How long a Dask scheduler may take to answer."""


@dataclass(eq=False)
class Job:
    """One piece of work. Read it at any time; only its lane writes to it.

    state     "queued", "running", "done", "failed" or "cancelled"
    fraction  0 to 1, message: what is being done
    shown     what the work has handed out to look at so far, oldest first (core.exhibit.show); empty on a borrowed Executor
    result    the Run of a job that is done;  error: the sentence of one that failed
    """

    id: str
    slug: str
    owner: str
    sources: Sequence[Source] = field(repr=False)
    settings: Mapping[str, object]
    _jobs: "Jobs" = field(repr=False)
    state: str = "queued"
    fraction: float = 0.0
    message: str = ""
    shown: list = field(default_factory=list, repr=False)
    error: VitrineError | None = None
    result: Run | None = None
    stop_asked: bool = False
    submitted: float = field(default_factory=time.monotonic)
    started: float | None = None
    ended: float | None = None

    @property
    def finished(self) -> bool:
        """True when the job is done, failed or cancelled."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def ahead(self) -> int:
        """How many unfinished jobs come before this one: those that run and those earlier in line; 0 once it runs."""
        return self._jobs.ahead(self)

    @property
    def seconds_so_far(self) -> float:
        """Seconds of work, not of waiting."""
        return 0.0 if self.started is None else (self.ended or time.monotonic()) - self.started

    @property
    def seconds_left(self) -> float | None:
        """A guess at the seconds until the end; None while there is nothing to guess from."""
        return self._jobs.seconds_left(self)

    def cancel(self) -> None:
        """Leave the line, or stop the work within about two seconds."""
        self._jobs.cancel(self)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the job is finished (for endpoints and tests, never for a page). False after `timeout` seconds."""
        return self._jobs.wait(self, timeout)


class Jobs:
    """The line and its lanes. `make_executor` gives a lane an Executor of its own instead of a worker process."""

    def __init__(self, workers: int, queue_limit: int = QUEUE_LIMIT, make_executor: Callable[[], Executor] | None = None, *, work: str = WORK) -> None:
        self.workers = workers
        self._limit, self._work, self._make = queue_limit, work, make_executor
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: set[Job] = set()
        self._known: dict[str, Job] = {}
        self._seconds: dict[str, deque[float]] = {}
        self._warming: dict[str, set[int]] = {}
        self._cold: dict[str, str] = {}
        self._closing = False
        self._lanes = [threading.Thread(target=self._serve, args=(n,), name=f"lane-{n}", daemon=True) for n in range(workers)]
        for lane in self._lanes:
            lane.start()

    # ---- what pages call

    def submit(self, slug: str, sources: Sequence[Source], settings: Mapping[str, object], owner: str) -> Job:
        """Put a job in line. Raises BusyError when the line is full or this owner already has three unfinished jobs."""
        with self._changed:
            self._forget_old()
            if self._closing:
                raise BusyError("The studio is closing. Start it again to run this.")
            if len(self._waiting) >= self._limit:
                raise BusyError(f"{len(self._waiting)} jobs are waiting, which is as many as the line holds. Try again when one of them is done.")
            if sum(job.owner == owner and not job.finished for job in self._known.values()) >= OWN_LIMIT:
                raise BusyError(f"You have {OWN_LIMIT} unfinished jobs, which is the limit for one visitor. Wait for one to finish or cancel it.")
            job = Job(secrets.token_urlsafe(16), slug, owner, tuple(sources), dict(settings), self)
            self._known[job.id] = job
            self._waiting.append(job)
            self._changed.notify_all()
        return job

    def get(self, job_id: str, owner: str) -> Job | None:
        """The job of this id if it is this owner's and still known, else None."""
        with self._changed:
            self._forget_old()
            job = self._known.get(job_id)
            return job if job and job.owner == owner else None

    def of(self, owner: str) -> list[Job]:
        """This owner's jobs that are still known, oldest first (a reloaded page finds its job again)."""
        with self._changed:
            self._forget_old()
            return [job for job in self._known.values() if job.owner == owner]

    def collect(self, job: Job) -> None:
        """Forget a finished job, its inputs and its result: the page has them now."""
        with self._changed:
            if job.finished:
                self._known.pop(job.id, None)

    def forget(self, owner: str) -> None:
        """Cancel and drop everything of this owner."""
        for job in self.of(owner):
            self.cancel(job)
            with self._changed:
                self._known.pop(job.id, None)

    def warm(self, slugs: Iterable[str]) -> None:
        """Load these exhibits in every lane, behind whatever visitors ask for."""
        with self._changed:
            for slug in slugs:
                self._warming.setdefault(slug, set(range(self.workers)))
            self._changed.notify_all()

    def state(self) -> dict:
        """Figures for /api/health: workers, waiting, running, limit, loading (slugs not yet warm), cold (slug -> why it would not load)."""
        with self._changed:
            loading = [slug for slug, lanes in self._warming.items() if lanes]
            return {"workers": self.workers, "waiting": len(self._waiting), "running": len(self._running), "limit": self._limit,
                    "loading": loading, "cold": dict(self._cold)}

    def close(self) -> None:
        """Cancel what waits, end what runs and the workers; returns when the lanes are gone (2 s at most a lane)."""
        with self._changed:
            self._closing = True
            for job in self._known.values():
                job.stop_asked = True
            while self._waiting:
                self._end(self._waiting.popleft(), "cancelled")
            self._changed.notify_all()
        for lane in self._lanes:
            lane.join(timeout=SECONDS_TO_STOP + 1)

    def __enter__(self) -> "Jobs":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    # ---- what a Job asks

    def ahead(self, job: Job) -> int:
        with self._changed:
            return len(self._running) + self._waiting.index(job) if job in self._waiting else 0

    def seconds_left(self, job: Job) -> float | None:
        if job.finished:
            return 0.0
        typical = statistics.median(self._seconds[job.slug]) if self._seconds.get(job.slug) else None
        if job.state == "queued":
            return None if typical is None else typical * (1 + job.ahead // self.workers)
        so_far = job.seconds_so_far
        if job.fraction >= 0.1 and so_far >= 0.5:
            return so_far * (1 - job.fraction) / job.fraction
        return None if typical is None or typical < so_far else typical - so_far

    def cancel(self, job: Job) -> None:
        with self._changed:
            job.stop_asked = True
            if job in self._waiting:
                self._waiting.remove(job)
                self._end(job, "cancelled")

    def wait(self, job: Job, timeout: float | None) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: job.finished, timeout)

    # ---- a lane's thread

    def _serve(self, number: int) -> None:
        lane = BorrowedLane(self._make()) if self._make else ProcessLane()
        try:
            while (task := self._take(number)) is not None:
                if isinstance(task, Job):
                    self._carry(lane, task)
                else:
                    self._warm_one(lane, number, task)
        finally:
            lane.close()

    def _take(self, number: int) -> Job | str | None:
        """The next job; a slug to warm when nobody waits; None when the house closes."""
        with self._changed:
            while not self._closing:
                if self._waiting:
                    job = self._waiting.popleft()
                    self._running.add(job)
                    job.state, job.started = "running", time.monotonic()
                    return job
                cold = next((slug for slug, lanes in self._warming.items() if number in lanes), None)
                if cold is not None:
                    return cold
                self._changed.wait()
        return None

    def _carry(self, lane, job: Job) -> None:
        """Run one job on this lane and write down how it ended."""
        try:
            state, value = self._run(lane, job.id, self._work, (job.slug, job.sources, job.settings), job)
        except BaseException as error:  # a lane survives whatever a task throws
            _log.exception("Job %s of %s broke its lane", job.id, job.slug)
            state, value = "failed", WorkerError(f"The job could not be carried out ({type(error).__name__}); the log says more. Run it again.")
        with self._changed:
            if job.stop_asked and state != "done":
                self._end(job, "cancelled")
            elif state == "done":
                self._seconds.setdefault(job.slug, deque(maxlen=16)).append(job.seconds_so_far)
                job.fraction, job.result = 1.0, value
                self._end(job, "done")
            else:
                job.error = value
                self._end(job, "failed")

    def _warm_one(self, lane, number: int, slug: str) -> None:
        state, value = self._run(lane, "warm", WARM, (slug,), None)
        with self._changed:
            self._warming[slug].discard(number)
            if state != "done":
                self._cold[slug] = str(value)
            self._changed.notify_all()

    def _run(self, lane, key: str, work: str, arguments: tuple, job: Job | None) -> tuple[str, object]:
        """("done", result) or ("failed", VitrineError). A worker that died before it began is replaced and asked once more."""
        for last in (False, True):
            begun = [False]
            try:
                future = lane.submit(key, work, arguments)
                if not self._watch(lane, key, future, job, begun):
                    self._renew(lane)
                    return "failed", WorkerError("The work did not stop when asked; its worker was ended and a fresh one has taken its place.")
                state, value = future.result()
                break
            except (BrokenExecutor, CancelledError) as error:
                self._renew(lane)
                stopped = self._closing or job is not None and job.stop_asked
                if stopped or last or begun[0]:
                    _log.warning("The worker of %s died: %r", key, error)
                    return "failed", WorkerError("The worker on this job died (ended from outside, out of memory, or a crash in native code). "
                                                 "A fresh one has taken its place: run it again, or bring a smaller input.")
        if state == "crashed":
            _log.error("Job %s crashed:\n%s", key, value)
            return "failed", WorkerError("The work failed on this input in a way it does not explain; the server's log has the details. Try another input.")
        return state, value

    def _renew(self, lane) -> None:
        if not self._closing:
            lane.replace()

    def _watch(self, lane, key: str, future: Future, job: Job | None, begun: list[bool]) -> bool:
        """Follow a task to its end; False when it ignored the wish to stop for two seconds."""
        asked = None
        while True:
            ended = bool(wait([future], timeout=TICK).done)
            for about, *said in lane.reports():
                if about == key:
                    begun[0] = True
                    if job is not None:
                        _note(job, *said)
            if ended:
                return True
            if asked is None and (self._closing or job is not None and job.stop_asked):
                asked = time.monotonic()
                lane.stop(key, future)
            if asked is not None and (self._closing or time.monotonic() - asked > SECONDS_TO_STOP):
                return False

    # ---- with the lock held

    def _end(self, job: Job, state: str) -> None:
        job.state, job.ended = state, time.monotonic()
        self._running.discard(job)
        self._changed.notify_all()

    def _forget_old(self) -> None:
        horizon = time.monotonic() - SECONDS_KEPT
        for key in [k for k, job in self._known.items() if job.ended is not None and job.ended < horizon]:
            del self._known[key]


def _note(job: Job, fraction: float | None, message: object) -> None:
    if fraction is None:
        job.shown.append(message)
    else:
        job.fraction, job.message = max(0.0, min(fraction, 1.0)), message


def default_workers() -> int:
    """As many as there are cores, four at most: every worker holds the models in memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 4)


_settings: dict = {"workers": None, "cluster": None}
_one: Jobs | None = None
_one_lock = threading.Lock()


def configure(workers: int | None = None, cluster: str | None = None) -> None:
    """Say how wide the process-wide line is, or which Dask scheduler does the work; before the first `jobs()`."""
    _settings.update(workers=workers, cluster=cluster)


def jobs() -> Jobs:
    """The process-wide line, made on the first call. Raises EngineError when the cluster cannot be reached."""
    global _one
    with _one_lock:
        if _one is None:
            address = _settings["cluster"]
            _one = on_cluster(address) if address else Jobs(_settings["workers"] or default_workers())
            atexit.register(_one.close)
        return _one


def close() -> None:
    """Close the process-wide line if there is one; the next `jobs()` makes another."""
    global _one
    with _one_lock:
        one, _one = _one, None
    if one is not None:
        atexit.unregister(one.close)
        one.close()


def on_cluster(address: str, queue_limit: int = QUEUE_LIMIT, work: str = WORK) -> Jobs:
    """Jobs whose work is done by the workers of the Dask scheduler at `address` (they need this repository on their path)."""
    try:
        from distributed import Client
    except ImportError as missing:
        raise EngineError("--cluster needs the package distributed, which is not installed here. Install it with: pip install distributed") from missing
    try:
        client = Client(address, timeout=SCHEDULER_SECONDS, set_as_default=False)
        threads = sum(client.nthreads().values())
    except (OSError, ValueError) as refused:
        raise EngineError(f"No Dask scheduler answers at {address}. Start one there, or leave --cluster out to work on this machine.") from refused
    if not threads:
        raise EngineError(f"The Dask scheduler at {address} has no workers. Start some, or leave --cluster out to work on this machine.")
    return Jobs(min(threads, 64), queue_limit, partial(client.get_executor, pure=False), work=work)
