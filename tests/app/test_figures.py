"""The table exhibit's figures: pure functions of a saved run."""

import json
import math
from types import SimpleNamespace

import pytest

from app.execute import execute
from app.figures import table as figures
from app.registry import exhibit
from app.report import one_page
from core.exhibit import Source

ROW = exhibit("table")


@pytest.fixture(scope="module")
def view():
    """A run of the regions alone over the photograph and a picture without rules, without text."""
    sources = [Source(s.file, s.path.read_bytes()) for s in ROW.samples if s.label in ("Photo", "No rules")]
    run = execute("table", sources, {"ocr": "none", "race": True, "engine": "regions"})
    return SimpleNamespace(id="table-aaaaaaaaaaaaaaaa", record=run.record, files=run.files, trace=run.trace)


def test_the_finding_counts_what_is_in_the_files(view):
    cells = sum(len(json.loads(data)["cells"]) for name, data in view.files.items() if name.endswith(".json"))
    assert f"{cells} cells found" in figures.finding(view) and "2 pictures" in figures.finding(view) and "1 without a table" in figures.finding(view)


def test_addresses_are_a_spreadsheets():
    assert [figures.letters(k) for k in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]
    assert figures.address({"row": 3, "col": 1}) == "B4"


def test_cells_are_drawn_as_they_lie():
    turn = math.radians(30)
    affine = [[math.cos(turn), -math.sin(turn), 5.0], [math.sin(turn), math.cos(turn), 7.0]]
    around = figures.corners([0, 0, 4, 2], affine)
    assert math.dist(around[0], around[1]) == pytest.approx(4) and math.dist(around[1], around[2]) == pytest.approx(2)
    assert math.degrees(math.atan2(around[1][1] - around[0][1], around[1][0] - around[0][0])) == pytest.approx(30)


def test_a_quarter_turn_is_in_the_box_already():
    quarter = [[0.0, 1.0, 0.0], [-1.0, 0.0, 99.0]]
    assert [tuple(map(round, corner)) for corner in figures.corners([10, 20, 40, 30], quarter)] == [(10, 20), (40, 20), (40, 30), (10, 30)]


def test_the_figure_has_an_outline_and_a_hover_point_for_each_cell(view):
    fig, alt = figures.cells_figure(view, "coins-photo", "light", 16)
    cells = figures.reading(view, "coins-photo").cells
    outlined = sum(list(t.x).count(None) for t in fig.data if t.mode == "lines")
    hovered = {text.partition("<br>")[0] for t in fig.data if t.mode == "markers" for text in t.text}
    assert outlined == len(cells) == len(hovered) and str(len(cells)) in alt


def test_a_joined_cell_is_corrected_from_any_of_its_places(view):
    pandas = pytest.importorskip("pandas")
    result = figures.reading(view, "coins-photo").result
    before = pandas.DataFrame(figures.grid_of(result))
    cell = next(c for c in result["cells"] if c["rowspan"] > 1)
    after = before.copy()
    after.iat[cell["row"] + cell["rowspan"] - 1, cell["col"]] = "new"
    assert figures.changes(result, before, after) == {(cell["row"], cell["col"]): "new"}
    assert figures.changes(result, before, before) == {}


def test_comparing_a_run_with_itself_finds_no_difference(view):
    (_, _), (_, _), between = figures.comparison(view, view, "dark", 20)
    values = dict(between)
    assert values["same cells"] == "47 of 47" and values["same text in them"] == "47 of 47" and values["time, right ÷ left"] == "1.00×"


def test_layers_hover_at_the_middle_of_their_regions(view):
    fig, _ = figures.layer_figure(view, "coins-photo", "regions.png", "light", 16)
    width, height = figures.reading(view, "coins-photo").trace["working_size"]
    points = fig.data[0]
    assert len(points.x) == len(figures.reading(view, "coins-photo").trace["regions"])
    assert all(-1 <= x <= width + 1 and -1 <= y <= height + 1 for x, y in zip(points.x, points.y, strict=True))


def test_the_race_names_every_labeller_and_says_whether_they_agree(view):
    this = figures.reading(view, "coins-photo")
    _, alt = figures.race_figure(this.trace["race"], "light", 16)
    assert "OpenCV" in alt and "SciPy" in alt and "NumPy" in alt and "same components" in figures.race_note(this)


def test_the_report_holds_everything_and_fetches_nothing(view):
    page = one_page(ROW, view).decode()
    assert "coins-photo.jpg" in page and "closed cells" in page and "table-aaaaaaaaaaaaaaaa" in page
    assert "http://" not in page and "https://" not in page and "<script" not in page


def test_a_visitors_words_stay_words(view):
    hostile = json.loads(view.files["coins-photo.json"])
    hostile["cells"][0]["text"] = "<img src=x onerror=alert(1)>"
    copy = SimpleNamespace(**{**vars(view), "files": {**view.files, "coins-photo.json": json.dumps(hostile).encode()}})
    fig, _ = figures.cells_figure(copy, "coins-photo", "light", 16)
    assert not any("<img" in text for t in fig.data if t.mode == "markers" for text in t.text)
