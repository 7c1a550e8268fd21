"""A picture -> its table: regions give the structure, an OCR engine reads the cells; where there is no ruled table it abstains."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from core.exhibit import Progress, silent
from core.io.pictures import Picture
from core.table.cells import read_cells
from core.table.config import TableConfig
from core.table.ocr import engine as ocr_engine
from core.table.table import Box, Table

if TYPE_CHECKING:
    from core.table.regions import RegionReading

ENGINE = "regions"
STRUCTURE_SHARE = 0.25  # of the progress bar; reading takes the rest


@dataclass(frozen=True)
class TableResult:
    """What was found in one picture.

    picture    the decoded picture; boxes of `table` are in pixels of the input picture
    engine     which engine found the structure
    table      None where it abstained; then `reason` says why
    reading    everything the region engine saw, in pixels of picture.rgb
    seconds    stage -> seconds; "ocr" apart from the stages of the structure
    models     engine -> version
    """

    picture: Picture
    engine: str
    table: Table | None
    reason: str
    reading: "RegionReading"
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)

    @property
    def abstained(self) -> bool:
        return self.table is None


def recognise(picture: Picture, config: TableConfig = TableConfig(), progress: Progress = silent) -> TableResult:
    """Find the ruled table in a picture and read its cells (the region path of PIX-TAB, RBIS, then OCR).

    A cell's confidence is the smaller of the structure's and the reader's.
    Raises EngineError, ConfigError (the OCR engine is missing or misnamed) and whatever `progress` raises to stop.
    """
    from core.table.regions import read_regions

    reader = ocr_engine(config)
    reading = read_regions(picture.rgb, part(progress, 0.0, STRUCTURE_SHARE))
    notes, seconds = [*picture.notes, *reading.notes], dict(reading.seconds)
    table, models = reading.table, {}
    if table is not None and reader.name != "none":
        begun = time.perf_counter()
        rgb, boxes = upright(picture.rgb, insides(table, reading), reading)
        table, more = read_cells(rgb, table, boxes, reader, part(progress, STRUCTURE_SHARE, 1.0))
        seconds["ocr"] = time.perf_counter() - begun
        notes, models = notes + more, {reader.name: reader.version}
    if table is not None and picture.scale != 1:
        table = scaled(table, 1 / picture.scale)
    return TableResult(picture, ENGINE, table, reading.reason, reading, seconds, tuple(notes), models)


def part(progress: Progress, begin: float, end: float) -> Progress:
    """A share of a progress bar as a progress of its own."""
    return lambda fraction, message: progress(begin + (end - begin) * min(1.0, max(0.0, fraction)), message)


def scaled(table: Table, factor: float) -> Table:
    """The table with its boxes multiplied."""
    return replace(table, cells=tuple(replace(c, box=None if c.box is None else tuple(v * factor for v in c.box)) for c in table.cells))


def upright(rgb: np.ndarray, boxes: Sequence[Box], reading: "RegionReading") -> tuple[np.ndarray, list[Box]]:
    """The picture turned straight and the boxes in it, so that the crops of a skewed table hold one cell each.

    rgb    uint8[H, W, 3]
    boxes  in pixels of rgb, as wide and high as the cell is in the straightened picture, about the cell's turned centre
    """
    turn, shift = reading.to_input[:, :2], reading.to_input[:, 2]
    scale = float(np.sqrt(abs(np.linalg.det(turn))))
    turn = turn / scale
    if np.allclose(turn, np.eye(2), atol=1e-6) and np.allclose(shift, 0, atol=1):
        return rgb, list(boxes)
    import cv2

    height, width = (round(side * scale) for side in reading.binary.shape)
    straight = cv2.warpAffine(rgb, np.column_stack([turn, shift]), (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                              borderMode=cv2.BORDER_REPLICATE)
    return straight, [_about(((x0 + x1) / 2, (y0 + y1) / 2) @ turn - shift @ turn, x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes]


def _about(centre: np.ndarray, width: float, height: float) -> Box:
    return float(centre[0] - width / 2), float(centre[1] - height / 2), float(centre[0] + width / 2), float(centre[1] + height / 2)


def insides(table: Table, reading: "RegionReading") -> list[Box]:
    """Where to cut each cell: the flood filled region about its centre, which ends where its rules begin; its own box where it has none."""
    kept = np.array([region.box for region in reading.regions if region.kept]).reshape(-1, 4)
    found = []
    for cell in table.cells:
        x, y = (cell.box[0] + cell.box[2]) / 2, (cell.box[1] + cell.box[3]) / 2
        inside = np.flatnonzero((kept[:, 0] < x) & (x < kept[:, 2]) & (kept[:, 1] < y) & (y < kept[:, 3]))
        found.append(tuple(kept[inside[0]]) if len(inside) else cell.box)
    return found
