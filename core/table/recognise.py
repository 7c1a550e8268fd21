"""A picture -> its table: model and regions give the structure, one is chosen, an OCR engine reads the cells; where there is no table it abstains."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from core.errors import EngineError
from core.exhibit import Progress, part, silent
from core.io.pictures import Picture
from core.table.cells import read_cells
from core.table.config import TableConfig
from core.table.merge import MODEL, REGIONS, Choice, choose
from core.table.ocr import engine as ocr_engine
from core.table.orientation import back, box_back, find_turn, joined, turned
from core.table.table import Box, Table

if TYPE_CHECKING:
    from core.table.reader import ModelReading
    from core.table.regions import RegionReading

STRUCTURE_SHARE = 0.25  # of the progress bar; reading takes the rest
UNTURNED = np.float64([[1, 0, 0], [0, 1, 0]])


@dataclass(frozen=True)
class Structure:
    """Where the rows, columns and cells of a picture are.

    table             None where it abstains; then `reason` says why. Boxes in pixels of `rgb`
    confidence        of the whole table: the model's, or how completely the least ruled cell is ruled where the regions were taken
    rgb               the picture as it was read: turned by `rotation_degrees` (clockwise)
    reading, model    what the regions and the model saw, in pixels of `rgb`; None where they were not asked
    straight, to_rgb  [height, width] of the straightened picture, and float64 [2, 3] from its pixels to those of `rgb`
    """

    table: Table | None
    reason: str
    choice: Choice
    confidence: float | None
    rgb: np.ndarray
    rotation_degrees: int
    reading: "RegionReading | None"
    model: "ModelReading | None"
    straight: tuple[int, int]
    to_rgb: np.ndarray
    seconds: dict[str, float]
    notes: tuple[str, ...]
    models: dict[str, str]


@dataclass(frozen=True)
class TableResult:
    """What was found in one picture.

    picture     the decoded picture; boxes of `table` are in pixels of the input picture
    engine      which engine the table is from
    table       None where it abstained; then `reason` says why
    structure   everything the engines saw
    confidence  of the whole table, 0 to 1; None where it abstained
    seconds     stage -> seconds; "ocr" apart from the stages of the structure
    models      engine -> version
    """

    picture: Picture
    engine: str
    table: Table | None
    reason: str
    structure: Structure
    confidence: float | None = None
    choice: Choice | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)

    @property
    def abstained(self) -> bool:
        return self.table is None

    @property
    def reading(self) -> "RegionReading | None":
        """What the regions saw."""
        return self.structure.reading

    @property
    def model(self) -> "ModelReading | None":
        """What the model saw."""
        return self.structure.model

    def in_input(self, table: Table) -> Table:
        """A table of the structure with its boxes in pixels of the input picture."""
        return replace(table, cells=tuple(replace(c, box=self.box_in_input(c.box)) for c in table.cells))

    def box_in_input(self, box: Box) -> Box:
        """A box in pixels of `structure.rgb` in pixels of the input picture."""
        turned_back = box_back(box, self.structure.rotation_degrees, *self.picture.rgb.shape[:2])
        return turned_back if self.picture.scale == 1 else tuple(v / self.picture.scale for v in turned_back)

    def to_input(self, affine: np.ndarray) -> np.ndarray:
        """An affine float64 [2, 3] into pixels of `structure.rgb`, carried on to pixels of the input picture."""
        return joined(back(self.structure.rotation_degrees, *self.picture.rgb.shape[:2]), affine) / self.picture.scale


def recognise(picture: Picture, config: TableConfig = TableConfig(), progress: Progress = silent) -> TableResult:
    """Find the table in a picture and read its cells (PIX-TAB: model and regions, hybrid selection, then OCR).

    A cell's confidence is the smaller of the structure's and the reader's.
    Raises EngineError, ConfigError (an engine is missing or misnamed) and whatever `progress` raises to stop.
    """
    reader = ocr_engine(config)
    found = read_structure(picture.rgb, config, part(progress, 0.0, STRUCTURE_SHARE))
    table, notes, seconds, models = found.table, [*picture.notes, *found.notes], dict(found.seconds), dict(found.models)
    if table is not None and reader.name != "none":
        begun = time.perf_counter()
        rgb, boxes = crops(found)
        table, more = read_cells(rgb, table, boxes, reader, part(progress, STRUCTURE_SHARE, 1.0))
        seconds["ocr"] = time.perf_counter() - begun
        notes, models = notes + more, models | {reader.name: reader.version}
    result = TableResult(picture, found.choice.taken, None, found.reason, found, found.confidence, found.choice, seconds, tuple(notes), models)
    return result if table is None else replace(result, table=result.in_input(table))


def read_structure(rgb: np.ndarray, config: TableConfig = TableConfig(), progress: Progress = silent) -> Structure:
    """The structure of the table in a picture uint8 [H, W, 3] (or grey [H, W]) by the engine(s) the settings name; no text.

    engine=auto goes on without the model where it is missing here, and says so.
    Raises EngineError (engine=model, and the model is missing) and whatever `progress` raises to stop.
    """
    begun = time.perf_counter()
    degrees = find_turn(rgb)
    rgb = turned(rgb, degrees)
    seconds, notes = {"turn": time.perf_counter() - begun}, [_turned_note(degrees)] if degrees else []
    reading = model = None
    if config.engine != MODEL:
        from core.table.regions import read_regions

        reading = read_regions(rgb, part(progress, 0.0, 0.5))
        seconds |= reading.seconds
    if config.engine != REGIONS:
        model = _model(rgb, config, part(progress, 0.5, 1.0), notes, reading and reading.skew_degrees)
        for stage, spent in (model.seconds if model else {}).items():
            seconds[stage] = seconds.get(stage, 0.0) + spent
    return _chosen(reading, model, dict(rgb=rgb, rotation_degrees=degrees, seconds=seconds, notes=notes))


def _turned_note(degrees: int) -> str:
    return f"The picture was turned by {degrees} degrees clockwise before it was read."


def _model(rgb: np.ndarray, config: TableConfig, progress: Progress, notes: list[str], skew: float | None) -> "ModelReading | None":
    from core.table.reader import read_model

    try:
        return read_model(rgb, config, progress, skew)
    except EngineError as error:
        if config.engine == MODEL:
            raise
        notes.append(f"Only the rules were read. {error}")
        return None


def _chosen(reading: "RegionReading | None", model: "ModelReading | None", about: dict) -> Structure:
    choice = choose(reading, model)
    taken = reading if choice.taken == REGIONS else model
    table, to_rgb, straight = taken.table, *_straight(taken)
    confidence = None if table is None else taken.confidence if taken is model else min(c.confidence for c in table.cells)
    about["notes"] = (*about["notes"], *taken.notes)
    reason = "" if table is not None else " ".join(dict.fromkeys(part.reason for part in (model, reading) if part is not None and part.reason))
    models = {"table model": model.version} if model else {}
    return Structure(table=table, reason=reason, choice=choice, confidence=confidence, reading=reading, model=model, straight=straight, to_rgb=to_rgb,
                     models=models, **about)


def _straight(taken: "RegionReading | ModelReading") -> tuple[np.ndarray, tuple[int, int]]:
    """float64 [2, 3] from straightened pixels to those of the upright picture, and [height, width] of the straightened one."""
    if hasattr(taken, "straight_to_picture"):
        return taken.straight_to_picture, taken.straight
    return taken.to_input, taken.binary.shape[:2]


def crops(found: Structure) -> tuple[np.ndarray, list[Box]]:
    """The straightened picture uint8 [H, W, 3] and where to cut each cell of the table for the reader: the regions, or the model's cells about their words."""
    if found.choice.taken == REGIONS:
        return upright(found.rgb, insides(found.table, found.reading), found.to_rgb, found.straight)
    from core.table.placing import crops_of

    rgb, _ = upright(found.rgb, [], found.to_rgb, found.straight)
    return rgb, crops_of(rgb, found.table, found.model.rows, found.model.cols)


def upright(rgb: np.ndarray, boxes: Sequence[Box], to_rgb: np.ndarray, straight: tuple[int, int]) -> tuple[np.ndarray, list[Box]]:
    """The picture turned straight and the boxes in it, so that the crops of a skewed table hold one cell each.

    rgb       uint8[H, W, 3]
    boxes     in pixels of rgb, as wide and high as the cell is in the straightened picture, about the cell's turned centre
    to_rgb    float64 [2, 3] from straightened pixels to those of rgb
    straight  [height, width] of the straightened picture
    """
    turn, shift = to_rgb[:, :2], to_rgb[:, 2]
    scale = float(np.sqrt(abs(np.linalg.det(turn))))
    turn = turn / scale
    if np.allclose(turn, np.eye(2), atol=1e-6) and np.allclose(shift, 0, atol=1):
        return rgb, list(boxes)
    import cv2

    height, width = (round(side * scale) for side in straight)
    found = cv2.warpAffine(rgb, np.column_stack([turn, shift]), (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                           borderMode=cv2.BORDER_REPLICATE)
    return found, [_about(((x0 + x1) / 2, (y0 + y1) / 2) @ turn - shift @ turn, x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes]


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
