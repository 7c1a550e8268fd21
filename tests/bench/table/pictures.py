"""The pictures of the table benchmark: wiki_rendered, tables of English Wikipedia drawn by a browser, with their true cells."""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from core.table.table import Cell, Table

RULED = ("grid", "dark")
"""Styles whose cells are closed on all sides; the others are read by an abstention."""


@dataclass(frozen=True)
class TablePicture:
    """One picture and what is truly in it; boxes in pixels."""

    path: Path
    style: str
    true: Table

    @property
    def ruled(self) -> bool:
        return self.style in RULED

    @property
    def rgb(self) -> np.ndarray:
        """uint8[H, W, 3], decoded anew each time."""
        return cv2.cvtColor(cv2.imread(str(self.path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def load_pictures(data: Path, quick: bool = False) -> list[TablePicture]:
    """All pictures under DATA/tables/wiki_rendered in the order of the file, none where the folder is absent; quick: two of every style."""
    folder = data / "tables" / "wiki_rendered"
    if not (folder / "cells.jsonl").is_file():
        return []
    with (folder / "cells.jsonl").open(encoding="utf8") as lines:
        pictures = [_picture(folder, json.loads(line)) for line in lines]
    if not quick:
        return pictures
    styles = dict.fromkeys(picture.style for picture in pictures)
    return [picture for style in styles for picture in [p for p in pictures if p.style == style][:2]]


def _picture(folder: Path, record: dict) -> TablePicture:
    cells = (Cell(c["row"], c["col"], c["rs"], c["cs"], c["text"], tuple(c["cell_box"])) for c in record["cells"])
    return TablePicture(folder / record["image"], record["style"], Table(record["n_rows"], record["n_cols"], tuple(cells)))
