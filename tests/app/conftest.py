"""One running studio for all tests that need a real server."""

import pytest

from tests.app.studio import Studio


@pytest.fixture(scope="session")
def studio(tmp_path_factory):
    """A studio on a free port, everything loaded."""
    running = Studio(tmp_path_factory.mktemp("studio"), "--workers", "1")
    try:
        running.wait()
        yield running
    finally:
        running.stop()
