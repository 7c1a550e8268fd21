"""The evaluation of the whole system: all sides are scored on the same pictures, and the logistic fit finds what made its data."""

import json
import shutil
from pathlib import Path

import numpy as np

from core.table import system
from core.table.config import TableConfig
from core.table.export import from_html

SAMPLES = Path(__file__).parents[3] / "assets" / "samples"


def a_set(folder: Path) -> None:
    """icdar2013 with the ruled sample as its only picture, and its ground truth."""
    (folder / "icdar2013").mkdir()
    shutil.copy(SAMPLES / "superbike-1990.png", folder / "icdar2013" / "0.png")
    true = from_html((SAMPLES / "superbike-1990.html").read_text("utf8"))
    cells = [dict(row=c.row, col=c.col, rs=c.rowspan, cs=c.colspan) for c in true.cells]
    (folder / "icdar2013" / "cells.jsonl").write_text(json.dumps(dict(image="0.png", n_rows=true.rows, n_cols=true.cols, cells=cells, style="grid")) + "\n")


def test_all_sides_are_scored_on_the_same_picture(tmp_path):
    a_set(tmp_path)
    found = system.evaluate(tmp_path, "icdar2013")
    assert found["n"] == 1 and found["taken"] == {"regions": 1}
    assert {side: found["grid"][side]["struct100"] for side in system.SIDES} == {"system": 100.0, "model": 100.0, "regions": 100.0}
    alone = system.evaluate(tmp_path, "icdar2013", config=TableConfig(engine="regions"))
    assert alone["all"]["model"]["teds_struct"] == 0 and alone["all"]["system"] == alone["all"]["regions"]
    held = system.calibrate(tmp_path, "icdar2013")
    assert held["n"] == 1 and len(held["fit"]) == 3


def test_the_fit_finds_the_weights_that_made_the_data():
    rng = np.random.default_rng(0)
    given = np.column_stack([np.ones(4000), rng.uniform(-6, 0, 4000), rng.random(4000) < 0.3])
    exact = (rng.random(4000) < 1 / (1 + np.exp(-given @ [1.0, 0.6, 1.5]))).astype(float)
    assert np.abs(system.fit(given, exact) - [1.0, 0.6, 1.5]).max() < 0.25
