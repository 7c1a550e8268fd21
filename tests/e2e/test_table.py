"""The table exhibit as a visitor meets it, in a real browser."""

import io
import signal
import zipfile

import openpyxl
import pytest
from PIL import Image

from tests.e2e.pages import open_table, read, settled, wait_for_run
from tests.e2e.server import ROOT, Studio

SAMPLE = ROOT / "assets" / "samples" / "superbike-1990.png"
PHOTO = ROOT / "assets" / "samples" / "coins-photo.jpg"


def saved_as(page, label: str) -> bytes:
    with page.expect_download() as coming:
        page.get_by_role("button", name=label, exact=True).click()
    return open(coming.value.path(), "rb").read()


def upload(page, *files) -> str:
    """Drop files and wait for the run they become."""
    before = page.url
    page.locator("input[type=file]").first.set_input_files(list(files))
    return wait_for_run(page, before)


def test_arrival_shows_a_result_and_reading_it_gives_a_link(studio, visit):
    page = visit()
    open_table(page, studio.url)
    run_id = read(page)
    other = visit()
    other.goto(f"{studio.url}/?run={run_id}")
    other.get_by_text(run_id).first.wait_for()
    assert "/table" in other.url
    assert other.get_by_role("heading", name="43 cells found").count() == 1


def test_an_upload_becomes_a_spreadsheet_with_joined_cells(studio, visit):
    page = visit()
    open_table(page, studio.url)
    upload(page, SAMPLE)
    book = openpyxl.load_workbook(io.BytesIO(saved_as(page, "XLSX")))
    assert "A1:B1" in {str(r) for r in book.active.merged_cells.ranges}
    assert book.active["C1"].value == "Circuit"
    assert b"Raymond Roche" in saved_as(page, "CSV")


def test_several_pictures_give_a_zip(studio, visit):
    page = visit()
    open_table(page, studio.url)
    upload(page, SAMPLE, PHOTO)
    names = zipfile.ZipFile(io.BytesIO(saved_as(page, "Everything as a zip"))).namelist()
    assert {"superbike-1990.xlsx", "coins-photo.xlsx", "coins-photo.json"} <= set(names)


def sample(page, label: str) -> str:
    """Pick a sample and wait for its run."""
    before = page.url
    page.get_by_text(label, exact=True).click()
    return wait_for_run(page, before)


def look_at(page, view: str) -> None:
    """Choose a view of the result."""
    page.get_by_test_id("stMain").get_by_text(view, exact=True).first.click()
    settled(page)


def test_the_regions_alone_decline_a_picture_without_rules_and_the_model_reads_it(studio, visit):
    page = visit()
    open_table(page, studio.url)
    page.get_by_test_id("stMain").get_by_text("Regions", exact=True).first.click()
    settled(page)
    sample(page, "Three lines")
    page.get_by_role("heading", name="No closed cells here").wait_for()
    assert page.get_by_role("button", name="XLSX").count() == 0
    look_at(page, "Tokens")
    before = page.url
    page.get_by_role("button", name="Read it with the full model").click()
    wait_for_run(page, before)
    page.get_by_role("heading", name="cells found").wait_for()
    page.get_by_role("button", name="Play the decoding").wait_for()


def test_tokens_are_played_and_a_ground_truth_dropped_in_is_scored(studio, visit):
    page = visit()
    open_table(page, studio.url)
    sample(page, "Three lines")
    page.get_by_role("button", name="Watch it being written").click()
    slider = page.get_by_role("slider", name="Decoder call")
    slider.wait_for()
    calls, tokens = int(slider.get_attribute("max")), page.locator(".text .token").count()
    assert page.locator(".number.saved").inner_text() == str(tokens - calls) and calls < tokens
    page.get_by_role("button", name="Play the decoding").click()
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("button", name="Play the decoding").wait_for()
    assert page.locator(".text .token.off").count() == 0
    look_at(page, "Score")
    page.get_by_text("TEDS-struct, structure alone").wait_for()
    look_at(page, "Result")
    ours = saved_as(page, "HTML").decode()
    look_at(page, "Score")
    bring_truth(page, ours.replace("Solon Borland", "Somebody Else"))
    page.get_by_role("heading", name="1 text differs").wait_for()
    assert page.get_by_test_id("stMetricValue").filter(has_text="100\u00a0%").count() == 1
    bring_truth(page, "<p>no table in here</p>")
    page.get_by_text("There is no table").wait_for()


def bring_truth(page, html: str) -> None:
    """Drop an HTML file on the score's uploader."""
    page.locator("input[type=file]").last.set_input_files({"name": "truth.html", "mimeType": "text/html", "buffer": html.encode()})
    settled(page)


@pytest.mark.parametrize("width", [1440, 420])
def test_every_view_of_a_result_fits_and_can_be_used_with_any_aid(studio, visit, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(width)
    open_table(page, studio.url)
    for view in ("Tokens", "Engines", "Score"):
        look_at(page, view)
        page.mouse.move(1, 1)  # a button under the pointer is between two colours
        page.wait_for_timeout(2500)
        found = axe.run(page).response["violations"]
        assert not [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")]
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width


def test_what_is_no_picture_is_refused_with_a_sentence(studio, visit):
    page = visit()
    open_table(page, studio.url)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.txt", "not a picture")
    page.locator("input[type=file]").first.set_input_files({"name": "table.png", "mimeType": "image/png", "buffer": zipped.getvalue()})
    page.get_by_test_id("stAlert").get_by_text("table.png").first.wait_for()
    assert page.get_by_role("heading", name="cells found").count() == 1


def test_what_happened_shows_masks_regions_and_the_race(studio, visit):
    page = visit()
    open_table(page, studio.url)
    page.get_by_text("What happened").click()
    page.get_by_role("heading", name="regions:").wait_for()
    page.get_by_role("heading", name="The same labelling").wait_for()
    page.get_by_text("Rule mask", exact=True).click()
    settled(page)
    page.get_by_text("Black: taken for a rule").wait_for()
    assert page.get_by_text("Every region the flood fill found").count() == 0


def test_the_editor_hands_its_picture_to_the_page(studio, visit):
    page = visit()
    open_table(page, studio.url)
    before = page.url
    page.get_by_role("button", name="Crop or rotate first").click()
    editor = page.frame_locator("iframe")
    editor.get_by_role("button", name="Use this picture").wait_for()
    page.wait_for_timeout(1500)
    editor.get_by_role("button", name="Use this picture").click()
    wait_for_run(page, before)
    page.get_by_text("edited-").first.wait_for()
    assert page.get_by_role("heading", name="43 cells found").count() == 1


def test_two_windows_on_one_run_do_not_overwrite_each_other(studio, visit):
    page = visit()
    open_table(page, studio.url)
    run_id = upload(page, SAMPLE)
    second = page.context.new_page()
    second.goto(f"{studio.url}/table?run={run_id}")
    second.get_by_text(run_id).first.wait_for()
    settled(second)
    correct(page, "First")
    page.wait_for_timeout(1500)
    correct(second, "Second")
    second.get_by_text("changed elsewhere").first.wait_for()
    before = second.url
    second.get_by_role("button", name="Save mine as a copy").click()
    assert wait_for_run(second, before) != run_id
    assert b"Second" in saved_as(second, "CSV")
    page.goto(f"{studio.url}/table?run={run_id}")
    page.get_by_text(run_id).first.wait_for()
    settled(page)
    assert b"First" in saved_as(page, "CSV")


def correct(page, text: str) -> None:
    """Type a text into the third cell of the first row of the grid (it is drawn on a canvas)."""
    grid = page.get_by_test_id("stDataFrame").first.locator("canvas").first
    box = grid.bounding_box()
    page.mouse.dblclick(box["x"] + min(200, box["width"] / 2), box["y"] + 53)
    entry = page.locator("#portal textarea, #portal input, .gdg-input").first
    entry.wait_for()
    entry.fill(text)
    entry.press("Enter")
    settled(page)


def test_saved_runs_survive_a_killed_server(tmp_path, visit):
    own = Studio(tmp_path)
    try:
        page = visit()
        open_table(page, own.url)
        run_id = read(page)
        page.get_by_role("button", name="Read the table").click()
        page.wait_for_timeout(150)
        own.stop(signal.SIGKILL)
        own.start()
        again = visit()
        again.goto(f"{own.url}/table?run={run_id}")
        again.get_by_role("heading", name="43 cells found").wait_for()
        assert not list((tmp_path / "incoming").iterdir())
    finally:
        own.stop()


def test_a_large_picture_offers_to_halve_it(studio, visit, tmp_path):
    big = tmp_path / "big.png"
    Image.new("L", (6000, 5000), 255).save(big)
    page = visit()
    open_table(page, studio.url)
    page.locator("input[type=file]").first.set_input_files(big)
    page.get_by_text("25,000,000").first.wait_for()
    page.get_by_role("button", name="Halve it for me").first.click()
    page.get_by_role("heading", name="No table found here").wait_for()
    page.get_by_text("its sides were halved").wait_for()
    assert "run=" in page.url
