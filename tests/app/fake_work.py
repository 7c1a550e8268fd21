"""Work for the tests of the line: picked by settings["do"], importable by a spawned worker."""

import os
import signal
import time

from app.execute import Run
from core.errors import Cancelled, InputError
from core.exhibit import show


class PickyError(InputError):
    """An error that does not survive pickling: its constructor wants two values."""

    def __init__(self, what: str, value: int) -> None:
        super().__init__(f"{what} is {value}.")


def run(slug, sources, settings, progress) -> Run:
    """One fake exhibit."""
    return globals()["do_" + settings["do"]](sources, settings, progress)


def _made(**record) -> Run:
    return Run({"pid": os.getpid(), **record}, {"out.txt": b"made"})


def do_echo(sources, settings, progress):
    return Run({"pid": os.getpid()}, {s.name: s.data for s in sources})


def do_steps(sources, settings, progress):
    for step in range(settings["steps"]):
        progress(step / settings["steps"], f"step {step}")
        time.sleep(settings.get("seconds", 0.0))
    return _made()


def do_deaf(sources, settings, progress):
    progress(0.5, "deaf")
    time.sleep(60)
    return _made()


def do_die(sources, settings, progress):
    progress(0.5, "dying")
    os.kill(os.getpid(), signal.SIGKILL)


def do_wrong(sources, settings, progress):
    raise InputError("The file is empty. Bring one with something in it.")


def do_picky(sources, settings, progress):
    raise PickyError("The width", 7)


def do_bug(sources, settings, progress):
    return {}["missing"]


def do_exit(sources, settings, progress):
    raise SystemExit(3)


def do_threads(sources, settings, progress):
    import cv2

    return _made(cv2=cv2.getNumThreads(), omp=os.environ["OMP_NUM_THREADS"])


def do_showing(sources, settings, progress):
    """Shows each step, and ends with what it has when it is stopped."""
    done = 0
    try:
        for step in range(settings["steps"]):
            progress(step / settings["steps"], "showing")
            show(progress, {"step": step})
            done += 1
            time.sleep(settings.get("seconds", 0.0))
    except Cancelled:
        if not done:
            raise
    return _made(steps=done)
