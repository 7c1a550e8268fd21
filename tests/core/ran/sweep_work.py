"""What the sweeps of these tests run in worker processes."""

import os
import signal
import sys
import time
from pathlib import Path

from core.errors import InputError


def echo(seed: int, **params) -> dict:
    """The parameters and where it ran."""
    return {**params, "pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"], "main": getattr(sys.modules["__main__"], "__file__", None)}


def square(x: float, seed: int) -> list[dict]:
    return [{"name": "square", "y": x * x}, {"name": "seed", "y": seed}]


def wrong(x: int, seed: int) -> int:
    """Fails in a different way for each x."""
    if x == 1:
        raise InputError("Too odd.")
    if x == 2:
        raise ZeroDivisionError("of nothing")
    if x == 3:
        sys.exit(3)
    if x == 4:
        return object()
    print("this is not an answer")
    return x


def dies(x: int, folder: str, seed: int) -> int:
    """x = 1 dies every time, x = 2 the first time only; every call leaves a mark."""
    marks = Path(folder)
    first = not list(marks.glob(f"{x}-*"))
    (marks / f"{x}-{time.time_ns()}").touch()
    if x == 1 or (x == 2 and first):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return x


def slow(x: int, seed: int, seconds: float = 30.0, folder: str | None = None) -> int:
    if folder:
        (Path(folder) / f"{x}-{os.getpid()}-{time.time_ns()}").touch()
    time.sleep(seconds)
    return x


def outer(x: int, address: str, seed: int) -> list:
    """A sweep inside a task: where it ran and what it found."""
    from core.ran.sweep import grid, here, sweep

    executor = here()
    found = sorted(r.value for r in sweep("tests.core.ran.sweep_work:slow", grid({"x": range(x)}, {"seconds": 0.01}), executor))
    return [type(executor).__name__, found]


def in_a_lane(points: int, progress) -> list:
    """What a job of the studio does: a sweep on a pool of its own."""
    from core.ran.sweep import grid, local_executor, sweep

    return sorted(r.value for r in sweep("tests.core.ran.sweep_work:slow", grid({"x": range(points)}, {"seconds": 0.0}), local_executor(2), progress=progress))
