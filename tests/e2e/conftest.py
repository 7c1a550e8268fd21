"""A running studio and a real browser for the end-to-end tests."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS_READY = 180
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]


class Studio:
    """One server process on a free port with a data folder of its own."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home, self.options = home, options
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start the server and wait until everything behind its port is loaded."""
        environment = {**os.environ, "VITRINE_HOME": str(self.home)}
        self.log = open(self.home / "server.log", "ab")
        self.process = subprocess.Popen([sys.executable, "-m", "app.server", "--port", str(self.port), *self.options], cwd=ROOT, env=environment,
                                        stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        end = time.monotonic() + SECONDS_READY
        while not self.health().get("ready"):
            assert self.process.poll() is None and time.monotonic() < end, (self.home / "server.log").read_text()[-3000:]
            time.sleep(0.3)

    def health(self) -> dict:
        """What /api/health says, {} while nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/health", timeout=5) as answer:
                return json.load(answer)
        except (urllib.error.URLError, OSError, ValueError):
            return {}

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End the server (all of it, also after a kill)."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(15)
        self.log.close()


@pytest.fixture(scope="session")
def studio(tmp_path_factory, chromium) -> Iterator[Studio]:
    """The studio most tests share."""
    running = Studio(tmp_path_factory.mktemp("studio"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def browser(chromium):
    """One Chromium for all tests; each takes contexts (visitors) of its own."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as kinds:
        engine = kinds.chromium.launch(executable_path=chromium, args=FLAGS)
        yield engine
        engine.close()


@pytest.fixture
def visit(browser):
    """visit(width) -> a page in a new context, as a new visitor; every request it makes is in page.asked."""
    contexts = []

    def arrive(width: int = 1440, height: int = 900):
        context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(45_000)
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        return page

    yield arrive
    for context in contexts:
        context.close()
