"""Booth mode: the next visitor finds nothing of the last one."""

import pytest

from tests.e2e.pages import open_table, read
from tests.e2e.server import Studio


@pytest.fixture
def booth(tmp_path, chromium, monkeypatch):
    monkeypatch.setenv("VITRINE_IDLE_SECONDS", "12")
    running = Studio(tmp_path, "--mode", "booth")
    yield running
    running.stop()


def test_an_idle_booth_starts_over_and_forgets(booth, visit):
    page = visit(1920, 1080)
    open_table(page, booth.url)
    run_id = read(page)
    page.get_by_text("Starting over for the next visitor").wait_for()
    page.get_by_role("heading", name="Research you can put your hands on").wait_for()
    assert "run=" not in page.url
    page.goto(f"{booth.url}/history")
    page.get_by_text("No runs yet").wait_for()
    page.goto(f"{booth.url}/table?run={run_id}")
    page.get_by_text("There is no run").first.wait_for()
