"""Ruled tables drawn with Pillow from a seed, with their true structure, and pictures that hold no ruled table."""

import functools
import io
import random
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Place = tuple[int, int, int, int]
"""Row, column, row span, column span."""
WORDS = "Total January Income Berlin 1,204 17 93.5 (2.1) Yes No Smith growth kg North Quarter 2019 - Mjolby Jet type glyph 8 0".split()


@dataclass(frozen=True)
class Style:
    """How a table is drawn; lengths in pixels, colours as grey 0 to 255 or rgb.

    rule     solid, dashed, dotted or double
    fill     none, head (a dark head with light text), stripes (every second row tinted) or patches (every cell another pastel)
    frame    whether the outer rules are drawn
    """

    rule: str = "solid"
    width: int = 1
    ink: tuple[int, int, int] = (0, 0, 0)
    text: int = 14
    pad_x: int = 6
    pad_y: int = 4
    margin: int = 12
    fill: str = "none"
    paper: tuple[int, int, int] = (255, 255, 255)
    text_ink: tuple[int, int, int] = (20, 20, 20)
    frame: bool = True
    lines: int = 1


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def merged(rng: random.Random, rows: int, cols: int, merges: int) -> list[Place]:
    """Cells that tile rows x cols, with up to `merges` spans, and no grid line that all cells run across (nobody could see it)."""
    owner = {(r, c): (r, c, 1, 1) for r in range(rows) for c in range(cols)}
    for _ in range(merges):
        r, c = rng.randrange(rows), rng.randrange(cols)
        rs, cs = rng.randint(1, min(3, rows - r)), rng.randint(1, min(3, cols - c))
        inside = [(y, x) for y in range(r, r + rs) for x in range(c, c + cs)]
        if all(owner[p][2:] == (1, 1) for p in inside):
            trial = owner | {p: (r, c, rs, cs) for p in inside}
            if _every_line_shows(set(trial.values()), rows, cols):
                owner = trial
    return sorted(set(owner.values()))


def _every_line_shows(cells: set[Place], rows: int, cols: int) -> bool:
    starts_r, starts_c = {r for r, _, _, _ in cells}, {c for _, c, _, _ in cells}
    return len(starts_r) == rows and len(starts_c) == cols


def _words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(count))


def _rule(draw: ImageDraw.ImageDraw, style: Style, x0: int, y0: int, x1: int, y1: int) -> None:
    """One rule from (x0, y0) to (x1, y1), one of which agrees."""
    across = (0, 1) if y0 == y1 else (1, 0)
    offsets = (0,) if style.rule != "double" else (0, style.width + max(2, style.width))
    for offset in offsets:
        ax, ay, bx, by = x0 + across[0] * offset, y0 + across[1] * offset, x1 + across[0] * offset, y1 + across[1] * offset
        for sx, sy, ex, ey in _strokes(style, ax, ay, bx, by):
            draw.rectangle([sx, sy, ex + across[0] * (style.width - 1), ey + across[1] * (style.width - 1)], fill=style.ink)


def _strokes(style: Style, x0: int, y0: int, x1: int, y1: int):
    on, off = {"dashed": (4 * style.width + 1, 3 * style.width), "dotted": (style.width, style.width + 1)}.get(style.rule, (1 << 20, 1))
    length = max(x1 - x0, y1 - y0)
    for start in range(0, length + 1, on + off):
        stop = min(start + on - 1, length)
        yield (x0 + start, y0, x0 + stop, y0) if y0 == y1 else (x0, y0 + start, x0, y0 + stop)


def draw(cells: list[Place], style: Style, rng: random.Random) -> np.ndarray:
    """uint8[H,W,3]: the table with random words in its cells."""
    rows, cols = max(r + rs for r, _, rs, _ in cells), max(c + cs for _, c, _, cs in cells)
    band = style.width * (3 if style.rule == "double" else 1) + (1 if style.rule == "double" else 0)
    line = int(style.text * 1.25)
    texts = {cell: [_words(rng, rng.randint(1, 2)) for _ in range(rng.randint(1, style.lines))] if rng.random() > 0.08 else [] for cell in cells}
    widths = [max([style.text] + [int(font(style.text).getlength(t)) + 1 for cell, ts in texts.items() if cell[1] == c and cell[3] == 1 for t in ts])
              + 2 * style.pad_x + band for c in range(cols)]
    heights = [max([1] + [len(ts) for cell, ts in texts.items() if cell[0] == r and cell[2] == 1]) * line + 2 * style.pad_y + band for r in range(rows)]
    xs, ys = np.cumsum([style.margin] + widths), np.cumsum([style.margin] + heights)
    picture = Image.new("RGB", (int(xs[-1]) + style.margin + band, int(ys[-1]) + style.margin + band), style.paper)
    pen = ImageDraw.Draw(picture)
    for cell in cells:
        _draw_cell(pen, cell, texts[cell], xs, ys, style, rng, line, band)
    for cell in cells:
        _draw_border(pen, cell, xs, ys, style, rows, cols, band)
    return np.asarray(picture)


def _draw_cell(pen, cell: Place, texts: list[str], xs, ys, style: Style, rng: random.Random, line: int, band: int) -> None:
    r, c, rs, cs = cell
    x0, y0, x1, y1 = int(xs[c]), int(ys[r]), int(xs[c + cs]), int(ys[r + rs])
    ground, ink = _colours(style, r, rng)
    if ground is not None:
        pen.rectangle([x0, y0, x1 - 1, y1 - 1], fill=ground)
    for k, words in enumerate(texts):
        while words and font(style.text).getlength(words) > x1 - x0 - style.pad_x - band:
            words = words[:-1]
        pen.text((x0 + band + style.pad_x, y0 + band + style.pad_y + k * line), words, font=font(style.text), fill=ink)


def _colours(style: Style, row: int, rng: random.Random):
    if style.fill == "head" and row == 0:
        return (38, 66, 120), (255, 255, 255)
    if style.fill == "stripes" and row % 2:
        return (226, 234, 245), style.text_ink
    if style.fill == "patches":
        return tuple(rng.randint(190, 255) for _ in range(3)), style.text_ink
    return None, style.text_ink


def _draw_border(pen, cell: Place, xs, ys, style: Style, rows: int, cols: int, band: int) -> None:
    r, c, rs, cs = cell
    x0, y0, x1, y1 = int(xs[c]), int(ys[r]), int(xs[c + cs]), int(ys[r + rs])
    end = band - 1
    if style.frame or r > 0:
        _rule(pen, style, x0, y0, x1 + end, y0)
    if style.frame or c > 0:
        _rule(pen, style, x0, y0, x0, y1 + end)
    if style.frame and r + rs == rows:
        _rule(pen, style, x0, y1, x1 + end, y1)
    if style.frame and c + cs == cols:
        _rule(pen, style, x1, y0, x1, y1 + end)


def turned(rgb: np.ndarray, degrees: float) -> np.ndarray:
    """The picture turned clockwise by `degrees` on a canvas that holds it."""
    height, width = rgb.shape[:2]
    side = int(np.hypot(height, width) * abs(np.sin(np.radians(degrees)))) + 4
    padded = cv2.copyMakeBorder(rgb, side, side, side, side, cv2.BORDER_REPLICATE)
    turn = cv2.getRotationMatrix2D((padded.shape[1] / 2, padded.shape[0] / 2), -degrees, 1.0)
    return cv2.warpAffine(padded, turn, (padded.shape[1], padded.shape[0]), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def blurred(rgb: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(rgb, (0, 0), sigma)


def noisy(rgb: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def shadowed(rgb: np.ndarray, darkest: float = 0.45) -> np.ndarray:
    """Light that falls off from the top left corner to `darkest` of itself, as on a page under a lamp."""
    y, x = np.mgrid[0 : rgb.shape[0], 0 : rgb.shape[1]]
    share = (x / rgb.shape[1] + y / rgb.shape[0]) / 2
    return (rgb * (1 - (1 - darkest) * share)[..., None]).astype(np.uint8)


def scaled(rgb: np.ndarray, factor: float) -> np.ndarray:
    return cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)


def text_page(rng: random.Random, width: int = 700, height: int = 900) -> np.ndarray:
    """A page of running text."""
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    for y in range(40, height - 40, 20):
        pen.text((40, y), _words(rng, 9), font=font(14), fill="black")
    return np.asarray(picture)


def loose_table(rng: random.Random, style: str) -> np.ndarray:
    """A table without closed cells: plain, lines (a rule under each row), threeline, box (outer frame only), columns (frame and column rules) or stripes."""
    rows, cols, width, height, size = rng.randint(6, 14), rng.randint(3, 6), 110, 22, 14
    picture = Image.new("RGB", (cols * width + 40, rows * height + 40), "white")
    pen = ImageDraw.Draw(picture)
    right, bottom = 20 + cols * width, 20 + rows * height
    for r in range(rows):
        if style == "stripes" and r % 2:
            pen.rectangle([20, 20 + r * height, right, 20 + (r + 1) * height], fill=(226, 234, 245))
        for c in range(cols):
            pen.text((26 + c * width, 22 + r * height), _words(rng, 1), font=font(size), fill="black")
    levels = {"lines": range(rows + 1), "threeline": (0, 1, rows), "box": (0, rows), "columns": (0, 1, rows)}.get(style, ())
    for r in levels:
        pen.line([20, 20 + r * height, right, 20 + r * height], fill="black")
    for c in {"box": (0, cols), "columns": range(cols + 1)}.get(style, ()):
        pen.line([20 + c * width, 20, 20 + c * width, bottom], fill="black")
    return np.asarray(picture)


def bar_chart(rng: random.Random) -> np.ndarray:
    """Outlined bars of several heights on an axis, with labels."""
    picture = Image.new("RGB", (640, 420), "white")
    pen = ImageDraw.Draw(picture)
    pen.line([60, 20, 60, 380], fill="black", width=2)
    pen.line([60, 380, 620, 380], fill="black", width=2)
    for k in range(7):
        top = rng.randint(60, 340)
        pen.rectangle([80 + 76 * k, top, 130 + 76 * k, 380], fill=(70, 110, 180), outline="black")
        pen.text((85 + 76 * k, 388), _words(rng, 1)[:6], font=font(13), fill="black")
    return np.asarray(picture)
