"""What every system package hands to the studio: sources in, an outcome out, and how progress and settings are passed."""

import dataclasses
import hashlib
import re
import time
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.errors import ConfigError

Progress = Callable[[float, str], None]
"""progress(fraction in [0, 1], what is being done). Raises `Cancelled` when the visitor has asked to stop."""


def silent(fraction: float, message: str) -> None:
    """The progress of somebody who does not look."""


def show(progress: Progress, payload: object) -> None:
    """Hand out something to look at before the work is done (plain values, picklable); whoever carries `progress` may have no way to show it."""
    carry = getattr(progress, "show", None)
    if carry is not None:
        carry(payload)


def part(progress: Progress, begin: float, end: float) -> Progress:
    """A share of a progress bar as a progress of its own; what is shown on the way goes through."""
    def share(fraction: float, message: str) -> None:
        progress(begin + (end - begin) * min(1.0, max(0.0, fraction)), message)

    share.show = lambda payload: show(progress, payload)
    return share


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Adds the wall seconds of what happens inside to a stage."""
    begun = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - begun


@dataclass(frozen=True)
class Source:
    """One input as it was brought: a name to show, never a path to trust, and the bytes."""

    name: str
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What one run of an exhibit made.

    files    name -> bytes: what a visitor downloads and `launch.py run` writes.
    trace    name -> bytes: what only the page shows (intermediate pictures, region lists); saved with the run.
    metrics  JSON values: counts and scores of this run.
    seconds  stage -> seconds, in the order of the stages.
    notes    sentences a visitor has to know ("Page 1 of 500 was read").
    models   name -> version of every engine or weight file used.
    """

    files: Mapping[str, bytes]
    trace: Mapping[str, bytes] = field(default_factory=dict)
    metrics: Mapping[str, object] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None


def stems(sources: Sequence[Source], otherwise: str = "input") -> list[str]:
    """One file stem per source: its name without folder and ending, made safe for any file system and unique; `otherwise` where nothing is left of it."""
    taken: set[str] = set()
    found = []
    for source in sources:
        bare = re.split(r"[/\\]", source.name)[-1]
        clean = re.sub(r"[^\w .()+-]", "_", re.sub(r"(?<=.)\.[A-Za-z0-9]{1,5}$", "", bare)).strip(" .")[:80] or otherwise
        stem = next(s for n in range(1, len(sources) + 2) if (s := clean if n == 1 else f"{clean}-{n}").casefold() not in taken)
        taken.add(stem.casefold())
        found.append(stem)
    return found


def option(default, label: str, *, choices: Sequence = (), low=None, high=None, help: str = "", shown: bool = True, file: bool = False):
    """A config field with what a form and the command line need: label, allowed values or range, help; shown=False hides it on pages.

    file=True: the value is the name of one of the sources; the command line takes a path there and brings that file along.
    """
    return field(default=default, metadata=dict(label=label, choices=tuple(choices), low=low, high=high, help=help, shown=shown, file=file))


def _convert(name: str, value, wanted: type):
    if isinstance(value, wanted) and not (wanted is int and isinstance(value, bool)):
        return value
    if wanted is bool and str(value).lower() in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        return str(value).lower() in ("1", "true", "yes", "on")
    try:
        return wanted(value) if wanted is not bool else _fail(name, value, "true or false")
    except (TypeError, ValueError):
        return _fail(name, value, {int: "a whole number", float: "a number"}.get(wanted, wanted.__name__))


def _fail(name: str, value, wanted: str):
    raise ConfigError(f"The setting {name}={value!s} is not valid: it takes {wanted}.")


def configure(config_class: type, settings: Mapping[str, object]):
    """Build a config dataclass from plain settings (strings are converted).

    Raises ConfigError for an unknown key, a value outside `choices` or outside [low, high].
    """
    fields = {f.name: f for f in dataclasses.fields(config_class)}
    hints = typing.get_type_hints(config_class)
    values = {}
    for name, value in settings.items():
        if name not in fields:
            raise ConfigError(f"There is no setting {name!r}. This exhibit has: {', '.join(fields)}.")
        hint, meta = hints[name], fields[name].metadata
        wanted = type(meta["choices"][0]) if meta.get("choices") else hint if not isinstance(hint, types.UnionType) else str
        value = _convert(name, value, wanted)
        if meta.get("choices") and value not in meta["choices"]:
            _fail(name, value, " or ".join(map(str, meta["choices"])))
        low, high = meta.get("low"), meta.get("high")
        if (low is not None and not value >= low) or (high is not None and not value <= high):  # so written, nan is refused too
            _fail(name, value, f"{low} to {high}")
        values[name] = value
    return config_class(**values)
