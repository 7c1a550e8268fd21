"""Make the shipped hands from their sources: single-line fonts (polylines in any order and direction) and Omniglot's drawn letters become pen movements.

    python -m core.handwriting.hand_sources DATA        writes assets/samples/handwriting/*.json from DATA/ink

A font says where ink lies, not how a pen goes. `RECIPES` says it, letter by letter: which piece comes first, which way, where the pen goes back over its line.
Times of the fonts follow the two-thirds power law (Lacquaniti, Terzuolo, Viviani, 1983: speed falls with curvature), pressure is heavier on the way down:
both are made up, and said so.
"""

import json
import sys
from pathlib import Path

import numpy as np

from core.handwriting.hand import FOLDER, STEP, Hand, Letter, evened, to_json
from core.handwriting.strokes import Ink, Stroke

SHARPEST_CURVE_DEG = 62.0
"""Turns above this are corners; below it the polyline is read as a flattened curve."""
SPEED = 20.0
"""x-heights per second on a gentle curve: about three letters a second."""
LOWER, UPPER, DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
MARKS = ".,;:!?'\"()-&+=/%@#*_[]´`^~¨¸°ßøØæÆ¿¡«»£"
X_LETTERS, ASCENDERS, DESCENDERS = "acemnorsuvwxz", "bdfhklit", "gpqyj"

# Pieces of a stroke are joined by "+" (straight on) or "~" (back over the line drawn so far, then on); "," lifts the pen; "1:6-0": points 6 to 0 of polyline 1.
RECIPES: dict[str, dict[str, str]] = {
    "EMSAllure": {
        "a": "0:18-0", "d": "0:0-23", "f": "0:14-0,0:16-19", "k": "0+1:1-17~2:0-1", "o": "0:0-11", "p": "0:0-4+0:16-7",
        "s": "0~1", "t": "0,1", "v": "0:0-3+1:0-5", "w": "0:0-18",
    },
    "HersheyScript1": {
        "d": "0~1", "g": "0+1", "h": "0+1", "i": "1,0", "j": "1,0", "k": "0+1+2", "m": "0~1~2", "n": "0~1",
        "p": "0~1+2", "q": "0+1", "s": "0+1", "t": "0+1,2", "u": "0+1",
        "v": "0+1", "w": "0+1+2", "y": "0+1",
    },
    "EMSFelix": {
        "d": "0:18-0~0:19-24", "f": "0:16-9+0:6-0,0:7-8", "g": "0:6-19+0:5-0", "j": "0:9-0,1", "o": "0:8-15+0:1-8",
        "p": "0:0-4~1", "q": "0:12-0+0:12-16", "t": "0:0-1+0:6-12,0:2-4",
    },
    "EMSTech": {"i": "1,0", "j": "1,0"},
}
LONGER_START = {
    ("EMSAllure", "e"): (-125.0, 95.0), ("EMSAllure", "f"): (5.0, 85.0), ("EMSAllure", "l"): (-125.0, 110.0), ("HersheyScript1", "e"): (-45.0, 45.0),
    ("EMSFelix", "e"): (-75.0, 165.0),
}
"""Where a pen comes in from, for a letter whose first stroke starts inside it."""
OTHER_END = {
    ("EMSAllure", "d"): [(243, 40), (262, 18), (310, 26), (390, 90), (440, 160)],
    ("EMSAllure", "k"): [(215, 14), (262, 16), (330, 70), (385, 150)],
    ("EMSAllure", "o"): [(226, 322), (196, 345), (168, 320), (180, 280), (225, 258), (290, 250), (360, 275)],
    ("EMSAllure", "v"): [(262, 345), (280, 308), (322, 280), (385, 295)],
    ("EMSAllure", "w"): [(556, 398), (568, 352), (606, 318), (660, 318), (715, 340)],
}
"""How the pen goes on where a font's letter ends in a flourish that nothing can join: drawn here, in the unit of the font."""
SLANTED_SANS = "HersheySans1"
"""Digits and marks of the Hershey script are drawn with double lines; those of the plain Hershey face, slanted, stand in."""


def read_recipe(recipe: str, polylines: list[np.ndarray]) -> list[np.ndarray]:
    """The strokes a recipe makes of a glyph's polylines."""
    strokes = []
    for part in recipe.split(","):
        stroke = np.zeros((0, 2))
        for sign, piece in zip("+" + "".join(c for c in part if c in "+~"), part.replace("~", "+").split("+"), strict=True):
            points = _piece(piece, polylines)
            stroke = np.concatenate([stroke, _back(stroke, points[0])] if sign == "~" else [stroke]) if len(stroke) else stroke
            stroke = np.concatenate([stroke, points])
        strokes.append(stroke)
    return strokes


def _piece(piece: str, polylines: list[np.ndarray]) -> np.ndarray:
    number, _, span = piece.partition(":")
    points = polylines[int(number)]
    if not span:
        return points
    first, last = (int(k) for k in span.split("-"))
    return points[first:last + 1] if first <= last else points[last:first + 1][::-1]


def _back(stroke: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The way back along `stroke` from its end to where it passes nearest to `target`."""
    start, link = stroke[:-1], np.diff(stroke, axis=0)
    share = np.clip(((target - start) * link).sum(1) / np.maximum((link ** 2).sum(1), 1e-12), 0, 1)
    foot = start + share[:, None] * link
    k = int(np.argmin(np.hypot(*(foot - target).T)))
    return np.concatenate([stroke[k + 1:-1][::-1], foot[k:k + 1]])


def natural(polylines: list[np.ndarray]) -> list[np.ndarray]:
    """Polylines without a recipe, each turned so that the pen goes down or to the right (y still up)."""
    strokes = []
    for points in polylines:
        dx, dy = points[-1] - points[0]
        strokes.append(points[::-1] if (dx < 0 and abs(dx) > abs(dy)) or (dy > 0 and abs(dy) >= abs(dx)) else points)
    return strokes


def smooth(points: np.ndarray, step: float = STEP) -> np.ndarray:
    """Points every `step` along a centripetal Catmull-Rom curve through a polyline; corners stay corners. A tiny closed shape becomes a dot."""
    points = points[np.r_[True, np.hypot(*np.diff(points, axis=0).T) > 0.012]]
    if len(points) < 2 or (np.ptp(points, axis=0).max() < 0.22 and np.hypot(*(points[0] - points[-1])) < 0.08):
        centre = (points.min(0) + points.max(0)) / 2
        return centre + np.array([[-0.015, -0.03], [0.0, 0.0], [0.015, 0.03]])
    link = np.diff(points, axis=0)
    angle = np.degrees(np.abs(np.angle(np.exp(1j * np.diff(np.arctan2(link[:, 1], link[:, 0]))))))
    cuts = [0, *(np.flatnonzero(angle > SHARPEST_CURVE_DEG) + 1), len(points) - 1]
    pieces = [_curve(points[a:b + 1], step) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    return np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])


def _curve(points: np.ndarray, step: float) -> np.ndarray:
    """Catmull-Rom with centripetal knots (no loops, no overshoot), sampled at equal arc length."""
    ends = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    knot = np.r_[0, np.cumsum(np.sqrt(np.maximum(np.hypot(*np.diff(ends, axis=0).T), 1e-9)))]
    fine = [points[:1]]
    for k in range(1, len(ends) - 2):
        t0, t1, t2, t3 = knot[k - 1:k + 3]
        p0, p1, p2, p3 = ends[k - 1:k + 3]
        t = np.linspace(t1, t2, 13)[1:, None]
        a1, a2, a3 = ((t1 - t) * p0 + (t - t0) * p1) / (t1 - t0), ((t2 - t) * p1 + (t - t1) * p2) / (t2 - t1), ((t3 - t) * p2 + (t - t2) * p3) / (t3 - t2)
        b1, b2 = ((t2 - t) * a1 + (t - t0) * a2) / (t2 - t0), ((t3 - t) * a2 + (t - t1) * a3) / (t3 - t1)
        fine.append(((t2 - t) * b1 + (t - t1) * b2) / (t2 - t1))
    fine = np.concatenate(fine)
    along = np.r_[0, np.cumsum(np.hypot(*np.diff(fine, axis=0).T))]
    at = np.linspace(0, along[-1], max(2, round(along[-1] / step) + 1))
    even = np.column_stack([np.interp(at, along, fine[:, k]) for k in (0, 1)])
    for _ in range(3):  # what is left of the polyline's corners
        even[1:-1] = (even[:-2] + 2 * even[1:-1] + even[2:]) / 4
    return even


def pen(xy: np.ndarray, start_s: float) -> Stroke:
    """A stroke with made-up dynamics: speed by curvature (two-thirds power law), slower at both ends; pressure by direction. y down."""
    link = np.diff(xy, axis=0)
    length = np.maximum(np.hypot(*link.T), 1e-6)
    heading = np.unwrap(np.arctan2(link[:, 1], link[:, 0]))
    bend = np.abs(np.gradient(heading)) / length if len(link) > 1 else np.zeros(len(link))
    bend = np.convolve(np.pad(bend, 2, "edge"), np.ones(5) / 5, "valid")
    speed = SPEED * np.clip((0.35 + bend) ** (-1 / 3), 0.35, 1.3)
    speed *= np.clip(0.55 + np.minimum(np.arange(len(link)), np.arange(len(link))[::-1]) / 12, 0, 1)
    down = np.convolve(np.pad(link[:, 1] / length, 4, "edge"), np.ones(9) / 9, "valid")
    pressure = np.clip(0.5 + 0.16 * down, 0, 1)
    t_s = start_s + np.r_[0, np.cumsum(length / speed)]
    return Stroke(xy.round(3), t_s.round(3), np.r_[pressure[:1], pressure].round(2))


def font_letter(char: str, strokes: list[np.ndarray], x_height: float, lean: float = 0.0) -> Letter:
    """A glyph (y up, font units) as a letter: x-height 1, y down, smoothed, with a pen's times."""
    made, clock = [], 0.0
    for points in strokes:
        points = points / x_height * (1, -1)
        stroke = pen(smooth(np.column_stack([points[:, 0] - lean * points[:, 1], points[:, 1]])), clock)
        clock = float(stroke.t_s[-1]) + 0.12
        made.append(stroke)
    left = min(stroke.xy[:, 0].min() for stroke in made)
    return Letter(char, Ink(tuple(Stroke((stroke.xy - (left, 0)).round(3), stroke.t_s, stroke.pressure) for stroke in made)))


def font_hand(name: str, font: str, kind: str, title: str, fonts: dict, licence: str, slant: float) -> Hand:
    face, recipes = fonts[font], RECIPES.get(font, {})
    x_height = float(np.median([max(y for line in face["glyphs"][c]["strokes"] for _, y in line) for c in X_LETTERS]))
    letters = []
    for char in LOWER + UPPER + DIGITS + MARKS:
        stand_in = font == "HersheyScript1" and char in DIGITS + MARKS
        glyph = fonts[SLANTED_SANS if stand_in else font]["glyphs"].get(char, {"strokes": []})
        polylines = [np.asarray(line, float) for line in glyph["strokes"] if len(line)]
        if polylines:
            strokes = read_recipe(recipes[char], polylines) if char in recipes and not stand_in else polylines if char in LOWER else natural(polylines)
            before, after = (np.reshape(drawn.get((font, char), []), (-1, 2)) for drawn in (LONGER_START, OTHER_END))
            strokes[0] = np.concatenate([before, strokes[0], after])
            letters.append(font_letter(char, strokes, x_height, slant if stand_in else 0.0))
    return Hand(name, tuple(letters), kind, slant=slant, x_height=x_height, gap=0.22 if kind == "mixed" else 0.35, title=title, licence=licence,
                origin=f"The single-line font {title}; its times and pressures are made up.")


def drawn_hand(name: str, rows, title: str) -> Hand:
    """One drawer of Omniglot: every letter was drawn on a canvas of its own, so its height (x-letters 1, ascenders and descenders 1.6) and baseline are set."""
    letters = []
    for row in rows:
        cuts = np.cumsum(row.stroke_len)[:-1]
        strokes = [np.asarray(s, float) for s in np.split(np.c_[row.x, row.y], cuts)]
        times = [np.asarray(t, float) / 1000 for t in np.split(np.asarray(row.t_ms), cuts)]
        letters.append(_drawn_letter(row.label, strokes, times))
    return Hand(name, tuple(letters), "print", x_height=50.0, title=title, licence="MIT, (c) 2015 Brenden Lake.",
                origin="Drawn by a person with a mouse for Omniglot (Lake, Salakhutdinov, Tenenbaum, 2015), with the times it took; pressure is not known.")


def _drawn_letter(char: str, strokes: list[np.ndarray], times: list[np.ndarray]) -> Letter:
    xy = np.concatenate(strokes)
    main = max(strokes, key=lambda s: np.ptp(s[:, 1])) if char in "ij" else xy
    height = {**dict.fromkeys(X_LETTERS, 1.0), "i": 1.0, "t": 1.45, "j": 1.5}.get(char, 1.6)
    scale = height / np.ptp(main[:, 1])
    bottom = main[:, 1].min() + 1 / scale if char in DESCENDERS else main[:, 1].max()
    made = []
    for points, t_s in zip(strokes, times, strict=True):
        placed = (points - (xy[:, 0].min(), bottom)) * scale
        made.append(Stroke.of(*evened(placed, np.maximum.accumulate(t_s), smoothing=2)))
    return Letter(char, Ink(tuple(made)))


OFL = "SIL Open Font License 1.1; created by Sheldon B. Michaels, SVG conversion by Windell H. Oskay, a derivative of {}."
HERSHEY = ("Hershey Fonts, free for any use with this notice: originally created by Dr. A. V. Hershey while working at the U. S. National Bureau of Standards; "
           "format of the font data originally created by James Hurt, Cognition, Inc., 900 Technology Park Drive, Billerica, MA 01821.")


def build(data: Path) -> list[Hand]:
    """The shipped hands from the shared ink data."""
    import pandas

    fonts = json.loads((data / "ink" / "stroke_fonts.json").read_text("utf8"))
    drawn = pandas.read_parquet(data / "ink" / "omniglot_latin.parquet")
    return [
        font_hand("allure", "EMSAllure", "cursive", "EMS Allure", fonts, OFL.format("Allura (Rob Leuschke, TypeSETit)"), 0.55),
        font_hand("school", "HersheyScript1", "cursive", "Hershey Script 1-stroke", fonts, HERSHEY, 0.3),
        font_hand("felix", "EMSFelix", "mixed", "EMS Felix", fonts, OFL.format("Felipa (Fontstage)"), 0.15),
        font_hand("tech", "EMSTech", "print", "EMS Tech", fonts, OFL.format("Architects Daughter (Kimberly Geswein)"), 0.0),
        *(drawn_hand(f"drawer-{k}", drawn[drawn.writer == f"omniglot:{k}"].itertuples(), f"Omniglot, drawer {k}") for k in ("07", "14")),
    ]


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for hand in build(Path(sys.argv[1])):
        (FOLDER / f"{hand.name}.json").write_bytes(to_json(hand))
        print(hand.name, len(hand.letters), "letters", round((FOLDER / f"{hand.name}.json").stat().st_size / 1000), "kB")
