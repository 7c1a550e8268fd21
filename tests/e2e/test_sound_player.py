"""The sound player alone in a browser, without the studio: takes stay in step, the wipe moves by keyboard, what is heard is said."""

import base64

import numpy as np
import pytest

from app.registry import ROOT
from core.io.sounds import to_wav

PARTS = {end: (ROOT / "app" / "widgets" / f"sound_player.{end}").read_text("utf8") for end in ("html", "css", "js")}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
MOUNT = """([html, css, story]) => {
  const root = document.body.appendChild(document.createElement("main")).attachShadow({ mode: "open" });
  root.innerHTML = "<style>" + css + "</style>" + html;
  window.unmount = window.mount({ parentElement: root, data: story });
}"""


def story(seconds: float = 3.0) -> dict:
    """Three takes of the same length, at other pitches."""
    t = np.arange(int(48_000 * seconds)) / 48_000
    takes = {key: base64.b64encode(to_wav(0.1 * np.sin(2 * np.pi * hz * t)[None], 48_000, "PCM_16", "FLAC")).decode() for key, hz in (("noisy", 200), ("ours", 300), ("rival", 400))}
    tracks = [dict(key=key, name=key.capitalize(), role="rest", words=f"{n} dB", picture=PIXEL, sound="data:audio/flac;base64," + data) for n, (key, data) in enumerate(takes.items())]
    return dict(id="a", seconds=seconds, top_hz=24_000, tracks=tracks, left="noisy", right="ours", alt="Noise is 12 dB lower.")


@pytest.fixture
def player(visit):
    """A page with nothing but the player."""
    page = visit(1000, 600)
    page.set_content("<!doctype html><html lang='en'><title>Player</title><body></body></html>")
    page.add_script_tag(content=PARTS["js"].replace("export default function", "window.mount = function"), type="module")
    page.wait_for_function("() => Boolean(window.mount)")
    page.evaluate(MOUNT, [PARTS["html"], PARTS["css"], story()])
    return page


def state(page) -> dict:
    return page.locator(".player").evaluate("node => ({...node.dataset})")


def test_another_take_goes_on_where_the_last_one_was(player):
    assert player.get_by_role("img", name="Noise is 12 dB lower.").count() == 1
    player.get_by_role("button", name="Play").click()
    player.wait_for_function("() => Number(document.querySelector('main').shadowRoot.querySelector('.player').dataset.at) > 0.3")
    before = float(state(player)["at"])
    player.get_by_role("radio", name="Rival").click()
    after = state(player)
    assert after["heard"] == "rival" and after["playing"] == "true" and before <= float(after["at"]) < before + 2
    player.get_by_role("button", name="Pause").click()
    stopped = state(player)["at"]
    player.wait_for_timeout(150)
    assert state(player) == {"heard": "rival", "playing": "false", "at": stopped}


def test_takes_and_wipe_answer_to_the_keyboard(player):
    player.get_by_role("radio", name="Ours").focus()
    player.keyboard.press("ArrowRight")
    assert state(player)["heard"] == "rival" and "You hear: Rival, 2 dB" in player.locator(".said").inner_text()
    player.get_by_role("slider", name="Divider").focus()
    player.keyboard.press("Home")
    assert player.locator(".wipe").evaluate("node => node.style.left") == "0%"
    player.get_by_role("slider", name="Place in the recording").focus()
    player.keyboard.press("End")
    assert float(state(player)["at"]) == pytest.approx(3, abs=0.02)
