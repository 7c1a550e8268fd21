"""Reading cells: engines behind one protocol, nothing downloaded, empties skipped, faint and lone marks kept, dashes measured."""

import shutil
import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest

from core.errors import Cancelled, ConfigError, EngineError
from core.table import cells, mending, ocr
from core.table import ink as ink_module
from core.table.config import TableConfig
from core.table.table import Cell, Table
from tests.core.table.drawn import draw


class Echo:
    """Reads every line as its size, and remembers what it was asked."""

    name, version = "echo", "1"

    def __init__(self):
        self.asked = []

    def read(self, lines, progress=None):
        self.asked += lines
        return [(f"{line.shape[0]}x{line.shape[1]}", 0.5) for line in lines]


def cell_of(picture: np.ndarray) -> ink_module.CellInk:
    return ink_module.cut(picture, (0, 0, picture.shape[1], picture.shape[0]))


def paper(height: int = 40, width: int = 160, ground=(255, 255, 255)) -> np.ndarray:
    return np.full((height, width, 3), ground, np.uint8)


def put(picture: np.ndarray, text: str, x: int = 20, y: int = 27, colour=(0, 0, 0), size: float = 0.6) -> np.ndarray:
    return cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def test_the_default_reader_needs_no_network_and_no_downloader():
    code = """
        import socket, sys
        def refuse(*args, **kw): raise AssertionError("network")
        socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.gethostbyname = refuse
        from core.table import ocr
        from core.table.cells import read_cells
        from core.table.config import TableConfig
        from tests.core.table.drawn import draw
        picture, table = draw([["Town 12", "1990"]])
        read, _ = read_cells(picture, table, [c.box for c in table.cells], ocr.engine(TableConfig()))
        assert "requests" not in sys.modules and "rapidocr.main" not in sys.modules
        print([c.text for c in read.cells])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "['Town 12', '1990']", done.stderr
    assert done.stderr == ""


def test_the_reader_keeps_the_order_and_is_the_same_object_each_time():
    reader = ocr.engine(TableConfig())
    assert ocr.engine(TableConfig()) is reader and "PP-OCRv6" in reader.version
    words = ["Wednesday morning", "Oslo", "17", "Copenhagen", "May"] * 3
    readings = reader.read([put(paper(36, 40 + 14 * len(w)), w) for w in words])
    assert [text for text, _ in readings] == words
    assert all(0.5 < confidence <= 1 for _, confidence in readings)


def test_reading_reports_progress_and_stops_between_batches():
    seen = []

    def stop(fraction, message):
        seen.append((fraction, message))
        if len(seen) == 2:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        ocr.engine(TableConfig()).read([paper(20, 60)] * 30, stop)
    assert seen == [(0.0, "Reading text: line 1 of 30"), (8 / 30, "Reading text: line 9 of 30")]


def test_greedy_drops_repeats_then_blanks():
    best = np.array([0, 1, 1, 0, 1, 2, 2, 0])
    assert ocr.greedy(best, np.array([1, 0.8, 0.1, 1, 0.6, 1.0, 0.1, 1]), ["", "a", "b"]) == ("aab", pytest.approx(0.8))
    assert ocr.greedy(np.zeros(4, int), np.ones(4), ["", "a"]) == ("", 0.0)


def test_no_reader_reads_nothing():
    assert ocr.engine(TableConfig(ocr="none")).read([paper()]) == [("", 1.0)]


@pytest.mark.parametrize("settings, error, words", [
    ({"ocr_language": "cyrillic"}, ConfigError, ["cyrillic", "ocr_model", "tesseract"]),
    ({"ocr_model": "nowhere.onnx"}, ConfigError, ["nowhere.onnx", ".onnx"]),
    ({"ocr_model": __file__}, EngineError, ["test_ocr.py", "character"])])
def test_a_reader_that_cannot_be_had_is_explained(settings, error, words):
    with pytest.raises(error) as caught:
        ocr.engine(TableConfig(**settings))
    assert [w for w in words if w not in str(caught.value)] == []


def test_tesseract_that_is_not_installed_says_the_way_out(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(EngineError, match="not installed.*apt install tesseract-ocr.*ocr=rapidocr"):
        ocr.Tesseract()


FAKE = """#!{python}
import sys
if "--version" in sys.argv: print("tesseract 5.3.0\\n leptonica")
elif "--list-langs" in sys.argv: print("List of available languages (2):\\neng\\nosd")
elif "-l" in sys.argv:
    pages = open(sys.argv[1]).read().split()
    print("level\\tpage_num\\tblock_num\\tpar_num\\tline_num\\tword_num\\tleft\\ttop\\twidth\\theight\\tconf\\ttext")
    for n in range(1, len(pages) + 1):
        print(f"1\\t{{n}}\\t0\\t0\\t0\\t0\\t0\\t0\\t9\\t9\\t-1\\t")
        if n != 2:
            print(f"5\\t{{n}}\\t1\\t1\\t1\\t1\\t0\\t0\\t9\\t9\\t90\\tpage\\n5\\t{{n}}\\t1\\t1\\t1\\t2\\t0\\t0\\t9\\t9\\t70\\t\\"{{n}}")
"""


def test_tesseract_is_called_once_for_many_lines(monkeypatch, tmp_path):
    program = tmp_path / "tesseract"
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    reader = ocr.Tesseract()
    assert reader.version == "5.3.0"
    assert reader.read([paper(), paper(), paper()]) == [('page "1', pytest.approx(0.8)), ("", 0.0), ('page "3', pytest.approx(0.8))]
    with pytest.raises(ConfigError, match="'deu'.*eng, osd.*tesseract-ocr-deu"):
        ocr.Tesseract("eng+deu")


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="the program tesseract is not installed")
def test_tesseract_reads():
    assert [t for t, _ in ocr.Tesseract().read([put(paper(), "Copenhagen"), put(paper(), "Oslo")])] == ["Copenhagen", "Oslo"]


@pytest.mark.parametrize("mark", ["-", ".", "1", "'"])
@pytest.mark.parametrize("ink, ground", [(0, 255), (255, 40), (120, 235)])
def test_a_lone_mark_is_text(mark, ink, ground):
    cell = cell_of(put(paper(ground=(ground,) * 3), mark, colour=(ink,) * 3))
    assert len(cell.lines) == 1


def test_empty_cells_are_empty_with_fill_noise_and_rules():
    rng = np.random.default_rng(4)
    for ground in (255, 200, 30):
        noisy = (paper(ground=(ground,) * 3) + rng.normal(0, 4, (40, 160, 3))).clip(0, 255).astype(np.uint8)
        ruled = paper(ground=(ground,) * 3)
        ruled[:2] = ruled[:, :1] = ruled[-3:] = 255 - ground if ground != 200 else 0
        assert cell_of(noisy).lines == () and cell_of(ruled).lines == ()
    jpeg = cv2.imdecode(cv2.imencode(".jpg", paper(ground=(60, 90, 200)), [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1)
    assert cell_of(jpeg).lines == ()
    assert ink_module.cut(paper(), (5, 5, 6, 30)).lines == ()
    assert ink_module.cut(paper(), (-9, -9, 12, 12)).lines == ()


def test_light_text_on_a_dark_fill_is_turned_over():
    cell = cell_of(put(paper(ground=(20, 30, 90)), "Town", colour=(255, 255, 255)))
    assert cell.grey[cell.ink].mean() < 100 < np.median(cell.grey)


def test_lines_are_parted_and_marks_joined():
    picture = put(put(paper(80), "Juni", y=25), "Jag", y=55)
    table = Table(1, 1, (Cell(0, 0),))
    echo = Echo()
    read, notes = cells.read_cells(picture, table, [(0, 0, 160, 80)], echo)
    assert len(echo.asked) == 2 and read.cells[0].text.count("\n") == 1 and notes == []


def test_touching_lines_are_parted_at_the_thinnest_rows():
    ink = np.zeros((40, 60), bool)
    ink[2:14, 5:50] = ink[15:27, 5:50] = ink[28:40, 5:50] = True
    ink[14, 20] = ink[27, 20] = True
    whole = ink_module.CellInk(np.full((40, 60), 255, np.uint8), ink, ((2, 40),))
    parts = ink_module.split_tall(whole, 12.0)
    assert [(a, b) for a, b in parts] == [(2, 14), (14, 27), (27, 40)]


def test_equal_crops_are_read_once_and_confidence_is_the_smaller():
    picture, table = draw([["17", "17", "17"], ["", "17", "17"]], confidence=0.4)
    echo = Echo()
    read, _ = cells.read_cells(picture, table, [(c.box[0] + 2, c.box[1] + 2, c.box[2] - 2, c.box[3] - 2) for c in table.cells], echo)
    assert len(echo.asked) == 1
    assert [bool(c.text) for c in read.cells] == [True, True, True, False, True, True]
    assert {c.confidence for c in read.cells} == {0.4}


def test_text_at_90_degrees_is_noticed():
    texts = [["Town", "Year", "Population"], ["Oslo", "1990", "4611"], ["Bergen", "2004", "2377"]]
    picture, table = draw(texts)
    boxes = [c.box for c in table.cells]
    turned = np.ascontiguousarray(np.rot90(picture))
    width = picture.shape[1]
    turned_boxes = [(y0, width - x1, y1, width - x0) for x0, y0, x1, y1 in boxes]
    assert cells.read_cells(picture, table, boxes, Echo())[1] == []
    assert cells.read_cells(turned, table, turned_boxes, Echo())[1] == [cells.VERTICAL]


def line_of(*stretches: tuple[int, int, int, int]) -> np.ndarray:
    ink = np.zeros((20, 80), bool)
    for x0, x1, y0, y1 in stretches:
        ink[y0:y1, x0:x1] = True
    return ink


@pytest.mark.parametrize("text, ink, wanted", [
    ("1-2", line_of((5, 12, 0, 20), (15, 27, 10, 12), (30, 37, 0, 20)), "1–2"),
    ("1–2", line_of((5, 12, 0, 20), (15, 21, 10, 12), (30, 37, 0, 20)), "1-2"),
    ("1-2", line_of((5, 15, 0, 20), (15, 28, 10, 12), (28, 37, 0, 20)), "1–2"),
    ("一", line_of((5, 28, 10, 12)), "—"), ("_", line_of((5, 11, 10, 12)), "-"),
    ("-5", line_of((5, 17, 10, 12), (30, 37, 0, 20)), "-5"),
    ("a-b-c", line_of((5, 17, 10, 12), (30, 37, 0, 20)), "a-b-c"), ("一号", line_of((5, 12, 0, 20)), "一号")])
def test_dashes_are_measured(text, ink, wanted):
    assert mending.measure_dashes(text, 0.5, ink, 20.0)[0] == wanted


def test_a_reading_of_a_lone_dash_is_as_sure_as_its_shape():
    assert mending.measure_dashes("一", 0.4, line_of((5, 28, 10, 12)), 20.0) == ("—", 0.9)


@pytest.mark.parametrize("read, wanted", [
    ("43\u00b010'56\"N 70\u00b052'27\"W / 43.18\u00b0N", "43\u00b010\u203256\u2033N 70\u00b052\u203227\u2033W / 43.18\u00b0N"), ("59\u00b046'W", "59\u00b046\u2032W"),
    ("35\u00b029\u203220\u2032N", "35\u00b029\u203220\u2033N"), ("5'11\" tall", "5'11\" tall"), ("20\u00b0 'Nice'", "20\u00b0 'Nice'")])
def test_arc_minutes_and_seconds_get_their_signs(read, wanted):
    assert mending.arc_marks(read) == wanted


@pytest.mark.parametrize("text, words, wanted", [
    ("PremiereDate", ["Premiere", "Date"], "Premiere Date"), ("2243.6ha", ["2243.6", "ha"], "2243.6 ha"), ("a b c", ["a b", "c"], "a b c"),
    ("41,624", ["41,", "624"], "41,624"), ("1 2", ["1", "2"], "1 2"), ("women's", ["women'", "s"], "women's"), ("Kazakh", ["Kaza", "kn"], "Kazakh"), ("x", ["x", ""], "x")])
def test_dropped_blanks_come_back_only_between_words(text, words, wanted):
    assert mending.spaced(text, words) == wanted


def test_a_line_with_a_wide_gap_is_read_again_word_by_word():
    class Forgetful(Echo):
        def read(self, lines, progress=None):
            self.asked.append(len(lines))
            return [("TownHall", 0.9)] if len(self.asked) == 1 else [("Town", 0.9), ("Hall", 0.9)]

    picture = put(put(paper(40, 200), "Town"), "Hall", x=90)
    reader = Forgetful()
    read, _ = cells.read_cells(picture, Table(1, 1, (Cell(0, 0),)), [(0, 0, 200, 40)], reader)
    assert read.cells[0].text == "Town Hall" and reader.asked == [1, 2]
