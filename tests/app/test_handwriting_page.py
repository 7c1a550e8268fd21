"""The handwriting page's behaviour: text and rail are written at once, letters from the pad are checked and never saved without consent."""

import pytest
from streamlit.testing.v1 import AppTest

from app import jobs as job_line
from app.registry import ROOT, exhibit
from app.runs import store
from app.widgets import writing
from core.errors import InputError, LimitError, VitrineError
from core.handwriting.hand import load_hand
from tests.app.test_pages import SECONDS, owner_of, settle

ROW = exhibit("handwriting")


@pytest.fixture(scope="module", autouse=True)
def _close_jobs():
    yield
    job_line.close()


@pytest.fixture(scope="module")
def arrived():
    """A visitor on the page with the first sample's run."""
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=SECONDS).run()
    next(b for b in app.button if b.label == ROW.samples[0].label).click().run()
    app.switch_page(str(ROOT / ROW.page)).run()
    return settle(app, ROW.slug)


@pytest.fixture
def page(arrived):
    """The same visitor with nothing of their own on the desk."""
    arrived.session_state[f"writing:{ROW.slug}"].update(letters=[], consent=False, refused="", kind="auto")
    return arrived


def view_of(app):
    return app.session_state[f"desk:{ROW.slug}"].view


def from_pad(text: str) -> list[dict]:
    """Letters as the pad sends them."""
    hand = load_hand("allure")
    return [{"char": char, "strokes": [{"x": s.xy[:, 0].tolist(), "y": s.xy[:, 1].tolist(), "t": s.t_s.tolist(), "p": s.pressure.tolist()}
                                       for s in hand.variants(char)[0].ink.strokes]} for char in text]


def test_a_text_typed_is_written_at_once_as_a_run_with_a_link(page):
    page.text_input(key="text:handwriting").set_value("many pens").run()
    view = view_of(page)
    assert not page.exception and view.record["metrics"]["text"] == "many pens" and view.id
    assert page.query_params["run"] in (view.id, [view.id]) and store().load(view.id).record["metrics"]["text"] == "many pens"


def test_what_cannot_be_written_is_a_sentence_and_the_result_stays(page):
    before = view_of(page).id
    page.text_input(key="text:handwriting").set_value("   ").run()
    assert page.error and view_of(page).id == before and not page.exception


def test_a_control_of_the_rail_is_followed(page):
    toggle = next(t for t in page.toggle if t.label == "Join the letters")
    toggle.set_value(False).run()
    assert view_of(page).record["config"]["join"] is False and view_of(page).record["metrics"]["joins_made"] == 0
    toggle.set_value(True).run()
    assert view_of(page).record["metrics"]["joins_made"] > 0


def test_own_letters_are_saved_only_with_consent(page):
    state = page.session_state[f"writing:{ROW.slug}"]
    state.update(letters=from_pad("many"))
    page.session_state["view:handwriting"] = "Your letters"
    page.run()
    runs = len(store().list(owner_of(page)))
    page.button(key="use-own").click().run()
    view = view_of(page)
    assert view.id is None and "tab only" in view.unsaved and len(store().list(owner_of(page))) == runs
    assert view.record["metrics"]["hand"] == "Your letters" and "run" not in page.query_params
    page.button(key="main-button").click().run()
    settle(page, ROW.slug)
    assert view_of(page).id is None and len(store().list(owner_of(page))) == runs, "the job line keeps the promise too"
    page.session_state["view:handwriting"] = "Your letters"
    page.run()
    page.checkbox(key="pad-consent:handwriting").check().run()
    page.button(key="use-own").click().run()
    assert view_of(page).id and len(store().list(owner_of(page))) == runs + 1
    page.session_state["view:handwriting"] = "Your letters"
    page.run()
    page.checkbox(key="pad-consent:handwriting").uncheck().run()
    page.button(key="main-button").click().run()
    settle(page, ROW.slug)
    assert view_of(page).id is None and len(store().list(owner_of(page))) == runs + 1, "consent taken back holds at once"


def test_the_pads_letters_become_a_hand():
    hand = writing.own_hand({"letters": from_pad("hhe"), "kind": "print"})
    assert hand.chars == "eh" and len(hand.variants("h")) == 2 and hand.kind == "print"


BAD = [{"char": "a"}, {"char": "a", "strokes": []}, {"char": "a", "strokes": [{"x": [0], "y": [0, 1], "t": [0], "p": [0.5]}]}, {"char": "", "strokes": from_pad("a")[0]["strokes"]},
       {"char": "a", "strokes": [{"x": [float("nan")], "y": [0], "t": [0], "p": [0.5]}]}, {"char": "a", "strokes": [{"x": ["<b>"], "y": [0], "t": [0], "p": [0.5]}]},
       {"char": "a", "strokes": [{"x": [0] * 50_000, "y": [0] * 50_000, "t": [0] * 50_000, "p": [0.5] * 50_000}]}]


@pytest.mark.parametrize("letter", BAD, ids=range(len(BAD)))
def test_what_the_pad_cannot_have_sent_is_refused(letter):
    with pytest.raises(VitrineError):
        writing.own_hand({"letters": [letter], "kind": "auto"})


def test_one_dot_and_too_many_letters_are_met():
    dot = {"char": "i", "strokes": [{"x": [0.0], "y": [0.0], "t": [0.0], "p": [0.5]}]}
    assert writing.preview(writing.own_hand({"letters": [dot], "kind": "auto"}), "i")["letters"][0]["char"] == "i"
    with pytest.raises(LimitError, match="600"):
        writing.own_hand({"letters": [dot] * 601, "kind": "auto"})
    with pytest.raises(InputError):
        writing.own_hand({"letters": [], "kind": "auto"})
