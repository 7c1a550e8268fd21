"""The join lens in a real Chromium: a slider is moved, every join of the line is solved again, the picture is painted; `performance.now` in the page."""

import json
from argparse import Namespace
from collections.abc import Iterator
from types import SimpleNamespace

from app.figures.handwriting import lens_data
from core.handwriting.compose import compose
from core.handwriting.hand import load_hand
from core.handwriting.story import story
from tests.bench.harness import ROOT, Section
from tests.conftest import chromium_path

TEXTS = ("hello", "letters join hands", "hello little animals running through the winter garden of mine")
WIDGETS = ROOT / "app" / "widgets"
MOUNT = """([html, css, data]) => {
  const root = document.body.appendChild(document.createElement("main")).attachShadow({ mode: "open" });
  root.innerHTML = "<style>" + css + "</style>" + html;
  window.mount({ parentElement: root, data, setTriggerValue: () => {} });
}"""
DRAG = """async rounds => {
  const root = document.querySelector("main").shadowRoot, lens = root.lens, slider = root.querySelectorAll(".sliders input")[2], took = lens.took.bind(lens), times = [];
  let painted;
  lens.took = ms => { took(ms); painted(); };
  for (let i = 0; i < rounds; i++) {
    const picture = new Promise(done => { painted = done; });
    slider.value = Number(slider.value) + (i % 2 ? 0.3 : -0.3);
    const begun = performance.now();
    slider.dispatchEvent(new Event("input"));
    const script = performance.now() - begun;
    await picture;
    times.push([lens.solved, script, performance.now() - begun]);
    await new Promise(done => setTimeout(done, 20));
  }
  return times;
}"""


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """One row per text; the headline is the median of the middle one."""
    section = Section("lens", "Slider to picture in the join lens", "milliseconds in Chromium without a graphics card, least and median over moves of a slider: solve: all joins; script: solve and "
                      "drawing; picture: until the frame is painted, at 60 frames a second")
    program = chromium_path()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        yield section.skip("no Chromium on the path, or no playwright"), None
        return
    with sync_playwright() as kinds:
        browser = kinds.chromium.launch(executable_path=program)
        section.rows += [row_of(browser, text, 8 if options.quick else 60) for text in TEXTS]
        browser.close()
    yield section, dict(slider_to_picture_ms=section.rows[1]["picture, median"])


def row_of(browser, text: str, rounds: int) -> dict:
    """One line of text, one slider moved back and forth."""
    told = json.loads(json.dumps(story(compose(text, load_hand("school")))))
    data = lens_data(SimpleNamespace(id=text, trace={"story.json": json.dumps(told).encode()}), "light")
    parts = {end: (WIDGETS / f"join_lens.{end}").read_text("utf8") for end in ("html", "css", "js")}
    script = ((WIDGETS / "join_solve.js").read_text("utf8") + parts["js"]).replace("export default function", "window.mount = component => inner(component); function inner")
    page = browser.new_page(viewport=dict(width=1000, height=900))
    page.set_content("<!doctype html><html lang='en'><title>Lens</title><body></body></html>")
    page.add_script_tag(content=script, type="module")
    page.wait_for_function("() => Boolean(window.mount)")
    page.evaluate(MOUNT, [parts["html"], parts["css"], data])
    columns = [sorted(column) for column in zip(*page.evaluate(DRAG, rounds))]
    page.close()
    return dict(joins=len(data["joins"]), moves=rounds, **{f"{name}, {what}": column[at] for name, column in zip(("solve", "script", "picture"), columns)
                                                           for what, at in (("least", 0), ("median", rounds // 2))})
