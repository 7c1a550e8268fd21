"""How good joined writing is: what OCR engines read (CRR, WRR), how far its style is from a writer's own, how its joins compare with real cursive (section 3.1 of the post).

HWD, FID and KID proper compare features of networks (VGG16 on fonts, Inception) whose weights cannot be shipped here. The same formulae stand below on features of a
linear layer of our own, trained on writers: such distances compare with each other and with nothing else.
"""

import functools
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from core.errors import EngineError
from core.handwriting.labels import arc_length

X_HEIGHT_PX, PEN = 34, 0.15
"""Pixels of one x-height in pictures for OCR, and the width of the pen in x-heights: what engines read the ink of real writers best with, of 12 that were tried."""
MARGIN_PX = 24
FINER = 4
"""Pictures are drawn this much larger and made small again: OpenCV's own smooth lines come out two pixels wider than asked."""
REACH = 0.12
"""x-heights before and after a join between which its turn is measured."""


# Pictures

def picture(strokes: Sequence[np.ndarray], scale: float = X_HEIGHT_PX, pen: float = PEN, margin_px: int = MARGIN_PX) -> np.ndarray:
    """Strokes [n, 2] as dark lines on white, uint8[h, w]; `scale` pixels per unit, `pen` in the unit of the strokes."""
    import cv2
    low, high = np.min([s.min(0) for s in strokes], axis=0), np.max([s.max(0) for s in strokes], axis=0)
    width, height = (np.ceil((high - low) * scale).astype(int) + 2 * margin_px + 1).tolist()
    page, wide = np.full((height * FINER, width * FINER), 255, np.uint8), pen * scale * FINER
    for stroke in strokes:
        points = np.rint(((stroke - low) * scale + margin_px) * FINER * 16).astype(np.int32)
        if len(points) == 1 or not np.ptp(points, axis=0).any():
            cv2.circle(page, points[0].tolist(), round(8 * wide), 0, -1, cv2.LINE_8, 4)
        else:
            cv2.polylines(page, [points], False, 0, max(round(wide), 1), cv2.LINE_8, 4)
    return cv2.resize(page, (width, height), interpolation=cv2.INTER_AREA)


# What engines read

class Reader(Protocol):
    """An OCR engine: pictures of one word each, uint8[h, w], in; their texts out."""

    name: str

    def read(self, pictures: Sequence[np.ndarray]) -> list[str]: ...


class RapidReader:
    """The recogniser of the package rapidocr (PP-OCRv6, the model inside its wheel), one line at a time without detection. Raises EngineError without it."""

    name = "rapidocr"

    def __init__(self) -> None:
        spec = importlib.util.find_spec("rapidocr")
        model = Path(next(iter(spec.submodule_search_locations))) / "models" / "PP-OCRv6_rec_small.onnx" if spec else None
        if model is None or not model.is_file():
            raise EngineError("The text reader rapidocr is not complete here: its model PP-OCRv6_rec_small.onnx is missing. Run `python3 launch.py` to install it.")
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._alphabet = ["", *self._session.get_modelmeta().custom_metadata_map["character"].splitlines(), " "]

    def read(self, pictures: Sequence[np.ndarray]) -> list[str]:
        return [self._one(page) for page in pictures]

    def _one(self, page: np.ndarray) -> str:
        import cv2
        wide = max(32, -(-page.shape[1] * 48 // page.shape[0]))
        line = cv2.resize(page, (wide, 48), interpolation=cv2.INTER_AREA).astype(np.float32) / 127.5 - 1
        best = self._session.run(None, {self._session.get_inputs()[0].name: np.repeat(line[None, None], 3, axis=1)})[0][0].argmax(1)
        kept = best != 0
        kept[1:] &= best[1:] != best[:-1]
        return "".join(self._alphabet[k] for k in best[kept]).strip()


class TesseractReader:
    """The program tesseract where it is installed (English, page segmentation 8: one word), one call for all. Raises EngineError without it."""

    name = "tesseract"

    def __init__(self) -> None:
        if shutil.which("tesseract") is None:
            raise EngineError("Tesseract is not installed here: no program `tesseract` on the path. Install it (Debian: apt install tesseract-ocr).")

    def read(self, pictures: Sequence[np.ndarray]) -> list[str]:
        if not len(pictures):
            return []
        from PIL import Image
        with tempfile.TemporaryDirectory(prefix="vitrine-ocr-") as folder:
            names = [str(Path(folder, f"{k}.png")) for k in range(len(pictures))]
            for name, page in zip(names, pictures):
                Image.fromarray(page).save(name)
            Path(folder, "list.txt").write_text("\n".join(names), encoding="utf8")
            try:
                done = subprocess.run(["tesseract", str(Path(folder, "list.txt")), "stdout", "-l", "eng", "--psm", "8", "--dpi", "100"], capture_output=True,
                                      text=True, encoding="utf8", timeout=300, check=False, env={**os.environ, "OMP_THREAD_LIMIT": "1"})
            except (OSError, subprocess.TimeoutExpired) as error:
                raise EngineError(f"Tesseract did not answer ({type(error).__name__}, limit 300 s).") from error
        pages = done.stdout.split("\f")
        if done.returncode or len(pages) < len(pictures):
            raise EngineError(f"Tesseract failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}.")
        return [" ".join(page.split()) for page in pages[:len(pictures)]]


def readers() -> list[Reader]:
    """Every engine that is here."""
    found = []
    for make in (RapidReader, TesseractReader):
        try:
            found.append(make())
        except EngineError:
            continue
    return found


def edits(wanted: str, found: str) -> int:
    """Levenshtein distance: insertions, deletions, replacements."""
    row = list(range(len(found) + 1))
    for i, char in enumerate(wanted, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(found, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (char != other))
    return row[-1]


def recognition(wanted: Sequence[str], found: Sequence[str]) -> tuple[float, float]:
    """(CRR, WRR) over all words, in per cent, capitals and small letters alike: 1 - edits / characters, not below 0 for a word; share of words without an edit."""
    pairs = [(a.lower(), b.lower()) for a, b in zip(wanted, found, strict=True)]
    wrong = sum(min(edits(a, b), len(a)) for a, b in pairs)
    return 100 * (1 - wrong / max(sum(len(a) for a, _ in pairs), 1)), 100 * float(np.mean([a == b for a, b in pairs] or [0.0]))


# Style

STYLE_WEIGHTS = Path(__file__).resolve().parents[2] / "assets" / "weights" / "handwriting-style.npz"
STEP, HINGE = 0.3, 2
"""Points for the style features: this share of the spread of the ink in y apart; arms of a hinge in points."""
DIRECTIONS, ZONES, LENGTHS = 12, 3, 8


def ink_features(strokes: Sequence[np.ndarray]) -> np.ndarray:
    """What a word's ink tells of its writer, float64[222]: the directions of the pen in three zones, the hinge (direction before and after each point:
    Bulacu and Schomaker 2007, on the pen's way instead of on contours), how long strokes are, how far it goes to the right per length.

    Scaled by the spread of the ink in y, since a word alone does not tell its x-height.
    """
    even = _spread_out(strokes)
    links = [stroke[HINGE:] - stroke[:-HINGE] for stroke in even if len(stroke) > HINGE] or [np.zeros((0, 2))]
    middle = np.concatenate([stroke[HINGE // 2:len(stroke) - HINGE + HINGE // 2, 1] for stroke in even if len(stroke) > HINGE] or [np.zeros(0)])
    way = [_direction(link) for link in links]
    zone = np.digitize(middle, (-0.7, 0.7))
    turned = np.bincount(np.concatenate(way) + DIRECTIONS * zone, minlength=DIRECTIONS * ZONES)
    hinge = np.bincount(np.concatenate([w[:-HINGE] * DIRECTIONS + w[HINGE:] for w in way]), minlength=DIRECTIONS ** 2)
    length = np.array([STEP * (len(stroke) - 1) for stroke in even])
    strokes_of_length = np.bincount(np.clip(np.log2(np.maximum(length, 0.13)) + 3, 0, LENGTHS - 1).astype(int), length, minlength=LENGTHS)
    total = max(length.sum(), STEP)
    points = np.concatenate(even)
    few = [np.ptp(points[:, 0]) / total, np.ptp(points[:, 1]) / 6, len(even) / total]
    parts = [np.sqrt(part / max(part.sum(), 1)) for part in (turned[:DIRECTIONS * ZONES], hinge, strokes_of_length)]
    return np.concatenate([*parts, few, np.sqrt(np.bincount(zone, minlength=ZONES) / max(len(zone), 1)), _closed(even)])


def _spread_out(strokes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Strokes at equal steps, centred, in units of the standard deviation of y over the ink."""
    along = [arc_length(stroke) for stroke in strokes]
    y = np.concatenate([np.interp(np.linspace(0, s[-1], 64), s, stroke[:, 1]) for s, stroke in zip(along, strokes)])
    weight = np.repeat([s[-1] + 1e-12 for s in along], 64)
    middle = np.average(y, weights=weight)
    unit = max(float(np.sqrt(np.average((y - middle) ** 2, weights=weight))), 1e-9)
    counts = [min(max(int(s[-1] / unit / STEP), 1), 4000) + 1 for s in along]
    return [np.column_stack([np.interp(np.linspace(0, s[-1], n), s, stroke[:, k]) for k in (0, 1)]) / unit - (0, middle / unit) for s, stroke, n in zip(along, strokes, counts)]


def _direction(links: np.ndarray) -> np.ndarray:
    """Number of the sector that each link points to, int64[n]."""
    return (np.round(np.arctan2(links[:, 1], links[:, 0]) / (2 * np.pi) * DIRECTIONS).astype(int)) % DIRECTIONS


def _closed(even: Sequence[np.ndarray], reach: int = 28) -> np.ndarray:
    """How the distance from a point to the one `k` steps on is spread, for k = reach: loops come back, lines go on; float64[28]."""
    chords = np.concatenate([np.hypot(*(stroke[reach:] - stroke[:-reach]).T) for stroke in even if len(stroke) > reach] or [np.zeros(0)])
    found = np.bincount(np.clip(chords / (STEP * reach) * 28, 0, 27).astype(int), minlength=28)
    return np.sqrt(found / max(found.sum(), 1))


@functools.lru_cache
def _style_map() -> tuple[np.ndarray, np.ndarray]:
    """(mean [d], map [d, 32]) of the style features."""
    if not STYLE_WEIGHTS.is_file():
        raise EngineError(f"The weights of the style features are missing ({STYLE_WEIGHTS.name}); `launch.py train handwriting --style --publish` makes them.")
    with np.load(STYLE_WEIGHTS, allow_pickle=False) as held:
        return held["mean"].astype(float), held["map"].astype(float)


def style_features(words: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """float64[words, 32]: ink features through one linear layer that was trained to tell writers apart; within one writer, words have about unit variance in each.

    Raises EngineError without its weights.
    """
    mean, matrix = _style_map()
    return (np.array([ink_features(word) for word in words]).reshape(-1, len(mean)) - mean) @ matrix


def style_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Euclidean distance of mean features [n, d], [m, d]: what HWD does (Pippi et al. 2023), on features of our own."""
    return float(np.linalg.norm(one.mean(0) - other.mean(0)))


def kernel_distance(one: np.ndarray, other: np.ndarray) -> float:
    """KID (Binkowski et al. 2018) on features of our own: unbiased squared MMD with the kernel (x.y / d + 1)^3; at least two words a side."""
    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (kernel(one, one), kernel(other, other))]
    return float(sum(within) - 2 * kernel(one, other).mean())


# Joins

def turn_deg(path: np.ndarray, at: float, reach: float = REACH) -> float:
    """Angle in degrees between the way from `at` - reach to `at` and the way on to `at` + reach, lengths along the path [n, 2]; 0 is straight on."""
    along = arc_length(path)
    a, b, c = (np.array([np.interp(s, along, path[:, k]) for k in (0, 1)]) for s in (at - reach, at, at + reach))
    u, v = b - a, c - b
    return float(np.degrees(np.abs(np.arctan2(u[0] * v[1] - u[1] * v[0], u @ v))))
