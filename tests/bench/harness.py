"""What every benchmark shares: interleaved CPU timing, ratios with their spread, rivals in environments of their own, and the printed report."""

import contextlib
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.bench import ONE_THREAD

ROOT = Path(__file__).resolve().parents[2]
RIVALS = ROOT / ".rivals"
REQUIREMENTS = Path(__file__).resolve().parent / "rivals"


class RivalMissing(Exception):
    """The rival cannot be had or has died; the message is the reason, in one line."""


# Timing

def interleave(calls: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time) -> dict[str, list[float]]:
    """CPU seconds of each call, `rounds` times, one of each in turn; the order is turned round every other round, so no one always comes second."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name in list(calls)[::-1 if turn % 2 else 1]:
            begun = clock()
            calls[name]()
            times[name].append(clock() - begun)
    return times


@dataclass(frozen=True)
class Ratio:
    """ours / rival over paired measurements: the median, and the 10th and 90th percentile."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.low:.3f}-{self.high:.3f}]"


def ratio(ours: Sequence[float], rival: Sequence[float]) -> Ratio:
    """Ratio of paired times. Raises ValueError when they do not pair up or there are none."""
    if len(ours) != len(rival) or not len(ours):
        raise ValueError(f"{len(ours)} and {len(rival)} times do not pair up.")
    quotients = np.asarray(ours) / np.maximum(np.asarray(rival), 1e-9)
    low, median, high = np.percentile(quotients, [10, 50, 90])
    return Ratio(float(median), float(low), float(high))


# Rivals

def prepare(name: str, folder: Path = RIVALS, requirements: Path | None = None, say: Callable[[str], None] = lambda line: print(line, file=sys.stderr)) -> Path:
    """The Python of the rival's environment, made once from its pinned list; a stamp of that list says that it is whole.

    Raises RivalMissing with the reason; an environment that was not finished is taken away.
    """
    requirements = requirements or REQUIREMENTS / f"{name}.txt"
    home = folder / name
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp, wanted = home / "stamp", hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted and python.exists():
        return python
    say(f"Setting up {name} in an environment of its own (once) ...")
    shutil.rmtree(home, ignore_errors=True)
    try:
        _run([sys.executable, "-m", "venv", str(home)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "-r", str(requirements)])
    except RivalMissing:
        shutil.rmtree(home, ignore_errors=True)
        raise
    stamp.write_text(wanted)
    return python


def _run(command: Sequence[str]) -> None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RivalMissing(f"It could not be installed: {type(error).__name__}.") from error
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if "ERROR" in line] or result.stderr.splitlines() or ["no message"]
        raise RivalMissing(f"It could not be installed: {lines[-1].strip()[:200]}")


class Worker:
    """A script of the rival's in its own process: one JSON line asked, one answered; its time is its own to measure."""

    def __init__(self, python: Path | str, script: Path, timeout: float = 120.0) -> None:
        self.timeout = timeout
        self.process = subprocess.Popen([str(python), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True, encoding="utf8", env={**os.environ, **ONE_THREAD})
        self.hello = self._answer()

    def ask(self, **question) -> dict:
        """The answer to one question. Raises RivalMissing when the process is dead or takes longer than the timeout."""
        try:
            print(json.dumps(question), file=self.process.stdin, flush=True)
        except OSError as error:
            raise RivalMissing("Its process has ended.") from error
        return self._answer()

    def _answer(self) -> dict:
        late = threading.Event()

        def stop():
            late.set()
            self.process.kill()

        timer = threading.Timer(self.timeout, stop)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            raise RivalMissing(f"It gave no answer within {self.timeout:g} s." if late.is_set() else "Its process has ended.")
        return json.loads(line)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        with contextlib.suppress(OSError):       # a process that has died cannot take what is still in the pipe
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


# Report

@dataclass
class Section:
    """One table of the report: what it measures, how, and its rows (name -> value, the same names in the same order as far as they are there)."""

    key: str
    title: str
    note: str
    rows: list[dict] = field(default_factory=list)

    def skip(self, reason: str) -> "Section":
        self.rows.append({"name": "skipped", "reason": reason})
        return self


def as_text(section: Section) -> str:
    """The section as aligned columns; "none" where it has no row."""
    if not section.rows:
        return f"{section.title}\n  ({section.note})\n  none\n"
    heads = list(dict.fromkeys(name for row in section.rows for name in row))
    body = [[_cell(row.get(name)) for name in heads] for row in section.rows]
    widths = [max(map(len, column)) for column in zip(heads, *body)]
    lines = ["  ".join(text.ljust(width) if k == 0 else text.rjust(width) for k, (text, width) in enumerate(zip(line, widths))).rstrip() for line in [heads, *body]]
    return "\n".join([section.title, f"  ({section.note})" if section.note else "", *(f"  {line}" for line in lines), ""])


def _cell(value) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.2f}" if abs(value) >= 0.095 or not value else f"{value:.4f}"
    return "" if value is None else str(value)


def as_json(value):
    """Plain JSON values: ratios as objects, nan as null."""
    if isinstance(value, Ratio):
        return dict(median=value.median, low=value.low, high=value.high)
    if isinstance(value, Section):
        return dict(key=value.key, title=value.title, note=value.note, rows=as_json(value.rows))
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, np.generic):
        return as_json(value.item())
    return None if isinstance(value, float) and math.isnan(value) else value
