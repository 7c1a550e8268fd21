"""Tables drawn by a browser: boxes that fit the pixels, a store that gives back what was drawn, and a share of the training drawings."""

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.errors import EngineError
from core.table import synth, synth_browser, targets
from core.table.synth import Drawing
from core.table.synth_content import load_corpus

MADE_UP = load_corpus(None)


@pytest.fixture(scope="module")
def drawn() -> list[Drawing]:
    pytest.importorskip("playwright")
    if not shutil.which("chromium"):
        pytest.skip("no chromium here")
    try:
        with synth_browser.open_browser() as browser:
            return synth_browser.draw_page(browser, MADE_UP, [(9, 3, i) for i in range(10)])
    except EngineError as error:
        pytest.skip(str(error))


def test_geometry_fits_the_pixels(drawn: list[Drawing]) -> None:
    assert len(drawn) > 5
    for drawing in drawn:
        height, width = drawing.picture.shape
        assert width <= 1.5 * synth_browser.WIDEST + 1 and drawing.style.removeprefix("browser ") in synth_browser.LOOKS
        for gaps, size in ((drawing.row_gaps, height), (drawing.col_gaps, width)):
            assert gaps[0, 0] == 0 and gaps[-1, 1] == size and (gaps[1:, 0] > gaps[:-1, 1]).all()
        for cell, ink in zip(drawing.table.cells, drawing.inks):
            assert bool(ink) == bool(cell.text.strip()) or not ink, "no ink without text"
            if ink:
                assert cell.box[0] - 2 <= ink[0] and cell.box[1] - 2 <= ink[1] and ink[3] <= cell.box[3] + 2


def test_the_ink_of_a_cell_lies_in_its_ink_box(drawn: list[Drawing]) -> None:
    seen = 0
    for drawing in drawn:
        for cell, ink in zip(drawing.table.cells, drawing.inks):
            left, top, right, bottom = (round(v) for v in cell.box)
            part = drawing.picture[top + 4:bottom - 4, left + 4:right - 4].astype(int)
            if not part.size:
                continue
            rows, cols = np.nonzero(np.abs(part - np.median(part)) > 90)
            x0, y0, x1, y1 = ink or (0, 0, 0, 0)
            outside = (rows + top + 4 < y0 - 1) | (rows + top + 4 > y1) | (cols + left + 4 < x0 - 1) | (cols + left + 4 > x1)
            assert outside.mean() < 0.02 if len(rows) > 20 else True
            seen += len(rows) > 20
    assert seen > 50


def test_a_store_gives_back_what_was_drawn(drawn: list[Drawing], tmp_path: Path) -> None:
    synth_browser._write_page(tmp_path / "page-1-0000.npz", drawn)
    again = [synth_browser.restored(*entry) for entry in synth_browser.read_page(tmp_path / "page-1-0000.npz")]
    for one, other in zip(drawn, again, strict=True):
        assert np.array_equal(one.picture, other.picture) and one.table == other.table and one.inks == other.inks and one.style == other.style
        assert np.allclose(one.row_gaps, other.row_gaps) and np.allclose(one.col_gaps, other.col_gaps)


def test_a_full_store_needs_no_browser(drawn: list[Drawing], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synth_browser._write_page(tmp_path / "page-1-0000.npz", drawn)

    def none() -> None:
        raise AssertionError("a browser was opened")
    monkeypatch.setattr(synth_browser, "open_browser", none)
    assert synth_browser.make_store(tmp_path, MADE_UP, len(drawn), 1) == len(drawn)


def test_every_fourth_training_drawing_is_a_browsers(drawn: list[Drawing], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synth_browser._write_page(tmp_path / "page-1-0000.npz", drawn)
    styles: list[str] = []
    made = targets.make_batch
    one = synth.draw(MADE_UP, (11, 3))

    def counted(drawings: Sequence[Drawing], *rest) -> targets.Batch:
        styles.extend(d.style for d in drawings)
        return made(drawings, *rest)
    monkeypatch.setattr(targets, "make_batch", counted)
    monkeypatch.setattr(targets, "draw", lambda *_: one)
    list(itertools.islice(targets.batches(None, 1, 32, store=tmp_path), 4))
    assert len(styles) == targets.CHUNK and sum(s.startswith("browser") for s in styles) == targets.CHUNK // targets.BROWSER_EVERY


def test_an_empty_store_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        one = synth.draw(MADE_UP, (11, 3))
    except EngineError as error:
        pytest.skip(str(error))
    monkeypatch.setattr(targets, "draw", lambda *_: one)
    assert len(synth_browser.Store(tmp_path)) == 0
    assert next(targets.batches(None, 1, 32, store=tmp_path)).picture.shape[0] == 32


def test_a_page_is_the_same_from_the_same_seeds() -> None:
    try:
        pages = [synth_browser.page_of(MADE_UP, [(9, 3, i) for i in range(4)]) for _ in range(2)]
    except EngineError as error:
        pytest.skip(str(error))
    assert pages[0] == pages[1] and pages[0][0].count("<table>") == 4


def test_a_missing_browser_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("playwright")
    monkeypatch.setattr(synth_browser.shutil, "which", lambda _: "/nonexistent/chromium")
    with pytest.raises(EngineError, match="Chromium"), synth_browser.open_browser():
        pass
