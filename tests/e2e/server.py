"""One running studio on a free port, for the end-to-end tests and the studio's own benchmark."""

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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS_READY = 180


class Studio:
    """One server process on a free port with a data folder of its own."""

    def __init__(self, home: Path, *options: str, command: tuple[str, ...] = (sys.executable, "-m", "app.server")) -> None:
        self.home, self.options, self.command = home, options, command
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start the server and wait until everything behind its port is loaded; `seconds_to_page` is when the first page came."""
        begun, self.seconds_to_page = time.perf_counter(), None
        environment = {**os.environ, "VITRINE_HOME": str(self.home)}
        self.log = open(self.home / "server.log", "ab")
        self.process = subprocess.Popen([*self.command, "--port", str(self.port), *self.options], cwd=ROOT, env=environment,
                                        stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        end = time.monotonic() + SECONDS_READY
        while not (health := self.health()).get("ready"):
            if health and self.seconds_to_page is None:
                self.seconds_to_page = time.perf_counter() - begun
            assert self.process.poll() is None and time.monotonic() < end, (self.home / "server.log").read_text()[-3000:]
            time.sleep(0.05 if self.seconds_to_page is None else 0.3)
        self.seconds_to_page = self.seconds_to_page or time.perf_counter() - begun

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
