"""Tables drawn by a browser: real layout and letter shapes for a share of the training drawings; made once, stored, aged anew at each use."""

import html
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from core.errors import EngineError
from core.table.synth import Drawing, aged_drawing, faces, font_folders, gaps_between
from core.table.synth_content import Content, Corpus, make_content
from core.table.table import Box, Cell, Table

PER_PAGE = 16
DEEPEST = 16_000
"""Pixels of a page that a screenshot surely shows."""
REAL = 0.75
"""Share of drawings that show a real table."""
WIDEST, TALLEST = 1250, 1500
"""Pixels; larger tables are left out."""
LOOKS = ("grid", "rows", "rules", "stripes", "bare", "head", "night", "columns", "cards", "dotted")
MEASURE = """() => [...document.querySelectorAll('div.sheet')].map(sheet => {
  const flat = r => [r.left + scrollX, r.top + scrollY, r.right + scrollX, r.bottom + scrollY];
  return {sheet: flat(sheet.getBoundingClientRect()), cells: [...sheet.querySelectorAll('td,th')].map(cell => {
    const range = document.createRange(); range.selectNodeContents(cell);
    const lines = [...range.getClientRects()].filter(r => r.width >= 1 && r.height >= 1).map(flat);
    return {box: flat(cell.getBoundingClientRect()), lines: lines};
  })};
})"""


# Pages

def page_of(corpus: Corpus, seeds: Sequence[tuple[int, ...]]) -> tuple[str, list[Content], list[str]]:
    """HTML of one page with a table per seed, the tables' contents and the names of their looks."""
    parts, contents, looks = [], [], []
    for number, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        content = make_content(corpus, rng, REAL)
        look = str(rng.choice(LOOKS, p=[.18, .11, .14, .14, .17, .08, .08, .04, .03, .03]))
        parts.append(f"<style>{_css(f'#t{number}', look, content, rng)}</style>{_html(content, number, rng)}")
        contents.append(content)
        looks.append(look)
    return f"<!doctype html><meta charset=utf-8><style>body{{margin:0}}</style>{''.join(parts)}", contents, looks


@lru_cache(maxsize=1)
def _families() -> tuple[str, ...]:
    """Names of the open font families found."""
    from PIL import ImageFont
    return tuple(sorted({ImageFont.truetype(str(plain), 10).getname()[0] for plain, _ in faces()}))


def _css(sheet: str, look: str, content: Content, rng: np.random.Generator) -> str:
    """Style rules of one table."""
    def some(*values):
        return values[int(rng.integers(len(values)))]
    common = [name for name in _families() if name.startswith(("Liberation", "DejaVu"))]
    family = some(*common) if common and rng.random() < 0.5 else some(*_families())
    size, up, across = int(rng.integers(9, 17)), some(0, 1, 1, 2, 3, 4, 5, 7, 10), some(2, 3, 4, 5, 6, 8, 10, 12, 16)
    align, grey = some("left", "left", "center", "right"), some("#000", "#333", "#777", "#a2a9b1", "#ccc", "#6b8fb5")
    number = some("right", "right", "center", align)
    wide = f"width:{int(rng.integers(500, 1150))}px;" if rng.random() < 0.2 else f"max-width:{int(rng.integers(350, 1150))}px;"
    margins = " ".join(f"{int(p)}px" for p in rng.integers(0, 14, 4))
    rules = [
        f"{sheet}{{padding:{margins};width:max-content;background:#fff;color:{some('#000', '#111', '#333', '#202122')}}}",
        f"{sheet} table{{border-collapse:collapse;{wide}font:{size}px/{rng.uniform(1.1, 1.6):.2f} '{family}'}}",
        f"{sheet} td,{sheet} th{{padding:{up}px {across}px;text-align:{align};"
        f"vertical-align:{some('top', 'middle', 'middle', 'baseline', 'bottom')};"
        f"{'white-space:nowrap;' if rng.random() < 0.2 else ''}}}",
        f"{sheet} td.n{{text-align:{number}}}",
        f"{sheet} th{{font-weight:{some('bold', 'bold', 'normal')};text-align:{some('center', align)};vertical-align:{some('middle', 'bottom', 'top')}}}",
        f"{sheet} .first{{text-align:{some('left', 'left', align)}}}",
        f"{sheet} .sec{{{some('font-weight:bold;', 'font-style:italic;', '')}text-align:left;{some('', '', 'background:#eee;')}}}",
        f"{sheet} tr.parted td{{padding-top:{int(size * rng.uniform(.6, 1.8))}px}}"]
    return "".join(rules) + _look(sheet, look, grey, rng)


def _look(sheet: str, look: str, grey: str, rng: np.random.Generator) -> str:
    """Rules and fills of one look."""
    def some(*values):
        return values[int(rng.integers(len(values)))]
    cell, thick = f"{sheet} td,{sheet} th", some(1, 1, 1, 2)
    light, strong = some("#eaecf0", "#f2f2f2", "#dde8f5", "#fff", "#e3efe0"), some("#4a6fa5", "#333", "#1f7a5c", "#8a2d3b", "#5b4b8a")
    head = f"{sheet} th{{background:{strong};color:#fff}}" if rng.random() < 0.35 else f"{sheet} th{{background:{light}}}" if rng.random() < 0.6 else ""
    frame = f"{sheet} table{{border:{thick}px solid {grey}}}"
    last = f"{sheet} tr.lasthead>*{{border-bottom:1px solid #222}}"
    ends = f"{sheet} table{{border-top:{some(1, 2, 3)}px solid #111;border-bottom:{some(1, 2, 3)}px solid #111}}"
    group = f"{sheet} tr:not(.lasthead) th[colspan]{{border-bottom:1px solid #444}}" if rng.random() < 0.5 else ""
    return {
        "grid": f"{cell}{{border:{thick}px solid {grey}}}{head}",
        "rows": f"{cell}{{border-bottom:1px {some('solid', 'solid', 'dashed')} {grey}}}{head}",
        "rules": ends + last + group,
        "stripes": f"{sheet} tr:nth-child({some('even', 'odd')}) td{{background:{some('#eef2f7', '#f6f6f6', '#e8eef0')}}}{head}{some('', '', ends, frame)}",
        "bare": some("", "", "", last, head),
        "head": f"{sheet} th{{border:{thick}px solid {grey}}}{sheet} td{{border-left:1px solid {grey};border-right:1px solid {grey}}}{frame}{head}",
        "night": f"{sheet}{{background:#20232a;color:#e6e6e6}}{some('', f'{cell}{{border:1px solid #4a4d55}}', f'{cell}{{border-bottom:1px solid #555}}')}"
                 f"{sheet} th{{background:{some('#333a45', '#20232a')}}}{sheet} .sec{{background:none}}",
        "columns": f"{cell}{{border-left:1px solid {grey};border-right:1px solid {grey}}}{some('', last)}{some('', ends)}",
        "cards": f"{sheet} table{{border-collapse:separate;border-spacing:{some(2, 3, 5)}px}}{sheet} td{{background:{light}}}{head}",
        "dotted": f"{cell}{{border:1px dotted {grey}}}{head}"}[look]


def _html(content: Content, number: int, rng: np.random.Generator) -> str:
    """The table's markup, cells in reading order."""
    table, stub, rows = content.table, "th" if rng.random() < 0.12 else "td", [[] for _ in range(content.table.rows)]
    for cell in table.cells:
        tag = "th" if cell.row < content.head_rows else stub if cell.col == 0 and content.stub else "td"
        kinds = ["first"] * (cell.col == 0) + ["n"] * (cell.text[:1].isdigit() or cell.text[:1] in "$€-–(+") + ["sec"] * (cell.row in content.sections)
        spans = f' rowspan="{cell.rowspan}"' * (cell.rowspan > 1) + f' colspan="{cell.colspan}"' * (cell.colspan > 1)
        text = html.escape(cell.text).replace("\n", "<br>")
        rows[cell.row].append(f'<{tag}{spans} class="{" ".join(kinds)}">{text}</{tag}>')
    marks = [("lasthead" if r == content.head_rows - 1 else "parted" if r in content.parted else "") for r in range(table.rows)]
    body = "".join(f'<tr class="{mark}">{"".join(cells)}</tr>' for mark, cells in zip(marks, rows))
    return f'<div class="sheet" id="t{number}"><table>{body}</table></div>'


# The browser

@contextmanager
def open_browser() -> Iterator[Any]:
    """One headless Chromium that knows the fonts of VITRINE_FONTS too. Raises EngineError where there is no browser."""
    try:
        play_api = import_module("playwright.sync_api")  # a development dependency: only making these drawings needs it
    except ImportError as error:
        raise EngineError("Drawing tables with a browser needs playwright, which is not installed here. Train without --browser.") from error
    with tempfile.TemporaryDirectory() as folder, play_api.sync_playwright() as play:
        config = Path(folder) / "fonts.conf"
        folders = "".join(f"<dir>{html.escape(str(p))}</dir>" for p in font_folders())
        config.write_text(f'<?xml version="1.0"?><fontconfig><include ignore_missing="yes">/etc/fonts/fonts.conf</include>{folders}</fontconfig>', "utf8")
        try:
            browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"],
                                           env={**os.environ, "FONTCONFIG_FILE": str(config)})
        except play_api.Error as error:
            raise EngineError("No Chromium could be started to draw tables with. Install chromium, or train without --browser.") from error
        try:
            yield browser
        finally:
            browser.close()


def draw_page(browser: Any, corpus: Corpus, seeds: Sequence[tuple[int, ...]]) -> list[Drawing]:
    """The drawings of one page; those that came out too large or without a place for a row are left out. Boxes and pixels have one scale."""
    scale = float(np.random.default_rng((*seeds[0], 1)).choice([1, 1, 1, 1.5]))
    markup, contents, looks = page_of(corpus, seeds)
    page = browser.new_page(viewport=dict(width=1400, height=900), device_scale_factor=scale)
    try:
        page.set_content(markup)
        measured = page.evaluate(MEASURE)
        whole = cv2.imdecode(np.frombuffer(page.screenshot(full_page=True), np.uint8), cv2.IMREAD_GRAYSCALE)[:DEEPEST]
    finally:
        page.close()
    made = (_drawing(whole, content.table, found, scale, f"browser {look}") for content, look, found in zip(contents, looks, measured))
    return [drawing for drawing in made if drawing]


def _drawing(page: np.ndarray, table: Table, found: dict, scale: float, style: str) -> Drawing | None:
    """A drawing from what the browser measured; None where it is too large, or a row or column has no place of its own."""
    left, top, right, bottom = found["sheet"]
    x0, y0, x1, y1 = (round(v * scale) for v in found["sheet"])
    picture = page[y0:y1, x0:x1]
    if right - left > WIDEST or bottom - top > TALLEST or picture.shape != (y1 - y0, x1 - x0):
        return None
    picture = np.ascontiguousarray(picture)

    def moved(box: Sequence[float]) -> Box:
        return tuple(float(v * scale - o) for v, o in zip(box, (x0, y0, x0, y0)))
    boxes = [moved(cell["box"]) for cell in found["cells"]]
    inks = tuple(_ink(picture, [moved(line) for line in cell["lines"]]) for cell in found["cells"])
    placed = Table(table.rows, table.cols, tuple(Cell(c.row, c.col, c.rowspan, c.colspan, c.text, box) for c, box in zip(table.cells, boxes)))
    ys = _edges([(c.row, c.rowspan, c.box[1], c.box[3]) for c in placed.cells], table.rows)
    xs = _edges([(c.col, c.colspan, c.box[0], c.box[2]) for c in placed.cells], table.cols)
    if ys is None or xs is None:
        return None
    gaps = (gaps_between(ys, [(c.row, c.rowspan, i and (i[1], i[3])) for c, i in zip(placed.cells, inks)], picture.shape[0], 0),
            gaps_between(xs, [(c.col, c.colspan, i and (i[0], i[2])) for c, i in zip(placed.cells, inks)], picture.shape[1], 0))
    if any((g[1:, 0] <= g[:-1, 1]).any() for g in gaps):
        return None
    unknown = np.full(table.rows + 1, np.nan), np.full(table.cols + 1, np.nan)
    return Drawing(picture, placed, inks, *gaps, *unknown, style)


def _edges(spans: Sequence[tuple[int, int, float, float]], count: int) -> np.ndarray | None:
    """Where bands begin, and where the last one ends, [count + 1]; None where one has no height. spans: (first, count, begin, end) of cells"""
    edges = np.full(count + 1, np.nan)
    for first, width, begin, end in spans:
        edges[first] = np.nanmin([edges[first], begin])
        edges[count] = np.nanmax([edges[count], end]) if first + width == count else edges[count]
    return edges if (np.diff(edges) > 2).all() else None


def _ink(picture: np.ndarray, lines: Sequence[Box]) -> Box | None:
    """The box around what is really dark (or light) in the boxes of a cell's lines; None where nothing is."""
    if not lines:
        return None
    x0, y0 = (max(int(min(line[i] for line in lines)), 0) for i in (0, 1))
    x1, y1 = (int(np.ceil(max(line[i] for line in lines))) for i in (2, 3))
    part = picture[y0:y1, x0:x1].astype(int)
    if not part.size:
        return None
    seen = np.abs(part - np.median(part)) > 40
    rows, cols = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    return (float(x0 + cols[0]), float(y0 + rows[0]), float(x0 + cols[-1] + 1), float(y0 + rows[-1] + 1)) if len(rows) else None


# The store

def make_store(path: Path, corpus: Corpus, count: int, seed: int) -> int:
    """Draw until `count` drawings lie in the folder `path`, one file per page; what is there is kept. Returns their number. Raises EngineError."""
    path.mkdir(parents=True, exist_ok=True)
    have = sum(len(read_page(p)) for p in sorted(path.glob("page-*.npz")))
    if have >= count:
        return have
    with open_browser() as browser:
        number = 0
        while have < count:
            target = path / f"page-{seed}-{number:04d}.npz"
            if not target.is_file():
                made = draw_page(browser, corpus, [(seed, 3, number * PER_PAGE + i) for i in range(PER_PAGE)])
                _write_page(target, made)
                have += len(made)
            number += 1
    return have


def _write_page(path: Path, drawings: Sequence[Drawing]) -> None:
    """PNG pictures and JSON records in one file, moved into place when it is whole."""
    pictures = [cv2.imencode(".png", d.picture)[1].tobytes() for d in drawings]
    records = [dict(rows=d.table.rows, cols=d.table.cols, style=d.style, inks=d.inks, row_gaps=d.row_gaps.tolist(), col_gaps=d.col_gaps.tolist(),
                    cells=[(c.row, c.col, c.rowspan, c.colspan, c.text, c.box) for c in d.table.cells]) for d in drawings]
    held = io.BytesIO()
    np.savez_compressed(held, pictures=np.frombuffer(b"".join(pictures), np.uint8), ends=np.cumsum([len(p) for p in pictures], dtype=np.int64),
                        records=np.frombuffer(json.dumps(records).encode(), np.uint8))
    part = path.with_suffix(".part")
    part.write_bytes(held.getvalue())
    part.replace(path)


def read_page(path: Path) -> list[tuple[np.ndarray, dict]]:
    """(PNG bytes, record) of each drawing of a stored page."""
    with np.load(path, allow_pickle=False) as held:
        pictures = np.split(held["pictures"], held["ends"][:-1]) if len(held["ends"]) else []
        return list(zip(pictures, json.loads(held["records"].tobytes())))


def restored(png: np.ndarray, record: dict) -> Drawing:
    """A stored drawing."""
    cells = tuple(Cell(*cell[:5], tuple(cell[5])) for cell in record["cells"])
    gaps = [np.array(record[name], float) for name in ("row_gaps", "col_gaps")]
    unknown = [np.full(len(g), np.nan) for g in gaps]
    return Drawing(cv2.imdecode(png, cv2.IMREAD_GRAYSCALE), Table(record["rows"], record["cols"], cells), tuple(i and tuple(i) for i in record["inks"]),
                   *gaps, *unknown, record["style"])


@dataclass(frozen=True)
class Store:
    """Stored browser drawings; empty where the folder is."""

    path: Path

    @cached_property
    def held(self) -> list[tuple[np.ndarray, dict]]:
        return [entry for page in sorted(self.path.glob("page-*.npz")) for entry in read_page(page)]

    def __len__(self) -> int:
        return len(self.held)

    def draw(self, seed: Sequence[int]) -> Drawing:
        """One of them, aged anew."""
        rng = np.random.default_rng(list(seed))
        return aged_drawing(restored(*self.held[int(rng.integers(len(self.held)))]), rng)
