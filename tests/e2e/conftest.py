"""A running studio and a real browser for the end-to-end tests."""

from collections.abc import Iterator

import pytest

from tests.e2e.server import Studio

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]


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
