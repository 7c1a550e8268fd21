"""The table exhibit as a visitor meets it, in a real browser."""

import io
import signal
import zipfile

import openpyxl
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


def test_a_picture_without_rules_is_declined(studio, visit):
    page = visit()
    open_table(page, studio.url)
    before = page.url
    page.get_by_text("No rules", exact=True).click()
    wait_for_run(page, before)
    page.get_by_role("heading", name="No closed cells here").wait_for()
    assert page.get_by_role("button", name="XLSX").count() == 0


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
    page.get_by_role("heading", name="No closed cells here").wait_for()
    page.get_by_text("its sides were halved").wait_for()
    assert "run=" in page.url
