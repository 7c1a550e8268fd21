"""Where sweep points run on this machine: a pool of plain interpreters fed over pipes, kept warm, one BLAS thread each.

It works from a worker process of the studio as well as from a command line: a child never runs `__main__` again, it leaves as soon as its
parent is gone, and one that dies takes nothing but its own task with it.
"""

import atexit
import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from importlib import import_module

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
SECONDS_IDLE = 900.0
"""A worker with nothing to do for this long leaves; the next task starts a fresh one."""


class WorkerDied(BrokenExecutor):
    """The process that worked on a task ended before it had an answer."""


class Pool(Executor):
    """An Executor of `workers` processes. `preload` names a module that every worker imports while nothing is asked of it yet."""

    def __init__(self, workers: int, preload: str = "") -> None:
        self.width = workers
        self._preload = preload
        self._line: queue.SimpleQueue = queue.SimpleQueue()
        self._busy: dict[Future, _Worker] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._threads = [threading.Thread(target=self._serve, name=f"pool-{n}", daemon=True) for n in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable, /, *args, **kwargs) -> Future:
        """Run fn(*args, **kwargs) in a worker. Raises what pickling the call raises; the future raises WorkerDied when its worker ends."""
        call, future = pickle.dumps((fn, args, kwargs)), Future()
        if self._closed:
            raise RuntimeError("This pool was shut down.")
        self._line.put((future, call))
        return future

    def stop(self, future: Future) -> None:
        """Give a task up at once: it leaves the line, or its worker is ended (and replaced for the next task)."""
        if not future.cancel():
            with self._lock:                     # held, or the worker might be on the next task by then
                if future in self._busy:
                    self._busy[future].end()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; end the workers when what was asked is done, or at once with cancel_futures."""
        self._closed = True
        if cancel_futures:
            with contextlib.suppress(queue.Empty):
                while True:
                    task = self._line.get_nowait()
                    if task is not None:
                        task[0].cancel()
            with self._lock:
                busy = list(self._busy.values())
            for worker in busy:
                worker.end()
        for _ in self._threads:
            self._line.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _serve(self) -> None:
        """One thread per worker: take a task, hand it over, wait for the answer."""
        worker = _Worker(self._preload)
        while (task := self._line.get()) is not None:
            future, call = task
            if not future.set_running_or_notify_cancel():
                continue
            if not worker.alive:
                worker.end()
                worker = _Worker(self._preload)
            with self._lock:
                self._busy[future] = worker
            try:
                done, value = worker.ask(call)
            except (EOFError, OSError, pickle.UnpicklingError):
                worker.end()
                done, value = False, WorkerDied("The worker process ended before it had an answer.")
            finally:
                with self._lock:
                    del self._busy[future]
            (future.set_result if done else future.set_exception)(value)
        worker.end()


class _Worker:
    """One child interpreter and the two pipes to it."""

    def __init__(self, preload: str) -> None:
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from core.ran.pool import serve; serve({preload!r})"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **ONE_THREAD, "PYTHONPATH": path})

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, call: bytes) -> tuple[bool, object]:
        """(True, result) or (False, exception). Raises EOFError or OSError when the child is gone."""
        pickle.dump(call, self._process.stdin)
        self._process.stdin.flush()
        return pickle.loads(pickle.load(self._process.stdout))

    def end(self) -> None:
        """End the child, in the middle of a task too."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):       # a pipe to a dead child cannot take what is still to be flushed
            self._process.stdin.close()


def serve(preload: str) -> None:
    """The child's life: answer calls from standard input until it closes, which it does when the parent ends in whatever way."""
    calls, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)                                # what the work prints goes to the log, not between the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its children
    line: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_read, args=(calls, line), daemon=True).start()
    if preload:
        with contextlib.suppress(Exception):     # whoever asks for what cannot be imported is told then
            import_module(preload)
    while True:
        try:
            call = line.get(timeout=SECONDS_IDLE)
        except queue.Empty:
            os._exit(0)
        pickle.dump(_answer(call), answers)
        answers.flush()


def _read(calls, line: queue.SimpleQueue) -> None:
    try:
        while True:
            line.put(pickle.load(calls))
    finally:
        os._exit(1)


def _answer(call: bytes) -> bytes:
    try:
        function, args, kwargs = pickle.loads(call)
        return pickle.dumps((True, function(*args, **kwargs)))
    except BaseException as error:               # SystemExit too: a task does not decide over its worker
        try:
            answer = pickle.dumps((False, error))
            pickle.loads(answer)
            return answer
        except Exception:
            return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_pools: dict[int, Pool] = {}
_pools_lock = threading.Lock()


def local_executor(workers: int | None = None, preload: str = "core.ran.sweep") -> Pool:
    """The pool of this process with so many workers (default: one per core), made on the first call and kept warm until the process ends.

    preload  a module that fresh workers import at once; counts for the first call
    """
    width = max(1, workers or cores())
    with _pools_lock:
        if width not in _pools:
            _pools[width] = Pool(width, preload)
            atexit.register(_pools[width].shutdown, wait=False, cancel_futures=True)
        return _pools[width]
