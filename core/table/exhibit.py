"""The table exhibit as the studio runs it: pictures in; HTML, XLSX, CSV, Markdown, OTSL and JSON out, with what the engines saw for the page."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace

import numpy as np

from core.errors import EngineError, InputError, LimitError
from core.exhibit import Outcome, Progress, Source, part, silent, stems, timed
from core.io.pictures import MAX_BYTES, Picture, inspect, read_picture
from core.table.config import TableConfig
from core.table.export import Record, files_of, from_html, from_json
from core.table.merge import MODEL, REGIONS
from core.table.ocr import engine as ocr_engine
from core.table.reader import look, spelt, story
from core.table.recognise import TableResult, recognise
from core.table.scoring import Score, compare
from cython_ext import BACKEND

__all__ = ["Config", "MAX_BYTES", "amend", "inspect", "run", "score", "warm"]

Config = TableConfig
DISPLAY_SIDE = 1800
MAX_REGIONS = 2000
TWIN_PIXELS = 8_000_000
"""What the NumPy twins are given at most: that many took 1.8 s and 0.3 GB on the machine they were tried on."""
SURE = 0.8
PNG_BYTES = 1_500_000
MAX_HTML_BYTES = 5_000_000


def warm() -> None:
    """Load what the first run would otherwise wait for: the default OCR model and the table model, and something small through each."""
    ocr_engine(TableConfig()).read([np.full((32, 64, 3), 255, np.uint8)])
    with suppress(EngineError):  # where the model is missing the regions read alone, and a run says so
        look(np.full((160, 160), 255, np.uint8))


def run(sources: Sequence[Source], config: TableConfig = TableConfig(), progress: Progress = silent) -> Outcome:
    """Recognise the table of every source.

    files    STEM.html .xlsx .csv .md .otsl.txt .json; an abstention has STEM.json only
    trace    STEM/picture.png or .jpg, STEM/binary.png, STEM/rules.png, STEM/regions.png, STEM/trace.json
             (binary, rules and regions only where the regions were asked)
    metrics  pictures, tables, cells, spans, to_check (cells below 0.8), abstained, by_model (tables taken from the model), tokens, decoder_calls,
             tokens_per_call (None where no decoder ran)
    Raises InputError, LimitError (naming the source), EngineError, ConfigError and whatever `progress` raises to stop.
    """
    files: dict[str, bytes] = {}
    trace: dict[str, bytes] = {}
    results, seconds = [], {"open": 0.0}
    for index, (source, stem) in enumerate(zip(sources, stems(sources, "picture"))):
        share = part(progress, index / len(sources), (index + 1) / len(sources))
        result = _one(source, config, share, seconds)
        share(0.97, f"Writing the files of {stem}")
        with timed(seconds, "export"):
            files |= files_of(_record(result), stem)
        raced = {}
        if config.race:
            with timed(seconds, "race"):
                raced = _race(result)
        with timed(seconds, "pictures"):
            trace |= trace_of(result, stem, raced)
        results.append(_slim(result))
    notes = tuple(dict.fromkeys(_named(note, r, len(sources)) for r in results for note in r.notes))
    models = {name: version for r in results for name, version in r.models.items()}
    return Outcome(files, trace, metrics(results), _in_order(seconds), notes, models)


def _slim(result: TableResult) -> TableResult:
    """The result without its pictures: a run over many keeps counts and notes."""
    empty = result.picture.rgb[:0]
    return replace(result, picture=replace(result.picture, rgb=empty), structure=replace(result.structure, rgb=empty, reading=None))


def _one(source: Source, config: TableConfig, progress: Progress, seconds: dict[str, float]) -> TableResult:
    progress(0.0, f"Opening {source.name}")
    with timed(seconds, "open"):
        picture = within_reach(read_picture(source, config.page, config.shrink))
    result = recognise(picture, config, part(progress, 0.03, 0.97))
    for stage, spent in result.seconds.items():
        seconds[stage] = seconds.get(stage, 0.0) + spent
    return result


def within_reach(picture: Picture, backend: str = BACKEND) -> Picture:
    """The picture as it is; without the compiled kernels, one over TWIN_PIXELS at half its size, with a note. Boxes still refer to the input."""
    import cv2

    if backend == "compiled" or picture.rgb.shape[0] * picture.rgb.shape[1] <= TWIN_PIXELS:
        return picture
    half = cv2.resize(picture.rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    note = f"Without the compiled kernels pictures of more than {TWIN_PIXELS:,} pixels are read at half their size."
    return replace(picture, rgb=half, scale=picture.scale * half.shape[1] / picture.rgb.shape[1], notes=(*picture.notes, note))


def _in_order(seconds: Mapping[str, float]) -> dict[str, float]:
    """Open, the stages of the structure, OCR, then the writing of files, the race and the pictures."""
    last = ("ocr", "export", "race", "pictures")
    return {k: v for k, v in seconds.items() if k not in last} | {k: seconds[k] for k in last if k in seconds}


def _named(note: str, result: TableResult, sources: int) -> str:
    name = result.picture.name
    return note if sources == 1 or note.startswith(name) else f"{name}: {note}"


def _record(result: TableResult) -> Record:
    p, decoding = result.picture, result.model.decoding if result.model else None
    tokens, calls = (None, None) if decoding is None else (tuple(spelt(decoding)), len(decoding.calls))
    return Record(p.name, p.width, p.height, result.engine, result.table, result.reason, result.confidence, result.choice, tokens, calls)


def metrics(results: Sequence[TableResult]) -> dict[str, int | float | None]:
    """Counts over all pictures of a run."""
    cells = [cell for r in results if r.table for cell in r.table.cells]
    decoded = [r.model.decoding for r in results if r.model and r.model.decoding]
    tokens, calls = sum(len(d.tokens) for d in decoded), sum(len(d.calls) for d in decoded)
    return {"pictures": len(results), "tables": sum(not r.abstained for r in results), "cells": len(cells),
            "spans": sum(c.rowspan * c.colspan > 1 for c in cells), "to_check": sum(c.confidence is not None and c.confidence < SURE for c in cells),
            "abstained": sum(r.abstained for r in results), "by_model": sum(r.engine == MODEL and not r.abstained for r in results),
            "tokens": tokens, "decoder_calls": calls, "tokens_per_call": round(tokens / calls, 3) if calls else None}


def amend(files: Mapping[str, bytes], stem: str, texts: Mapping[tuple[int, int], str]) -> dict[str, bytes]:
    """All files of one table again, after a visitor corrected texts.

    files  the files of a run, or at least STEM.json
    texts  (row, col) of a cell's top left place -> its text; these cells get confidence 1.0
    Raises InputError where STEM has no table or no cell begins at a given place.
    """
    record = _recorded(files, stem, "correct")
    places = {(c.row, c.col) for c in record.table.cells}
    if unknown := sorted(set(texts) - places):
        raise InputError(f"No cell of {stem} begins at row {unknown[0][0] + 1}, column {unknown[0][1] + 1}; correct the cell that spans that place.")
    cells = tuple(replace(c, confidence=1.0) if (c.row, c.col) in texts else c for c in record.table.cells)
    return files_of(replace(record, table=replace(record.table, cells=cells).with_texts(dict(texts))), stem)


def score(files: Mapping[str, bytes], stem: str, html: bytes) -> Score:
    """One table of a run held against the first table of a visitor's HTML (UTF-8).

    files  the files of a run, or at least STEM.json
    Raises InputError where STEM has no table or the bytes are no HTML with a table, LimitError where there is too much of it.
    """
    record = _recorded(files, stem, "score")
    if len(html) > MAX_HTML_BYTES:
        raise LimitError(f"The ground truth has {len(html) / 1e6:.1f} MB; at most {MAX_HTML_BYTES // 10**6} MB are read. Keep only its table.")
    try:
        truth = html.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"The ground truth is not HTML in UTF-8: byte {error.start:,} is none. Save the table as HTML and bring that.") from error
    return compare(record.table, from_html(truth))


def _recorded(files: Mapping[str, bytes], stem: str, verb: str) -> Record:
    """The record of one table of a run. Raises InputError where there is no table."""
    if f"{stem}.json" not in files:
        raise InputError(f"There is no table {stem!r} in this run. It has: {', '.join(n[:-5] for n in files if n.endswith('.json')) or 'none'}.")
    record = from_json(bytes(files[f"{stem}.json"]).decode())
    if record.table is None:
        raise InputError(f"{stem} has no table to {verb}: none was found in it.")
    return record


# What only the page shows

def trace_of(result: TableResult, stem: str, raced: Mapping | None = None) -> dict[str, bytes]:
    """The pictures and the story of "what happened"."""
    reading = result.reading
    name, picture = _display(result.picture.rgb, result.picture.format)
    shown = {f"{stem}/{name}": picture}
    if reading is not None:
        shown |= {f"{stem}/binary.png": _png(_mask(reading.binary)), f"{stem}/rules.png": _png(_mask(reading.rules)),
                  f"{stem}/regions.png": _png(coloured(reading.interior, [r.kept for r in reading.regions]))}
    return shown | {f"{stem}/trace.json": json.dumps(_story(result, raced or {}), default=_plain, ensure_ascii=False).encode()}


def _race(result: TableResult) -> dict:
    """{"race": the labellers, "drafts", "mobile"}: measured on this picture just now."""
    from core.table.labelling import race
    from core.table.reader import race as race_model

    labellers = {} if result.reading is None else {"race": race(result.reading.interior)}
    return labellers | ({} if result.model is None else race_model(result.structure.rgb, result.model))


def _story(result: TableResult, raced: Mapping) -> dict:
    picture, structure = result.picture, result.structure
    longest = max(picture.rgb.shape[:2])
    return {"name": picture.name, "width": picture.width, "height": picture.height, "format": picture.format,
            "page": picture.page, "pages": picture.pages, "display_scale": min(1.0, DISPLAY_SIDE / longest) * picture.scale,
            "rotation_degrees": structure.rotation_degrees, "to_input": result.to_input(structure.to_rgb), "working_size": list(structure.straight[::-1]),
            "skew_degrees": (structure.reading or structure.model).skew_degrees, "abstained": result.abstained, "reason": result.reason,
            "seconds": dict(result.seconds), "notes": list(result.notes), **_seen_by_regions(result), "parts": _parts(result),
            "model": _seen_by_model(result, raced)} | ({"race": raced["race"]} if "race" in raced else {})


def _seen_by_regions(result: TableResult) -> dict:
    reading = result.reading
    if reading is None:
        return {"regions": [], "regions_total": 0, "other_tables": 0}
    regions = [asdict(region) | {"box": result.box_in_input(region.box)} for region in reading.regions[:MAX_REGIONS]]
    return {"regions": regions, "regions_total": len(reading.regions), "other_tables": reading.other_tables}


def _parts(result: TableResult) -> dict:
    """Both readings' cells in pixels of the input, None where an engine gave no table."""
    tables = {REGIONS: result.reading and result.reading.table, MODEL: result.model and result.model.table}
    return {name: None if table is None else [{"row": c.row, "col": c.col, "rowspan": c.rowspan, "colspan": c.colspan, "box": c.box}
                                              for c in result.in_input(table).cells] for name, table in tables.items()}


def _seen_by_model(result: TableResult, raced: Mapping) -> dict | None:
    if result.model is None:
        return None
    return story(result.model) | {"to_input": result.to_input(result.model.to_picture)} | {k: raced[k] for k in ("drafts", "mobile") if k in raced}


def _plain(value):
    """What json cannot write by itself: NumPy arrays and scalars."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)


def _display(rgb: np.ndarray, form: str) -> tuple[str, bytes]:
    small = shrunk(rgb)
    if form not in ("JPEG", "WEBP"):
        data = _png(small)
        if len(data) <= PNG_BYTES:
            return "picture.png", data
    return "picture.jpg", _encode(".jpg", small)


def shrunk(picture: np.ndarray) -> np.ndarray:
    """The picture with its longest side at most DISPLAY_SIDE pixels."""
    import cv2

    scale = DISPLAY_SIDE / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _mask(mask: np.ndarray) -> np.ndarray:
    """Ink black on white, as print."""
    return 255 - shrunk((np.asarray(mask) > 0).astype(np.uint8) * 255)


def coloured(interior: np.ndarray, kept: Sequence[bool] = ()) -> np.ndarray:
    """uint8[h, w, 3]: the connected regions of a mask, kept ones each in a colour of its own, dropped ones grey, the rules between them dark.

    kept  by region in raster order, as the region engine lists them; all are coloured where it does not say
    """
    from core.table.labelling import label_regions

    mask = np.ascontiguousarray(np.asarray(interior) > 0).astype(np.uint8)
    labels = np.zeros(mask.shape, np.int32)
    count = len(label_regions(mask, 8, labels))
    scale = max(1.0, max(mask.shape) / DISPLAY_SIDE)
    rows, cols = ((np.arange(max(1, int(side / scale))) * scale).astype(int) for side in mask.shape)
    return _palette(count, np.array(kept, bool) if len(kept) == count else np.ones(count, bool))[labels[rows][:, cols]]


def _palette(count: int, kept: np.ndarray) -> np.ndarray:
    """uint8[count + 1, 3]: hues a golden ratio apart, so that neighbours differ; 0 is the dark between the regions."""
    hue = (np.arange(count + 1) * 0.618034) % 1.0
    rgb = np.abs(hue[:, None] * 6 - np.array([3, 2, 4])) * np.array([1, -1, -1]) + np.array([-1, 2, 2])
    colours = 150 + 62 * rgb.clip(0, 1)          # muted: the page keeps its strong colours for what is measured
    colours[1:][~kept] = 104
    colours[0] = 34
    return colours.astype(np.uint8)


def _png(picture: np.ndarray) -> bytes:
    return _encode(".png", picture)


def _encode(ending: str, picture: np.ndarray) -> bytes:
    import cv2

    ordered = picture if picture.ndim == 2 else picture[:, :, ::-1]
    return cv2.imencode(ending, np.ascontiguousarray(ordered), [cv2.IMWRITE_JPEG_QUALITY, 85] if ending == ".jpg" else [])[1].tobytes()
