"""Labelling: our kernels, OpenCV and SciPy on the same masks, interleaved; and whether the components are the same on every picture."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from scipy import ndimage

from core.table.labelling import label_regions, label_regions_bfs
from cython_ext import reference
from tests.bench.harness import Section, interleave, ratio
from tests.bench.table.pictures import TablePicture

EIGHT = np.ones((3, 3), dtype=int)
NOTE = "against cv2.connectedComponentsWithStats (8-connected, 32-bit labels, 1 thread); every call allocates what it returns"


def labelling_sections(pictures: Sequence[TablePicture], quick: bool) -> Iterator[Section]:
    """Ratios by mask, then the count of masks with the same components."""
    speed = Section("labelling", "Labelling, CPU time", NOTE)
    for side, rounds in ((1024, 5 if quick else 21), *(() if quick else ((4096, 9),))):
        for name, mask in masks(pictures, side).items():
            speed.rows += _timed_rows(f"{side} x {side}, {name}", mask, rounds)
    yield speed
    same = Section("labelling_same", "Labelling, same components as OpenCV", "boxes and areas, ink and paper of every picture, 4- and 8-connected, both kernels")
    yield _same(pictures, same) if pictures else same.skip("There are no pictures under the data folder (--data DIR or VITRINE_DATA).")


def masks(pictures: Sequence[TablePicture], side: int) -> dict[str, np.ndarray]:
    """Foreground is what the region engine floods, all that is no ink: drawn = a grid of cells with letter-like specks; real = ruled pictures put side by side."""
    made = {"drawn": drawn_mask(side)}
    ruled = [p for p in pictures if p.style == "grid"][:40]
    return made | ({"real": real_mask(ruled, side)} if ruled else {})


def drawn_mask(side: int, seed: int = 0) -> np.ndarray:
    """uint8[side, side] 0/255: rules of 2 pixels about cells of 24 x 96, in each a line of rings and bars 10 pixels high."""
    rng = np.random.default_rng(seed)
    mask = np.full((side, side), 255, np.uint8)
    for y in range(8, side - 12, 24):
        for x in range(8, side - 10, 9):
            if rng.random() < 0.7:
                mask[y:y + 10, x:x + 6] = 0
                mask[y + 2:y + 8, x + 2:x + 4] = 255 * (rng.random() < 0.5)
    for k in range(0, side, 24):
        mask[k:k + 2] = 0
    for k in range(0, side, 96):
        mask[:, k:k + 2] = 0
    return mask


def real_mask(pictures: Sequence[TablePicture], side: int) -> np.ndarray:
    """uint8[side, side] 0/255: pictures laid in rows until the square is full, cut at its edges; foreground is what is not darker than its surroundings."""
    mask = np.full((side, side), 255, np.uint8)
    x = y = tallest = index = 0
    while y < side:
        paper = paper_mask(pictures[index % len(pictures)].rgb)[:side - y, :side - x]
        mask[y:y + paper.shape[0], x:x + paper.shape[1]] = paper
        x, tallest, index = x + paper.shape[1], max(tallest, paper.shape[0]), index + 1
        if x >= side:
            x, y, tallest = 0, y + tallest, 0
    return mask


def paper_mask(rgb: np.ndarray) -> np.ndarray:
    """uint8[H, W] 0/255: 0 where a pixel is darker than the mean of the 31 x 31 about it by more than 8, so that pale rules count as ink."""
    return cv2.adaptiveThreshold(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 31, 8)


def _timed_rows(name: str, mask: np.ndarray, rounds: int) -> list[dict]:
    def labels():
        return np.empty(mask.shape, np.int32)

    calls = {
        "OpenCV": lambda: cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S),
        "row runs, boxes only": lambda: label_regions(mask),
        "row runs, with labels": lambda: label_regions(mask, 8, labels()),
        "flood fill by pixel, with labels": lambda: label_regions_bfs(mask, 8, labels()),
        "SciPy label and find_objects": lambda: ndimage.find_objects(ndimage.label(mask, structure=EIGHT)[0]),
        "NumPy twin, with labels": lambda: reference.label_regions(mask, 8, labels()),
    }
    interleave(calls, 1)
    times = interleave(calls, rounds)
    components = len(label_regions(mask))
    return [{"name": name, "labeller": labeller, "components": components, "rounds": rounds, "/ OpenCV": ratio(times[labeller], times["OpenCV"]),
             "ms": 1e3 * float(np.median(times[labeller]))} for labeller in calls]


def _same(pictures: Sequence[TablePicture], section: Section) -> Section:
    section.rows = [{"name": kernel.__name__, "connectivity": connectivity, "masks": 0, "same": 0, "components": 0}
                    for connectivity in (4, 8) for kernel in (label_regions, label_regions_bfs)]
    for picture in pictures:
        paper = paper_mask(picture.rgb)
        for mask in (paper, 255 - paper):
            for row in section.rows:
                _compare(mask, row)
    return section


def _compare(mask: np.ndarray, row: dict) -> None:
    """Count one more mask in its row."""
    boxes = (label_regions if row["name"] == "label_regions" else label_regions_bfs)(mask, row["connectivity"])
    wanted = cv2.connectedComponentsWithStats(mask, connectivity=row["connectivity"], ltype=cv2.CV_32S)[2][1:]
    row["masks"] += 1
    row["same"] += np.array_equal(boxes[np.lexsort(boxes.T)], wanted[np.lexsort(wanted.T)])
    row["components"] += len(boxes)
