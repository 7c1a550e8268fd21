"""Gradio inside the studio: the handover counter, the editor's functions, the endpoint through gradio_client, one line for all."""

import asyncio
import io
import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from app.gradio_blocks import handover
from app.registry import EXHIBITS, exhibit
from core.errors import ConfigError, InputError, LimitError

ROOT = Path(__file__).resolve().parents[2]
TABLE = exhibit("table")


@pytest.fixture(scope="module")
def gradio():
    """Gradio, imported as the server does: without look-ups."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("HF_HUB_OFFLINE", "1")
        import gradio as gr

        yield gr


@pytest.fixture
def counter():
    return handover.Counter()


def test_a_parcel_is_fetched_once(counter):
    counter.leave("a", b"1", "ann")
    counter.leave("a", b"2", "ann")
    assert counter.peek("a") == b"2" and counter.fetch("a") == b"2" and counter.fetch("a") is None and counter.peek("b") is None


def test_the_counter_is_bounded(counter, monkeypatch):
    monkeypatch.setattr(handover, "MOST_PICTURES", 3)
    for n in range(5):
        counter.leave(str(n), b"x", "ann")
    assert [counter.peek(str(n)) for n in range(5)] == [None, None, b"x", b"x", b"x"]
    monkeypatch.setattr(handover, "MOST_BYTES", 10)
    with pytest.raises(LimitError, match="limit"):
        counter.leave("big", b"x" * 11, "ann")
    monkeypatch.setattr(handover, "SECONDS_KEPT", -1)
    assert counter.fetch("4") is None


def png(width, height, colour="white") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


def asked(sid, **cookies):
    return SimpleNamespace(query_params={"sid": sid} if sid else {}, cookies=cookies, client=SimpleNamespace(host="127.0.0.1"))


def test_the_editor_opens_with_the_offered_picture(gradio):
    from app.gradio_blocks import editor

    assert editor._opening(asked("nothing"))[0] is None
    handover.offer("one", png(3000, 1500), "ann")
    picture, said = editor._opening(asked("one"))
    assert picture.size == (2000, 1000) and said == ""
    handover.offer("two", b"not a picture", "ann")
    picture, said = editor._opening(asked("two"))
    assert picture is None and said


def test_the_editor_turns_and_sends(gradio):
    from app.gradio_blocks import editor

    shown = {"composite": Image.new("RGB", (40, 20), "red"), "background": None, "layers": []}
    assert editor._turned(shown, 90).size == (20, 40) and editor._turned(None, 90) is None
    assert "no picture" in editor._send(None, 0, asked("three"))
    assert "not opened from" in editor._send(shown, 0, asked(None))
    assert "40 x 20" in editor._send(shown, 0, asked("three"))
    assert Image.open(io.BytesIO(handover.take("three"))).size == (40, 20) and handover.take("three") is None
    editor._send(shown, 10, asked("three"))
    assert Image.open(io.BytesIO(handover.take("three"))).size[1] > 20


def test_settings_and_files_are_checked(gradio, tmp_path):
    from app.gradio_blocks import endpoint

    assert endpoint._settings(None) == {} and endpoint._settings('{"ocr": "none"}') == {"ocr": "none"} and endpoint._settings({"a": 1}) == {"a": 1}
    for wrong in ("{", [1], 7, "[]x"):
        with pytest.raises(ConfigError, match="JSON"):
            endpoint._settings(wrong)
    with pytest.raises(InputError, match="no file"):
        endpoint._sources(None, 3)
    assert endpoint._sources([], 3, optional=True) == []
    paths = [tmp_path / f"{n}.png" for n in range(3)]
    [path.write_bytes(b"x") for path in paths]
    assert [s.name for s in endpoint._sources(map(str, paths), 3)] == ["0.png", "1.png", "2.png"] and not any(p.exists() for p in paths)
    [path.write_bytes(b"x") for path in paths]
    with pytest.raises(InputError, match="3 files were sent and 2 is the limit"):
        endpoint._sources(map(str, paths), 2)


def test_building_is_all_that_builds():
    code = ("import sys, app.gradio_blocks, app.gradio_blocks.handover\nassert 'gradio' not in sys.modules\n"
            "import gradio, app.gradio_blocks.house, app.gradio_blocks.editor\nfrom gradio.context import Context\nassert Context.id == 0, Context.id")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def contrast(one: str, two: str) -> float:
    """WCAG 2.2 contrast ratio of two hex colours."""
    def luminance(colour):
        parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
        return sum(w * (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4) for w, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True))

    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_primary_buttons_can_be_read(gradio):
    from app.gradio_blocks.look import CSS, theme

    made = theme()
    for dark in ("", "_dark"):
        text = getattr(made, f"button_primary_text_color{dark}")
        for state in ("", "_hover"):
            assert contrast(text, getattr(made, f"button_primary_background_fill{state}{dark}")) >= 4.5
    assert "http" not in CSS and not made._stylesheets and "http" not in made._font_css.__repr__()


# ---- the running studio

@pytest.fixture(scope="module")
def client(studio):
    gradio_client = pytest.importorskip("gradio_client")
    return gradio_client.Client(f"{studio.url}/widgets/table/", verbose=False)


def sample() -> Path:
    return next(s.path for s in TABLE.samples if s.path.suffix == ".png")


def test_the_endpoint_answers_like_the_command_line(client):
    from gradio_client import handle_file

    record, files = client.predict([handle_file(str(sample()))], {"ocr": "none"}, api_name="/recognise")
    assert record["exhibit"] == "table" and record["config"]["ocr"] == "none" and record["inputs"][0]["name"] == sample().name
    names = {Path(path).name: Path(path).read_bytes() for path in files}
    assert set(names) == set(record["files"]) and json.loads(names[f"{sample().stem}.json"])["image"]["name"] == sample().name


def test_the_endpoints_errors_are_sentences(client, tmp_path):
    from gradio_client import handle_file
    from gradio_client.exceptions import AppError

    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    zipped = tmp_path / "zip.png"
    zipped.write_bytes(b"PK\x03\x04" + b"\0" * 100)
    for files, settings, words in [
            ([], {}, "no file"), ([str(zipped)], {}, "zip.png"), ([str(sample())], {"ocr": "magic"}, "ocr=magic"), ([str(sample())], {"colour": 1}, "no setting 'colour'")]:
        with pytest.raises(AppError) as refused:
            client.predict([handle_file(path) for path in files], settings, api_name="/recognise")
        assert words.lower() in str(refused.value).lower() and "Traceback" not in str(refused.value)


def test_an_upload_over_the_limit_is_refused(studio, client, tmp_path):
    from gradio_client import handle_file

    large = tmp_path / "large.png"
    large.write_bytes(b"\0" * (TABLE.max_bytes + 1))
    with pytest.raises(Exception, match="(?i)size|413|large"):
        client.predict([handle_file(str(large))], {}, api_name="/recognise")
    assert studio.health()["ready"]


def test_the_uploads_do_not_stay(studio, client):
    from gradio_client import handle_file

    client.predict([handle_file(str(sample()))], {"ocr": "none"}, api_name="/recognise")
    here = [path.name for path in (studio.folder / "home" / "passing").rglob("*") if path.is_file()]
    assert sample().name not in here


def test_every_exhibit_has_its_widgets(studio):
    for row in EXHIBITS:
        info = json.load(urllib.request.urlopen(f"{studio.url}/widgets/{row.slug}/gradio_api/info", timeout=20))
        assert list(info["named_endpoints"]) == [f"/{row.verb}"]
        if row.blocks:
            page = urllib.request.urlopen(f"{studio.url}/widgets/{row.slug}-{row.blocks.rpartition('.')[2]}/?sid=x&__theme=dark", timeout=20).read().decode()
            assert "Use this picture" in page and "fonts.googleapis" not in page and "fonts.gstatic" not in page
            assert json.load(urllib.request.urlopen(f"{studio.url}/widgets/{row.slug}-editor/gradio_api/info", timeout=20))["named_endpoints"] == {}


def test_a_crop_in_the_browser_reaches_the_page(studio, chromium):
    playwright = pytest.importorskip("playwright.sync_api")

    def cells(page) -> int:
        heading = page.get_by_role("heading", name=re.compile(r"^\d+ cells found"))
        heading.wait_for(timeout=60_000)
        return int(heading.inner_text().split()[0])

    with playwright.sync_playwright() as kinds:
        browser = kinds.chromium.launch(executable_path=chromium)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{studio.url}/table")
        page.get_by_role("radio", name=TABLE.samples[0].label).or_(page.get_by_role("button", name=TABLE.samples[0].label, exact=True)).first.click()
        whole = cells(page)
        page.get_by_role("button", name="Crop or rotate first").click()
        editor = page.frame_locator(f"iframe[src*='{TABLE.slug}-editor']")
        editor.get_by_role("button", name="Image", exact=True).click(timeout=60_000)
        editor.get_by_role("button", name="Crop", exact=True).click()
        frame = editor.locator("canvas").first.bounding_box()
        # The crop frame spans the picture, which is drawn 60 pixels narrower than the canvas: take its lower right corner to the middle.
        with Image.open(TABLE.samples[0].path) as source:
            shape = source.height / source.width
        width = frame["width"] - 60
        right, bottom = frame["x"] + 30 + width, frame["y"] + (frame["height"] - 40 + width * shape) / 2
        page.wait_for_timeout(1000)
        page.mouse.move(right - 4, bottom - 4)
        page.mouse.down()
        page.mouse.move(right - width / 2, bottom - width * shape / 2, steps=10)
        page.mouse.up()
        editor.get_by_role("button", name="Confirm crop").click()
        editor.get_by_role("button", name="Use this picture").click()
        page.get_by_text("On the desk: edited").wait_for(timeout=60_000)
        deadline = time.monotonic() + 60
        while (part := cells(page)) == whole and time.monotonic() < deadline:
            page.wait_for_timeout(200)
        browser.close()
    assert 0 < part < whole


def test_no_history_of_other_visitors_is_served(studio):
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"{studio.url}/widgets/table/gradio_api/runs", timeout=20)
    assert missing.value.code == 404


def test_nothing_was_looked_up(studio):
    assert {host for _, host in studio.spied()} <= {"127.0.0.1", "localhost", "::1", "None", ""}
