"""The D-MIMO exhibit as a visitor meets it: a radio is dragged and the coverage follows, the plan is swept while the curves grow, numbers are taken home."""

import csv
import io
import json

from tests.e2e.pages import settled, wait_for_run


def arrive(page, url: str) -> None:
    """The exhibit with the arrival sample's result."""
    page.set_default_timeout(120_000)
    page.goto(f"{url}/dmimo")
    page.get_by_role("heading", name="of the throughput and sends").wait_for()
    page.get_by_role("button", name="Radio 1 at").wait_for()
    settled(page)


def coverage(page) -> str:
    """The coverage in numbers, as the page shows it."""
    return page.get_by_role("table").first.inner_text()


def until_other(page, before: str) -> str:
    page.wait_for_function("before => { const t = document.querySelector('table'); return t && t.innerText !== before }", arg=before)
    return coverage(page)


def drag(page, name: str, right: float, down: float) -> None:
    """Drag a place on the plan by so many pixels, in steps as a hand does."""
    place = page.get_by_role("button", name=name)
    place.hover()                                  # waits until it stands still and nothing lies over it
    box = place.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(x + right * step / 8, y + down * step / 8)
    page.mouse.up()


def saved_as(page, label: str) -> bytes:
    with page.expect_download() as coming:
        page.get_by_role("button", name=label, exact=True).click()
    return open(coming.value.path(), "rb").read()


def test_a_radio_is_dragged_and_the_plan_swept(studio, visit, tmp_path):
    page = visit()
    arrive(page, studio.url)
    before = coverage(page)
    drag(page, "Radio 3 at", 90, 60)
    after = until_other(page, before)
    assert "All 4" in after and page.get_by_role("button", name="Radio 3 at 0.0, 40.0").count() == 0
    page.keyboard.press("ArrowRight")
    page.get_by_text("You moved something").wait_for()
    page.get_by_text("Map of regimes, moving users").click()
    settled(page)
    page.get_by_role("slider", name="Random placements").press("End")  # long enough to be seen growing
    settled(page)
    here = page.url
    page.get_by_role("button", name="Sweep this floor plan").click()
    page.get_by_text("points so far").wait_for()
    run_id = wait_for_run(page, here)
    settled(page)
    rows = list(csv.DictReader(io.StringIO(saved_as(page, "Curves, CSV").decode())))
    assert {"iqc", "deqc", "llrc"} <= {r["scheme"] for r in rows} and len({r["snr_db"] for r in rows}) == 8
    scenario = saved_as(page, "Scenario, JSON")
    assert json.loads(scenario)["trps"][2]["x_m"] > 1 and run_id.startswith("dmimo-")
    brought_back(page, scenario, tmp_path)


def brought_back(page, scenario: bytes, tmp_path) -> None:
    """The scenario file dropped back in gives the same plan and, from the cache, a run of its own."""
    (tmp_path / "mine.json").write_bytes(scenario)
    here = page.url
    page.locator("input[type=file]").first.set_input_files(tmp_path / "mine.json")
    wait_for_run(page, here)
    assert "mine.json" in page.get_by_test_id("stMain").inner_text()
    page.locator("input[type=file]").first.set_input_files({"name": "no-radio.json", "mimeType": "application/json", "buffer": b'{"version": 1, "name": "x"}'})
    page.get_by_text("Add it").first.wait_for()


def test_a_radio_on_top_of_a_user_is_refused_and_goes_back(studio, visit):
    page = visit()
    arrive(page, studio.url)
    where = page.get_by_role("button", name="Radio 3 at").get_attribute("aria-label")
    page.get_by_role("button", name="Radio 3 at").hover()
    radio, user = (page.get_by_role("button", name=name).first.bounding_box() for name in ("Radio 3 at", "User 1 at"))
    drag(page, "Radio 3 at", user["x"] + user["width"] / 2 - radio["x"] - radio["width"] / 2, user["y"] + user["height"] / 2 - radio["y"] - radio["height"] / 2)
    page.get_by_text("on top of UE").wait_for()
    placed = page.get_by_role("button", name="Radio 3 at").get_attribute("aria-label")
    user = page.get_by_role("button", name="User 1 at").get_attribute("aria-label")
    assert placed.split("metres")[0].split("at")[1] != user.split("metres")[0].split("at")[1] and where != user


def test_every_view_draws_and_moves_on_a_phone(studio, visit):
    page = visit(420)
    arrive(page, studio.url)
    for name, words in (("Costs", "What a bit of fronthaul buys"), ("Where it holds", "it depends on the scenario"), ("Not told", "All six ways over SNR"),
                        ("Moving users", "Two stages reach")):
        page.get_by_text(name, exact=True).first.click()
        page.get_by_role("heading", name=words).wait_for()
        settled(page)
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= 420")
