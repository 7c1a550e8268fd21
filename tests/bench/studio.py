"""The studio's own benchmark: how soon it stands, how it bears twenty visitors, how quickly a page follows another."""

import statistics
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from tests.app.ws_client import measure_home_reruns
from tests.bench.harness import Section
from tests.conftest import chromium_path
from tests.e2e.conftest import FLAGS
from tests.e2e.server import ROOT, Studio

LAUNCHER = (sys.executable, str(ROOT / "launch.py"))
SESSIONS = 20


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Start, visitors, pages; the headline is the time of a page switch."""
    starts, rounds = (2, 2) if options.quick else (5, 5)
    yield start_section(starts), None
    with tempfile.TemporaryDirectory() as home:
        studio = Studio(Path(home))
        try:
            yield visitors_section(studio, rounds), None
            pages, switch = pages_section(studio, rounds)
        finally:
            studio.stop()
    yield pages, None if switch is None else {"page_switch_seconds": switch}


def start_section(rounds: int) -> Section:
    """A second start through launch.py beside the bare server's, interleaved; wall time to the first answer, and until all is loaded."""
    section = Section("start", "Second start", "wall seconds until the port answers; medians, one of each in turn")
    times: dict[str, list[float]] = {"launch.py": [], "bare server": []}
    with tempfile.TemporaryDirectory() as home:
        Studio(Path(home), command=LAUNCHER).stop()                # whatever is not set up yet is set up here
        for _ in range(rounds):
            for name, command in (("launch.py", LAUNCHER), ("bare server", (sys.executable, "-m", "app.server"))):
                studio = Studio(Path(home), command=command)
                times[name].append(studio.seconds_to_page)
                studio.stop()
    for name, found in times.items():
        section.rows.append({"name": name, "seconds": statistics.median(found), "least": min(found), "most": max(found)})
    section.rows.append({"name": "ratio of medians", "seconds": section.rows[0]["seconds"] / section.rows[1]["seconds"]})
    return section


def resident_mb(studio: Studio) -> float:
    """Resident memory of the server process, without its workers (MB)."""
    import psutil

    return psutil.Process(studio.process.pid).memory_info().rss / 1e6


def visitors_section(studio: Studio, rounds: int) -> Section:
    """Twenty sessions run the home page again at once."""
    section = Section("visitors", f"{SESSIONS} visitors at once", "websocket sessions on the home page; wall seconds until the last one is done")
    before = resident_mb(studio)
    found = measure_home_reruns(studio.url, SESSIONS, rounds)
    once = resident_mb(studio)
    measure_home_reruns(studio.url, SESSIONS, rounds)
    section.rows.append({"name": "all rerun", "seconds": found["rerun_seconds"], "most": max(found["rerun_rounds"]), "one alone": found["one_seconds"],
                         "all open": found["first_seconds"], "failed": len(found["failed"])})
    section.rows.append({"name": "memory, MB", "before": before, "after 20": once, "after 20 more": resident_mb(studio)})
    return section


def pages_section(studio: Studio, rounds: int) -> tuple[Section, float | None]:
    """Page after page in Chromium: from the click until the new title stands."""
    section = Section("pages", "Page switch in the browser", "wall seconds from the click until the page's title stands; one browser, warm")
    chromium = chromium_path()
    if chromium is None:
        return section.skip("no Chromium on the path"), None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as kinds:
        browser = kinds.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(studio.url)
        page.locator("h1").first.wait_for()
        times = switch_times(page, rounds)
        browser.close()
    for name, found in times.items():
        section.rows.append({"name": name, "median": statistics.median(found), "least": min(found), "most": max(found)})
    everything = statistics.median([t for found in times.values() for t in found])
    section.rows.append({"name": "all pages", "median": everything})
    return section, everything


TITLES = {"Tables": "A photograph in", "History": "What this browser", "Compare": "Two runs", "Gallery": "Research you can"}
SWITCH = """async ([name, title]) => {
  const begun = performance.now();
  const link = [...document.querySelectorAll('[data-testid=stHeader] a, [data-testid=stTopNavLink]')].find(a => a.textContent.trim() === name);
  link.click();
  while (![...document.querySelectorAll('h1')].some(h => h.textContent.startsWith(title))) await new Promise(next => setTimeout(next, 5));
  return (performance.now() - begun) / 1000;
}"""


def switch_times(page, rounds: int) -> dict[str, list[float]]:
    """Seconds of each switch, all pages in turn; the first round warms up."""
    times: dict[str, list[float]] = {name: [] for name in TITLES}
    for turn in range(rounds + 1):
        for name, title in TITLES.items():
            seconds = page.evaluate(SWITCH, [name, title])
            page.wait_for_timeout(1200)
            if turn:
                times[name].append(seconds)
    return times
