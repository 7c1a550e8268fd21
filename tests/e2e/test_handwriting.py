"""The handwriting exhibit as a visitor meets it: a text typed and written, letters drawn with the mouse, a join bent by a slider; and its components alone in a browser."""

import json

import numpy as np
import pytest

from app.figures import handwriting as figures
from app.registry import ROOT
from core.handwriting.compose import compose
from core.handwriting.deformation import CAP, Weights, join
from core.handwriting.hand import load_hand
from core.handwriting.story import story
from tests.e2e.pages import settled, wait_for_run
from tests.e2e.test_token_player import MOUNT

WIDGETS = ROOT / "app" / "widgets"
UP, DOWN, MARGIN = 1.95, 1.15, 0.25
"""How far the sheet of the pad reaches, in x-heights (ink_pad.js)."""
COLOURS = "<style>body { --st-text-color: #111; --st-background-color: #fff; --st-border-color: #889; --st-gray-text-color: #444; --st-gray-color: #777; " \
          "--st-primary-color: #00606d; --st-link-color: #00606d; --st-blue-background-color: #dcebed; --st-secondary-background-color: #eee; --st-font: sans-serif }</style>"
SENT = "() => window.sent"


def arrive(page, url: str) -> None:
    """The exhibit with the arrival sample's result."""
    page.goto(f"{url}/handwriting")
    page.get_by_role("heading", name="pairs of letters joined").wait_for()
    page.get_by_role("button", name="letter 1 of 16").wait_for()
    settled(page)


def look_at(page, view: str) -> None:
    page.get_by_test_id("stMain").get_by_text(view, exact=True).first.click()


def draw(page, char: str) -> None:
    """Draw a shipped letter on the pad with the mouse, on the guide lines."""
    sheet = page.get_by_role("application")
    box, ink = sheet.bounding_box(), load_hand("allure").variants(char)[0].ink
    unit = box["height"] / (UP + DOWN + 2 * MARGIN)
    place = [box["x"] + box["width"] / 2 - unit * (ink.box[0] + ink.box[2]) / 2, box["y"] + (UP + MARGIN) * unit]
    for stroke in ink.strokes:
        for k, (x, y) in enumerate(stroke.xy[::3] * unit + place):
            page.mouse.move(x, y)
            if not k:
                page.mouse.down()
        page.mouse.up()


def test_a_text_is_typed_written_taken_home_and_one_letter_of_it_changed(studio, visit):
    page = visit()
    arrive(page, studio.url)
    here = page.url
    page.get_by_label("Type a text and press Enter").fill("hallo")
    page.keyboard.press("Enter")
    run_id = wait_for_run(page, here)
    page.get_by_role("button", name="a, letter 2 of 5").wait_for()
    with page.expect_download() as coming:
        page.get_by_role("button", name="SVG", exact=True).click()
    assert b"<svg" in open(coming.value.path(), "rb").read() and run_id.startswith("handwriting-")
    here = page.url
    page.get_by_role("button", name="a, letter 2 of 5").focus()
    page.keyboard.press("e")
    wait_for_run(page, here)
    page.get_by_role("button", name="e, letter 2 of 5").wait_for()
    page.get_by_text("bit for bit").wait_for()
    assert page.get_by_label("Type a text and press Enter").input_value() == "hello"
    assert not [url for url in page.asked if not url.startswith((studio.url, "data:", "blob:"))]


def test_letters_drawn_with_the_mouse_write_the_text_and_stay_in_the_tab(studio, visit):
    page = visit()
    arrive(page, studio.url)
    page.get_by_role("button", name="Write with your own letters").click()
    page.get_by_role("application").wait_for()
    settled(page)
    for char in "le":
        draw(page, char)
        page.get_by_role("button", name=f"Take this {char}").click()
    page.get_by_role("img", name="Handwriting: letters join hands").wait_for()
    page.get_by_text("2 of 12 letters written").wait_for()
    page.get_by_role("button", name="Use these letters").click()
    page.get_by_text("in this tab only").wait_for()
    page.get_by_text("Borrowed from").first.wait_for()
    page.get_by_role("button", name="l, letter 1 of 16").wait_for()
    assert "run=" not in page.url and page.get_by_role("button", name="t, letter 3 of 16, borrowed").count() == 1


def test_a_slider_bends_the_joins_and_the_weights_write_the_text_anew(studio, visit):
    page = visit(420)
    arrive(page, studio.url)
    look_at(page, "Joins")
    page.locator(".numbers").get_by_text("largest shift").wait_for()
    before = page.locator(".numbers").inner_text()
    weights = page.locator(".sliders input")
    for _ in range(5):
        weights.nth(2).press("ArrowRight")
    page.get_by_text("slider to picture").wait_for()
    assert page.locator(".numbers").inner_text() != before
    weights.nth(0).press("Home")
    assert "gap 0," not in page.locator(".numbers").inner_text()
    here = page.url
    page.get_by_role("button", name="Write everything with these weights").click()
    wait_for_run(page, here)
    page.get_by_role("heading", name="largest gap").wait_for()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= 420")


def test_every_other_view_draws(studio, visit):
    page = visit(420)
    arrive(page, studio.url)
    for view, words in (("Letters", "What may bend"), ("Variants", "another seed"), ("Compare", "compare with")):
        look_at(page, view)
        page.get_by_text(words).first.wait_for()
        settled(page)
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= 420")


# ---- the components alone

@pytest.fixture
def mounted(visit):
    """mounted(name, data, width) -> a page with nothing but that component; what it sends is in window.sent."""
    def mount(name: str, data: dict, width: int = 1000, **media):
        parts = {end: (WIDGETS / f"{name}.{end}").read_text("utf8") for end in ("html", "css", "js")}
        script = (WIDGETS / "join_solve.js").read_text("utf8") + parts["js"]
        page = visit(width, 900)
        page.emulate_media(**media)
        page.set_content(f"<!doctype html><html lang='en'><title>Ink</title>{COLOURS}<body></body></html>")
        sends = "window.sent = []; window.mount = component => inner({ ...component, setTriggerValue: (name, value) => window.sent.push([name, value]) }); function inner"
        page.add_script_tag(content=script.replace("export default function", sends), type="module")
        page.wait_for_function("() => Boolean(window.mount)")
        page.evaluate(MOUNT, [parts["html"], parts["css"], data])
        return page

    return mount


PAD = {"chars": ["l", "i"], "letters": [], "turn": 0, "done_word": "Write my text"}


def told(text: str = "hello") -> dict:
    return json.loads(json.dumps(story(compose(text, load_hand("school")))))


def test_the_pad_takes_pen_pressure_and_time_on_its_lines(mounted):
    page = mounted("ink_pad", PAD)
    draw(page, "l")
    page.get_by_role("button", name="Take this l").click()
    (name, found), = page.evaluate(SENT)
    stroke, = found["letters"][0]["strokes"]
    own = load_hand("allure").variants("l")[0].ink
    assert name == "letters" and found["letters"][0]["char"] == "l" and not found["finished"] and len(stroke["x"]) > 8
    assert min(stroke["x"]) == 0 and min(stroke["y"]) == pytest.approx(own.box[1], abs=0.1) and max(stroke["y"]) == pytest.approx(own.box[3], abs=0.1)
    assert stroke["t"][0] == 0 and stroke["t"] == sorted(stroke["t"]) and set(stroke["p"]) == {0.5}


def test_a_finger_writes_with_its_pressure_and_a_palm_beside_it_does_not(mounted):
    page = mounted("ink_pad", PAD)
    box, touch = page.get_by_role("application").bounding_box(), page.context.new_cdp_session(page)

    def move(kind: str, *points: tuple[float, float]) -> None:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [
            {"x": box["x"] + x, "y": box["y"] + y, "force": 0.8, "id": k} for k, (x, y) in enumerate(points)]})

    move("touchStart", (100, 60))
    move("touchStart", (100, 60), (300, 200))
    for step in range(1, 9):
        move("touchMove", (100 + 4 * step, 60 + 9 * step), (300 + step, 200))
    move("touchEnd")
    page.get_by_role("button", name="Take this l").click()
    (_, found), = page.evaluate(SENT)
    stroke, = found["letters"][0]["strokes"]
    assert len(stroke["x"]) >= 5 and max(stroke["y"]) - min(stroke["y"]) > 0.5 and stroke["p"][-1] == pytest.approx(0.8, abs=0.01)


def test_the_pad_is_worked_by_keys_alone(mounted):
    page = mounted("ink_pad", PAD)
    page.get_by_role("application").focus()
    for key in ("ArrowLeft", " ", *["ArrowDown"] * 6, " ", "ArrowRight", " ", "ArrowUp", " ", "Backspace", "Enter"):
        page.keyboard.press(key)
    (_, found), = page.evaluate(SENT)
    assert [len(s["x"]) for s in found["letters"][0]["strokes"]] == [7]
    page.get_by_text("1 of 2 letters written").wait_for()


def test_undo_clear_and_a_letter_taken_back(mounted):
    page = mounted("ink_pad", PAD)
    assert page.get_by_role("button", name="Undo").is_disabled() and page.get_by_role("button", name="Take this l").is_disabled()
    draw(page, "l")
    page.get_by_role("button", name="Clear").click()
    assert page.get_by_role("button", name="Take this l").is_disabled() and page.evaluate(SENT) == []
    for char in "li":
        draw(page, char)
        page.keyboard.press("Enter")
    page.get_by_role("button", name="Write my text").click()
    assert page.evaluate(SENT)[-1][1]["finished"] and len(page.evaluate(SENT)[-1][1]["letters"][1]["strokes"]) == 2
    page.get_by_role("button", name="Forget this i").click()
    assert [x["char"] for x in page.evaluate(SENT)[-1][1]["letters"]] == ["l"]


def test_the_player_plays_to_the_end_and_asks_for_a_change(mounted):
    data = figures.ink_data(told("hi"), "one", "light") | {"autoplay": False}
    page = mounted("ink_player", data)
    page.get_by_role("button", name="Write it again").click()
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("slider", name="Moment of the writing").press("End")
    page.get_by_role("button", name="i, letter 2 of 2").click()
    page.get_by_label("Becomes").fill("o")
    page.get_by_role("button", name="Change", exact=True).click()
    name, found = page.evaluate(SENT)[0]
    assert name == "edit" and (found["what"], found["at"], found["char"]) == ("replace", 1, "o")
    page.get_by_role("button", name="h, letter 1 of 2").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Backspace")
    assert page.evaluate(SENT)[-1][1]["what"] == "delete" and page.evaluate(SENT)[-1][1]["at"] == 1


def test_with_reduced_motion_the_ink_stands_there_whole(mounted):
    page = mounted("ink_player", figures.ink_data(told("hi"), "two", "light"), reduced_motion="reduce")
    assert page.get_by_role("button", name="Write it again").count() == 0
    assert page.get_by_role("slider", name="Moment of the writing").input_value() == "1000"


def test_the_browsers_solve_is_pythons(mounted):
    page, random, worst = mounted("join_lens", lens()), np.random.default_rng(0), 0.0
    page.add_script_tag(content=(WIDGETS / "join_solve.js").read_text("utf8"))
    for k in range(40):
        m, n = random.integers(1, 16, 2)
        tail = np.cumsum(random.normal(0, 0.1, (m, 2)), axis=0)
        head = np.cumsum(random.normal(0, 0.1, (n, 2)), axis=0) + tail[-1] + random.normal(0, 0.3, 2)
        weights, exact = Weights(*map(float, 10 ** random.uniform(-1, 3, 3))), bool(k % 2)
        ours = join(tail, head, weights, "merge" if exact else "solve")
        theirs = page.evaluate("([t, h, w, e, c]) => joinLetters(t, h, w, e, c)", [tail.tolist(), head.tolist(), vars(weights), exact, CAP])
        assert theirs["fits"] == ours.fits and theirs["moved"] == pytest.approx(ours.moved)
        pairs = [(theirs["tail"], ours.tail), (theirs["head"], ours.head), (theirs["smoothness"], ours.terms.smoothness), (theirs["displacement"], ours.terms.displacement),
                 (theirs["gap"], ours.gap), (theirs["connection"], ours.terms.connection)]
        worst = max([worst, *(float(np.abs(np.subtract(a, b)).max()) for a, b in pairs if np.size(b))])
    assert worst < 1e-9


def lens() -> dict:
    this = told("hello lunch")
    view = type("View", (), {"id": "one", "trace": {"story.json": json.dumps(this).encode()}})
    return json.loads(json.dumps(figures.lens_data(view, "light")))


def test_the_lens_draws_what_was_written_before_a_slider_moves(mounted):
    data = lens()
    page = mounted("join_lens", data)
    found = page.evaluate("() => document.querySelector('main').shadowRoot.lens.found.map(j => [j.tail, j.head])")
    assert len(found) == len(data["joins"]) > 5
    for (tail, head), stored in zip(found, data["joins"], strict=True):
        bent = stored["tail"][stored["back"]:], stored["head"][:len(stored["head"]) - stored["lead"]]
        assert np.abs(np.subtract(tail, bent[0])).max() < 1e-9 and np.abs(np.subtract(head, bent[1])).max() < 1e-9


@pytest.mark.parametrize("name", ["ink_pad", "ink_player", "join_lens"])
def test_it_fits_and_axe_finds_nothing(mounted, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    data = {"ink_pad": lambda: PAD, "ink_player": lambda: figures.ink_data(told(), "three", "light") | {"autoplay": False}, "join_lens": lens}[name]()
    page = mounted(name, data, 1000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1000
    assert page.evaluate("() => { const main = document.querySelector('main'); main.style.width = '404px'; return main.scrollWidth }") <= 404, "before anything is drawn anew"
    page.set_viewport_size({"width": 420, "height": 900})
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("document.documentElement.scrollWidth") <= 420, "drawn for the narrow page"
    assert not [(v["id"], v["nodes"][0]["html"][:200]) for v in axe.run(page).response["violations"] if v["impact"] in ("serious", "critical")]
