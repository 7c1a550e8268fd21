"""The states of the stage: working, in line, stopped, could not, and the NumPy twins said plainly."""

import pytest

from tests.e2e.pages import open_table
from tests.e2e.server import ROOT, Studio

PHOTO = ROOT / "assets" / "samples" / "coins-photo.jpg"
MANY = 20


@pytest.fixture(scope="module")
def narrow(tmp_path_factory, chromium):
    """A studio with one worker, so that a second visitor waits."""
    running = Studio(tmp_path_factory.mktemp("narrow"), "--workers", "1")
    yield running
    running.stop()


def bring_much(page) -> None:
    """Twenty photographs: work for a while."""
    data = PHOTO.read_bytes()
    page.locator("input[type=file]").first.set_input_files([{"name": f"page-{n}.jpg", "mimeType": "image/jpeg", "buffer": data} for n in range(MANY)])
    page.get_by_role("button", name="Stop").wait_for()


def test_work_shows_its_step_and_can_be_stopped(narrow, visit):
    page = visit()
    open_table(page, narrow.url)
    bring_much(page)
    page.get_by_text("s so far").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("heading", name="cells found").wait_for()
    assert "run=" not in page.url
    assert narrow.health()["queue"]["waiting"] == 0


def test_the_second_visitor_sees_the_line_and_can_leave_it(narrow, visit):
    first, second = visit(), visit()
    open_table(first, narrow.url)
    open_table(second, narrow.url)
    bring_much(first)
    second.get_by_role("button", name="Read the table").click()
    second.get_by_text("One visitor is before you").wait_for()
    second.get_by_role("button", name="Leave the line").click()
    second.get_by_role("heading", name="cells found").wait_for()
    first.get_by_role("button", name="Stop").click()
    first.get_by_role("heading", name="cells found").wait_for()
    assert narrow.health()["queue"]["waiting"] == 0


def test_a_worker_that_dies_is_a_sentence_and_the_next_run_works(narrow, visit):
    import psutil

    page = visit()
    open_table(page, narrow.url)
    bring_much(page)
    workers = [p for p in psutil.Process(narrow.process.pid).children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
    assert workers
    for worker in workers:
        worker.kill()
    page.get_by_text("died").first.wait_for()
    page.get_by_role("button", name="Use a sample instead").click()
    page.get_by_role("heading", name="43 cells found").wait_for()


def test_without_compiled_kernels_the_page_says_so_and_works(tmp_path, visit, monkeypatch):
    monkeypatch.setenv("VITRINE_KERNELS", "numpy")
    plain = Studio(tmp_path)
    try:
        assert plain.health()["kernel_backend"] == "numpy"
        page = visit()
        open_table(page, plain.url)
        page.get_by_text("Running without the compiled kernels").wait_for()
    finally:
        plain.stop()
