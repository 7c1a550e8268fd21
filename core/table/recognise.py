"""A picture -> its table: regions give the structure, an OCR engine reads the cells; where the regions find no ruled table the answer is an abstention."""

import time
from collections.abc import Mapping
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
        rgb, boxes = upright(picture.rgb, [cell.box for cell in table.cells], np.asarray(reading.to_input, float))
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


def upright(rgb: np.ndarray, boxes: list[Box], to_input: np.ndarray) -> tuple[np.ndarray, list[Box]]:
    """The picture turned straight and the boxes in it, so that crops of a skewed table hold one cell each.

    rgb       uint8[H, W, 3]
    boxes     of rgb, each the bounding box of a turned cell
    to_input  float[2, 3], working pixels -> pixels of rgb; a turn and perhaps a scale
    """
    turn = to_input[:, :2] / np.sqrt(abs(np.linalg.det(to_input[:, :2])))
    if np.allclose(turn, np.eye(2), atol=1e-4):
        return rgb, boxes
    import cv2

    height, width = rgb.shape[:2]
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], float) @ turn  # the inverse of a turn is its transpose
    low, high = corners.min(axis=0), corners.max(axis=0)
    affine = np.column_stack([turn, turn @ low])
    size = tuple(int(v) for v in np.ceil(high - low))
    straight = cv2.warpAffine(rgb, affine, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
    return straight, [_unturned(box, turn, low) for box in boxes]


def _unturned(box: Box, turn: np.ndarray, low: np.ndarray) -> Box:
    """The cell whose turned corners have this bounding box: W = w cos + h sin, H = w sin + h cos, solved for w and h."""
    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]) @ turn - low
    cos, sin = abs(turn[0, 0]), abs(turn[0, 1])
    width, height = np.linalg.solve([[cos, sin], [sin, cos]], [box[2] - box[0], box[3] - box[1]])
    half = np.maximum([width, height], 2) / 2
    return float(centre[0] - half[0]), float(centre[1] - half[1]), float(centre[0] + half[0]), float(centre[1] + half[1])
