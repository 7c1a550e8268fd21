"""Takes the README's pictures from the running studio: `python -m tests.e2e.screenshots` (needs Chromium)."""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.conftest import chromium_path
from tests.e2e.conftest import FLAGS
from tests.e2e.pages import open_table, read, settled, wait_for_run
from tests.e2e.server import ROOT, Studio

OUT = ROOT / "assets" / "screenshots"


def whole(page: Page, name: str, tallest: int = 1600) -> None:
    """A picture of the whole page, at most `tallest` pixels."""
    settled(page)
    page.wait_for_timeout(1200)
    size = page.viewport_size
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": min(tallest, max(size["height"], height + 10))})
    page.wait_for_timeout(900)
    page.screenshot(path=OUT / f"{name}.png")
    page.set_viewport_size(size)


def tour(page: Page, url: str) -> None:
    """Gallery, the photograph read, what happened, two runs compared."""
    page.goto(url)
    page.get_by_role("heading", name="Tables from pictures").wait_for()
    whole(page, "gallery")
    open_table(page, url)
    before = page.url
    page.get_by_text("Photo", exact=True).click()
    wait_for_run(page, before)
    whole(page, "table")
    page.get_by_text("What happened").click()
    page.get_by_role("heading", name="The same labelling").wait_for()
    whole(page, "what-happened", tallest=3400)
    show(page, "Engines")
    whole(page, "engines")
    page.get_by_text("None", exact=True).click()
    read(page)
    page.get_by_text("Compare", exact=True).last.click()
    whole(page, "compare")


def show(page: Page, view: str) -> None:
    """Choose a view of the result."""
    page.get_by_test_id("stMain").get_by_text(view, exact=True).first.click()


def tokens(page: Page, url: str, name: str, sample: str = "No rules", call: int = 4) -> None:
    """The token stream of a sample, some calls into the decoding; then the score against the sample's ground truth."""
    open_table(page, url)
    before = page.url
    page.get_by_text(sample, exact=True).click()
    wait_for_run(page, before)
    show(page, "Tokens")
    slider = page.get_by_role("slider", name="Decoder call")
    slider.wait_for()
    slider.press("Home")
    for _ in range(call):
        slider.press("ArrowRight")
    whole(page, name)
    show(page, "Score")
    page.get_by_text("TEDS-struct, structure alone").wait_for()
    whole(page, f"{name}-score")


def radio(page: Page, url: str) -> None:
    """The radio exhibit on arrival, the regimes, users that move."""
    page.set_default_timeout(120_000)
    page.goto(f"{url}/dmimo")
    page.get_by_role("heading", name="of the throughput and sends").wait_for()
    page.get_by_role("button", name="Radio 1 at").wait_for()
    whole(page, "radio")
    for view, name in (("Not told", "radio-not-told"), ("Moving users", "radio-moving")):
        show(page, view)
        whole(page, name)


SHOWN = (
    ("compiler", "kernels", "mlp_beam answers in", "Feedback", ("Graph", "Code", "Measured")),
    ("handwriting", "handwriting", "pairs of letters joined", None, ("Joins", "Letters", "Measured")),
    ("speech", "speech", "of sound", None, ("Measures", "Latent", "Cost")),
)
"""Exhibit, name of its pictures, what its heading says on arrival, a sample to run first, views to take."""


def exhibit(page: Page, url: str, slug: str, name: str, heading: str, sample: str | None, views: tuple[str, ...]) -> None:
    """An exhibit with a result, then its views."""
    page.set_default_timeout(300_000)
    page.goto(f"{url}/{slug}")
    page.get_by_role("heading", name=heading).wait_for()
    if sample:
        before = page.url
        page.get_by_text(sample, exact=True).click()
        wait_for_run(page, before)
    page.wait_for_timeout(4000)                                  # ink is written, sounds are decoded
    whole(page, name)
    for view in views:
        show(page, view)
        whole(page, f"{name}-{view.lower()}", tallest=2600)


def main() -> None:
    """Light at laptop size, dark at projector size, and a phone."""
    OUT.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as kinds, tempfile.TemporaryDirectory() as home:
        browser = kinds.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        light = Studio(Path(home))
        tour(browser.new_page(viewport={"width": 1440, "height": 900}), light.url)
        tokens(browser.new_page(viewport={"width": 1440, "height": 900}), light.url, "tokens")
        radio(browser.new_page(viewport={"width": 1440, "height": 900}), light.url)
        for shown in SHOWN:
            exhibit(browser.new_page(viewport={"width": 1440, "height": 900}), light.url, *shown)
        phone = browser.new_page(viewport={"width": 420, "height": 900})
        open_table(phone, light.url)
        whole(phone, "phone", tallest=2600)
        tokens(phone, light.url, "phone-tokens", "Three lines", call=2)
        light.stop()
        dark = Studio(Path(home), "--theme", "dark", "--mode", "projector")
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        open_table(page, dark.url)
        whole(page, "dark-projector", tallest=1400)
        dark.stop()
        browser.close()


if __name__ == "__main__":
    main()
