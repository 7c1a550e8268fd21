"""OCR engines behind one protocol: single text lines in, text and confidence out; which one is a setting, its language a matter of the engine."""

import csv
import functools
import importlib.metadata
import importlib.util
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from core.errors import ConfigError, EngineError
from core.exhibit import Progress, silent
from core.table.config import TableConfig

LINE_HEIGHT = 48
BATCH = 8  # measured: larger batches cost more per line on a CPU
MIN_WIDTH, MAX_WIDTH = 32, 3200
WHEEL_MODEL = "PP-OCRv6_rec_small.onnx"

Reading = tuple[str, float]
"""(text of one line, confidence 0 to 1)"""


class OcrEngine(Protocol):
    """Reads text lines. `read` keeps the order, calls `progress` between batches and passes on what it raises to stop."""

    name: str
    version: str

    def read(self, lines: Sequence[np.ndarray], progress: Progress = silent) -> list[Reading]:
        """lines: uint8[h, w, 3] each, dark text on light ground, one text line."""
        ...


def engine(config: TableConfig) -> OcrEngine:
    """The engine the settings name, loaded once per process.

    Raises EngineError (not installed, model broken), ConfigError (no such model or language).
    """
    return _load(config.ocr, config.ocr_language, config.ocr_model)


@functools.lru_cache(maxsize=4)
def _load(name: str, language: str, model: str) -> OcrEngine:
    if name == "rapidocr":
        return RapidOcr(model, language)
    return Tesseract(language) if name == "tesseract" else NoOcr()


class NoOcr:
    """Structure alone: every line reads as nothing."""

    name, version = "none", ""

    def read(self, lines: Sequence[np.ndarray], progress: Progress = silent) -> list[Reading]:
        return [("", 1.0) for _ in lines]


class RapidOcr:
    """RapidOCR's PP-OCRv6 recognition network (or a local .onnx with its alphabet inside), run by onnxruntime on one thread.

    Only the recogniser runs: the flood fill has already found where text lies. The model file comes inside rapidocr's wheel and is opened
    by path, so no part of rapidocr that can download is ever imported.
    """

    name = "rapidocr"

    def __init__(self, model: str = "", language: str = "") -> None:
        if language and not model:
            raise ConfigError(f"The setting ocr_language={language} needs ocr_model: the model in RapidOCR's wheel reads Latin, Greek, Chinese and "
                              "Japanese script as it is. Give the path of an .onnx recognition model for other scripts, or use ocr=tesseract.")
        path = Path(model) if model else _wheel_model()
        if not path.is_file():
            raise ConfigError(f"The setting ocr_model={model} is not a file. Give the path of an .onnx recognition model.")
        self.version = f"{_version('rapidocr')} {path.stem}"
        self._session, self._alphabet = _open_model(path)
        self._input = self._session.get_inputs()[0].name

    def read(self, lines: Sequence[np.ndarray], progress: Progress = silent) -> list[Reading]:
        scaled = [_scale(line) for line in lines]
        order = sorted(range(len(lines)), key=lambda i: scaled[i].shape[1])
        found: list[Reading] = [("", 0.0)] * len(lines)
        for begin in range(0, len(order), BATCH):
            progress(begin / len(order), f"Reading text: line {begin + 1:,} of {len(order):,}")
            chosen = order[begin:begin + BATCH]
            for index, reading in zip(chosen, self._read_batch([scaled[i] for i in chosen])):
                found[index] = reading
        return found

    def _read_batch(self, lines: Sequence[np.ndarray]) -> list[Reading]:
        width = max(line.shape[1] for line in lines)
        batch = np.zeros((len(lines), 3, LINE_HEIGHT, width), np.float32)
        for place, line in zip(batch, lines):
            place[:, :, :line.shape[1]] = line.transpose(2, 0, 1) / np.float32(127.5) - 1
        scores = self._session.run(None, {self._input: batch})[0]
        return [greedy(best, probability, self._alphabet) for best, probability in zip(scores.argmax(2), scores.max(2))]


def greedy(best: np.ndarray, probability: np.ndarray, alphabet: Sequence[str]) -> Reading:
    """CTC best path: drop repeats, then blanks (0). best int[T], probability float[T] -> text and the mean probability of what is kept."""
    kept = best != 0
    kept[1:] &= best[1:] != best[:-1]
    if not kept.any():
        return "", 0.0
    return "".join(alphabet[i] for i in best[kept]), float(probability[kept].mean())


def _scale(line: np.ndarray) -> np.ndarray:
    """uint8[h, w, 3] -> uint8[48, w', 3] in the same proportion, OpenCV's channel order, which the network was trained on."""
    import cv2

    height, width = line.shape[:2]
    wide = min(MAX_WIDTH, max(MIN_WIDTH, -(-width * LINE_HEIGHT // height)))
    return cv2.resize(line, (wide, LINE_HEIGHT), interpolation=cv2.INTER_LINEAR)[:, :, ::-1]


def _wheel_model() -> Path:
    spec = importlib.util.find_spec("rapidocr")
    path = Path(next(iter(spec.submodule_search_locations))) / "models" / WHEEL_MODEL if spec else None
    if path is None or not path.is_file():
        raise EngineError(f"The text reader rapidocr is not complete here: {WHEEL_MODEL} is missing. "
                          "Run `python3 launch.py` to install it, or choose ocr=none.")
    return path


def _open_model(path: Path):
    """(session, alphabet with the CTC blank first and the space last)."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise EngineError("The text reader needs onnxruntime, which is not installed here. Run `python3 launch.py`, or choose ocr=none.")
    try:
        session = one_thread(path)
        characters = session.get_modelmeta().custom_metadata_map["character"].splitlines()
    except Exception as error:  # onnxruntime has no common root for its errors
        raise EngineError(f"{path.name} is not a recognition model with its alphabet inside (metadata 'character'). "
                          "Choose another ocr_model or leave it empty.") from error
    return session, ["", *characters, " "]


def one_thread(path: Path):
    """An ONNX Runtime session of a model file on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Tesseract:
    """The tesseract program where it is installed, one call per table: the lines as a multi-page list, page segmentation 7 (a single line)."""

    name = "tesseract"

    def __init__(self, language: str = "") -> None:
        program = shutil.which("tesseract")
        if program is None:
            raise EngineError("Tesseract is not installed here: no program `tesseract` on the path. Install it "
                              "(Debian: apt install tesseract-ocr), or choose ocr=rapidocr.")
        self._program, self._language = program, language or "eng"
        self.version = self._call(["--version"]).split("\n", 1)[0].removeprefix("tesseract ").strip()
        installed = self._call(["--list-langs"]).split("\n")[1:]
        if missing := [part for part in self._language.split("+") if part not in installed]:
            raise ConfigError(f"Tesseract has no language {missing[0]!r} here; it has {', '.join(filter(None, installed))}. "
                              f"Install it (Debian: apt install tesseract-ocr-{missing[0]}) or choose one of these.")

    def read(self, lines: Sequence[np.ndarray], progress: Progress = silent) -> list[Reading]:
        found: list[Reading] = []
        for begin in range(0, len(lines), 4 * BATCH):
            progress(begin / len(lines), f"Reading text: line {begin + 1:,} of {len(lines):,}")
            found += self._read_batch(lines[begin:begin + 4 * BATCH])
        return found

    def _read_batch(self, lines: Sequence[np.ndarray]) -> list[Reading]:
        from PIL import Image

        with tempfile.TemporaryDirectory(prefix="vitrine-ocr-") as folder:
            names = [str(Path(folder, f"{i}.png")) for i in range(len(lines))]
            for name, line in zip(names, lines):
                Image.fromarray(_framed(line)).save(name)
            listing = Path(folder, "lines.txt")
            listing.write_text("\n".join(names), encoding="utf8")
            text = self._call([str(listing), "stdout", "-l", self._language, "--psm", "7", "--dpi", "150", "tsv"])
        return words_of_pages(text, len(lines))

    def _call(self, arguments: Iterable[str]) -> str:
        try:
            done = subprocess.run([self._program, *arguments], capture_output=True, text=True, encoding="utf8", timeout=120, check=False,
                                  env={**os.environ, "OMP_THREAD_LIMIT": "1"})
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError(f"Tesseract did not answer ({error.__class__.__name__}, limit 120 s). Choose ocr=rapidocr.") from error
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise EngineError(f"Tesseract failed with exit status {done.returncode}: {last}. Choose ocr=rapidocr.")
        return done.stdout


def words_of_pages(tsv: str, pages: int) -> list[Reading]:
    """Tesseract's TSV -> per page the words joined by spaces and their mean confidence (0 to 1)."""
    words: list[list[tuple[str, float]]] = [[] for _ in range(pages)]
    for row in csv.DictReader(io.StringIO(tsv), delimiter="\t", quoting=csv.QUOTE_NONE):
        if row["level"] == "5" and row["text"].strip():
            words[int(row["page_num"]) - 1].append((row["text"], float(row["conf"]) / 100))
    return [(" ".join(t for t, _ in page), sum(c for _, c in page) / len(page)) if page else ("", 0.0) for page in words]


def _framed(line: np.ndarray) -> np.ndarray:
    """Twice the size with a margin: Tesseract misreads small text and text that touches the edge."""
    import cv2

    double = cv2.resize(line, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return cv2.copyMakeBorder(double, 12, 12, 12, 12, cv2.BORDER_REPLICATE)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
