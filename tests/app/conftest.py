"""One running studio for all tests that need a real server."""

import sys

import pytest

from tests.app.studio import Studio

MAIN = sys.modules["__main__"]


@pytest.fixture(scope="session")
def studio(tmp_path_factory):
    """A studio on a free port, everything loaded."""
    running = Studio(tmp_path_factory.mktemp("studio"), "--workers", "1")
    try:
        running.wait()
        yield running
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def own_main():
    """AppTest leaves the studio's script as `__main__`, and whoever spawns a process after it would run that script there."""
    sys.modules["__main__"] = MAIN
    yield
    sys.modules["__main__"] = MAIN
