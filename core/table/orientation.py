"""Which way up a picture is: turned by 90, 180 or 270 degrees it is turned back before it is read, and boxes are carried to the picture as given."""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.table.table import Box

WORKING_SIDE = 1600
"""Pixels of the longer side on which the direction is looked for."""
LEAST_LETTER, FEW_LETTERS = 4, 8
"""Pixels that a letter is long at least; with fewer letters than that no direction is told."""
LEAST_TEXT = 4
"""Pieces of ink that can be letters or words whose letters touch, below which there is no text."""
FEW_JOINED, LEAST_LEAD = 40, 5
"""With fewer letters that join others, words whose letters touch are counted too; so many more have to join along one axis."""
LETTER_GAPS = (0.2, 0.35)
"""Letter sizes between the letters of a word, small and at most; lines stand further apart."""
CLEARLY_MORE = 1.5
"""So many times more letters have to join along one axis than along the other."""
LONGEST_LETTER, LONGEST_WORD, TOUCHING = 4, 14, 0.8
"""A letter is at most so many times longer than thick, a word whose letters touch so many times; that is no thinner than this share of a letter."""
WORD_REACH = 1.0
"""Letter sizes over which words are joined to lines."""
LINES, LONGEST_LINE = 8, 5.0
"""Lines that are looked at, and how many times longer than high the longest piece of one is."""
CLASSIFIER = "ch_ppocr_mobile_v2.0_cls_mobile.onnx"
SUSPECT, SURER, WELL_READ = 0.4, 0.1, 0.8
"""Mean probability from which lines are suspected to be upside down; by how much surer the reader then has to be of them turned, and how sure."""
FEWER_LINES = 4
"""Lines that are read where nothing tells whether they run across or down."""


def turned(rgb: np.ndarray, degrees: int) -> np.ndarray:
    """The picture turned clockwise by 0, 90, 180 or 270 degrees."""
    return rgb if degrees == 0 else np.ascontiguousarray(np.rot90(rgb, -degrees // 90))


def back(degrees: int, height: int, width: int) -> np.ndarray:
    """float64 [2, 3]: pixels of the turned picture -> pixels of the one before, which is `height` x `width`."""
    right, bottom = width - 1, height - 1
    return np.float64({0: [[1, 0, 0], [0, 1, 0]], 90: [[0, 1, 0], [-1, 0, bottom]], 180: [[-1, 0, right], [0, -1, bottom]],
                       270: [[0, -1, right], [1, 0, 0]]}[degrees])


def box_back(box: Box, degrees: int, height: int, width: int) -> Box:
    """A box of the turned picture in pixels of the one before, which is `height` x `width`."""
    x0, y0, x1, y1 = box
    return {0: box, 90: (y0, height - x1, y1, height - x0), 180: (width - x1, height - y1, width - x0, height - y0),
            270: (width - y1, x0, width - y0, x1)}[degrees]


def joined(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """float64 [2, 3]: first `inner`, then `outer`."""
    return outer @ np.vstack([inner, [0, 0, 1]])


# Which way the text runs

def find_turn(rgb: np.ndarray) -> int:
    """Degrees clockwise (0, 90, 180 or 270) by which the picture has to be turned so that its text stands upright; 0 where that cannot be told.

    rgb  uint8 [H, W, 3] or grey [H, W]
    Lines of text run where letters stand closest; whether they stand on their heads a small classifier says, and the reader confirms it.
    """
    from core.table.binarise import binarise, noise_level, to_grey

    grey = _small(to_grey(rgb))
    ink = binarise(grey, noise_level(grey))
    letters = _letters(ink)
    if letters is None:
        return 0
    beside, below = joins(letters)
    lines = {down: text_lines(*(np.ascontiguousarray(np.rot90(picture, down)) for picture in (grey, letters.mask)), letters.height) for down in (False, True)}
    if below - beside >= LEAST_LEAD and below > CLEARLY_MORE * beside:
        return (90 if stands_on_head(lines[True]) else 270) if lines[True] else 0
    if below < LEAST_LEAD or beside > CLEARLY_MORE * below:
        return 180 if stands_on_head(lines[False]) else 0
    return best_read(lines)


def _small(grey: np.ndarray) -> np.ndarray:
    import cv2

    scale = WORKING_SIDE / max(grey.shape)
    return grey if scale >= 1 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class Letters:
    """Pieces of ink that can be letters.

    mask    uint8 [H, W], 0 or 1: the letters
    count   how many there are; height  their common size in pixels
    words   int [n, 2]: width and height of words whose letters touch, as in small print
    """

    mask: np.ndarray
    count: int
    height: float
    words: np.ndarray


def _letters(ink: np.ndarray) -> Letters | None:
    """The letters of an ink mask; None where there are too few."""
    from core.table.labelling import label_regions

    labels = np.zeros(ink.shape, np.int32)
    sides = label_regions(np.ascontiguousarray(ink), 8, labels)[:, 2:4]
    longer, shorter = sides.max(axis=1), sides.min(axis=1)
    letter = (longer >= LEAST_LETTER) & (shorter >= 2) & (longer <= LONGEST_LETTER * shorter) & (longer <= max(ink.shape) / 8)
    if letter.sum() < FEW_LETTERS:
        return None
    height, thickness = float(np.median(longer[letter])), float(np.median(shorter[letter]))
    letter &= (longer <= 3 * height) & (longer >= height / 3)
    word = (shorter >= TOUCHING * thickness) & (shorter <= 3 * thickness) & (longer > LONGEST_LETTER * shorter) & (longer <= LONGEST_WORD * shorter)
    return Letters(np.append(np.uint8(0), letter.astype(np.uint8))[labels], int(letter.sum()), height, sides[word & (longer <= max(ink.shape) / 3)])


def has_text(grey: np.ndarray) -> bool:
    """Whether a grey picture uint8 [H, W] has a few pieces of ink that can be letters."""
    from core.table.binarise import binarise, noise_level
    from core.table.labelling import label_regions

    grey = _small(grey)
    if min(grey.shape) < LEAST_LETTER:
        return False
    sides = label_regions(np.ascontiguousarray(binarise(grey, noise_level(grey))), 8)[:, 2:4]
    longer, shorter = sides.max(axis=1), sides.min(axis=1)
    return int(((longer >= LEAST_LETTER) & (longer <= LONGEST_WORD * shorter) & (longer <= max(grey.shape) / 3)).sum()) >= LEAST_TEXT


def joins(letters: Letters) -> tuple[int, int]:
    """How many letters join their neighbours beside them, and above or below; where few do, words whose letters touch already count too."""
    import cv2

    from core.table.labelling import label_regions

    found = []
    for axis in (0, 1):
        reaches = [max(3, round(gap * letters.height)) for gap in LETTER_GAPS]
        kernels = [np.ones((1, reach) if axis == 0 else (reach, 1), np.uint8) for reach in reaches]
        found.append(sum(letters.count - len(label_regions(cv2.dilate(letters.mask, kernel), 8)) for kernel in kernels))
    beside, below = found
    if beside + below < FEW_JOINED:
        width, tall = letters.words.T
        beside, below = beside + int((width / tall)[width > tall].sum()), below + int((tall / width)[tall > width].sum())
    return beside, below


def text_lines(grey: np.ndarray, mask: np.ndarray, height: float) -> list[np.ndarray]:
    """Crops uint8 [h, w] of a few long words or lines that run across, dark on light."""
    import cv2

    from core.table.labelling import label_regions

    joined_up = cv2.dilate(mask, np.ones((3, max(3, round(WORD_REACH * height)) | 1), np.uint8))
    pieces = label_regions(joined_up, 8)
    tall = pieces[:, 3] / height
    fit = pieces[(tall > 0.7) & (tall < 3) & (pieces[:, 2] > 2 * pieces[:, 3])]
    best = fit[np.argsort(-np.minimum(fit[:, 2] / fit[:, 3], LONGEST_LINE), kind="stable")][:LINES]
    pad, found = max(1, round(height / 5)), []
    for x, y, width, tall, _ in best.tolist():
        width = min(width, round(LONGEST_LINE * tall))
        crop = grey[max(0, y - pad):y + tall + pad, max(0, x - pad):x + width + pad]
        found.append(crop if np.median(crop) > 127 else 255 - crop)
    return found


# Upside down or not

def stands_on_head(lines: list[np.ndarray]) -> bool:
    """Whether text lines (grey crops) are upside down: the classifier of RapidOCR's wheel suspects it, and its reader reads them better turned round."""
    if not lines or _classified(lines) <= SUSPECT:
        return False
    turned_round = _readable(_round(lines))
    return turned_round > max(WELL_READ, _readable(lines) + SURER)


def best_read(lines: dict[bool, list[np.ndarray]]) -> int:
    """Degrees clockwise after which the reader reads best, for lines that run across (False) and down (True); 0 where none is clearly best."""
    if _classifier() is None:
        return 0
    ways = {0: lines[False], 180: _round(lines[False]), 270: lines[True], 90: _round(lines[True])}
    sure = {degrees: _readable(way[:FEWER_LINES]) for degrees, way in ways.items()}
    best = max(sure, key=sure.get)
    return best if sure[best] > max(WELL_READ, sure[0] + SURER) else 0


def _round(lines: list[np.ndarray]) -> list[np.ndarray]:
    return [line[::-1, ::-1] for line in lines]


def _classified(lines: list[np.ndarray]) -> float:
    """Mean probability that a line is upside down; 0 where the classifier is missing."""
    import cv2

    session = _classifier()
    if session is None:
        return 0.0
    batch = np.zeros((len(lines), 3, 48, 192), np.float32)
    for place, line in zip(batch, lines):
        width = int(np.clip(round(48 * line.shape[1] / line.shape[0]), 8, 192))
        place[:, :, :width] = cv2.resize(np.ascontiguousarray(line), (width, 48)) / np.float32(127.5) - 1
    return float(session.run(None, {session.get_inputs()[0].name: batch})[0][:, 1].mean())


@functools.lru_cache(maxsize=1)
def _classifier():
    """The line direction network of RapidOCR's wheel; None where it is missing."""
    spec = importlib.util.find_spec("rapidocr")
    path = Path(next(iter(spec.submodule_search_locations))) / "models" / CLASSIFIER if spec else None
    if path is None or not path.is_file():
        return None
    from core.table.ocr import one_thread

    return one_thread(path)


def _readable(lines: list[np.ndarray]) -> float:
    """Mean confidence of the reader, 0 for no lines."""
    if not lines:
        return 0.0
    from core.table.config import TableConfig
    from core.table.ocr import engine

    crops = [np.ascontiguousarray(np.repeat(line[:, :, None], 3, axis=2)) for line in lines]
    return float(np.mean([sure for _, sure in engine(TableConfig()).read(crops)]))
