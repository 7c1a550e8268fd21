"""How a visitor moves: the few gestures the end-to-end tests share."""

import re

RUN = re.compile(r"[?&]run=([a-z]+-[a-z2-7]{16})")


def open_table(page, url: str) -> None:
    """The table exhibit with the arrival sample's result."""
    page.goto(f"{url}/table")
    page.get_by_role("heading", name="cells found").wait_for()


def read(page) -> str:
    """Press the main button and wait for the saved run; returns its id."""
    before = page.url
    page.get_by_role("button", name="Read the table").click()
    return wait_for_run(page, before)


def wait_for_run(page, before: str) -> str:
    """The id of the run that the address names once it changed."""
    page.wait_for_function("before => location.href !== before && location.search.includes('run=')", arg=before)
    run_id = RUN.search(page.url).group(1)
    page.get_by_text(run_id).first.wait_for()
    return run_id


def settled(page) -> None:
    """No script run under way and the fonts there."""
    page.wait_for_function("!document.querySelector('[data-testid=stApp]')?.dataset.testScriptState || "
                           "document.querySelector('[data-testid=stApp]').dataset.testScriptState !== 'running'")
    page.wait_for_timeout(400)
