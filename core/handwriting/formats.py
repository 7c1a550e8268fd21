"""Bytes <-> ink: JSON and InkML (W3C, 2011) both ways exactly, SVG both ways (exactly for our own), UNIPEN 1.0 in, PNG out; nothing is executed or fetched."""

import io
import json
import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from PIL import Image, ImageDraw

from core.errors import InputError, LimitError
from core.handwriting.strokes import MOST_POINTS, UNKNOWN_PRESSURE, Ink, Stroke

MOST_BYTES = 4_000_000
DEEPEST = 64
LARGEST_PICTURE_PX = 24_000_000
FORMAT, VERSION = "vitrine-ink", 1
INKML = "http://www.w3.org/2003/InkML"
SVG = "http://www.w3.org/2000/svg"
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def read(data: bytes) -> Ink:
    """Ink from a file a visitor brought; the format is told by its content. Raises InputError where it is none of JSON, InkML, SVG and UNIPEN."""
    start = _checked(data).lstrip(b"\xef\xbb\xbf \t\r\n")[:4000]
    if start.startswith((b"{", b"[")):
        return from_json(data)
    if start.startswith(b"<"):
        root = _xml(data)
        return _from_inkml(root) if _name(root) == "ink" else _from_svg(root)
    if re.search(rb"^\s*\.(VERSION|COORD|PEN_DOWN|HIERARCHY|X_DIM)", start, re.M):
        return from_unipen(data)
    raise InputError("This file is no ink: it is neither JSON, InkML, SVG nor UNIPEN. Save it from the pad, or from a drawing program as SVG.")


def _checked(data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise LimitError(f"The file has {len(data):,} bytes, and the limit is {MOST_BYTES:,}; draw or save less at once.")
    if not data.strip():
        raise InputError("The file is empty; save the ink again.")
    return data


# ---------------------------------------------------------------- JSON

def to_json(ink: Ink) -> bytes:
    """{"format", "version", "strokes": [{"x", "y", "t" (s), "p"}]}; every number as it is."""
    strokes = [{"x": s.xy[:, 0].tolist(), "y": s.xy[:, 1].tolist(), "t": s.t_s.tolist(), "p": s.pressure.tolist()} for s in ink.strokes]
    return json.dumps({"format": FORMAT, "version": VERSION, "strokes": strokes}, separators=(",", ":"), allow_nan=False).encode()


def from_json(data: bytes) -> Ink:
    """Ink from our JSON or the pad's (the same without format; t and p may be missing)."""
    try:
        found = json.loads(_checked(data))
    except (ValueError, RecursionError):
        raise InputError("This file is no ink: its JSON is damaged. Save it again from the pad.") from None
    if not isinstance(found, dict) or found.get("format", FORMAT) != FORMAT or not isinstance(found.get("strokes"), list):
        raise InputError('This JSON is no ink: it has no list "strokes". Save it from the pad.')
    _bounded(sum(len(s.get("x", ())) for s in found["strokes"] if isinstance(s, dict) and isinstance(s.get("x"), list)))
    return ink_of(found["strokes"])


def ink_of(strokes: list) -> Ink:
    """Ink from plain values: [{"x": [...], "y": [...], "t": [...], "p": [...]}], t and p optional. Strokes without a point are left out."""
    made = []
    for stroke in strokes:
        if not isinstance(stroke, dict) or not all(isinstance(stroke.get(name), list) for name in ("x", "y")) or len(stroke["x"]) != len(stroke["y"]):
            raise InputError("A stroke of this ink has no x and y of equal length; save it again from the pad.")
        if stroke["x"]:
            xy = np.empty((len(stroke["x"]), 2), object)
            xy[:, 0], xy[:, 1] = stroke["x"], stroke["y"]
            made.append(Stroke.of(xy, stroke.get("t"), stroke.get("p")))
    return Ink(tuple(made))


def _bounded(points: int) -> None:
    if points > MOST_POINTS:
        raise LimitError(f"The ink has {points:,} points, and the limit is {MOST_POINTS:,}; draw or send less at once.")


# ---------------------------------------------------------------- XML

def _xml(data: bytes) -> ElementTree.Element:
    """The root of an XML file. Raises InputError for damaged files, entities and external references; nothing is expanded."""
    try:
        return fromstring(_checked(data))
    except DefusedXmlException:
        raise InputError("This file declares XML entities, which are not read here; save it as plain SVG or InkML.") from None
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError):
        raise InputError("This file is damaged: it is no well-formed XML. Save it again as SVG or InkML.") from None


def _name(element: ElementTree.Element) -> str:
    return element.tag.rsplit("}", 1)[-1] if isinstance(element.tag, str) else ""


def to_inkml(ink: Ink) -> bytes:
    """InkML with the channels X, Y, T (s) and F (0 to 1); every number as it is."""
    rows = (np.column_stack([s.xy, s.t_s, s.pressure]).tolist() for s in ink.strokes)
    traces = "\n".join(f"<trace>{', '.join(' '.join(map(repr, point)) for point in points)}</trace>" for points in rows)
    channels = ('<channel name="X" type="decimal"/><channel name="Y" type="decimal"/><channel name="T" type="decimal" units="s"/>'
                '<channel name="F" type="decimal" min="0" max="1"/>')
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<ink xmlns="{INKML}">\n<traceFormat>{channels}</traceFormat>\n{traces}\n</ink>\n'.encode()


def from_inkml(data: bytes) -> Ink:
    """Traces of an InkML file: channels X, Y, and T and F where its traceFormat has them; values may be explicit or (second) differences."""
    root = _xml(data)
    if _name(root) != "ink":
        raise InputError(f"This XML is no InkML: it starts with <{_name(root)[:30]}>. Save the ink as InkML, SVG or JSON.")
    return _from_inkml(root)


def _from_inkml(root: ElementTree.Element) -> Ink:
    elements = list(_walk(root))
    formats = [e for e in elements if _name(e) == "traceFormat"]
    channels = [(c.get("name", ""), c) for c in (_walk(formats[0]) if formats else ()) if _name(c) == "channel"] or [("X", root), ("Y", root)]
    names = [name for name, _ in channels]
    if "X" not in names or "Y" not in names:
        raise InputError("This InkML has no channels X and Y; save it again with coordinates.")
    traces = [e.text or "" for e in elements if _name(e) == "trace" and e.get("type") != "penUp"]
    _bounded(sum(text.count(",") + 1 for text in traces))
    return Ink(tuple(_trace(values, names, dict(channels)) for text in traces if len(values := _values(text, len(names)))))


def _walk(root: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Every element, outer ones first. Raises InputError below 64 levels."""
    waiting = [(root, 0)]
    while waiting:
        element, depth = waiting.pop()
        if depth > DEEPEST:
            raise InputError(f"This file nests its elements more than {DEEPEST} deep; save it as plain SVG or InkML.")
        yield element
        waiting += [(child, depth + 1) for child in reversed(element)]


def _values(text: str, channels: int) -> np.ndarray:
    """[n, channels] of one trace; ' starts first differences, " second differences, ! explicit values, each from there on (InkML 3.2.1)."""
    rows, state, value, speed = [], ["!"] * channels, [0.0] * channels, [0.0] * channels
    for point in text.split(","):
        found = re.findall(r"([!'\"]?)\s*(" + _NUMBER.pattern + r"|[A-Za-z*?]+)", point)
        if not found:
            continue
        for k, (sign, number) in enumerate(found[:channels]):
            state[k] = sign or state[k]
            given = _float(number)
            if state[k] == '"':
                speed[k] += given
            else:
                speed[k] = given if state[k] == "'" else 0.0
            value[k] = given if state[k] == "!" else value[k] + speed[k]
        rows.append(list(value))
    return np.array(rows).reshape(-1, channels)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"This ink has {text[:20]!r} where a number belongs; save it again.") from None


def _trace(values: np.ndarray, names: list[str], channels: dict) -> Stroke:
    column = {name: values[:, k] for k, name in enumerate(names)}
    t_s, force = column.get("T"), column.get("F")
    if t_s is not None:
        t_s = np.maximum.accumulate(t_s * (1.0 if channels["T"].get("units", "ms") == "s" else 0.001))
    if force is not None:
        most = _float(channels["F"].get("max") or "0") or max(float(np.abs(force).max()), 1.0)
        force = np.clip(force / most, 0, 1)
    return Stroke.of(np.column_stack([column["X"], column["Y"]]), t_s, force)


# ---------------------------------------------------------------- SVG

def to_svg(ink: Ink, *, width: float = 0.085, colour: str = "#1b2a6b", margin: float = 0.5, scale: float = 48.0) -> bytes:
    """Lines with round ends, wider with pressure; the ink itself as JSON in <metadata>, so that `from_svg` gives back exactly what went in.

    width, margin: in the unit of the ink; scale: pixels per unit. A stroke is a <g> of paths of equal width.
    """
    left, top, right, bottom = ink.box
    view = (left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin)
    body = "\n".join(f'<g class="stroke">{"".join(_runs(stroke, width))}</g>' for stroke in ink.strokes)
    shown = " ".join(f"{value:.3f}" for value in view)
    head = (f'<svg xmlns="{SVG}" width="{view[2] * scale:.0f}" height="{view[3] * scale:.0f}" viewBox="{shown}">\n'
            f'<metadata id="{FORMAT}">{to_json(ink).decode()}</metadata>\n'
            f'<g fill="none" stroke={quoteattr(colour)} stroke-linecap="round" stroke-linejoin="round">\n')
    return (head + body + "\n</g>\n</svg>\n").encode()


def widths(stroke: Stroke, width: float) -> np.ndarray:
    """Width of the line at each link, [max(n - 1, 1)]: from 0.55 to 1.45 of `width` with the pressure."""
    pressure = stroke.pressure if len(stroke) == 1 else (stroke.pressure[1:] + stroke.pressure[:-1]) / 2
    return width * (0.55 + 0.9 * pressure)


def _runs(stroke: Stroke, width: float) -> Iterator[str]:
    """Paths of links of about equal width."""
    wide = np.round(widths(stroke, width) / width, 1) * width
    cuts = [0, *(np.flatnonzero(np.diff(wide)) + 1), len(wide)]
    for a, b in zip(cuts[:-1], cuts[1:], strict=True):
        points = stroke.xy[a:b + 1] if len(stroke) > 1 else np.repeat(stroke.xy, 2, axis=0)
        yield f'<path stroke-width="{wide[a]:.4g}" d="M{" ".join(f"{x:.3f},{y:.3f}" for x, y in points)}"/>'


def from_svg(data: bytes) -> Ink:
    """Paths, lines, polylines and polygons as strokes (curves flattened, transforms applied); our own files exactly.

    Raises InputError for scripts, for what is no SVG and where nothing is drawn.
    """
    return _from_svg(_xml(data))


def _from_svg(root: ElementTree.Element) -> Ink:
    if _name(root) != "svg":
        raise InputError(f"This XML is neither SVG nor InkML: it starts with <{_name(root)[:30]}>. Save the ink as SVG, InkML or JSON.")
    for element in _walk(root):
        if _name(element) in ("script", "foreignObject") or any(name.lower().startswith("on") for name in element.attrib):
            raise InputError("This SVG holds a script, which is not read here; save it as plain SVG.")
        if _name(element) == "metadata" and element.get("id") == FORMAT and element.text:
            return from_json(element.text.encode())
    strokes = [Stroke.of(line) for line in _drawn(root) if len(line)]
    if not strokes:
        raise InputError("This SVG draws no line: it has no path, line or polyline. Draw with a pen tool, and turn text into paths.")
    return Ink(tuple(strokes))


def _drawn(root: ElementTree.Element) -> Iterator[np.ndarray]:
    """The polylines [n, 2] an SVG draws, in order, in the coordinates of its root."""
    waiting, points = [(root, np.eye(3))], 0
    while waiting:
        element, outer = waiting.pop()
        name = _name(element)
        if name in ("defs", "symbol", "clipPath", "mask", "pattern", "marker", "metadata"):
            continue
        matrix = outer @ _matrix(element.get("transform", ""))
        for line in _lines(name, element):
            points += len(line)
            _bounded(points)
            with np.errstate(over="ignore", invalid="ignore"):
                yield line @ matrix[:2, :2].T + matrix[:2, 2]
        waiting += [(child, matrix) for child in reversed(element)]


def _numbers(text: str) -> np.ndarray:
    return np.array([float(number) for number in _NUMBER.findall(text or "")])


def _lines(name: str, element: ElementTree.Element) -> list[np.ndarray]:
    if name == "path":
        return flatten(element.get("d", ""))
    if name == "line":
        return [np.array([_numbers(element.get(k, "0"))[:1].sum() for k in ("x1", "y1", "x2", "y2")]).reshape(2, 2)]
    if name in ("polyline", "polygon"):
        found = _numbers(element.get("points", ""))
        points = found[:len(found) // 2 * 2].reshape(-1, 2)
        return [np.concatenate([points, points[:1]]) if name == "polygon" else points]
    return []


def _matrix(transform: str) -> np.ndarray:
    """[3, 3] of an SVG transform attribute."""
    found = np.eye(3)
    for name, inner in re.findall(r"(matrix|translate|scale|rotate|skewX|skewY)\s*\(([^)]*)\)", transform[:2000]):
        v = [*_numbers(inner)[:6].tolist(), *[0.0] * 6]
        given = len(_numbers(inner))
        step = np.eye(3)
        if name == "matrix":
            step[:2] = np.array(v[:6]).reshape(3, 2).T
        elif name == "translate":
            step[:2, 2] = v[:2]
        elif name == "scale":
            step[0, 0], step[1, 1] = v[0], v[1] if given > 1 else v[0]
        elif name == "rotate":
            c, s = np.cos(np.radians(v[0])), np.sin(np.radians(v[0]))
            step[:2, :2] = [[c, -s], [s, c]]
            step[:2, 2] = np.array(v[1:3]) - step[:2, :2] @ v[1:3]
        else:
            step[(0, 1) if name == "skewX" else (1, 0)] = np.tan(np.radians(v[0]))
        found = found @ step
    return found


CHORDS = 12
_TAKES = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}


class _Path:
    """A pen that follows the commands of SVG path data; `lines` are the strokes drawn so far."""

    def __init__(self) -> None:
        self.lines: list[list[np.ndarray]] = []
        self.at = np.zeros(2)
        self.control: tuple[str, np.ndarray] = ("", self.at)

    def go(self, letter: str, v: np.ndarray) -> None:
        name, base = letter.upper(), np.zeros(2) if letter.isupper() else self.at
        if name == "M":
            self.at = base + v
            self.lines.append([self.at])
        elif name == "Z":
            self._to([self.lines[-1][0]] if self.lines else [])
        elif name in "HV":
            to = self.at.copy()
            to["HV".index(name)] = v[0] + base["HV".index(name)]
            self._to([to])
        elif name == "L":
            self._to([base + v])
        elif name == "A":
            self._to(_elliptic(self.at, v[:5], base + v[5:]))
        else:
            self._curve(name, v.reshape(-1, 2) + base)

    def _to(self, points) -> None:
        if not self.lines:
            self.lines.append([self.at])
        self.lines[-1] += list(points)
        self.at = self.lines[-1][-1]
        self.control = ("", self.at)

    def _curve(self, name: str, v: np.ndarray) -> None:
        kind = "C" if name in "CS" else "Q"
        if name in "ST":
            v = np.concatenate([[2 * self.at - self.control[1] if self.control[0] == kind else self.at], v])
        p, t = np.concatenate([[self.at], v]), np.linspace(0, 1, CHORDS + 1)[1:, None]
        while len(p) > 1:  # de Casteljau
            p = [a + t * (b - a) for a, b in zip(p[:-1], p[1:], strict=True)]
        self._to(p[0])
        self.control = (kind, v[-2])


def flatten(data: str) -> list[np.ndarray]:
    """SVG path data as polylines [n, 2]; curves and arcs as 12 chords each. Like a browser, it stops at what it cannot read."""
    path = _Path()
    for letter, inner in re.findall(r"([MmLlHhVvCcSsQqTtAaZz])([^MmLlHhVvCcSsQqTtAaZz]*)", data):
        takes = _TAKES[letter.upper()]
        v = _numbers(re.sub(r"(?<=[\s,])([01])([01])(?=[\s,.\d-])", r"\1 \2 ", inner) if takes == 7 else inner)
        if takes and len(v) < takes:
            break
        for k in range(0, max(len(v) // takes * takes if takes else 1, 1), max(takes, 1)):
            if sum(map(len, path.lines)) > MOST_POINTS:
                _bounded(MOST_POINTS + 1)
            path.go({"M": "L", "m": "l"}.get(letter, letter) if k else letter, v[k:k + takes])
    return [np.array(line, float) for line in path.lines]


def _elliptic(start: np.ndarray, v: np.ndarray, end: np.ndarray) -> list[np.ndarray]:
    """Points of an SVG arc from `start` to `end`; v: rx, ry, turn in degrees, large-arc flag, sweep flag (SVG 1.1, F.6.5)."""
    rx, ry, phi = abs(v[0]), abs(v[1]), np.radians(v[2])
    turn = np.array([[np.cos(phi), np.sin(phi)], [-np.sin(phi), np.cos(phi)]])
    x, y = turn @ (start - end) / 2
    if not (rx > 0 and ry > 0) or (x == 0 and y == 0):
        return [end]
    grow = max(1.0, np.sqrt((x / rx) ** 2 + (y / ry) ** 2))
    rx, ry = rx * grow, ry * grow
    inside = max(0.0, (rx * ry) ** 2 / ((rx * y) ** 2 + (ry * x) ** 2) - 1)
    middle = np.sqrt(inside) * np.array([rx * y / ry, -ry * x / rx]) * (-1 if bool(v[3]) == bool(v[4]) else 1)
    a0, a1 = np.arctan2((y - middle[1]) / ry, (x - middle[0]) / rx), np.arctan2((-y - middle[1]) / ry, (-x - middle[0]) / rx)
    swing = (a1 - a0) % (2 * np.pi) if v[4] else -((a0 - a1) % (2 * np.pi))
    angles = a0 + swing * np.linspace(0, 1, CHORDS + 1)[1:]
    return list((np.column_stack([rx * np.cos(angles), ry * np.sin(angles)]) + middle) @ turn + (start + end) / 2)


# ---------------------------------------------------------------- UNIPEN

def from_unipen(data: bytes) -> Ink:
    """Pen-down components of a UNIPEN 1.0 file (.COORD names the columns; y grows upwards there and is turned; T in ms or .POINTS_PER_SECOND)."""
    names, per_second, strokes, rows, down = ["X", "Y"], 0.0, [], [], False
    for line in [*_checked(data).decode("latin-1").splitlines(), ".PEN_UP"]:
        word, _, rest = line.strip().partition(" ")
        if word.startswith("."):
            if down and rows and word in (".PEN_UP", ".PEN_DOWN", ".DT", ".START_BOX", ".SEGMENT"):
                strokes.append(rows)
                rows = []
            if word == ".COORD":
                names = rest.split()
            elif word == ".POINTS_PER_SECOND":
                per_second = float(np.sum(_numbers(rest)[:1]))
            down = word == ".PEN_DOWN" or (down and word not in (".PEN_UP", ".SEGMENT", ".START_BOX"))
        elif down and line.strip():
            values = _numbers(line)
            if len(values) >= len(names):
                rows.append(values[:len(names)])
                _bounded(sum(map(len, strokes)) + len(rows))
    if "X" not in names or "Y" not in names:
        raise InputError("This UNIPEN file has no coordinates X and Y in its .COORD line.")
    if not strokes:
        raise InputError("This UNIPEN file has no pen-down points; give a file with .PEN_DOWN components.")
    return Ink(tuple(_component(np.array(rows), names, per_second) for rows in strokes))


def _component(values: np.ndarray, names: list[str], per_second: float) -> Stroke:
    column = {name: values[:, k] for k, name in enumerate(names)}
    t_s = np.maximum.accumulate(column["T"] / 1000) if "T" in column else np.arange(len(values)) / per_second if per_second > 0 else None
    force = np.clip(column["P"] / max(float(np.abs(column["P"]).max()), 1.0), 0, 1) if "P" in column else np.full(len(values), UNKNOWN_PRESSURE)
    return Stroke.of(np.column_stack([column["X"], -column["Y"]]), t_s, force)


# ---------------------------------------------------------------- PNG

def to_png(ink: Ink, *, scale: float = 48.0, width: float = 0.085, margin: float = 0.5) -> bytes:
    """A greyscale picture, dark ink on white, wider with pressure; `scale` pixels per unit of the ink (less where the picture would pass 24 million pixels)."""
    left, top, right, bottom = ink.box
    wide, high = right - left + 2 * margin, bottom - top + 2 * margin
    scale = min(scale, (LARGEST_PICTURE_PX / (wide * high)) ** 0.5, 12_000 / max(wide, high))
    finer = 3 if wide * high * scale * scale < LARGEST_PICTURE_PX / 9 else 1
    size = max(1, round(wide * scale)), max(1, round(high * scale))
    picture = Image.new("L", (size[0] * finer, size[1] * finer), 255)
    draw, unit = ImageDraw.Draw(picture), scale * finer
    for stroke in ink.strokes:
        _draw(draw, (stroke.xy - (left - margin, top - margin)) * unit, np.maximum(widths(stroke, width) * unit, 1))
    buffer = io.BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS).save(buffer, "PNG")
    return buffer.getvalue()


def _draw(draw: ImageDraw.ImageDraw, points: np.ndarray, wide: np.ndarray) -> None:
    for k, radius in enumerate(wide / 2):
        a, b = points[k], points[min(k + 1, len(points) - 1)]
        draw.line([*a, *b], fill=20, width=max(1, round(2 * radius)))
        for x, y in (a, b):
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=20)
