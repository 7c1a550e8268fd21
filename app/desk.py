"""What one visitor has on the desk of one exhibit: the input, the job under way, the result on show. Lives in the session, survives page switches."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import streamlit as st

from app.execute import Run
from app.jobs import Job, jobs
from app.registry import Exhibit, Sample
from app.runs import SavedRun, store
from app.visitors import visitor
from core.errors import RunNotFound, StorageError, VitrineError
from core.exhibit import Source


@dataclass(frozen=True)
class View:
    """A result on show: a saved run, or one that lives in memory only (`unsaved` says why)."""

    slug: str
    record: dict
    files: Mapping[str, bytes]
    trace: Mapping[str, bytes]
    sources: tuple[Source, ...] = ()
    id: str | None = None
    kept: bool = False
    own: bool = True
    version: int = 0
    unsaved: str = ""

    @classmethod
    def of(cls, saved: SavedRun) -> "View":
        """A run from the store, as this visitor sees it."""
        return cls(saved.record["exhibit"], saved.record, saved.files, saved.trace, tuple(saved.sources), saved.id,
                   saved.kept, saved.owner == visitor(), saved.version)


def input_name(record: Mapping) -> str:
    """What a run was made of, in words: its first input, or its settings where it had none."""
    return record["inputs"][0]["name"] if record["inputs"] else "settings only"


@dataclass
class Desk:
    """One per exhibit and session. `origin` names where the input came from: a sample's label, "upload", "editor", "pad" or "link"; `looking` the chosen view;
    `private` why nothing made of what came from the pad is written to disk ("" where it may be)."""

    sources: tuple[Source, ...] = ()
    origin: str = ""
    settings: dict[str, object] = field(default_factory=dict)
    job: str | None = None
    view: View | None = None
    error: VitrineError | None = None
    refused: list[tuple[str, str]] = field(default_factory=list)
    uploader: int = 0
    picked: str | None = None
    looking: str = ""
    private: str = ""
    form: int = 0


def desk(row: Exhibit) -> Desk:
    """This session's desk of this exhibit."""
    return st.session_state.setdefault(f"desk:{row.slug}", Desk())


def take_sample(row: Exhibit, sample: Sample) -> None:
    """Put a built-in input on the desk; an upload that lay there is cleared."""
    place = desk(row)
    place.sources = (Source(sample.file, sample.path.read_bytes()),)
    place.origin, place.picked, place.refused = sample.label, sample.label, []
    place.uploader += 1
    _bring_settings(row, place, sample.settings)


def take_uploads(row: Exhibit, uploads: list[Source]) -> bool:
    """Put what a visitor brought on the desk; what cannot be read is refused with its reason. True when something can be read."""
    place, module = desk(row), row.module()
    place.refused, good = [], []
    for source in uploads[:row.max_files]:
        try:
            module.inspect(source)
            good.append(source)
        except VitrineError as error:
            place.refused.append((source.name, str(error)))
    for source in uploads[row.max_files:]:
        place.refused.append((source.name, f"At most {row.max_files} files are read at once; this was number {row.max_files + 1} or later."))
    if good:
        place.sources, place.origin, place.picked = tuple(good), "upload", None
        _bring_settings(row, place, {})
    return bool(good)


def _bring_settings(row: Exhibit, place: Desk, settings: Mapping[str, object]) -> None:
    """Settings that belong to a sample come with it and go with it; the form is drawn anew where that changes one."""
    owned = {name for s in row.samples for name in s.settings}
    defaults = {f.name: f.default for f in fields(row.module().Config) if f.name in owned} if owned else {}
    wanted = {**defaults, **settings}
    if any(place.settings.get(name, defaults[name]) != value for name, value in wanted.items()):
        place.form += 1
    place.settings |= wanted


def start(row: Exhibit, **settings: object) -> None:
    """Submit the input on the desk as a job; a queue that is full or an error at once is shown in the stage."""
    place = desk(row)
    stop(row)
    place.error = None
    try:
        place.job = jobs().submit(row.slug, place.sources, {**place.settings, **settings}, visitor()).id
    except VitrineError as error:
        place.error = error


def stop(row: Exhibit) -> None:
    """Cancel the job under way, if there is one."""
    job = current_job(row)
    if job is not None:
        job.cancel()
    desk(row).job = None


def finish_early(row: Exhibit) -> None:
    """Ask the job under way to end with what it has; one that has nothing yet ends as cancelled."""
    job = current_job(row)
    if job is not None:
        job.cancel()


def current_job(row: Exhibit) -> Job | None:
    """The job on this desk, None when there is none (any more)."""
    place = desk(row)
    return jobs().get(place.job, visitor()) if place.job else None


def collect(row: Exhibit) -> None:
    """Move a finished job's result onto the desk: saved if that can be done, else kept in memory with the reason."""
    place, job = desk(row), current_job(row)
    if place.job and job is None:
        place.job = None
    if job is None or job.state in ("queued", "running"):
        return
    place.job = None
    jobs().collect(job)
    if job.state == "failed":
        place.error = job.error
    elif job.state == "done":
        put_on_show(row, job.result)


def put_on_show(row: Exhibit, run: Run) -> None:
    """Show a run's result: saved with its link, or in memory only where it is the visitor's own and may not be saved."""
    place = desk(row)
    private = place.private if place.origin == "pad" else ""
    kept = View(row.slug, run.record, run.files, run.trace, place.sources, unsaved=private) if private else save(run, place.sources)
    place.view, place.error = kept, None
    st.query_params.from_dict({"run": kept.id} if kept.id else {})


def save(run: Run, sources: tuple[Source, ...]) -> View:
    """Save a run as this visitor's; where the disk refuses, the result is shown all the same and says so."""
    try:
        return View.of(store().load(store().save(run, sources, visitor())))
    except StorageError as error:
        return View(run.record["exhibit"], run.record, run.files, run.trace, sources, unsaved=str(error))


def open_link(row: Exhibit) -> None:
    """Show the run that `?run=` names; a stale link becomes a sentence in the stage."""
    wanted, place = st.query_params.get("run"), desk(row)
    if not wanted or (place.view and place.view.id == wanted) or place.job:
        return
    try:
        saved = store().load(wanted)
        if saved.record["exhibit"] != row.slug:
            raise RunNotFound(f"The run {wanted} belongs to another exhibit.")
        place.view, place.error = View.of(saved), None
        place.sources, place.origin, place.picked = tuple(saved.sources), "link", None
    except StorageError as error:
        place.error = error
        del st.query_params["run"]


def keep(view: View, kept: bool) -> View:
    """Keep a run after the visitor has left, or let it go."""
    store().keep(view.id, visitor(), kept)
    return replace(view, kept=kept)


def amend(view: View, files: Mapping[str, bytes]) -> View:
    """Write corrected files back. Raises ConflictError when somebody else was first, StorageError when it cannot be written."""
    if view.id is None:
        return replace(view, files={**view.files, **files})
    store().amend(view.id, view.version, dict(files), owner=visitor())
    return View.of(store().load(view.id))


def copy(view: View, files: Mapping[str, bytes]) -> View:
    """The same run with other files as a new run of this visitor's own."""
    run = Run(view.record, {**view.files, **files}, dict(view.trace))
    return save(run, view.sources)


def delete(view: View) -> None:
    """Remove a run and its files for good."""
    store().delete(view.id, visitor())
