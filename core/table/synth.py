"""Pictures of tables whose structure, cell boxes, text boxes and rules are known exactly: drawn in milliseconds, each one from a seed."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from core.errors import EngineError
from core.table.synth_content import Content, Corpus, make_content
from core.table.table import Box, Cell, Table

COMMON = ("Liberation", "DejaVu")
"""Font families that most machines with open fonts have: a third of the drawings use them, the others any family found."""
FAMILIES = (*COMMON, "NotoSans-", "NotoSerif-", "NotoMono-", "Free", "Carlito", "Caladea", "Lato-", "OpenSans-", "Roboto-", "RobotoCondensed-", "SourceSans",
            "CrimsonText", "Arimo", "Tinos", "Cousine", "Inter-", "Cantarell-", "GilliusADF", "EBGaramond12", "LinLibertine_R", "LinBiolinum_R",
            "texgyretermes-", "texgyreheros", "texgyrepagella-", "texgyreschola-", "texgyrebonum-", "texgyrecursor-", "texgyreadventor-",
            "lmroman10-", "lmsans10-", "lmmono10-")
"""Font families under an open licence (OFL, Apache, Bitstream Vera, GUST, or GPL with font exception), by how their file names begin."""
NOT_REGULAR = ("bold", "italic", "oblique", "math", "light", "thin", "black", "medium", "symbol", "emoji", "heavy", "hairline", "semi", "book")
LONGEST_SIDE = 1600
WIDEST = 1150


@dataclass(frozen=True)
class Drawing:
    """One drawn table.

    picture   uint8 [height, width], grey
    table     the structure; every cell has its text and its box (the whole cell, pixels)
    inks      one box per cell around the ink of its text, None where it is empty
    row_gaps, col_gaps  float [rows + 1, 2], [cols + 1, 2]: where each separator may lie: from the ink of one band to the ink of the next;
                        the outer margins are the first and the last
    row_rules, col_rules  the middle of the rule drawn at each of these separators, nan where there is none
    style     the family of looks it was drawn in
    """

    picture: np.ndarray
    table: Table
    inks: tuple[Box | None, ...]
    row_gaps: np.ndarray
    col_gaps: np.ndarray
    row_rules: np.ndarray
    col_rules: np.ndarray
    style: str


@dataclass(frozen=True)
class Style:
    """How one table looks. Greys are 0 to 255, lengths are pixels; None is "not drawn"."""

    name: str
    faces: tuple[Path, Path]
    size: int
    leading: float
    pad: tuple[int, int]
    align: tuple[str, str, str]
    valign: str
    wrap: int
    stretch: float
    margin: tuple[int, int, int, int]
    bold_head: bool = True
    ink: int = 20
    paper: int = 255
    head_ink: int = 20
    head_fill: int | None = None
    stripe: int | None = None
    stub_fill: int | None = None
    rule: int = 0
    thick: int = 1
    frame: int = 1
    rows_ruled: str = "none"
    cols_ruled: str = "none"
    head_ruled: bool = False
    double: bool = False
    dash: int = 0
    head_wrap: float = 1.0
    head_valign: str = "middle"
    even: bool = False
    underlined: bool = False
    group_rules: bool = False
    outer: str = "none"
    gutter: int = 0
    leaders: bool = False
    indent: int = 0
    blank: float = 1.0
    ragged: int = 0
    section_fill: int | None = None
    bold_sections: bool = False
    section_align: str = "left"
    leader: str = "."


# Fonts

def font_folders() -> list[Path]:
    """Where fonts are looked for: VITRINE_FONTS (folders parted as in PATH), then the system's and the user's own folders."""
    named = [Path(p) for p in os.environ.get("VITRINE_FONTS", "").split(os.pathsep) if p]
    usual = ["/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts", "~/Library/Fonts", "/Library/Fonts"]
    if sys.platform == "win32":
        usual = [r"%WINDIR%\Fonts", r"%LOCALAPPDATA%\Microsoft\Windows\Fonts"]
    return [*named, *(Path(os.path.expandvars(p)).expanduser() for p in usual)]


@lru_cache(maxsize=1)
def faces() -> tuple[tuple[Path, Path], ...]:
    """(regular, bold) files of every open font found, in a fixed order. Raises EngineError where there is none."""
    files = {p.stem: p for folder in font_folders() if folder.is_dir() for p in sorted(folder.rglob("*.[to]tf")) if p.stem.startswith(FAMILIES)}
    pairs = []
    for stem, path in sorted(files.items()):
        plain = stem.removesuffix("-Regular").removesuffix("-regular")
        if any(mark in stem.lower() for mark in NOT_REGULAR) or stem.endswith(("B", "I", "RZ")):
            continue
        bold = next((files[name] for name in (f"{plain}-Bold", f"{plain}-bold", f"{plain}Bold", f"{plain}B") if name in files), path)
        pairs.append((path, bold))
    if not pairs:
        raise EngineError("No open font was found to draw tables with. Install one (Debian: fonts-liberation, fonts-dejavu) or name its folder in "
                          "VITRINE_FONTS.")
    return tuple(pairs)


class Face:
    """A font file at one size with the advance and the vertical ink extent of each character, looked up once."""

    def __init__(self, path: Path, size: int) -> None:
        self.font = ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
        self.height = sum(self.font.getmetrics())
        self.known: dict[str, tuple[float, int, int]] = {}

    def measure(self, text: str) -> tuple[float, int, int]:
        """Width, top and bottom of the ink of one line, from its upper left corner."""
        known, width, top, bottom = self.known, 0.0, 10**6, -(10**6)
        for char in text:
            if char not in known:
                box = self.font.getbbox(char)
                known[char] = (self.font.getlength(char), *((box[1], box[3]) if box[3] > box[1] and not char.isspace() else (10**6, -(10**6))))
            advance, high, low = known[char]
            width, top, bottom = width + advance, min(top, high), max(bottom, low)
        return width, top, bottom


@lru_cache(maxsize=256)
def face(path: Path, size: int) -> Face:
    """The face of a file at a size."""
    return Face(path, size)


# Looks

def make_style(rng: np.random.Generator) -> Style:
    """A random look: a family of rules and fills, a font, spacing from dense to loose."""
    pairs = faces()
    common = [pair for pair in pairs if pair[0].stem.startswith(COMMON)]
    pairs = common if common and rng.random() < 1 / 3 else pairs
    size = int(rng.choice([7, 8, 9, 10, 11, 12, 13, 14, 16, 18], p=[.04, .07, .1, .13, .15, .16, .15, .1, .07, .03]))
    dense = rng.random() < 0.25
    dense_pad = (int(rng.integers(0, 3)), int(rng.integers(2, 5))) if dense else None
    pad = dense_pad or (int(rng.choice([1, 2, 3, 4, 5, 7, 9, 14], p=[.14, .15, .15, .15, .14, .12, .1, .05])),
                        int(rng.choice([2, 3, 4, 5, 6, 8, 10, 12, 16])))
    text, numbers = str(rng.choice(["left", "left", "left", "center", "right"])), str(rng.choice(["left", "right", "right", "center"]))
    base = Style(
        "plain", pairs[rng.integers(len(pairs))], size, float(rng.uniform(1.1, 1.5)), pad,
        (text, numbers if rng.random() < 0.7 else text, str(rng.choice(["center", text]))),
        str(rng.choice(["top", "middle", "middle", "bottom"], p=[.3, .3, .3, .1])), int(size * rng.uniform(5, 26)),
        float(rng.uniform(1.0, 2.8)) if rng.random() < 0.4 else 1.0,
        tuple(int(m) for m in rng.integers(0, 14, 4)), bold_head=bool(rng.random() < 0.6), ink=int(rng.choice([0, 10, 20, 50, 90])),
        rule=int(rng.choice([0, 0, 90, 119, 168, 204])), thick=int(rng.choice([1, 1, 1, 2])), frame=int(rng.choice([1, 1, 2, 3, 5])),
        double=bool(rng.random() < 0.06), dash=int(rng.integers(2, 7)) if rng.random() < 0.07 else 0,
        head_wrap=float(rng.uniform(0.25, 1)) if rng.random() < 0.4 else 1.0, head_valign=str(rng.choice(["middle", "bottom", "top"])),
        even=bool(rng.random() < 0.1), underlined=bool(rng.random() < 0.03),
        leaders=bool(rng.random() < 0.08),
        leader=str(rng.choice([".", ".", ". ", "_"])), section_align=str(rng.choice(["left", "left", "center"])),
        indent=int(rng.choice([0, 0, 0, 8, 14])), blank=float(rng.uniform(0.6, 1.6)), ragged=int(rng.choice([0, 0, 0, 2, 4])),
        bold_sections=bool(rng.random() < 0.5),
        section_fill=int(rng.integers(200, 250)) if rng.random() < 0.25 else None)
    name = str(rng.choice(list(_LOOKS), p=[.16, .11, .15, .12, .13, .07, .06, .06, .05, .05, .04]))
    styled = replace(base, name=name, **_LOOKS[name](rng))
    return _dark(styled, rng) if rng.random() < 0.12 else styled


def _fill(rng: np.random.Generator, share: float = 0.5) -> int | None:
    return int(rng.integers(205, 253)) if rng.random() < share else None


def _head(rng: np.random.Generator) -> dict:
    """A head with a dark fill and light letters, a light fill, or none."""
    chance = rng.random()
    return dict(head_fill=int(rng.integers(20, 150)), head_ink=255) if chance < 0.35 else dict(head_fill=_fill(rng))


_LOOKS = {
    "grid": lambda rng: dict(rows_ruled="all", cols_ruled="all", outer="box", **_head(rng)),
    "lines": lambda rng: dict(rows_ruled="all", outer=str(rng.choice(["none", "bottom", "ends"])), head_ruled=bool(rng.random() < .5), **_head(rng)),
    "threeline": lambda rng: dict(outer="ends", head_ruled=True, group_rules=bool(rng.random() < .6), frame=int(rng.choice([1, 2, 2, 3]))),
    "stripes": lambda rng: dict(stripe=int(rng.integers(215, 250)), outer=str(rng.choice(["none", "none", "ends", "box"])), **_head(rng)),
    "plain": lambda rng: dict(head_ruled=bool(rng.random() < .15)),
    "boxhead": lambda rng: dict(cols_ruled="all", rows_ruled="head", outer="box", thick=1, **_head(rng)),
    "box": lambda rng: dict(outer="box", head_ruled=bool(rng.random() < .7), cols_ruled=str(rng.choice(["none", "none", "all", "stub"])),
                            **_head(rng)),
    "blocks": lambda rng: dict(head_fill=int(rng.integers(30, 230)), head_ink=255, stub_fill=_fill(rng, .7), stripe=_fill(rng, .5), rule=255,
                               rows_ruled=str(rng.choice(["all", "none"])),
                               cols_ruled=str(rng.choice(["all", "none"]))),
    "marketing": lambda rng: dict(gutter=int(rng.integers(2, 7)), head_fill=int(rng.integers(30, 160)), head_ink=255,
                                  stripe=int(rng.integers(225, 250)), stub_fill=_fill(rng, .4),
                                  pad=(int(rng.integers(6, 16)), int(rng.integers(10, 26)))),
    "financial": lambda rng: dict(pad=(int(rng.integers(0, 3)), int(rng.integers(2, 8))), leaders=bool(rng.random() < .3),
                                  indent=int(rng.integers(0, 16)), group_rules=True,
                                  head_ruled=bool(rng.random() < .7), stripe=_fill(rng, .35), ragged=3,
                                  align=("left", "right", str(rng.choice(["center", "right"]))), outer=str(rng.choice(["none", "ends"]))),
    "columns": lambda rng: dict(cols_ruled="all", head_ruled=bool(rng.random() < .6), outer=str(rng.choice(["none", "box", "ends"]))),
}


def _dark(style: Style, rng: np.random.Generator) -> Style:
    """The same look, light on dark."""
    paper = int(rng.integers(15, 60))
    drawn = [name for name in ("head_fill", "stripe", "stub_fill", "section_fill") if getattr(style, name) is not None]
    fills = {name: min(paper + int(rng.integers(8, 40)), 120) for name in drawn}
    return replace(style, paper=paper, ink=int(rng.integers(190, 256)), head_ink=int(rng.integers(200, 256)),
                   rule=paper + int(rng.integers(25, 110)), **fills)


# Layout

@dataclass
class Block:
    """The lines of one cell's text and what they need."""

    lines: list[str]
    widths: list[float]
    face: Face
    indent: int


def _wrap(text: str, font: Face, limit: float) -> tuple[list[str], list[float]]:
    """Lines no wider than `limit` where words allow it."""
    lines, widths = [], []
    for paragraph in text.split("\n"):
        line, width = "", 0.0
        for word in paragraph.split():
            long = font.measure(word + " ")[0]
            if line and width + long > limit:
                lines.append(line)
                widths.append(font.measure(line)[0])
                line, width = "", 0.0
            line, width = f"{line} {word}" if line else word, width + long
        if line:
            lines.append(line)
            widths.append(font.measure(line)[0])
    return lines, widths


def _blocks(content: Content, style: Style, wrap: float, rng: np.random.Generator) -> list[Block]:
    plain, bold = (face(path, style.size) for path in style.faces)
    indents = rng.random(content.table.rows) < 0.4
    made = []
    for cell in content.table.cells:
        font = bold if (cell.row < content.head_rows and style.bold_head) or (cell.row in content.sections and style.bold_sections) else plain
        indent = style.indent if cell.col == 0 and cell.row >= content.head_rows and indents[cell.row] else 0
        limit = max(wrap * style.head_wrap, 4 * style.size) if cell.row < content.head_rows else wrap
        made.append(Block(*_wrap(cell.text, font, limit * cell.colspan), font, indent))
    return made


def _spread(sizes: np.ndarray, needs: Sequence[tuple[int, int, float]], grow: bool = True) -> np.ndarray:
    """Sizes of bands so that each (first, count, need) fits; single ones first, then what spans is shared out evenly."""
    for first, count, need in sorted(needs, key=lambda n: n[1]):
        lack = need - sizes[first:first + count].sum()
        if lack > 0 and (count == 1 or grow):
            sizes[first:first + count] += lack / count
    return np.ceil(sizes)


def _edges(sizes: np.ndarray, begin: float, gutter: int) -> np.ndarray:
    return begin + np.concatenate([[0], np.cumsum(sizes + gutter)])


def _lay_out(content: Content, style: Style, rng: np.random.Generator) -> tuple[list[Block], np.ndarray, np.ndarray] | None:
    """Blocks and the edges of rows and columns (pixels), None where the table would be larger than a picture may be."""
    table, wrap = content.table, float(style.wrap)
    for _ in range(6):
        blocks = _blocks(content, style, wrap, rng)
        needs = [(c.col, c.colspan, max(b.widths, default=0) + b.indent + 2 * style.pad[1]) for c, b in zip(table.cells, blocks)]
        widths = _spread(np.full(table.cols, style.size * 0.8 + 2 * style.pad[1]), needs)
        if style.even and widths[1:].max() * table.cols < WIDEST:
            widths[1:] = widths[1:].max()
        if widths.sum() <= WIDEST or wrap < style.size * 2:
            break
        wrap *= 0.65
    widths = np.round(widths * np.clip(style.stretch, 1, max(WIDEST / widths.sum(), 1)))
    if style.ragged and widths.sum() < 0.7 * WIDEST:
        widths += rng.integers(0, 4 * style.size, table.cols) * (rng.random(table.cols) < 0.4)
    high = round(style.size * style.leading)
    blank = np.array([r in content.parted for r in range(table.rows)]) * high * style.blank
    needs = [(c.row, c.rowspan, len(b.lines) * high + 2 * style.pad[0]) for c, b in zip(table.cells, blocks)]
    heights = _spread(np.full(table.rows, float(high + 2 * style.pad[0])), needs)
    heights += np.round(blank) + (rng.integers(0, style.ragged + 1, table.rows) if style.ragged else 0)
    left, top, right, bottom = style.margin
    ys, xs = _edges(heights, top + style.frame, style.gutter), _edges(widths, left + style.frame, style.gutter)
    if max(xs[-1] + right, ys[-1] + bottom) > LONGEST_SIDE:
        return None
    return blocks, ys, xs


# Drawing

def draw(corpus: Corpus, seed: Sequence[int], aged: bool = True) -> Drawing:
    """The drawing of this seed (a sequence of integers): the same on every machine that has the same fonts and corpus.

    Raises EngineError without fonts.

    aged  False leaves out what happens to pictures after drawing: strips, low resolution, blur, shear, shadow, noise, JPEG
    """
    rng = np.random.default_rng(list(seed))
    while True:
        content, style = make_content(corpus, rng), make_style(rng)
        laid = _lay_out(content, style, rng)
        if laid:
            drawing = _draw(content, style, *laid)
            return aged_drawing(drawing, rng) if aged else drawing


def _draw(content: Content, style: Style, blocks: list[Block], ys: np.ndarray, xs: np.ndarray) -> Drawing:
    _, _, right, bottom = style.margin
    canvas = np.full((int(ys[-1] + style.frame + bottom), int(xs[-1] + style.frame + right)), style.paper, np.uint8)
    owners = np.array(content.table.grid())
    boxes = [(xs[c.col], ys[c.row], xs[c.col + c.colspan] - style.gutter, ys[c.row + c.rowspan] - style.gutter) for c in content.table.cells]
    _fill_cells(canvas, content, style, boxes)
    rules = _rule(canvas, content, style, owners, ys, xs)
    picture = Image.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    inks = tuple(_write(pen, cell, block, box, content, style) for cell, block, box in zip(content.table.cells, blocks, boxes))
    table = replace(content.table, cells=tuple(replace(c, box=tuple(float(v) for v in box)) for c, box in zip(content.table.cells, boxes)))
    gaps = [gaps_between(edges, spans, size, style.gutter) for edges, spans, size in
            ((ys, [(c.row, c.rowspan, i and (i[1], i[3])) for c, i in zip(table.cells, inks)], canvas.shape[0]),
             (xs, [(c.col, c.colspan, i and (i[0], i[2])) for c, i in zip(table.cells, inks)], canvas.shape[1]))]
    return Drawing(np.array(picture), table, inks, *gaps, *rules, style.name)


def _fill_cells(canvas: np.ndarray, content: Content, style: Style, boxes: Sequence[Box]) -> None:
    for cell, (x0, y0, x1, y1) in zip(content.table.cells, boxes):
        body = cell.row - content.head_rows
        fill = style.head_fill if body < 0 else style.section_fill if cell.row in content.sections else \
            style.stub_fill if cell.col == 0 and style.stub_fill else \
            style.stripe if body % 2 else None
        if fill is not None:
            canvas[int(y0):int(y1), int(x0):int(x1)] = fill


def _rule(canvas: np.ndarray, content: Content, style: Style, owners: np.ndarray, ys: np.ndarray, xs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw the rules; returns the middle of each separator's rule, nan where it has none."""
    rows, cols = owners.shape
    middles = np.full(rows + 1, np.nan), np.full(cols + 1, np.nan)
    apart = np.ones((rows + 1, cols), bool), np.ones((rows, cols + 1), bool)
    apart[0][1:-1], apart[1][:, 1:-1] = owners[1:] != owners[:-1], owners[:, 1:] != owners[:, :-1]
    for r in range(rows + 1):
        thick = _row_rule(content, style, r, rows)
        if thick:
            middles[0][r] = _line(canvas, ys[r] - style.gutter / 2, xs, apart[0][r], thick, style)
        elif style.group_rules and 0 < r < content.head_rows:
            _group_rules(canvas, content, style, r, ys[r], xs)
    for k in range(cols + 1):
        thick = _col_rule(style, k, cols)
        if thick:
            middles[1][k] = _line(canvas.T, xs[k] - style.gutter / 2, ys, apart[1][:, k], thick, style)
    return middles


def _row_rule(content: Content, style: Style, r: int, rows: int) -> int:
    """Thickness of the rule above row r; 0 where there is none."""
    if r in (0, rows):
        return style.frame if style.outer in ("box", "ends") or (style.outer == "bottom" and r == rows) else 0
    if style.rows_ruled == "all" or (style.rows_ruled == "head" and r <= content.head_rows) or (style.head_ruled and r == content.head_rows):
        return style.thick
    return 0


def _col_rule(style: Style, k: int, cols: int) -> int:
    """Thickness of the rule left of column k; 0 where there is none."""
    if k in (0, cols):
        return style.frame if style.outer == "box" else 0
    return style.thick if style.cols_ruled == "all" or (style.cols_ruled == "stub" and k == 1) else 0


def _line(canvas: np.ndarray, at: float, edges: np.ndarray, seen: np.ndarray, thick: int, style: Style) -> float:
    """Draw one rule along the first axis' line `at`, where `seen`; returns its middle, nan where nothing is seen."""
    begin = max(int(at) - thick // 2, 0)
    changes = np.flatnonzero(np.diff(np.concatenate([[0], seen.astype(int), [0]])))
    for first, last in zip(changes[::2], changes[1::2]):
        left, right = int(edges[first]), int(edges[last]) + (thick if last == len(seen) else 0)
        canvas[begin:begin + thick, left:right] = style.rule
        if style.dash:
            across = np.arange(left, min(right, canvas.shape[1]))
            canvas[begin:begin + thick, across[across // style.dash % 2 == 1]] = style.paper
        elif style.double and thick > 2:
            canvas[begin + 1:begin + thick - 1, left:right] = style.paper
    return begin + thick / 2 if len(changes) else np.nan


def _group_rules(canvas: np.ndarray, content: Content, style: Style, r: int, y: float, xs: np.ndarray) -> None:
    """A short rule under each title that spans columns (booktabs' cmidrule)."""
    for c in content.table.cells:
        if c.row + c.rowspan == r and c.colspan > 1 and c.row < content.head_rows:
            canvas[int(y):int(y) + 1, int(xs[c.col]) + style.pad[1]:int(xs[c.col + c.colspan]) - style.pad[1]] = style.rule


def _alignment(cell: Cell, head: bool, number: bool, content: Content, style: Style) -> str:
    """left, center or right."""
    if head:
        return style.align[2]
    if cell.row in content.sections and cell.colspan > 1:
        return style.section_align
    return "left" if cell.col == 0 and content.stub else style.align[1] if number else style.align[0]


def _write(pen: ImageDraw.ImageDraw, cell: Cell, block: Block, box: Box, content: Content, style: Style) -> Box | None:
    """Draw the text of one cell; returns the box of its ink, None for an empty cell."""
    if not block.lines:
        return None
    head = cell.row < content.head_rows
    number = cell.text[:1].isdigit() or cell.text[:1] in "$€-–(+"
    align = _alignment(cell, head, number, content, style)
    high = round(style.size * style.leading)
    x0, y0, x1, y1 = box[0] + style.pad[1] + block.indent, box[1] + style.pad[0], box[2] - style.pad[1], box[3] - style.pad[0]
    y0 += round(high * style.blank) if cell.row in content.parted and cell.rowspan == 1 else 0
    room = max(y1 - y0 - high * len(block.lines), 0)
    y = round(y0 + room * {"top": 0, "middle": 0.5, "bottom": 1}[style.head_valign if head else style.valign] + (high - block.face.height) / 2)
    ink, found = style.head_ink if head else style.ink, None
    for line, width in zip(block.lines, block.widths):
        x = round(x0 + max(x1 - x0 - width, 0) * {"left": 0, "center": 0.5, "right": 1}[align])
        pen.text((x, y), line, fill=ink, font=block.face.font)
        _, top, bottom = block.face.measure(line)
        if bottom > top:
            here = (x, y + top, x + width, y + bottom)
            found = here if found is None else (min(found[0], here[0]), min(found[1], here[1]), max(found[2], here[2]), max(found[3], here[3]))
            if head and style.underlined:
                pen.line([(x, min(y + bottom + 1, box[3] - 1)), (x + width, min(y + bottom + 1, box[3] - 1))], fill=ink)
        y += high
    if found and style.leaders and cell.col == 0 and not head and align == "left" and x1 - x - width > 2 * style.size:
        dots = style.leader * int((x1 - x - width - 2) / block.face.measure(style.leader)[0])
        pen.text((x + width + 2, y - high), dots, fill=ink, font=block.face.font)
        found = (*found[:2], max(found[2], x + width + 2 + block.face.measure(dots)[0]), found[3])
    return found and tuple(float(v) for v in found)


def gaps_between(edges: np.ndarray, spans: Sequence[tuple[int, int, tuple | None]], size: int, gutter: int) -> np.ndarray:
    """[bands + 1, 2]: from the end of the ink of one band to the begin of the next; a band without ink has the middle half of itself for ink."""
    count = len(edges) - 1
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    for first, width, ink in spans:
        if width == 1 and ink:
            low[first], high[first] = min(low[first], max(ink[0], edges[first])), max(high[first], min(ink[1], edges[first + 1]))
    bare = ~(low < high)
    quarter = (edges[1:] - edges[:-1] - gutter) / 4
    low[bare], high[bare] = (edges[:-1] + quarter)[bare], (edges[1:] - gutter - quarter)[bare]
    return np.stack([np.concatenate([[0], high]), np.concatenate([low, [size]])], axis=1)


# What happens to a picture before it is read

def aged_drawing(drawing: Drawing, rng: np.random.Generator) -> Drawing:
    """Strips of what stood around the table, lower resolution, blur, shear, shadow, noise, JPEG: each on some pictures; geometry follows."""
    if rng.random() < 0.15:
        drawing = _with_strip(drawing, rng)
    if rng.random() < 0.3:
        drawing = _shrunk(drawing, float(rng.uniform(0.35, 0.9)))
    picture = drawing.picture
    if rng.random() < 0.12:
        height, width = picture.shape
        lean = np.float32([[1, rng.uniform(-1.5, 1.5) / height, 0], [rng.uniform(-1.5, 1.5) / width, 1, 0]])
        picture = cv2.warpAffine(picture, lean, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < 0.15:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 0.9))
    if rng.random() < 0.1:
        across, down = (np.linspace(*rng.uniform(low, 1.0, 2), side, dtype=np.float32) for low, side in zip((0.7, 0.8), picture.shape[::-1]))
        shade = across[None] * down[:, None]
        picture = (picture * shade).astype(np.uint8)
    if rng.random() < 0.2:
        noise = rng.integers(-12, 13, picture.size // 7 + 1, dtype=np.int16) // int(rng.integers(1, 4))
        picture = np.clip(picture + np.resize(noise, picture.shape), 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))])[1], cv2.IMREAD_GRAYSCALE)
    return replace(drawing, picture=picture)


def _with_strip(drawing: Drawing, rng: np.random.Generator) -> Drawing:
    """A caption line, or the lower half of one, or a cut rule, above or below the table: none of it belongs to the table."""
    height, width = drawing.picture.shape
    strip = int(rng.integers(4, 26))
    above = rng.random() < 0.6
    paper = int(np.median(drawing.picture))
    image = Image.new("L", (width, strip), paper)
    ink = 20 if paper > 127 else 235
    if rng.random() < 0.75:
        font = face(faces()[rng.integers(len(faces()))][0], int(rng.integers(8, 14))).font
        lines = ("Table 3. Results of the", "Source: annual report,", "Note: figures in thousands")
        words = " ".join(lines[int(rng.integers(3))] for _ in range(int(rng.integers(1, 4))))
        ImageDraw.Draw(image).text((int(rng.integers(0, max(width // 2, 1))), int(rng.integers(-8, max(strip - 12, -7)))), words, fill=ink, font=font)
    else:
        ImageDraw.Draw(image).line([(0, 0 if above else strip - 1), (width, 0 if above else strip - 1)], fill=ink)
    parts = [np.array(image), drawing.picture]
    shifted = _scaled(drawing, 1.0, 1.0, strip if above else 0)
    gaps = shifted.row_gaps.copy()
    gaps[0, 0], gaps[-1, 1] = 0, height + strip
    return replace(shifted, picture=np.concatenate(parts if above else parts[::-1]), row_gaps=gaps)


def _shrunk(drawing: Drawing, factor: float) -> Drawing:
    """The picture at a lower resolution; not below 70 px, and rows keep 5 px."""
    height, width = drawing.picture.shape
    factor = min(1.0, max(factor, 5.5 * drawing.table.rows / height, 70 / max(height, width)))
    size = max(round(width * factor), 24), max(round(height * factor), 16)
    small = cv2.resize(drawing.picture, size, interpolation=cv2.INTER_AREA)
    return replace(_scaled(drawing, size[1] / height, size[0] / width, 0), picture=small)


def _scaled(drawing: Drawing, down: float, across: float, drop: int) -> Drawing:
    """The geometry `drop` pixels lower, then scaled."""
    def box(b: Box | None) -> Box | None:
        return b and (b[0] * across, (b[1] + drop) * down, b[2] * across, (b[3] + drop) * down)
    table = replace(drawing.table, cells=tuple(replace(c, box=box(c.box)) for c in drawing.table.cells))
    return replace(drawing, table=table, inks=tuple(map(box, drawing.inks)),
                   row_gaps=(drawing.row_gaps + drop) * down, col_gaps=drawing.col_gaps * across,
                   row_rules=(drawing.row_rules + drop) * down, col_rules=drawing.col_rules * across)
