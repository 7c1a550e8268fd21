"""Pictures of ruled tables drawn at test time, and a stand-in for the region engine that already knows where their cells lie."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from core.table.table import Cell, Table

WIDTH, HEIGHT, MARGIN = 190, 56, 20


@dataclass(frozen=True)
class KnownReading:
    """The fields of the region engine's answer, filled from what was drawn."""

    table: Table | None
    binary: np.ndarray
    rules: np.ndarray
    interior: np.ndarray
    abstained: bool = False
    reason: str = ""
    skew_degrees: float = 0.0
    to_input: np.ndarray = field(default_factory=lambda: np.float64([[1, 0, 0], [0, 1, 0]]))
    regions: tuple = ()
    other_tables: int = 0
    notes: tuple = ()
    seconds: dict = field(default_factory=lambda: {"binarise": 0.001, "label": 0.001})


def draw(texts: list[list[str]], ink: int = 20, ground: int = 250, confidence: float | None = 0.97) -> tuple[np.ndarray, Table]:
    """(uint8[H, W, 3], the table with its boxes and no text) of a grid of short texts with 2 px rules."""
    rows, cols = len(texts), len(texts[0])
    picture = np.full((2 * MARGIN + rows * HEIGHT, 2 * MARGIN + cols * WIDTH, 3), ground, np.uint8)
    cells = []
    for r, line in enumerate(texts):
        for k, text in enumerate(line):
            x, y = MARGIN + k * WIDTH, MARGIN + r * HEIGHT
            cv2.rectangle(picture, (x, y), (x + WIDTH, y + HEIGHT), (ink,) * 3, 2)
            cv2.putText(picture, text, (x + 14, y + 37), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (ink,) * 3, 2, cv2.LINE_AA)
            cells.append(Cell(r, k, box=(x + 1, y + 1, x + WIDTH, y + HEIGHT), confidence=confidence))
    return picture, Table(rows, cols, tuple(cells))


def known(picture: np.ndarray, table: Table | None, reason: str = "") -> KnownReading:
    """The reading a region engine would give for a drawn table."""
    ink = (picture.mean(axis=2) < 128).astype(np.uint8) * 255
    return KnownReading(table, ink, ink, 255 - ink, table is None, reason)


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", np.ascontiguousarray(picture[:, :, ::-1]))[1].tobytes()


def paper(height: int = 40, width: int = 160, ground=(255, 255, 255)) -> np.ndarray:
    return np.full((height, width, 3), ground, np.uint8)


def put(picture: np.ndarray, text: str, x: int = 20, y: int = 27, colour=(0, 0, 0), size: float = 0.6) -> np.ndarray:
    return cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
