"""Where a job runs: a lane owns one worker process (or borrows any stdlib Executor) and carries progress out and the wish to stop in."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from importlib import import_module
from multiprocessing import spawn
from multiprocessing.connection import Connection

from core.errors import Cancelled, VitrineError, WorkerError

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1")
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
NICENESS = 5
SECONDS_BETWEEN_REPORTS = 0.02

_pipe: Connection | None = None


class _WithoutMain:
    """While entered, spawned processes do not run the server's __main__ again: Streamlit puts the page it serves in that place."""

    def __init__(self) -> None:
        self._lock, self._original = threading.Lock(), spawn.get_preparation_data

    def __enter__(self) -> None:
        self._lock.acquire()
        spawn.get_preparation_data = lambda name: {k: v for k, v in self._original(name).items() if not k.startswith("init_main")}

    def __exit__(self, *_) -> None:
        spawn.get_preparation_data = self._original
        self._lock.release()


_without_main = _WithoutMain()


class ProcessLane:
    """One spawned worker process. A worker that dies takes its own job with it and nothing else. niceness: how far behind the server it stands."""

    def __init__(self, niceness: int = NICENESS) -> None:
        self._niceness = niceness
        self._open()

    def _open(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._executor = ProcessPoolExecutor(1, mp_context=context, initializer=_enter, initargs=(far, self._niceness))
        with _without_main:
            self._pid = self._executor.submit(os.getpid)  # starts the process now, while the far end is still ours to hand over
        far.close()

    def submit(self, key: str, work: str, arguments: tuple) -> Future:
        """Start work ("module:function") with these arguments and a progress. Raises BrokenExecutor when the worker died while idle."""
        return self._executor.submit(perform, key, work, arguments)

    def reports(self) -> list[tuple[str, float | None, object]]:
        """(key, fraction, message), or (key, None, something to look at), that arrived since the last call, oldest first."""
        found = []
        with contextlib.suppress(EOFError, OSError):  # the worker is gone; its future says so
            while self._pipe.poll():
                found.append(self._pipe.recv())
        return found

    def stop(self, key: str, future: Future) -> None:
        """Ask the worker to leave the job at its next progress report."""
        with contextlib.suppress(OSError):  # a worker that is dead need not be asked
            self._pipe.send(key)

    def replace(self) -> None:
        """End the worker at once and start a fresh one."""
        self.close()
        self._open()

    def close(self) -> None:
        """End the worker, in the middle of a job too."""
        self._kill()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._pipe.close()

    def _kill(self) -> None:
        # A worker that still starts is waited for: only then is its number known.
        with contextlib.suppress(BrokenExecutor, CancelledError, TimeoutError, OSError):  # it never started, or is already gone
            os.kill(self._pid.result(timeout=10), getattr(signal, "SIGKILL", signal.SIGTERM))


class BorrowedLane:
    """A place on somebody else's Executor (a Dask cluster, a thread pool): no progress between start and end."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, key: str, work: str, arguments: tuple) -> Future:
        """Start work ("module:function") with these arguments and a progress."""
        return self._executor.submit(perform, key, work, arguments)

    def reports(self) -> list[tuple[str, float | None, object]]:
        return []

    def stop(self, key: str, future: Future) -> None:
        future.cancel()

    def replace(self) -> None:
        """Nothing to replace: an abandoned task ends when it ends."""

    def close(self) -> None:
        self._executor.shutdown(wait=False)


def _enter(pipe: Connection, niceness: int) -> None:
    """First words of a worker process: one thread per job, below the server's priority, gone when the server is gone."""
    global _pipe
    _pipe = pipe
    os.environ.update(ONE_THREAD | OFFLINE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends its workers
    if hasattr(os, "nice"):
        os.nice(niceness)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def perform(key: str, work: str, arguments: tuple) -> tuple[str, object]:
    """Run work ("module:function") where a worker is: ("done", result), ("failed", VitrineError) or ("crashed", traceback)."""
    report = _reporter(key)
    try:
        report(0.0, "")
        return "done", named(work)(*arguments, report)
    except VitrineError as error:
        return "failed", _portable(error)
    except MemoryError:
        return "failed", WorkerError("This input needs more memory than the machine has free. Bring a smaller one, or run with fewer --workers.")
    except (Exception, SystemExit):
        return "crashed", traceback.format_exc()


def named(work: str):
    """The function that "module:function" names."""
    module, _, function = work.partition(":")
    return getattr(import_module(module), function)


def warm(slug: str, progress) -> None:
    """Load what an exhibit needs, so that the first visitor does not wait for it."""
    from app.registry import exhibit

    exhibit(slug).module().warm()
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def _reporter(key: str):
    """progress(fraction, message) and progress.show(payload) for the pipe; a change of message always goes out, mere fractions at most every 20 ms."""
    last = [-1.0, ""]

    def report(fraction: float, message: str) -> None:
        if _pipe is None:
            return
        while _pipe.poll():
            if _pipe.recv() == key:
                raise Cancelled("The work was stopped.")
        now = time.monotonic()
        if message != last[1] or fraction >= 1 or now - last[0] >= SECONDS_BETWEEN_REPORTS:
            last[:] = now, message
            _pipe.send((key, float(fraction), message))

    def show(payload: object) -> None:
        if _pipe is not None:
            _pipe.send((key, None, payload))

    report.show = show
    return report


def _portable(error: VitrineError) -> VitrineError:
    """The error itself if it survives the way to the server, else its sentence in the nearest class that does."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        known = next(c for c in type(error).__mro__ if c.__module__ == "core.errors")
        return known(str(error))
