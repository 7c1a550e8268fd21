"""The pictures of the table benchmark: tables of English Wikipedia drawn by a browser, and samples of PubTabNet and ICDAR 2013, with their true cells."""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from core.table.table import Cell, Table

RULED = ("grid", "dark")
"""Styles whose cells are closed on all sides."""
PARTLY = ("boxhead", "lines", "threeline")
"""Styles with some rules; the others (plain, stripes) have none."""
DRAWN, REAL = "wiki_rendered", ("pubtabnet", "icdar2013")
"""Sets of pictures under DATA/tables."""


@dataclass(frozen=True)
class TablePicture:
    """One picture and what is truly in it; boxes in pixels. style is empty outside wiki_rendered."""

    path: Path
    style: str
    true: Table
    set: str = DRAWN

    @property
    def ruled(self) -> bool:
        return self.style in RULED

    @property
    def rgb(self) -> np.ndarray:
        """uint8[H, W, 3], decoded anew each time."""
        return cv2.cvtColor(cv2.imread(str(self.path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def load_pictures(data: Path, quick: bool = False) -> list[TablePicture]:
    """All pictures under DATA/tables/wiki_rendered in the order of the file, none where the folder is absent; quick: the first of every style."""
    pictures = load_set(data, DRAWN)
    if not quick:
        return pictures
    return list({picture.style: picture for picture in reversed(pictures)}.values())[::-1]


def load_real(data: Path, quick: bool = False) -> list[TablePicture]:
    """The samples of PubTabNet and ICDAR 2013, as far as they are there; quick: the first of each."""
    return [picture for name in REAL for picture in load_set(data, name)[:1 if quick else None]]


def load_set(data: Path, name: str) -> list[TablePicture]:
    """The pictures of one set in the order of its file, none where it is absent."""
    folder = data / "tables" / name
    if not (folder / "cells.jsonl").is_file():
        return []
    with (folder / "cells.jsonl").open(encoding="utf8") as lines:
        return [_picture(folder, json.loads(line)) for line in lines]


def _picture(folder: Path, record: dict) -> TablePicture:
    """Places without a cell (ICDAR does not annotate empty ones) become empty cells."""
    cells = [Cell(c["row"], c["col"], c["rs"], c["cs"], c["text"], tuple(c["cell_box"]) if c.get("cell_box") else None) for c in record["cells"]]
    taken = {(r, k) for c in cells for r in range(c.row, c.row + c.rowspan) for k in range(c.col, c.col + c.colspan)}
    cells += [Cell(r, k) for r in range(record["n_rows"]) for k in range(record["n_cols"]) if (r, k) not in taken]
    return TablePicture(folder / record["image"], record.get("style", ""), Table(record["n_rows"], record["n_cols"], tuple(cells)), folder.name)
