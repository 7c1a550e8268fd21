"""The compiler as a visitor meets it: the race is there, a budget turns late bars red, a node leads to its C++, the bundle is taken home, a bad file is a sentence."""

import io
import zipfile

import pytest

from core.compiler import toolchain
from core.errors import EngineError
from tests.e2e.pages import settled


@pytest.fixture
def arrived(studio, visit):
    """The exhibit with the arrival sample's result."""
    try:
        toolchain.compiler()
    except EngineError as reason:
        pytest.skip(str(reason))
    page = visit()
    page.set_default_timeout(240_000)
    page.goto(f"{studio.url}/compiler")
    page.get_by_role("heading", name="mlp_beam answers in").wait_for()
    settled(page)
    return page


def test_a_budget_a_node_and_a_bundle(arrived):
    page = arrived
    bars = page.locator(".js-plotly-plot")
    assert "too late" not in bars.first.text_content()
    slider = page.get_by_role("slider", name="Time the network may take")
    slider.focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.get_by_text("Calls later than 1.00 µs").wait_for()
    assert "too late" in bars.first.text_content()
    page.get_by_test_id("stMain").get_by_text("Code", exact=True).first.click()
    page.get_by_text("From ", exact=False).first.wait_for()
    assert "Dense" in page.get_by_test_id("stCode").first.inner_text()
    page.get_by_test_id("stMain").get_by_text("Result", exact=True).first.click()
    with page.expect_download() as coming:
        page.get_by_role("button", name="Bundle, zip").click()
    names = zipfile.ZipFile(io.BytesIO(open(coming.value.path(), "rb").read())).namelist()
    assert any(name.endswith("CMakeLists.txt") for name in names) and any(name.endswith(".cpp") for name in names)


def test_what_is_no_model_is_refused_with_a_sentence(arrived):
    page = arrived
    page.locator("input[type=file]").set_input_files({"name": "holiday.onnx", "mimeType": "application/octet-stream", "buffer": b"\x89PNG\r\n\x1a\n"})
    refused = page.get_by_text("is not an ONNX file").first
    refused.wait_for()
    assert "holiday.onnx" in refused.inner_text() and page.get_by_role("heading", name="mlp_beam answers in").is_visible()
