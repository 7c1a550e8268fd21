"""OCR engines behind one protocol: nothing is downloaded, what is missing is explained, reading stops when asked."""

import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from core.errors import Cancelled, ConfigError, EngineError
from core.table import ocr
from core.table.config import TableConfig
from tests.core.table.drawn import paper, put


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
