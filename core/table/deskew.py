"""Find and undo the small turn of a scanned or photographed table, so that its rules run along pixel rows and columns."""

import cv2
import numpy as np

from core.table.binarise import level_quantile

LARGEST_SKEW_DEGREES = 6.0
"""Angles searched on either side; beyond about 5 degrees a visitor would rotate the picture first."""
WORKING_SIDE = 1000
"""The angle is measured on a picture no longer than this: one pixel there is 0.06 degrees."""
COARSE_STEP, FINE_STEP = 0.5, 0.1
"""Degrees between tried angles in the two rounds of the search."""
EDGE_POINTS = 2_500
"""Edge points that vote; more do not move the maximum."""
SCANNED_LINES = 128
"""Lines across the edges that are searched for such points, evenly spread over the picture."""
EDGE_SHARE, LEAST_CONTRAST = 0.1, 8
"""The strongest tenth of the pixels, and none under 8 grey levels, are edges."""
COARSE_THINNING = 4
"""One edge point in so many votes in the coarse round."""
LEAST_GAIN = 1.15
"""A turn must sharpen the profile by this factor over no turn at all, or the picture has no direction (noise, a photograph)."""
HARMLESS_DRIFT = 1.0
"""Pixels over the longer side of the picture that a rule may drift without being turned straight."""


def _edge_points(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays float32[n,2] of (along, across): points on horizontal edges, and points on vertical ones with the axes swapped."""
    points = []
    for picture, flip in ((grey, 1.0), (cv2.transpose(grey), -1.0)):
        step = 1 + picture.shape[1] // SCANNED_LINES
        lines = np.ascontiguousarray(picture[:, ::step])
        change = cv2.absdiff(lines[1:], lines[:-1])
        limit = max(LEAST_CONTRAST, level_quantile(change, 1 - EDGE_SHARE))
        across, along = np.divmod(np.flatnonzero(change > limit)[:: 1 + int(EDGE_SHARE * change.size) // EDGE_POINTS], change.shape[1])
        points.append(np.stack([flip * step * along, across], axis=1).astype(np.float32))
    return points[0], points[1]


def _sharpness(points: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """float64[n]: energy of the profile across, for each angle; largest where edges fall onto common lines."""
    if len(points) == 0:
        return np.zeros(len(degrees))
    slope = np.tan(np.radians(degrees))[:, None].astype(np.float32)
    across = points[None, :, 1] - slope * points[None, :, 0]
    across = (across - across.min()).astype(np.int32)
    bins = int(across.max()) + 1
    profile = np.bincount((across + bins * np.arange(len(degrees))[:, None]).ravel(), minlength=bins * len(degrees))
    return (profile.reshape(len(degrees), bins).astype(np.float64) ** 2).sum(axis=1)


def _total_sharpness(points: tuple[np.ndarray, np.ndarray], degrees: np.ndarray) -> np.ndarray:
    return _sharpness(points[0], degrees) + _sharpness(points[1], degrees)


def _peak(scores: np.ndarray, degrees: np.ndarray) -> float:
    """The angle of the largest score, refined by the parabola through its neighbours."""
    best = int(np.argmax(scores))
    if best in (0, len(scores) - 1):
        return float(degrees[best])
    left, top, right = scores[best - 1 : best + 2]
    bend = left - 2 * top + right
    return float(degrees[best] + (0.5 * (left - right) / bend if bend < 0 else 0.0) * (degrees[1] - degrees[0]))


def estimate_skew(grey: np.ndarray) -> float:
    """Degrees by which the lines of the picture (uint8[H,W]) fall to the right, in [-6, 6]; 0 where it shows no common direction."""
    scale = min(1.0, WORKING_SIDE / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    if min(small.shape) < 8:
        return 0.0
    points = _edge_points(small)
    coarse = np.arange(-LARGEST_SKEW_DEGREES, LARGEST_SKEW_DEGREES + 1e-9, COARSE_STEP)
    thinned = (points[0][::COARSE_THINNING], points[1][::COARSE_THINNING])
    centre = float(coarse[int(np.argmax(_total_sharpness(thinned, coarse)))])
    if abs(centre) < COARSE_STEP / 2 and _stands_straight(points, small.shape):
        return 0.0
    fine = np.arange(centre - COARSE_STEP, centre + COARSE_STEP + 1e-9, FINE_STEP)
    scores = _total_sharpness(points, fine)
    level = float(_total_sharpness(points, np.zeros(1))[0])
    return _peak(scores, fine) if scores.max() > LEAST_GAIN * level else 0.0


def _stands_straight(points: tuple[np.ndarray, np.ndarray], shape: tuple[int, int]) -> bool:
    """Whether the profile is sharper without any turn than with one of two pixels over the longer side, either way: what remains is no more than one."""
    step = float(np.degrees(np.arctan(2 * HARMLESS_DRIFT / max(shape))))
    left, straight, right = _total_sharpness(points, np.array([-step, 0.0, step]))
    return straight > max(left, right)


def straighten(grey: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Turn the picture back by `degrees` on a canvas that keeps every corner.

    Returns the working picture uint8[H',W'] and the affine float64[2,3] from its pixels to the input's. A turn that would move
    the ends of a rule by no more than a pixel is left out: it would only blur.
    """
    height, width = grey.shape
    if max(height, width) * abs(np.tan(np.radians(degrees))) <= HARMLESS_DRIFT:
        return grey, np.float64([[1, 0, 0], [0, 1, 0]])
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    new_width, new_height = int(np.ceil(width * cos + height * abs(sin))), int(np.ceil(height * cos + width * abs(sin)))
    turn = np.float64([[cos, -sin], [sin, cos]])
    shift = np.float64([(width - 1) / 2, (height - 1) / 2]) - turn @ np.float64([(new_width - 1) / 2, (new_height - 1) / 2])
    to_input = np.column_stack([turn, shift])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(grey, to_input, (new_width, new_height), flags=flags, borderMode=cv2.BORDER_REPLICATE), to_input
