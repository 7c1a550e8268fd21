"""What every test can ask for: the shared data, a browser, and a guard that fails any look-up or connection that leaves this machine."""

import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOOPBACK = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "", None}

# One thread for torch and BLAS, as the studio's workers have it: two wait for each other on a machine that does other work too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The data directory of the test session, set before anything of the studio is imported: no test may touch the visitor's own runs.
os.environ["VITRINE_HOME"] = tempfile.mkdtemp(prefix="vitrine-tests-")


def pytest_unconfigure() -> None:
    """Remove that directory; a process of pytest-xdist ends without atexit."""
    shutil.rmtree(os.environ["VITRINE_HOME"], ignore_errors=True)


def data_directory() -> Path | None:
    """The shared data sets: VITRINE_DATA, or ../shared/data beside the checkout; None where neither is there."""
    folder = Path(os.environ.get("VITRINE_DATA") or ROOT.parent / "shared" / "data")
    return folder if folder.is_dir() else None


def chromium_path() -> str | None:
    """The browser of the end-to-end tests: VITRINE_CHROMIUM, or the first Chromium or Chrome on the path."""
    names = (os.environ.get("VITRINE_CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the shared data sets; the test is skipped where it is absent."""
    folder = data_directory()
    if folder is None:
        pytest.skip("shared data is absent: set VITRINE_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium. Skipped without one, but a failure in CI, where .ci/run installs it."""
    found = chromium_path()
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("CI=true promises a Chromium and there is none on the path; .ci/run installs it.")
    if found is None:
        pytest.skip("no Chromium on the path: install it, or set VITRINE_CHROMIUM to its program")
    return found


class NetworkUsed(AssertionError):
    """Something asked for a host that is not this machine."""


def _check_host(host) -> None:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name not in LOOPBACK and not str(name).startswith("127."):
        raise NetworkUsed(f"{name} was asked for: nothing may leave this machine")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look-up and connection of this process that is not loopback raises NetworkUsed."""
    look_up, connect, connect_ex = socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex

    def guarded_look_up(host, *args, **kwargs):
        _check_host(host)
        return look_up(host, *args, **kwargs)

    def guarded(original):
        def call(self: socket.socket, address):
            if self.family in (socket.AF_INET, socket.AF_INET6):
                _check_host(address[0])
            return original(self, address)
        return call

    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)
    monkeypatch.setattr(socket.socket, "connect", guarded(connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
