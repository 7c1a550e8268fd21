"""Drawn tables: the same from the same seed, geometry that fits the pixels, no test table among the sources, a clear word where fonts are missing."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from core.errors import EngineError, InputError
from core.table import synth
from core.table.synth import Drawing, draw
from core.table.synth_content import is_validation, load_corpus

MADE_UP = load_corpus(None)


@pytest.fixture(autouse=True)
def fonts() -> None:
    try:
        synth.faces()
    except EngineError as error:
        pytest.skip(str(error))


def drawings(count: int, first: int = 0, aged: bool = True) -> list[Drawing]:
    return [draw(MADE_UP, (11, i), aged) for i in range(first, first + count)]


def test_a_seed_gives_the_same_drawing() -> None:
    for one, other in zip(drawings(6), drawings(6)):
        assert np.array_equal(one.picture, other.picture) and one.table == other.table and np.array_equal(one.row_gaps, other.row_gaps)
    assert not np.array_equal(draw(MADE_UP, (11, 0)).picture, draw(MADE_UP, (12, 0)).picture)


def test_geometry_lies_in_the_picture_and_in_order() -> None:
    for drawing in drawings(60):
        height, width = drawing.picture.shape
        assert drawing.picture.dtype == np.uint8 and max(height, width) <= synth.LONGEST_SIDE + 30
        assert drawing.row_gaps.shape == (drawing.table.rows + 1, 2) and drawing.col_gaps.shape == (drawing.table.cols + 1, 2)
        for gaps, size in ((drawing.row_gaps, height), (drawing.col_gaps, width)):
            assert gaps[0, 0] == 0 and gaps[-1, 1] == pytest.approx(size)
            assert (gaps[:, 1] >= gaps[:, 0] - 1e-6).all() and (gaps[1:, 0] > gaps[:-1, 1]).all()
        for cell, ink in zip(drawing.table.cells, drawing.inks):
            assert (ink is None) or bool(cell.text.strip())
            assert -0.5 <= cell.box[0] < cell.box[2] <= width + 0.5 and -0.5 <= cell.box[1] < cell.box[3] <= height + 0.5


def test_cell_boxes_tile_as_the_grid_does() -> None:
    for drawing in drawings(30, 100):
        grid = drawing.table.grid()
        for r, row in enumerate(grid):
            for k, owner in enumerate(row[:-1]):
                if row[k + 1] != owner:
                    assert drawing.table.cells[owner].box[2] <= drawing.table.cells[row[k + 1]].box[0] + 1e-6


def test_ink_boxes_hold_the_ink() -> None:
    """On clean drawings without rules or fills no dark pixel lies outside the ink boxes (titles may be underlined), and no box is empty."""
    seen = 0
    for drawing in drawings(120, aged=False):
        if drawing.style != "plain" or not np.isnan(drawing.row_rules).all():
            continue
        dark = np.abs(drawing.picture.astype(int) - int(drawing.picture[0, 0])) > 90
        rest = dark.copy()
        for cell, ink in zip(drawing.table.cells, drawing.inks):
            x0, y0, x1, y1 = (round(v) for v in ink or (0, 0, 0, 0))
            rest[max(y0 - 1, 0):y1 + 3, max(x0 - 2, 0):x1 + 2] = False
            if ink:
                assert dark[y0:y1, x0:x1].any() or (y1 - y0) * (x1 - x0) < 40, "a lone mark may be lighter than the threshold"
                seen += 1
        assert not rest.any()
    assert seen > 100


def test_rules_are_where_they_are_said_to_be() -> None:
    """Above an unspanned cell of a grid the line has one grey from side to side, or that and the paper's; a descender from above may cross it."""
    seen = 0
    for drawing in drawings(80, aged=False):
        if drawing.style != "grid":
            continue
        for cell in drawing.table.cells:
            if cell.row and not np.isnan(drawing.row_rules[cell.row]) and cell.box[2] - cell.box[0] > 12:
                line = drawing.picture[int(drawing.row_rules[cell.row]), int(cell.box[0]) + 4:int(cell.box[2]) - 4]
                assert np.sort(np.unique(line, return_counts=True)[1])[-2:].sum() > 0.6 * len(line)
                seen += 1
    assert seen > 100


def test_every_look_and_spans_come_up() -> None:
    made = drawings(160, 300)
    assert {d.style for d in made} == set(synth._LOOKS)
    spanned = sum(any(c.rowspan * c.colspan > 1 for c in d.table.cells) for d in made)
    assert 30 < spanned < 130
    assert any(np.median(d.picture) < 110 for d in made) and any(d.table.rows > 30 for d in made) and min(min(d.picture.shape) for d in made) < 90


def _write_tables(folder: Path) -> None:
    cells = [dict(row=r, col=k, rs=1, cs=1, head=r == 0, text=f"text {r} {k}") for r in range(4) for k in range(3)]
    with gzip.open(folder / "wikitables.jsonl.gz", "wt", encoding="utf8") as out:
        for i in range(100):
            out.write(json.dumps(dict(id=f"{i}/0", n_rows=4, n_cols=3, complete=i != 5, cells=cells)) + "\n")
    (folder / "wiki_rendered").mkdir()
    (folder / "wiki_rendered" / "cells.jsonl").write_text("".join(json.dumps(dict(source_table=f"{i}/0")) + "\n" for i in range(10, 20)), "utf8")


def test_no_test_table_is_drawn_and_the_splits_are_apart(tmp_path: Path) -> None:
    _write_tables(tmp_path)
    train, validation = ({r["id"] for r in load_corpus(tmp_path, split).tables} for split in (False, True))
    assert not train & validation and validation and all(is_validation(i) for i in validation)
    assert train | validation == {f"{i}/0" for i in range(100)} - {"5/0"} - {f"{i}/0" for i in range(10, 20)}
    assert any("text" in c.text for i in range(8) for c in draw(load_corpus(tmp_path), (1, i)).table.cells)


def test_the_shared_corpus_keeps_the_test_tables_out(shared_data: Path) -> None:
    shown = {json.loads(line)["source_table"] for line in (shared_data / "tables" / "wiki_rendered" / "cells.jsonl").open(encoding="utf8")}
    held = {r["id"] for split in (False, True) for r in load_corpus(shared_data / "tables", split).tables}
    assert len(held) > 1000 and not held & shown


def test_a_folder_without_tables_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wikitables.jsonl.gz"):
        load_corpus(tmp_path)


def test_without_fonts_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synth, "font_folders", list)
    synth.faces.cache_clear()
    try:
        with pytest.raises(EngineError, match="fonts-liberation"):
            draw(MADE_UP, (1, 1))
    finally:
        monkeypatch.undo()
        synth.faces.cache_clear()


def test_fonts_are_found_in_a_named_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    regular, _ = synth.faces()[0]
    (tmp_path / "Lato-Regular.ttf").write_bytes(regular.read_bytes())
    monkeypatch.setenv("VITRINE_FONTS", str(tmp_path))
    assert synth.font_folders()[0] == tmp_path
    synth.faces.cache_clear()
    try:
        assert tmp_path / "Lato-Regular.ttf" in [plain for plain, _ in synth.faces()]
    finally:
        monkeypatch.undo()
        synth.faces.cache_clear()
