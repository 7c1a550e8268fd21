"""The handwriting exhibit's figures: pure functions of a saved run, and what the ink player and the join lens are given."""

import json
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest

from app.execute import execute
from app.figures import handwriting as figures
from app.figures.style import INK
from app.registry import exhibit
from app.report import one_page
from core.handwriting.hand import HANDS, load_hand


def viewed(**settings):
    run = execute("handwriting", [], settings)
    return SimpleNamespace(id=None, record=json.loads(json.dumps(run.record)), files=run.files, trace=run.trace)


@pytest.fixture(scope="module")
def view():
    return viewed(text="hello lunch", variants=2)


@pytest.fixture(scope="module")
def this(view):
    return figures.story(view)


def test_the_finding_counts_the_joins(view):
    metrics = view.record["metrics"]
    assert f"{metrics['joins_made']} of 8 pairs" in figures.finding(view) and "none left open" in figures.finding(view)
    prints = next(name for name in HANDS if load_hand(name).kind == "print")
    assert "keeps its pen lifts" in figures.finding(viewed(text="lunch", hand=prints))
    assert figures.finding(viewed(text="lunch", join=False)).startswith("5\u00a0letters, each written alone")


def test_the_player_gets_both_sheets_at_one_scale(view, this):
    data = figures.player_data(view, "dark", autoplay=False)
    assert json.loads(json.dumps(data)) == data and not data["autoplay"]
    assert [sheet["strokes"] for sheet in data["sheets"]] == [this["joined"], this["plain"]] and len(data["letters"]) == 10
    assert [part["colour"] for part in data["parts"]] == [INK["dark"][role] for role in figures.PART_ROLES]
    for sheet in data["sheets"]:
        left, top, right, bottom = sheet["box"]
        assert all(left <= x <= right for s in sheet["strokes"] for x in s["x"]) and top < -1.2 and bottom > -0.3 and sheet["baselines"] == [pytest.approx(0, abs=0.1)]


def test_another_ink_has_another_identity(view):
    assert figures.identity(view) == figures.identity(view) != figures.identity(viewed(text="hello", variants=0))


def test_the_lens_gets_the_joins_as_they_were_before_the_solve(view, this):
    data = figures.lens_data(view, "light")
    assert [j["kind"] for j in data["joins"]] == [j["kind"] for j in this["joins"] if j["kind"] != "lift"]
    assert data["joins"][data["at"]]["moved"] == max(j["moved"] for j in data["joins"]) and set(data["weights"]) == {"connection", "smoothness", "displacement"}
    assert figures.lens_data(viewed(text="lunch", join=False), "light") is None


def test_pictures_are_well_formed_svg_and_hold_every_stroke(this):
    drawn = ET.fromstring(figures.ink_svg(this["joined"], "#000"))
    assert sum(1 for e in drawn.iter() if e.tag.endswith("path")) == len(this["joined"])
    shown = figures.alphabet(this, True)
    letters = ET.fromstring(figures.alphabet_svg(shown, "light", 7))
    assert [e.text for e in letters.iter() if e.tag.endswith("text")] == [x["char"] for x in shown] and len(shown) >= 26
    assert len(shown) + len(figures.alphabet(this, False)) == len(this["alphabet"])
    assert figures.path_of([1.0], [2.0]).endswith("h.001")


def test_shares_of_the_parts_add_up(this):
    numbers = [int(part.split()[1]) for part in figures.alphabet_words(this).split(", ")]
    assert 98 <= sum(numbers) <= 102 and "head" in figures.alphabet_words(this)


def test_every_pair_is_in_the_table_and_markdown_stays_text(this):
    assert figures.joins_table(this).count("\n") == 1 + 8
    assert "\\*" in figures._cell("*") and "\\|" in figures._cell("a|b")


def test_a_change_is_said_with_its_numbers():
    changed = viewed(text="hallo", edits='[["replace", 1, "e"]]')
    words = figures.edit_words(figures.story(changed))
    assert "solved again" in words and str(changed.record["metrics"]["edit"]["points"]) in words
    assert figures.edit_words(figures.story(viewed(text="hello"))) == ""


def test_what_is_borrowed_is_named():
    story = {"letters": [{"char": "q", "borrowed": "felix"}, {"char": "a", "borrowed": ""}], "hand": {"title": "Mine", "kind": "cursive"}, "joins": []}
    assert figures.borrowed_words(story) == "Grey: q borrowed from felix." and "q" in figures.said(story)


def test_the_letters_to_write_are_those_of_the_text():
    assert figures.needed("hello lunch") == list("helounc")
    assert figures.needed("  ") == list("helo")


def test_comparing_a_run_with_itself_finds_no_difference(view):
    (left, alt), _, between = figures.comparison(view, view, "light", 16)
    assert dict(between)["ms a letter, right ÷ left"] == "1.00×" and left.data and "hello lunch" in alt


def test_the_one_page_report_holds_the_ink_and_fetches_nothing(view):
    page = one_page(exhibit("handwriting"), view).decode()
    assert "Not joined" in page and page.count("<svg") == 2 and "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_recorded_readability_is_drawn_with_its_spread():
    rows = [{"hand": hand, "kind": "cursive", "engine": "reader", "CRR apart": apart, "CRR joined": joined} for hand, apart, joined in
            (("a", 90.0, 88.0), ("b", 80.0, 80.0), ("mean", 85.0, 84.0))]
    fig, alt = figures.readability_figure(rows, "light", 16)
    assert list(fig.data[0].x) == [85.0, 84.0] and list(fig.data[0].error_x.array) == [5.0, 4.0] and "joined 84.0 %" in alt
    assert figures.plain_rows([{"x": 1.23456, "n": 3, "w": ["a", "b"]}]) == [{"x": 1.235, "n": 3, "w": "a, b"}]
