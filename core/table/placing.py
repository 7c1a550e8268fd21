"""Which words belong to which cell of a table without rules: what the reader is given to read per cell."""

import cv2
import numpy as np

from core.table.binarise import binarise, glyph_boxes, noise_level, text_height, to_grey
from core.table.ink import ink_of
from core.table.labelling import label_regions
from core.table.table import Box, Table

LONGEST_STROKE = 3.5
"""Text heights: what runs on unbroken for longer is a rule and no letter."""
SPECK = 0.12
"""Text heights: what is smaller both ways is dirt."""
WORD_GAP = 0.35
"""Text heights between letters of one word, at most."""
AROUND = (1.5, 0.5)
"""Text heights beside a cell, and above and below it, in which the rest of a word is looked for that a separator cuts."""
MOSTLY = 0.5
"""Share of a word that lies in its cell."""
PAD = 0.25
"""Text heights of ground around the words of a cell."""
EMPTY = (0.0, 0.0, 0.0, 0.0)


def crops_of(rgb: np.ndarray, table: Table, ys: np.ndarray, xs: np.ndarray) -> list[Box]:
    """Per cell the box around its words with a little ground, in pixels of the picture; EMPTY where it has none.

    A word belongs to the cell that most of it lies in, so a separator that cuts a letter does no harm.
    rgb  uint8 [H, W, 3], straight; ys [rows + 1], xs [cols + 1] separators in its pixels
    """
    grey = to_grey(rgb)
    ink = binarise(grey, noise_level(grey))
    height = text_height(glyph_boxes(ink), ink.shape)
    return [cell_crop(rgb, (xs[c.col], ys[c.row], xs[c.col + c.colspan], ys[c.row + c.rowspan]), height) for c in table.cells]


def cell_crop(rgb: np.ndarray, box: Box, height: float) -> Box:
    """The box around the words that lie mostly in one cell, with a little ground; EMPTY where there are none. height  of the text, in pixels"""
    beside, above = (share * height for share in AROUND)
    x0, y0 = max(0, int(box[0] - beside)), max(0, int(box[1] - above))
    x1, y1 = min(rgb.shape[1], int(np.ceil(box[2] + beside))), min(rgb.shape[0], int(np.ceil(box[3] + above)))
    if x1 - x0 < 5 or y1 - y0 < 5:
        return EMPTY
    inner = np.float64([box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0])
    words = words_in(ink_of(np.ascontiguousarray(rgb[y0:y1, x0:x1]))[1], height)
    own = words[_share_inside(words, inner) >= MOSTLY]
    if len(own) == 0:
        return EMPTY
    pad = max(2.0, PAD * height)
    (left, top), (right, bottom) = own[:, :2].min(axis=0), own[:, 2:].max(axis=0)
    return float(x0 + left - pad), float(y0 + top - pad), float(x0 + right + pad), float(y0 + bottom + pad)


def words_in(ink: np.ndarray, height: float) -> np.ndarray:
    """float [n, 4]: boxes of the words in an ink mask bool [h, w]; rules are taken out first."""
    mask, long = ink.astype(np.uint8), max(5, round(LONGEST_STROKE * height))
    rules = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((1, long), np.uint8)) | cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((long, 1), np.uint8))
    if rules.any():
        mask &= 1 - cv2.dilate(rules, np.ones((3, 3), np.uint8))
    reach = max(3, round(WORD_GAP * height)) | 1
    x, y, width, tall, _ = label_regions(cv2.dilate(mask, np.ones((1, reach), np.uint8)), 8).T
    half = reach // 2
    left, right = x + np.where(x > 0, half, 0), x + width - np.where(x + width < mask.shape[1], half, 0)
    found = np.stack([left, y, right, y + tall], axis=1).astype(np.float64)
    return found[np.maximum(right - left, tall) > SPECK * height]


def _share_inside(words: np.ndarray, box: np.ndarray) -> np.ndarray:
    """float [n]: the share of each word's box that lies in a box."""
    across = np.clip(np.minimum(words[:, 2], box[2]) - np.maximum(words[:, 0], box[0]), 0, None)
    down = np.clip(np.minimum(words[:, 3], box[3]) - np.maximum(words[:, 1], box[1]), 0, None)
    return across * down / np.maximum((words[:, 2] - words[:, 0]) * (words[:, 3] - words[:, 1]), 1)
