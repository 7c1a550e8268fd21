"""The token player alone in a browser, without the studio: a decoding is played, stepped through and said in words."""

import json

import pytest

from app.registry import ROOT

PARTS = {end: (ROOT / "app" / "widgets" / f"token_player.{end}").read_text("utf8") for end in ("html", "css", "js")}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
MOUNT = """([html, css, story]) => {
  const root = document.body.appendChild(document.createElement("main")).attachShadow({ mode: "open" });
  root.innerHTML = "<style>" + css + "</style>" + html;
  window.unmount = window.mount({ parentElement: root, data: story });
}"""
SHOWN = "document.querySelector('main').shadowRoot.querySelectorAll('.text .token:not(.off)').length"
CELLS = "document.querySelector('main').shadowRoot.querySelectorAll('.cell:not(.off)').length"


def story(rows: int = 3, per_call: int = 4) -> dict:
    """A decoding of `rows` rows of two cells; the cells of the last row are joined. Every call confirms up to `per_call - 1` tokens."""
    texts = [text for row in range(rows) for text in (f"r{row:03d}", *(("c000", "C", "c010", "C") if row == 0 else ("C", "L" if row == rows - 1 else "C")))] + ["</table>"]
    tokens, cell = [], -1
    for index, text in enumerate(texts):
        kind = {"r": "row", "c": "column", "<": "end"}.get(text[0], text)
        token = {"text": text, "kind": kind, "drafted": index % per_call != per_call - 1 and text != "</table>", "call": index // per_call, "box": [0, index, 10, index + 5]}
        if kind in "CL":
            cell += kind == "C"
            token |= {"cell": cell, "before": None if kind == "C" else [0, 0, 10, 5], "grown": [0, 0, 20, 5]}
        tokens.append(token)
    calls = [{"proposed": per_call, "accepted": sum(t["call"] == n and t["drafted"] for t in tokens)} for n in range(tokens[-1]["call"] + 1)]
    return {"id": f"{rows}:{per_call}", "picture": PIXEL, "size": [20, 40], "input": [20, 40], "to_stage": [1, 0, 0, 1, 0, 0], "tokens": tokens,
            "cells": list(range(cell + 1)), "calls": calls, "alt": "A picture with three rows."}


@pytest.fixture
def player(visit):
    """player(story, ...) -> a page with nothing but the player."""
    def mounted(told: dict, width: int = 1000, **media):
        page = visit(width, 700)
        page.emulate_media(**media)
        page.set_content("<!doctype html><html lang='en'><title>Player</title><body></body></html>")
        page.add_script_tag(content=PARTS["js"].replace("export default function", "window.mount = function"), type="module")
        page.wait_for_function("() => Boolean(window.mount)")
        page.evaluate(MOUNT, [PARTS["html"], PARTS["css"], told])
        return page

    return mounted


def test_at_rest_it_shows_the_end_and_says_the_numbers(player):
    told = story()
    page = player(told)
    assert page.evaluate(SHOWN) == len(told["tokens"]) and page.evaluate(CELLS) == len(told["cells"])
    assert page.locator(".number.saved").inner_text() == str(len(told["tokens"]) - len(told["calls"]))
    assert page.get_by_role("img", name=told["alt"]).count() == 1


def test_it_plays_every_call_and_ends_where_it_began(player):
    told = story(rows=2)
    page = player(told)
    page.get_by_role("button", name="Play the decoding").click()
    page.get_by_role("button", name="Pause").wait_for()
    assert page.evaluate(SHOWN) < len(told["tokens"])
    page.get_by_role("button", name="Play the decoding").wait_for()
    assert page.evaluate(SHOWN) == len(told["tokens"])


def test_each_step_is_one_call_by_key_and_by_button(player):
    told = story()
    page = player(told)
    slider = page.get_by_role("slider", name="Decoder call")
    slider.press("Home")
    assert page.evaluate(SHOWN) == 0 and page.evaluate(CELLS) == 0
    for call in range(1, len(told["calls"]) + 1):
        slider.press("ArrowRight")
        assert page.evaluate(SHOWN) == sum(t["call"] < call for t in told["tokens"])
        assert f"call {call} of {len(told['calls'])}" in slider.get_attribute("aria-valuetext")
    page.get_by_role("button", name="One call back").click()
    page.get_by_text(f"Call {len(told['calls']) - 1} of").wait_for()
    slider.press("Home")
    assert page.evaluate(CELLS) == 0


def test_with_reduced_motion_it_is_stepped_and_does_not_play(player):
    page = player(story(), reduced_motion="reduce")
    assert page.get_by_role("button", name="Play the decoding").count() == 0
    assert page.get_by_role("button", name="One call back").count() == 1


def test_jumps_through_four_hundred_tokens_leave_nothing_behind(player):
    told = story(rows=130, per_call=1)
    page = player(told)
    assert len(told["tokens"]) > 390
    move = "at => { const slider = document.querySelector('main').shadowRoot.querySelector('input'); slider.value = at; slider.oninput(); }"
    for call in (0, 200, 393, 7, 0):
        page.evaluate(move, call)
        assert page.evaluate(SHOWN) == call
    assert page.evaluate(CELLS) == 0


@pytest.mark.parametrize("width", [1000, 420])
def test_it_fits_and_axe_finds_nothing(player, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = player(json.loads(json.dumps(story())), width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not [(v["id"], v["nodes"][0]["html"][:200]) for v in axe.run(page).response["violations"] if v["impact"] in ("serious", "critical")]
