"""The studio on one port: Streamlit at /, Gradio under /widgets/, /api/health, /api/live. The port opens first, everything heavy loads behind it."""

# Imported light: whatever is heavy or has to see the environment below is imported inside functions.
import argparse
import asyncio
import contextlib
import gc
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASE_PX = {"laptop": 16, "projector": 20, "booth": 22}
IDLE_SECONDS = {"laptop": 900, "projector": 900, "booth": 120}
SECONDS_BETWEEN_SWEEPS = 60
SECONDS_TO_FINISH = 1.0
SECONDS_TO_LEAVE = 2.0
SECONDS_PASSING = 900
PREFIX = "/widgets"
# No look-up at start: Gradio asks api.gradio.app and huggingface.co unless told otherwise, and reads this when it is imported.
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}

_log = logging.getLogger("vitrine.server")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until stopped. Returns 2 with a sentence when the studio cannot start."""
    options = arguments(argv)
    os.chdir(ROOT)
    os.environ.update(QUIET)
    if reason := _cannot_bind(options.host, options.port):
        print(reason, file=sys.stderr)
        return 2
    from app import jobs
    from core.errors import VitrineError

    jobs.configure(options.workers, options.cluster)
    try:
        if options.cluster:
            jobs.jobs()
        passing = _passing_folder()
    except VitrineError as error:
        print(error, file=sys.stderr)
        return 2
    os.environ["GRADIO_TEMP_DIR"] = str(passing)
    # Uvicorn ends in order and then raises the signal again: that has to reach the finally below.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        studio(options).run(config=config(options))
    except KeyboardInterrupt:
        pass
    finally:
        jobs.close()
        shutil.rmtree(passing, ignore_errors=True)
    return 0


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line of the server."""
    parser = argparse.ArgumentParser(prog="python -m app.server", description="Serve the studio.")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind; 0.0.0.0 shows the studio to the whole network")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--mode", choices=tuple(BASE_PX), default="laptop", help="type size, and how soon a visitor's traces go")
    parser.add_argument("--theme", choices=("light", "dark"), help="default: dark on a projector, light elsewhere")
    parser.add_argument("--workers", type=int, help="worker processes; default: one a core, four at most")
    parser.add_argument("--cluster", metavar="tcp://HOST:PORT", help="a Dask scheduler that does the work instead")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="a further name this studio answers to (also VITRINE_HOSTS)")
    options = parser.parse_args(argv)
    os.environ["VITRINE_MODE"] = options.mode                  # what the page frame asks (app/widgets/idle.py)
    options.theme = options.theme or ("dark" if options.mode == "projector" else "light")
    options.allow_host += os.environ.get("VITRINE_HOSTS", "").replace(",", " ").split()
    return options


def config(options: argparse.Namespace) -> dict[str, object]:
    """What Streamlit is told beyond .streamlit/config.toml."""
    return {
        "server.address": options.host, "server.port": options.port, "server.headless": True, "server.fileWatcherType": "none",
        "server.enableAgentApi": False, "browser.gatherUsageStats": False, "logger.hideWelcomeMessage": True, "runner.postScriptGC": False,
        "theme.base": f".streamlit/theme_{options.theme}.toml", "theme.baseFontSize": BASE_PX[options.mode],
    }


def studio(options: argparse.Namespace):
    """The ASGI app: guard, /api/health, /api/live, the widgets (once they are loaded), Streamlit."""
    import streamlit as st
    from starlette.middleware import Middleware
    from starlette.responses import JSONResponse
    from starlette.routing import Mount, Route, WebSocketRoute

    from app import live
    from app.guard import Guard, Hosts
    from app.health import health

    widgets, leave, places = Widgets(), asyncio.Event(), live.Places()

    async def answer(request) -> JSONResponse:
        return JSONResponse(health([] if widgets.ready or widgets.failure else ["widgets"], {"widgets": widgets.failure} if widgets.failure else {}),
                            headers={"cache-control": "no-store"})

    @contextlib.asynccontextmanager
    async def life(_):
        _tell_on_signal(leave)
        print(f"Vitrine is at {address(options.host, options.port)}", flush=True)
        tasks = [asyncio.create_task(task) for task in (_furnish(widgets, leave), _clean(IDLE_SECONDS[options.mode]))]
        try:
            yield
        finally:
            leave.set()
            places.close()
            tasks[1].cancel()
            await asyncio.wait(tasks, timeout=SECONDS_TO_LEAVE)

    around = [Middleware(Guard, hosts=Hosts(options.host, options.allow_host)), Middleware(Endings, leave=leave)]
    routes = [Route("/api/health", answer), WebSocketRoute(live.PATH, partial(live.converse, places=places)), Mount(PREFIX, widgets)]
    return st.App(ROOT / "app" / "main.py", lifespan=life, routes=routes, middleware=around)


class Widgets:
    """Stands where Gradio will be: answers 503 until it is loaded, then passes everything on."""

    def __init__(self) -> None:
        self.app, self.failure = None, None

    @property
    def ready(self) -> bool:
        return self.app is not None

    async def __call__(self, scope, receive, send) -> None:
        if self.app is not None:
            await self.app(scope, receive, send)
            return
        await _not_yet(self.failure)(scope, receive, send)


def _not_yet(failure: str | None):
    from starlette.responses import HTMLResponse

    again = "" if failure else '<meta http-equiv="refresh" content="1">'
    said = f"The widgets could not be loaded: {failure}" if failure else "The widgets are still loading. This page opens them when they are there."
    page = f'<!doctype html><html lang="en"><head><title>Loading</title>{again}</head><body><p role="status">{said}</p></body></html>'
    return HTMLResponse(page, 503, headers={"retry-after": "1", "cache-control": "no-store"})


async def _furnish(widgets: Widgets, leave: asyncio.Event) -> None:
    """Load everything behind the open port: workers in their processes, Gradio in a thread; then freeze the heap. Leaves Gradio when told."""
    from app.jobs import jobs
    from app.registry import EXHIBITS

    await asyncio.to_thread(lambda: jobs().warm([row.slug for row in EXHIBITS]))
    try:
        inner = await asyncio.to_thread(_build_widgets)
    except Exception as error:
        _log.exception("The widgets could not be loaded")
        widgets.failure = type(error).__name__
        return
    async with inner.router.lifespan_context(inner):  # a mounted app gets no lifespan of its own
        widgets.app = inner
        # 250,000 objects that will never die: out of the collector's sight (150 ms a collection, measured).
        await asyncio.to_thread(lambda: (gc.collect(), gc.freeze()))
        await leave.wait()


def _build_widgets():
    from app.gradio_blocks import house

    return house.build(PREFIX)


async def _clean(idle_seconds: float) -> None:
    """Once a minute: what visitors who left did not keep, and files on their way through Gradio."""
    from app.visitors import sweep

    while True:
        await asyncio.sleep(SECONDS_BETWEEN_SWEEPS)
        try:
            await asyncio.to_thread(sweep, idle_seconds)
            await asyncio.to_thread(_sweep_passing, Path(os.environ["GRADIO_TEMP_DIR"]))
        except Exception:
            _log.exception("Cleaning failed; the next minute tries again")


def _passing_folder() -> Path:
    """This process's folder for files on their way through Gradio; folders of killed servers are removed. Raises StorageError."""
    from app.runs import abandoned, store

    root = store().root / "passing"
    root.mkdir(exist_ok=True)
    for folder in filter(abandoned, root.iterdir()):
        shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root))


def _sweep_passing(root: Path) -> None:
    """Remove what has lain here for a quarter of an hour."""
    import time

    for place in root.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - place.stat().st_mtime > SECONDS_PASSING:
                shutil.rmtree(place) if place.is_dir() else place.unlink()


def address(host: str, port: int) -> str:
    """Where a browser on this machine finds the studio."""
    name = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}"


def _cannot_bind(host: str, port: int) -> str | None:
    """Why the port cannot be opened, as a sentence; None when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OverflowError:
            return f"Port {port} does not exist: ports are 1 to 65535. Say another with --port."
        except OSError as error:
            return f"Port {port} on {host} cannot be opened: {error.strerror}. Say another with --port (or --host)."
    return None


class Endings:
    """ASGI middleware that brings every answer to an end when the server leaves: a browser that holds a stream open does not hold it up."""

    def __init__(self, app, leave: asyncio.Event) -> None:
        self.app, self.leave = app, leave

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, over = [], []

        async def noted(message) -> None:
            begun.append(message["type"])
            if not over:
                await send(message)

        answer, leaving = asyncio.ensure_future(self.app(scope, receive, noted)), asyncio.ensure_future(self.leave.wait())
        try:
            await asyncio.wait((answer, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                await asyncio.wait((answer,), timeout=SECONDS_TO_FINISH)
            if answer.done():
                answer.result()
            elif begun:
                over.append(True)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaving.cancel()
            if answer.cancel():
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await answer


def _tell_on_signal(leave: asyncio.Event) -> None:
    """Besides what Uvicorn does on SIGINT and SIGTERM, tell the streams; Uvicorn itself waits for them without end."""
    loop = asyncio.get_running_loop()
    if threading.current_thread() is not threading.main_thread():
        return
    for number in filter(lambda n: callable(signal.getsignal(n)), (signal.SIGINT, signal.SIGTERM)):
        inner = signal.getsignal(number)

        def told(received, frame, inner=inner) -> None:
            loop.call_soon_threadsafe(leave.set)
            inner(received, frame)

        signal.signal(number, told)


if __name__ == "__main__":
    sys.exit(main())
