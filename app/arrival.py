"""The first sample's result is there on arrival: run once for the whole house, kept in memory, shared by all visitors (never an upload)."""

import threading

from app.desk import Desk, View, take_sample
from app.execute import Run
from app.jobs import Job, jobs
from app.registry import Exhibit
from core.errors import VitrineError
from core.exhibit import Source

HOUSE = "house"
_lock = threading.Lock()
_under_way: dict[str, str] = {}
_ready: dict[str, Run] = {}


def prepare(row: Exhibit) -> Run | None:
    """The arrival sample's run; starts it when nobody has yet, None while it is under way or when it cannot be run now."""
    with _lock:
        if row.slug in _ready or not row.samples:
            return _ready.get(row.slug)
        made = job(row)
        if made is not None and made.state == "done":
            _ready[row.slug] = made.result
            return made.result
        if made is None or made.state in ("failed", "cancelled"):
            _start(row)
        return None


def job(row: Exhibit) -> Job | None:
    """The arrival sample's job while it is known."""
    return jobs().get(_under_way[row.slug], HOUSE) if row.slug in _under_way else None


def _start(row: Exhibit) -> None:
    sample = row.samples[0]
    try:
        _under_way[row.slug] = jobs().submit(row.slug, (Source(sample.file, sample.path.read_bytes()),), {**sample.settings, **row.on_page}, HOUSE).id
    except VitrineError:
        _under_way.pop(row.slug, None)


def greet(row: Exhibit, place: Desk) -> bool:
    """Put the arrival sample's result on an empty desk. True while it is still being made."""
    if place.view or place.job or place.error or place.sources or not row.samples:
        return False
    run = prepare(row)
    if run is None:
        return True
    take_sample(row, row.samples[0])
    place.view = View(row.slug, run.record, run.files, run.trace, place.sources,
                      unsaved="This is the built-in sample, read when the studio started. Read it again to get a run of your own.")
    return False
