"""Grey values and ink: the first stage of region-based segmentation (PIX-TAB, RBIS), made so that dark fills and shadows do not become ink."""

import cv2
import numpy as np

from core.table.labelling import label_regions

BACKGROUND_SHRINK = 4
"""The local background is found on a picture this many times smaller: glyphs blend into the paper there, fills stay."""
BACKGROUND_WINDOW = 9
"""Median window on the small picture: 36 px of the picture, wider than the strokes of any text up to about 60 px tall."""
INK_CONTRAST = 22
"""Grey levels between ink and its own background; below it, JPEG ringing and paper texture would count as ink."""
NOISE_MARGIN = 4.0
"""Ink differs from its background by more than this many standard deviations of the noise."""
NOISE_ROWS = 64
"""Rows on which the noise is measured; more do not change the median."""
GLYPH_SIDE = 3
"""Specks and dashes lower than this many pixels are no glyphs, at any resolution a person can read."""
WORD_ASPECT, UPRIGHT_ASPECT = 20.0, 6.0
"""Wider than this many heights, or higher than this many widths, is a rule and no word or glyph to measure."""
JOINED_ASPECT, JOINED_SHARE = 2.5, 0.75
"""Wider than so many heights, several letters are joined; capitals are about this share of the height from ascender to descender."""
FRAME_FILL = 0.2
"""A wide piece that fills less than this share of its box is a row of empty boxes and not a word."""
LARGEST_WEIGHT = 3.0
"""A piece counts by its width, as it may be a word, but for no more than this many median heights: long pieces may be text stuck to rules."""
NEAR_MEDIAN = 2.0
"""Heights within this factor of the median are letters of the table's text; dots are smaller, pieces of rules and headings larger."""
TALL_QUANTILE = 0.75
"""Capitals, digits and ascenders make up more than a quarter of the glyphs in any table."""
LEAST_TEXT_HEIGHT = 5.0
"""Nobody reads smaller type, and rules could not be told from letters."""
FALLBACK_TEXT_SHARE = 1 / 50
"""Text height, as a share of the picture's shorter side, where a picture has no glyphs (an empty form)."""


def to_grey(rgb: np.ndarray) -> np.ndarray:
    """uint8[H,W] luma of an rgb picture uint8[H,W,3]; a grey picture uint8[H,W] is returned as it is."""
    return rgb if rgb.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)


def local_background(grey: np.ndarray) -> np.ndarray:
    """uint8[H,W]: what the picture would be without its ink, as the median of a wide neighbourhood."""
    height, width = grey.shape
    shrink = BACKGROUND_SHRINK if min(height, width) >= 8 * BACKGROUND_SHRINK else 1
    whole = cv2.copyMakeBorder(grey, 0, -height % shrink, 0, -width % shrink, cv2.BORDER_REPLICATE)  # whole blocks: OpenCV averages those much faster
    small = cv2.resize(whole, (whole.shape[1] // shrink, whole.shape[0] // shrink), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.medianBlur(small, BACKGROUND_WINDOW), whole.shape[::-1], interpolation=cv2.INTER_LINEAR)[:height, :width]


def level_quantile(levels: np.ndarray, share: float) -> int:
    """The grey level of uint8[...] that `share` of the pixels do not exceed; by counting, as sorting a picture costs more than reading it."""
    counts = cv2.calcHist([levels], [0], None, [256], [0, 256]).ravel()
    return int(np.searchsorted(np.cumsum(counts), share * levels.size))


def noise_level(grey: np.ndarray) -> float:
    """Standard deviation of the noise in grey levels, from the median absolute difference of a pixel and the mean of its neighbours in the row."""
    rows = np.ascontiguousarray(grey[:: 1 + grey.shape[0] // NOISE_ROWS])
    if rows.shape[1] < 3:
        return 0.0
    mean = cv2.addWeighted(rows[:, :-2], 0.5, rows[:, 2:], 0.5, 0.0)
    return level_quantile(cv2.absdiff(rows[:, 1:-1], mean), 0.5) * 1.4826 / np.sqrt(1.5)


def binarise(grey: np.ndarray, noise: float) -> np.ndarray:
    """uint8[H,W], 255 where a pixel differs from its local background: dark text on paper and light text on dark fills alike.

    noise  standard deviation of the picture's noise in grey levels
    """
    contrast = max(INK_CONTRAST, NOISE_MARGIN * noise)
    return cv2.threshold(cv2.absdiff(grey, local_background(grey)), min(contrast, 254.0), 255, cv2.THRESH_BINARY)[1]


def glyph_boxes(ink: np.ndarray) -> np.ndarray:
    """int32[n,5] x, y, width, height, area of the connected pieces of ink that can be glyphs or broken or joined pieces of them."""
    pieces = label_regions(np.ascontiguousarray(ink), 8)
    width, height = pieces[:, 2], pieces[:, 3]
    glyph = (height >= GLYPH_SIDE) & (width <= WORD_ASPECT * height) & (height <= UPRIGHT_ASPECT * width + GLYPH_SIDE)
    frame = (width > JOINED_ASPECT * height) & (pieces[:, 4] < FRAME_FILL * width.astype(np.int64) * height)
    return pieces[glyph & ~frame & (height * 3 <= ink.shape[0] + 30)]


def weighted_quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """The value that `share` of the weight (float[n] each) does not exceed."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(total, share * total[-1])]])


def text_height(glyphs: np.ndarray, shape: tuple[int, int]) -> float:
    """Height of the common tall glyph (capitals, digits) in pixels: an upper quantile, by width, of the heights near the median."""
    if len(glyphs) == 0:
        return float(np.clip(min(shape) * FALLBACK_TEXT_SHARE, 6, 40))
    width, height = glyphs[:, 2].astype(np.float64), glyphs[:, 3].astype(np.float64)
    height = np.where(width > JOINED_ASPECT * height, JOINED_SHARE * height, height)
    weight = np.minimum(width, LARGEST_WEIGHT * np.median(height))
    middle = weighted_quantile(height, weight, 0.5)
    near = (height >= middle / NEAR_MEDIAN) & (height <= middle * NEAR_MEDIAN)
    return max(LEAST_TEXT_HEIGHT, weighted_quantile(height[near], weight[near], TALL_QUANTILE))
