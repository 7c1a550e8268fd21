"""Live speech as a visitor meets it: a real browser with a recording as its microphone; what is played is what was captured, as much later as the page says."""

import base64
import json
import time

import numpy as np
import pytest
import soundfile
from websockets.sync.client import connect

from app.live import PATH
from app.registry import ROOT
from tests.e2e.conftest import FLAGS
from tests.e2e.pages import settled

RATE_HZ = 48_000
NO_MICROPHONE = "() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotFoundError') } }"
A_MICROPHONE = "() => { delete navigator.mediaDevices.getUserMedia }"
TAP = """async node => {
  while (node && !node.live) node = node.parentNode || node.host;
  const live = node.live, code = `registerProcessor("tap", class extends AudioWorkletProcessor {
    process(inputs) { this.port.postMessage(inputs.map(input => input[0] ? input[0].slice() : new Float32Array(128))); return true } })`;
  await live.audio.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const tap = new AudioWorkletNode(live.audio, "tap", { numberOfInputs: 2 });
  window.taken = [];
  tap.port.onmessage = ({ data }) => window.taken.push(data);
  live.source.connect(tap, 0, 0);
  live.node.connect(tap, 0, 1);
  tap.connect(live.audio.destination);
}"""
TAKEN = """which => {
  const parts = window.taken.map(pair => pair[which]), all = new Float32Array(128 * parts.length);
  parts.forEach((part, n) => all.set(part, 128 * n));
  let text = "";
  new Uint8Array(all.buffer).forEach(byte => text += String.fromCharCode(byte));
  return btoa(text);
}"""


@pytest.fixture
def speaker(browser, chromium, tmp_path):
    """A page of a browser whose microphone hears a voice in white noise."""
    voice, rate_hz = soundfile.read(ROOT / "assets" / "samples" / "speech" / "kathleen.flac", dtype="float32")
    assert rate_hz == RATE_HZ
    noise = np.random.default_rng(3).standard_normal(len(voice))
    soundfile.write(tmp_path / "spoken.wav", 0.5 * voice + 0.01 * noise, rate_hz, subtype="PCM_16")
    flags = [*FLAGS, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={tmp_path / 'spoken.wav'}"]
    engine = browser.browser_type.launch(executable_path=chromium, args=flags)
    page = engine.new_context(viewport={"width": 1440, "height": 900}, permissions=["microphone"]).new_page()
    page.set_default_timeout(120_000)
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("websocket", lambda socket: page.asked.append(socket.url.replace("ws://", "http://")))
    yield page
    engine.close()


def state(page) -> dict:
    return page.locator(".live").evaluate("node => ({...node.dataset})")


def lags(captured: np.ndarray, played: np.ndarray) -> list[int]:
    """By how many samples stretches of what was played lag behind the same samples where they were captured; a stretch with a seam is left out."""
    found, size = [], RATE_HZ // 4
    for start in range(0, len(played) - size, size):
        stretch = played[start:start + size]
        before = captured[:start + size]
        points = 1 << (len(before) + size).bit_length()
        at = int(np.argmax(np.fft.irfft(np.fft.rfft(before, points) * np.conj(np.fft.rfft(stretch, points)), points)[:start + 1]))
        if stretch.std() > 1e-3 and np.abs(before[at:at + size] - stretch).max() < 1e-4:
            found.append(start - at)
    return found


def place_is_free(studio, seconds: float = 30) -> bool:
    """Whether somebody else gets the place in this time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with connect(f"ws://127.0.0.1:{studio.port}{PATH}", origin=studio.url) as line:
            line.send(json.dumps({"rate_hz": RATE_HZ}))
            if "ready" in json.loads(line.recv(timeout=60)):
                return True
        time.sleep(0.2)
    return False


def test_a_voice_comes_back_as_late_as_the_page_says_and_leaving_frees_the_place(studio, speaker):
    page = speaker
    page.goto(f"{studio.url}/speech")
    page.get_by_role("heading", name="of sound").wait_for()
    settled(page)
    page.get_by_test_id("stMain").get_by_text("Live", exact=True).first.click()
    page.evaluate(NO_MICROPHONE)
    page.get_by_role("button", name="Start the microphone").click()
    page.get_by_text("There is no microphone at this machine").wait_for()
    page.get_by_role("button", name="Use the recording on the desk instead").click()
    page.get_by_role("button", name="Stop").click()
    page.evaluate(A_MICROPHONE)
    page.get_by_role("button", name="Start the microphone").click()
    page.get_by_role("button", name="Stop").wait_for()
    page.get_by_role("radio", name="As it comes in").click()
    page.locator(".live[data-behind]").wait_for()
    page.locator(".live").evaluate(TAP)
    said = []
    for _ in range(12):
        page.wait_for_timeout(250)
        said.append(float(state(page)["behind"]))
    captured, played = (np.frombuffer(base64.b64decode(page.evaluate(TAKEN, which)), "<f4") for which in (0, 1))
    found = [lag / RATE_HZ for lag in lags(captured, played)]
    assert any(min(said) - 0.02 <= lag <= max(said) + 0.02 for lag in found), (found, said)
    page.get_by_role("radio", name="As it comes in").press("ArrowRight")
    page.get_by_text("You hear: your voice restored.").wait_for()
    page.locator(".live[data-quieter]").wait_for()
    assert float(state(page)["quieter"]) > 6 and 0 < float(state(page)["cost"]) < 5
    page.get_by_test_id("stMain").get_by_text("Measures", exact=True).first.click()
    page.get_by_text("Each line runs from the worst").wait_for()
    assert place_is_free(studio)
    assert not [url for url in page.asked if not url.startswith((studio.url, "blob:", "data:"))]
