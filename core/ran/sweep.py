"""Sweeps: any parameters against any others, one child seed per point, results as they finish, over any `concurrent.futures.Executor`.

    points = grid({"snr_db": [0, 10, 20], "streams_per_trp": [1, 2]}, fixed={"scenario": s, "drops": 30}, seed=7, paired=("snr_db",))
    for result in sweep("core.dmimo.link:simulate_point", points, cache=default_cache(), progress=progress):
        ...                                  # result.point, .value or .error, .seconds, .cached, .index

`sweep` calls work(**point.params, seed=point.seed). Without an executor it takes the cluster it already runs on (inside a task of a Dask worker)
or this machine's warm pool (`local_executor`). What was computed lies in the cache as soon as it arrives, so that to resume is to sweep again.
"""

import contextlib
import hashlib
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np

from core.errors import Cancelled, ConfigError, EngineError, LimitError, VitrineError
from core.exhibit import Progress, silent
from core.ran.pool import WorkerDied, cores, local_executor
from core.ran.result_cache import Cache, canonical, default_cache, from_text, key_of, to_text

__all__ = ["Cache", "Cluster", "Grid", "Point", "PointResult", "default_cache", "expected_seconds", "grid", "here", "listed", "local_executor", "on_cluster", "sweep"]

MOST_POINTS = 10_000
"""A longer sweep says first how long it would take."""
TICK = 0.1
SECONDS_BETWEEN_REPORTS = 0.05
SECONDS_TO_ESTIMATE = 20.0
ATTEMPTS = 2
HITS_AT_ONCE = 64


# ---------------------------------------------------------------- points

@dataclass(frozen=True)
class Point:
    """One point of a sweep: what the work is called with, and the child seed that is its own."""

    params: Mapping[str, object]
    seed: int
SCHEDULER_SECONDS = 8
"""How long a Dask scheduler may take to answer."""


@dataclass(frozen=True)
class PointResult:
    """How one point ended.

    value    what the work returned (as JSON keeps it: tuples come back as lists), None where it failed
    error    "Family: sentence" of an exception or of a worker's death, None where it did not fail
    seconds  of work in the worker; of the first computation where the value came from the cache
    index    the point's place in the sweep
    """

    point: Point
    value: object | None
    error: str | None
    seconds: float
    cached: bool
    index: int

    def rows(self) -> list[dict]:
        """One flat row per dict in the value (one row for a failed point): the plain parameters, the value's own keys, seed, and error."""
        plain = {name: value for name, value in self.point.params.items() if value is None or isinstance(value, (bool, int, float, str, np.generic))}
        values = self.value if isinstance(self.value, list) else [self.value]
        found = [value if isinstance(value, dict) else {} if value is None else {"value": value} for value in values] or [{}]
        return [{**plain, **value, "seed": self.point.seed, "error": self.error or ""} for value in found]


class Grid(Sequence[Point]):
    """Every combination of the axes' values, the last axis fastest; made when asked for, so a large grid costs nothing until it runs."""

    def __init__(self, axes: Mapping[str, Sequence], fixed: Mapping[str, object], seed: int, paired: Collection[str]) -> None:
        _check_names(axes, fixed, paired)
        self._axes = {name: tuple(values) for name, values in axes.items()}
        self._fixed, self._seed, self._paired = dict(fixed), _checked_seed(seed), frozenset(paired)

    def __len__(self) -> int:
        return math.prod(len(values) for values in self._axes.values())

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        rest = range(len(self))[index]
        chosen = {}
        for name, values in reversed(self._axes.items()):
            rest, place = divmod(rest, len(values))
            chosen[name] = values[place]
        chosen = dict(reversed(chosen.items()))
        return Point({**self._fixed, **chosen}, child_seed(self._seed, chosen, self._paired))


def grid(axes: Mapping[str, Sequence], fixed: Mapping[str, object] = {}, seed: int = 0, paired: Collection[str] = ()) -> Grid:
    """The points of a cartesian grid.

    axes    name -> the values it takes
    fixed   parameters that all points share; they do not change the child seeds
    paired  axes that do not change the child seeds either: points that differ only there see the same draws (common random numbers)
    Raises ConfigError for a name on both sides, an unknown paired name or a negative seed.
    """
    return Grid(axes, fixed, seed, paired)


def listed(rows: Sequence[Mapping[str, object]], fixed: Mapping[str, object] = {}, seed: int = 0, paired: Collection[str] = ()) -> list[Point]:
    """The points of a list of parameter rows; child seeds as for `grid`, so equal rows see equal draws."""
    for row in rows:
        _check_names(row, fixed, ())
    seed = _checked_seed(seed)
    return [Point({**fixed, **row}, child_seed(seed, row, frozenset(paired))) for row in rows]


def child_seed(seed: int, params: Mapping[str, object], paired: Collection[str] = ()) -> int:
    """The seed of one point: numpy's SeedSequence(seed) with the hash of its parameters as spawn key, 53 bits (a whole number in any file format).

    It hangs on what the point is, not on where it stands: a point added to a sweep changes no other.
    """
    own = canonical({name: value for name, value in params.items() if name not in paired})
    words = np.frombuffer(hashlib.sha256(own.encode("utf8", "surrogatepass")).digest()[:16], "<u4")
    return int(np.random.SeedSequence(seed, spawn_key=tuple(map(int, words))).generate_state(1, np.uint64)[0] >> 11)


def _check_names(axes: Mapping, fixed: Mapping, paired: Collection[str]) -> None:
    if both := sorted(set(axes) & set(fixed)):
        raise ConfigError(f"{both[0]} is varied and fixed at the same time. Leave it out on one side.")
    if "seed" in {*axes, *fixed}:
        raise ConfigError("seed is given to every point by the sweep itself. Vary another parameter, or sweep again with another seed.")
    if unknown := sorted(set(paired) - set(axes)):
        raise ConfigError(f"{unknown[0]} is paired but not varied. Varied are: {', '.join(axes)}.")


def _checked_seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ConfigError(f"The seed {seed!r} is not valid: it takes a whole number from 0.")
    return int(seed)


# ---------------------------------------------------------------- where points run

class Cluster(Executor):
    """The workers of a Dask scheduler as an Executor; they need this repository on their path."""

    def __init__(self, client, inside: bool = False) -> None:
        self._client, self._inside = client, inside
        self._executor = client.get_executor(pure=False)

    @property
    def width(self) -> int:
        """Threads of all workers that are there now."""
        return max(1, sum(self._client.nthreads().values()))

    def submit(self, fn: Callable, /, *args, **kwargs) -> Future:
        return self._executor.submit(fn, *args, **kwargs)

    def stop(self, future: Future) -> None:
        """Take a task back; one that runs is no longer waited for."""
        future.cancel()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the scheduler; inside a task the connection is the worker's own and stays."""
        self._executor.shutdown(wait=wait and not cancel_futures)
        if not self._inside:
            self._client.close()

    @contextlib.contextmanager
    def step_aside(self) -> Iterator[None]:
        """While entered, a task that waits for its points does not hold a place on its worker (else a full cluster waits for itself)."""
        if not self._inside:
            yield
            return
        from distributed import rejoin, secede
        secede()
        try:
            yield
        finally:
            rejoin()


def on_cluster(address: str) -> Cluster:
    """The Dask cluster whose scheduler is at `address` ("tcp://host:8786"). Raises EngineError in a sentence within about 10 s."""
    try:
        from distributed import Client
    except ImportError as missing:
        raise EngineError("A cluster needs the package distributed, which is not installed here. Install it with: pip install distributed") from missing
    try:
        client = Client(address, timeout=SCHEDULER_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as refused:
        raise EngineError(f"No Dask scheduler answers at {address}. Start one there, or leave the cluster out to work on this machine.") from refused
    if not client.nthreads():
        client.close()
        raise EngineError(f"The Dask scheduler at {address} has no workers. Start some, or leave the cluster out to work on this machine.")
    return Cluster(client)


def here() -> Executor:
    """The executor for where this code runs: the cluster of the Dask task it is part of, else this machine's warm pool."""
    if "distributed" in sys.modules:
        from distributed import get_client, get_worker
        with contextlib.suppress(ValueError):        # no task of a Dask worker
            get_worker()
            return Cluster(get_client(), inside=True)
    return local_executor()


# ---------------------------------------------------------------- the sweep

def never() -> bool:
    """The `cancelled` of somebody who does not stop."""
    return False


def sweep(work: str | Callable, points: Sequence[Point], executor: Executor | None = None, cache: Cache | None = None, progress: Progress = silent,
          cancelled: Callable[[], bool] = never, most_points: int = MOST_POINTS, way_out: str = "") -> Iterator[PointResult]:
    """Run work(**params, seed=seed) for every point and yield each point's result exactly once, as they finish.

    work         "module:function", or a function at the top of an importable module; its value is JSON (numbers, text, lists, dicts, arrays)
    executor     any stdlib Executor; None: `here()`
    progress     called at least every 0.1 s with the share that is done; what it raises (Cancelled) stops the sweep and the work in flight
    cancelled    asked as often; True stops the sweep with Cancelled
    most_points  longer sweeps are refused with an estimate of their duration, measured on the first point
    way_out      the end of that sentence where a caller's setting has another name ("Set long=true to run it all the same.")
    A point whose work raises is a result with an error; a worker that dies is replaced and its point tried once more.
    Raises ConfigError (work that cannot be found), LimitError (longer than most_points), Cancelled.
    """
    name = _named(work)
    if executor is None:
        executor = here()
    run = _Sweep(name, points, executor, cache, progress, cancelled)
    if len(points) > most_points:
        raise LimitError(_asking(len(points), most_points, run.first(), _width(executor), way_out))
    return run.results()


def expected_seconds(work: str | Callable, points: Sequence[Point], executor: Executor | None = None, cache: Cache | None = None,
                     progress: Progress = silent, cancelled: Callable[[], bool] = never) -> float:
    """How long a sweep would take here, measured on its first point, which then is in the cache; inf where that takes over 20 s; nan where it fails."""
    if executor is None:
        executor = here()
    first = _Sweep(_named(work), points, executor, cache, progress, cancelled).first()
    return float("inf") if first is None else float("nan") if first.error else first.seconds * len(points) / _width(executor)


def _named(work: str | Callable) -> str:
    name = work if isinstance(work, str) else f"{getattr(work, '__module__', '')}:{getattr(work, '__qualname__', '')}"
    module, _, function = name.partition(":")
    if module in ("", "__main__") or not function.isidentifier():
        raise ConfigError(f"The work {name!r} cannot be found by a worker. Name a function at the top of an importable module, as in module:function.")
    return name


def _width(executor: Executor) -> int:
    return getattr(executor, "width", None) or getattr(executor, "_max_workers", None) or cores()


def _asking(points: int, most: int, first: PointResult | None, width: int, way_out: str) -> str:
    """The question before a long sweep: how long it would take by its first point (None: that one did not end in time) and what allows it."""
    seconds = first.seconds if first else SECONDS_TO_ESTIMATE
    whole = f"{'about' if first else 'more than'} {_duration(seconds * points / width)} ({seconds:.2g} s a point, measured on the first, {width} at a time)"
    found = f"its first point failed ({first.error})" if first and first.error else f"it would take {whole}"
    return (f"A sweep of {points:,} points is longer than the {most:,} that run without asking: {found}. "
            f"{way_out or f'Set most_points={points} to run it all the same, or vary less.'}")


def _duration(seconds: float) -> str:
    for size, unit in ((86400 * 365, "years"), (86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}" if seconds >= 10 * size else f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def call(work: str, params: Mapping[str, object], seed: int) -> tuple[str, str, float]:
    """What a worker runs: ("done", value as JSON, seconds) or ("failed", "Family: sentence", seconds)."""
    begun = time.perf_counter()
    try:
        module, _, function = work.partition(":")
        function = getattr(import_module(module), function)
        begun = time.perf_counter()              # what it takes to load the work is not the work
        return "done", to_text(function(**params, seed=seed)), time.perf_counter() - begun
    except VitrineError as error:
        return "failed", _reason(error), time.perf_counter() - begun
    except (Exception, SystemExit) as error:
        return "failed", _reason(error), time.perf_counter() - begun


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


@dataclass(eq=False)
class _Task:
    """A point on its way."""

    index: int
    point: Point
    key: str | None
    attempts: int = 1


@dataclass(eq=False)
class _Sweep:
    """One sweep while it runs."""

    work: str
    points: Sequence[Point]
    executor: Executor
    cache: Cache | None
    progress: Progress
    cancelled: Callable[[], bool]
    flying: dict[Future, _Task] = field(default_factory=dict)
    ready: deque[PointResult] = field(default_factory=deque)
    again: deque[_Task] = field(default_factory=deque)
    done: int = 0
    reported: float = -1.0

    def results(self) -> Iterator[PointResult]:
        """Every point's result, once."""
        aside = getattr(self.executor, "step_aside", contextlib.nullcontext)
        ahead, waiting = 2 * _width(self.executor) + 1, iter(enumerate(self.points))
        with aside():
            try:
                while True:
                    self._fill(waiting, ahead)
                    while self.ready:
                        self.done += 1
                        self._report()
                        yield self.ready.popleft()
                    if not self.flying and not self.again:
                        break
                    self._report()
                    self._collect()
            finally:
                self._stop()

    def first(self) -> PointResult | None:
        """The result of the first point, kept for the sweep that may follow; None when it does not end within 20 s."""
        begun = time.perf_counter()
        try:
            self._fill(iter([(0, self.points[0])]), 1)
            while not self.ready and time.perf_counter() - begun < SECONDS_TO_ESTIMATE:
                self._report()
                self._collect()
                self._fill(iter(()), 1)
            return self.ready[0] if self.ready else None
        finally:
            self._stop()

    def _report(self) -> None:
        """Tell how far it is and hear whether to go on."""
        if self.cancelled():
            raise Cancelled(f"The sweep was stopped after {self.done:,} of {len(self.points):,} points.")
        now = time.monotonic()
        if now - self.reported >= SECONDS_BETWEEN_REPORTS or self.done == len(self.points):
            self.reported = now
            self.progress(self.done / max(1, len(self.points)), f"{self.done:,} of {len(self.points):,} points")

    def _fill(self, waiting: Iterator[tuple[int, Point]], ahead: int) -> None:
        """Hand out points until enough are on their way; those in the cache are ready at once."""
        while self.again:
            self._hand_out(self.again.popleft())
        while len(self.flying) < ahead and len(self.ready) < HITS_AT_ONCE and (following := next(waiting, None)) is not None:
            index, point = following
            task = _Task(index, point, None)
            try:
                if self.cache is not None:
                    task.key = key_of(self.work, dict(point.params), point.seed)
            except ConfigError as error:
                self._settle(task, "failed", _reason(error), 0.0)
            else:
                if not self._remembered(task):
                    self._hand_out(task)

    def _remembered(self, task: _Task) -> bool:
        kept = self.cache.get(task.key) if task.key else None
        try:
            seconds, value = from_text(kept) if kept else (None, None)
        except ValueError:
            return False
        if seconds is None:
            return False
        self.ready.append(PointResult(task.point, value, None, float(seconds), True, task.index))
        return True

    def _hand_out(self, task: _Task) -> None:
        try:
            self.flying[self.executor.submit(call, self.work, dict(task.point.params), task.point.seed)] = task
        except Exception as error:               # parameters that cannot be sent, an executor that is broken: a row, not the end of the sweep
            self._settle(task, "failed", _reason(error), 0.0)

    def _collect(self) -> None:
        """Wait a moment for points to end and settle them."""
        for future in wait(self.flying, TICK, FIRST_COMPLETED).done:
            task = self.flying.pop(future)
            try:
                self._settle(task, *future.result())
            except (WorkerDied, BrokenExecutor, CancelledError) as died:
                self._after_death(task, died)
            except Exception as error:           # the way to the worker failed (KilledWorker, an answer that cannot be read)
                self._settle(task, "failed", _reason(error), 0.0)

    def _after_death(self, task: _Task, died: Exception) -> None:
        if task.attempts < ATTEMPTS:
            task.attempts += 1
            self.again.append(task)
        else:
            self._settle(task, "failed", f"WorkerError: The worker on this point died {ATTEMPTS} times ({type(died).__name__}: ended from outside, "
                                         "out of memory, or a crash in native code).", 0.0)

    def _settle(self, task: _Task, state: str, text: str, seconds: float) -> None:
        if state == "done" and task.key:
            self.cache.put(task.key, f"[{seconds!r},{text}]")
        value, error = (from_text(text), None) if state == "done" else (None, text)
        self.ready.append(PointResult(task.point, value, error, seconds, False, task.index))

    def _stop(self) -> None:
        """Take back what is still on its way: first what waits, or it would begin in the place of what is ended."""
        running = [future for future in self.flying if not future.cancel()]
        for future in running:
            getattr(self.executor, "stop", Future.cancel)(future)
        self.flying.clear()
