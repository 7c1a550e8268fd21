"""Which way up a picture is: turned by 90, 180 or 270 degrees it is turned back before it is read, and boxes are carried to the picture as given."""

import numpy as np

from core.table.table import Box


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


def find_turn(rgb: np.ndarray) -> int:
    """Degrees clockwise (0, 90, 180 or 270) by which the picture has to be turned so that its text stands upright."""
    return 0
