"""The HTTP endpoint of an exhibit: files and settings in, the run record and the files out, through the same line as the pages."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import gradio as gr

from app.execute import Run
from app.guard import COOKIE, TOKEN
from app.jobs import OWN_LIMIT, Job, jobs
from app.registry import Exhibit
from core.errors import Cancelled, ConfigError, InputError, VitrineError
from core.exhibit import Source

SECONDS_BETWEEN_LOOKS = 0.2


def build(exhibit: Exhibit) -> gr.Blocks:
    """Blocks with one call, named after the exhibit's verb: gradio_client's predict(files, settings, api_name="/VERB") -> record, files."""

    def call(files, settings, request: gr.Request, progress=gr.Progress()):
        try:
            run = _run(exhibit, _sources(files, exhibit.max_files, optional=exhibit.optional_input), _settings(settings), _owner(request), progress)
        except VitrineError as error:
            raise gr.Error(str(error), duration=None, print_exception=False) from error
        return run.record, _on_disk(run)

    with gr.Blocks(title=exhibit.name, analytics_enabled=False, delete_cache=(600, 600)) as blocks:
        gr.Markdown(f"# {exhibit.name}\n{exhibit.sentence} The same call from Python: `gradio_client.Client(\".../widgets/{exhibit.slug}/\")"
                    f".predict([handle_file(PATH)], {{}}, api_name=\"/{exhibit.verb}\")`.")
        files = gr.File(label="Files", file_count="multiple", file_types=[f".{ending}" for ending in exhibit.accepts], type="filepath")
        settings = gr.Code(label="Settings, as a JSON object", value="{}", language="json", lines=3)
        go = gr.Button(exhibit.main_button, variant="primary")
        record, made = gr.JSON(label="Run record"), gr.File(label="Files made", file_count="multiple")
        go.click(call, [files, settings], [record, made], api_name=exhibit.verb, api_description=exhibit.card, concurrency_limit=OWN_LIMIT)
    return blocks.queue(max_size=32)


def _run(exhibit: Exhibit, sources: Sequence[Source], settings: Mapping[str, object], owner: str, progress) -> Run:
    job = jobs().submit(exhibit.slug, sources, settings, owner)
    try:
        _follow(job, progress)
    finally:
        job.cancel()  # where the caller has gone away in the middle; nothing happens to a finished job
        jobs().collect(job)
    if job.error:
        raise job.error
    if job.result is None:
        raise Cancelled("The work was stopped before it was done.")
    return job.result


def _follow(job: Job, progress) -> None:
    while not job.wait(SECONDS_BETWEEN_LOOKS):
        place = f"{job.ahead} before you" if job.state == "queued" else job.message
        progress(job.fraction, desc=place or "Starting")


def _sources(files: Sequence[str] | None, most: int, optional: bool = False) -> list[Source]:
    """Read the uploads and delete them: from here on they live in memory, with the job."""
    if not files and optional:
        return []
    if not files:
        raise InputError("There is no file in this call. Send at least one.")
    sources = []
    for path in map(Path, files):
        sources.append(Source(path.name, path.read_bytes()))
        path.unlink(missing_ok=True)
    if len(sources) > most:
        raise InputError(f"{len(sources)} files were sent and {most} is the limit for one call. Send fewer at a time.")
    return sources


def _settings(settings: object) -> Mapping[str, object]:
    if isinstance(settings, str):
        try:
            settings = json.loads(settings or "{}")
        except json.JSONDecodeError as error:
            raise ConfigError(f"The settings are not JSON: {error}. Send an object such as {{}}.") from error
    if settings is None or settings == []:
        return {}
    if not isinstance(settings, Mapping):
        raise ConfigError(f"The settings are a {type(settings).__name__}; send a JSON object such as {{}}.")
    return settings


def _owner(request: gr.Request) -> str:
    """The visitor's token where a browser calls, else the calling machine."""
    token = request.cookies.get(COOKIE) or ""
    return token if TOKEN.fullmatch(token) else f"api-{request.client.host}"


def _on_disk(run: Run) -> list[str]:
    """Write the files where Gradio serves from; the janitor removes them after some minutes."""
    root = os.environ.get("GRADIO_TEMP_DIR") or None
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=root))
    paths = []
    for name, data in run.files.items():
        path = folder / Path(name).name
        path.write_bytes(data)
        paths.append(str(path))
    return paths
