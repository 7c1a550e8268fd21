"""The real server as a child process for tests, with every name it looks up and every address it connects to written down."""

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

# Put on the path of the server and of every process it starts.
SPY = '''
import os, socket
_log = os.environ["STUDIO_SPY"]
def _note(kind, host):
    with open(_log, "a") as log:
        log.write(f"{kind}\\t{host.decode() if isinstance(host, bytes) else host}\\n")
def _wrap(name):
    inner = getattr(socket, name)
    def spied(host, *args, **kwargs):
        _note(name, host)
        return inner(host, *args, **kwargs)
    setattr(socket, name, spied)
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
    _wrap(name)
class _Socket(socket.socket):
    def connect(self, address):
        if isinstance(address, tuple):
            _note("connect", address[0])
        return super().connect(address)
    def connect_ex(self, address):
        if isinstance(address, tuple):
            _note("connect", address[0])
        return super().connect_ex(address)
    def sendto(self, data, *rest):
        if rest and isinstance(rest[-1], tuple):
            _note("sendto", rest[-1][0])
        return super().sendto(data, *rest)
socket.socket = _Socket
'''


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Studio:
    """A running studio. `folder` holds its data, its log and the spy's log."""

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        self.folder, self.port = folder, port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "spy").mkdir(parents=True)
        (folder / "spy" / "sitecustomize.py").write_text(SPY)
        self._spied = folder / "spied.txt"
        self._spied.touch()
        env = {**os.environ, "PYTHONPATH": str(folder / "spy"), "STUDIO_SPY": str(self._spied), "VITRINE_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
        self.log = folder / "log.txt"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.server", "--port", str(self.port), *options], cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)

    @property
    def pid(self) -> int:
        return self.process.pid

    def health(self) -> dict | None:
        """What /api/health says, None while the port is closed."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/health", timeout=20) as answer:
                return json.load(answer)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None

    def wait(self, ready: bool = True, seconds: float = 120) -> dict:
        """Wait for the port, and (unless told otherwise) until nothing loads any more."""
        end = time.monotonic() + seconds
        while not ((said := self.health()) and (said["ready"] or not ready)):
            assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()}"
            assert time.monotonic() < end, f"the server is not ready: {said}\n{self.log.read_text()}"
            time.sleep(0.1)
        return said

    def spied(self) -> set[tuple[str, str]]:
        """(call, host) of every look-up and connection by the server and its children."""
        return {tuple(line.split("\t")) for line in self._spied.read_text().splitlines()}

    def resident_bytes(self) -> int:
        """Memory of the server process itself (Linux)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def children(self) -> list[int]:
        """Processes whose parent is the server (Linux)."""
        return [int(child) for task in Path(f"/proc/{self.pid}/task").iterdir() for child in (task / "children").read_text().split()]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)
