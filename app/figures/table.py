"""Figures of the table exhibit: pure functions of a saved run's record, files and trace."""

import base64
import json
import math
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from app.figures.style import INK, bars, figure, tint

CONFIDENT = 0.8
"""Below this a cell is marked to be checked."""


@dataclass(frozen=True)
class Reading:
    """One picture of a run: its stem, the content of STEM.json and of its trace."""

    stem: str
    result: dict
    trace: dict

    @property
    def cells(self) -> list[dict]:
        return self.result["cells"]

    @property
    def to_check(self) -> list[dict]:
        return [c for c in self.cells if c["confidence"] is not None and c["confidence"] < CONFIDENT]

    @property
    def model(self) -> dict | None:
        """What the table model saw; None where it was not asked."""
        return self.trace.get("model")

    @property
    def turn(self) -> int:
        """Degrees clockwise by which the picture was turned upright before it was read: 0, 90, 180 or 270."""
        return self.trace.get("rotation_degrees", 0)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the picture as it is shown, upright."""
        size = self.result["image"]["width"], self.result["image"]["height"]
        return size[::-1] if self.turn in (90, 270) else size

    def upright(self, x: float, y: float) -> tuple[float, float]:
        """A point of the input picture in the picture as it is shown."""
        width, height = self.result["image"]["width"], self.result["image"]["height"]
        return {0: (x, y), 90: (height - y, x), 180: (width - x, height - y), 270: (y, width - x)}[self.turn]

    @property
    def joined(self) -> list[dict]:
        return [c for c in self.cells if c["rowspan"] > 1 or c["colspan"] > 1]


def stems(view) -> list[str]:
    """The pictures of a run in the order they were given."""
    return [name.removesuffix("/trace.json") for name in view.trace if name.endswith("/trace.json")]


def reading(view, stem: str) -> Reading:
    """One picture's result and trace."""
    return Reading(stem, json.loads(view.files[f"{stem}.json"]), json.loads(view.trace[f"{stem}/trace.json"]))


def address(cell: dict) -> str:
    """A cell's spreadsheet address: B4."""
    return f"{letters(cell['col'])}{cell['row'] + 1}"


def letters(col: int) -> str:
    """Column 0 -> A, 25 -> Z, 26 -> AA."""
    word = ""
    while col >= 0:
        word, col = chr(65 + col % 26) + word, col // 26 - 1
    return word


def count(number: int, one: str, many: str | None = None) -> str:
    """"1 cell", "3 cells"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def finding(view) -> str:
    """The run in one sentence with its numbers."""
    several = [reading(view, stem) for stem in stems(view)]
    cells, joined = sum(len(r.cells) for r in several), sum(len(r.joined) for r in several)
    check, none = sum(len(r.to_check) for r in several), sum(r.result["abstained"] for r in several)
    if len(several) == 1 and none:
        return "No table found here, so none was made up" if several[0].model else "No closed cells here, so no table was made up"
    words = f"{count(cells, 'cell')} found, {joined:,} joined, {check:,} to check"
    if len(several) > 1:
        words = f"{len(several)} pictures, {words}" + (f", {none} without a table" if none else "")
    return words


def choice_words(this: Reading) -> str:
    """How the engine was chosen, in its own words, and how sure the structure is: the model estimates the whole, the regions their weakest cell."""
    why, sure = (this.result.get("choice") or {}).get("why", ""), this.result.get("confidence")
    if sure is None:
        return why
    about = "Confidence that the whole structure is right" if this.result["engine"] == "model" else "The least sure cell"
    return f"{why} {about}: {100 * sure:.0f} %."


def data_uri(data: bytes) -> str:
    """Picture bytes as a data URI (PNG or JPEG by content)."""
    kind = "png" if data[:4] == b"\x89PNG" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def picture_of(view, stem: str) -> bytes:
    """The display picture of a run."""
    return view.trace.get(f"{stem}/picture.jpg") or view.trace[f"{stem}/picture.png"]


def cells_figure(view, stem: str, mode: str, px: int, marked: set[tuple[int, int]] | None = None, tall: float = 34,
                 cells: list[dict] | None = None) -> tuple[go.Figure, str]:
    """The cells over the picture, hover for text, span and confidence; with its alternative text.

    marked  cells (row, col) drawn in the fault colour; by default those to be checked
    tall    greatest height in rem
    cells   by default the result's
    """
    this, ink = reading(view, stem), INK["light"]
    fig = picture_figure(view, this, mode, px, tall)
    cells = this.cells if cells is None else cells
    marked = {(c["row"], c["col"]) for c in this.to_check} if marked is None else marked
    for colour, wanted in ((ink["ours"], False), (ink["fault"], True)):
        _outlines(fig, [around(this, c["box"]) for c in cells if ((c["row"], c["col"]) in marked) == wanted], colour, px)
    _hover_points(fig, this, cells)
    alt = f"The picture {this.result['image']['name']} with {count(len(cells), 'cell')} outlined, {count(len(marked), 'of them marked', 'of them marked')}."
    return fig, alt


def picture_figure(view, this: Reading, mode: str, px: int, tall: float) -> go.Figure:
    """The picture alone, upright, in its own pixels, to be drawn over; at most `tall` rem high."""
    width, height = this.size
    fig = figure(mode, px)
    fig.add_layout_image(source=upright_uri(view, this), xref="x", yref="y", x=0, y=0, sizex=width, sizey=height, sizing="stretch", layer="below")
    fig.update_xaxes(range=[0, width], visible=False, constrain="domain")
    fig.update_yaxes(range=[height, 0], visible=False, scaleanchor="x", constrain="domain")
    fig.update_layout(margin=dict(l=0, r=0, t=0, b=0), height=int(min(tall, max(9, 33 * height / width)) * px), hovermode="closest", hoverdistance=60, dragmode="zoom")
    return fig


def upright_uri(view, this: Reading) -> str:
    """The display picture as a data URI, turned upright where it lay on a side (an SVG around it does the turning)."""
    uri = data_uri(picture_of(view, this.stem))
    return "data:image/svg+xml;base64," + base64.b64encode(_turned_svg(uri, this).encode()).decode() if this.turn else uri


def _turned_svg(uri: str, this: Reading) -> str:
    (width, height), (across, down) = this.size, (this.result["image"]["width"], this.result["image"]["height"])
    (a, b), (c, d), (e, f) = this.upright(1, 0), this.upright(0, 1), this.upright(0, 0)
    matrix = f"matrix({a - e} {b - f} {c - e} {d - f} {e} {f})"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
            f'<image href="{uri}" width="{across}" height="{down}" preserveAspectRatio="none" transform="{matrix}"/></svg>')


def around(this: Reading, box: list[float]) -> list[tuple[float, float]]:
    """The corners of a cell in the picture as it is shown."""
    return [this.upright(x, y) for x, y in corners(box, this.trace["to_input"])]


def _outlines(fig: go.Figure, cells: list[list[tuple[float, float]]], colour: str, px: int) -> None:
    """All cells of one colour as one trace: quadrangles separated by gaps."""
    x, y = [], []
    for quadrangle in cells:
        x += [*(c[0] for c in quadrangle), quadrangle[0][0], None]
        y += [*(c[1] for c in quadrangle), quadrangle[0][1], None]
    if x:
        fig.add_scatter(x=x, y=y, mode="lines", fill="toself", fillcolor=tint(colour, 0.10), line=dict(color=colour, width=px / 9), hoverinfo="skip")


def corners(box: list[float], to_input: list[list[float]]) -> list[tuple[float, float]]:
    """The four corners of a cell as it lies in the picture: its box turned about its centre by the skew.

    box       (x0, y0, x1, y1) in pixels of the input, with the width and height of the straightened cell, along the input's axes
    to_input  2 x 3 affine map straightened -> input; whole quarter turns in it are in the box already
    """
    x0, y0, x1, y1 = box
    angle = math.atan2(to_input[1][0], to_input[0][0])
    angle -= math.pi / 2 * round(angle / (math.pi / 2))
    cos, sin = math.cos(angle), math.sin(angle)
    x, y, u, v = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2
    return [(x + cos * a - sin * b, y + sin * a + cos * b) for a, b in ((-u, -v), (u, -v), (u, v), (-u, v))]


def _hover_points(fig: go.Figure, this: Reading, cells: list[dict]) -> None:
    """Invisible points, several along a long cell, so that the nearest one belongs to the cell under the pointer."""
    x, y, words = [], [], []
    for cell in cells:
        x0, y0, x1, y1 = cell["box"]
        wide, tall = x1 - x0, y1 - y0
        many = int(min(6, max(1, round(max(wide, tall) / max(1.0, min(wide, tall))))))
        for step in range(many):
            at = (step + 0.5) / many
            point = this.upright(x0 + wide * (at if wide >= tall else 0.5), y0 + tall * (at if tall > wide else 0.5))
            x.append(point[0])
            y.append(point[1])
            words.append(_hover_words(cell))
    fig.add_scatter(x=x, y=y, mode="markers", marker=dict(size=1, opacity=0), text=words, hovertemplate="%{text}<extra></extra>")


def _hover_words(cell: dict) -> str:
    text = escape(cell["text"]).replace("\n", "<br>") or "<i>empty</i>" if "text" in cell else f"row {cell['row'] + 1}, column {cell['col'] + 1}"
    span = f"<br>{cell['rowspan']} × {cell['colspan']} places" if cell["rowspan"] > 1 or cell["colspan"] > 1 else ""
    sure = f"<br>confidence {100 * cell['confidence']:.0f} %" if cell.get("confidence") is not None else ""
    return f"<b>{address(cell)}</b><br>{text}{span}{sure}"


def layer_figure(view, stem: str, layer: str, mode: str, px: int) -> tuple[go.Figure, str]:
    """What the engine saw as a picture, in its own straightened pixels; hover a region for its verdict."""
    this = reading(view, stem)
    width, height = this.trace["working_size"]
    fig = figure(mode, px)
    fig.add_layout_image(source=data_uri(view.trace[f"{stem}/{layer}"]), xref="x", yref="y", x=0, y=0, sizex=width, sizey=height, sizing="stretch", layer="below")
    regions = this.trace["regions"]
    centres = _to_working(this.trace["to_input"], [((r["box"][0] + r["box"][2]) / 2, (r["box"][1] + r["box"][3]) / 2) for r in regions])
    fig.add_scatter(x=[c[0] for c in centres], y=[c[1] for c in centres], mode="markers", marker=dict(size=1, opacity=0),
                    text=[f"<b>{'kept' if r['kept'] else 'dropped'}</b>: {escape(r['reason'])}<br>{r['area']:,} pixels" for r in regions],
                    hovertemplate="%{text}<extra></extra>")
    fig.update_xaxes(range=[0, width], visible=False, constrain="domain")
    fig.update_yaxes(range=[height, 0], visible=False, scaleanchor="x", constrain="domain")
    fig.update_layout(margin=dict(l=0, r=0, t=0, b=0), height=int(min(36, max(9, 66 * height / width)) * px), hovermode="closest", hoverdistance=80, dragmode="zoom")
    return fig, verdicts(this) + "."


def _to_working(to_input: list[list[float]], points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Input pixels -> straightened pixels, by the inverse of the 2 x 3 affine map."""
    (a, b, tx), (c, d, ty) = to_input
    det = a * d - b * c
    return [((d * (x - tx) - b * (y - ty)) / det, (a * (y - ty) - c * (x - tx)) / det) for x, y in points]


def region_rows(this: Reading) -> list[dict]:
    """One row per region for the table under the picture: place and size in pixels of the input, verdict."""
    return [{"Verdict": "kept" if r["kept"] else "dropped", "Why": r["reason"], "Left": round(r["box"][0]), "Top": round(r["box"][1]),
             "Width": round(r["box"][2] - r["box"][0]), "Height": round(r["box"][3] - r["box"][1]), "Area": r["area"]} for r in this.trace["regions"]]


def grid_of(result: dict) -> dict[str, list[str]]:
    """Column letter -> texts by row; a joined cell's text stands in each of its places."""
    columns = {letters(k): [""] * result["rows"] for k in range(result["cols"])}
    for cell in result["cells"]:
        for r in range(cell["row"], cell["row"] + cell["rowspan"]):
            for k in range(cell["col"], cell["col"] + cell["colspan"]):
                columns[letters(k)][r] = cell["text"]
    return columns


def race_figure(race: list[dict], mode: str, px: int) -> tuple[go.Figure, str]:
    """The labelling of this picture by every labeller: best time as a bar, the median as its whisker (milliseconds)."""
    base = next((r["seconds"] for r in race if r["name"].startswith("OpenCV")), race[-1]["seconds"])
    names, values = [_labeller(r) for r in race], [1e3 * r["seconds"] for r in race]
    words = [f"<b>{1e3 * r['seconds']:.2f} ms</b>  {r['seconds'] / base:.2f}×" for r in race]
    fig = figure(mode, px)
    bars(fig, names, values, words, [_role(r) for r in race], values, [1e3 * r["median"] for r in race])
    fig.update_xaxes(title_text="time for one labelling (ms), shorter is better", range=[0, 1.3 * max(1e3 * r["median"] for r in race)])
    return fig, "; ".join(f"{_labeller(r)} {1e3 * r['seconds']:.2f} ms" for r in race) + "."


def _labeller(entry: dict) -> str:
    return f"{entry['name']}, {'no labels' if entry['work'] == 'boxes' else 'labels'}"


def _role(entry: dict) -> str:
    return "ours" if entry["name"].startswith("Row runs") else "second" if entry["name"].startswith("Flood fill") else "rest"


def race_note(this: Reading) -> str:
    """What was labelled and whether all agree."""
    race = this.trace["race"]
    agree = "all find the same components" if all(r["same"] for r in race) else "NOT all find the same components"
    return f"{race[0]['part'].capitalize()} mask, {race[0]['pixels']:,} pixels, {race[0]['components']:,} components: {agree}."


STEPS = {"turn": "Turned it upright", "deskew": "Straightened it", "binarise": "Told ink from ground", "rules": "Told rules from letters",
         "flood fill": "Flooded the cells", "grid": "Built the grid", "encoder": "Looked at it with the model", "heads": "Saw rows and columns at once",
         "decode": "Wrote the tokens", "ocr": "Read the cells"}


def stages(this: Reading) -> list[tuple[str, str, float]]:
    """The stages in order: what was done, what came out, seconds."""
    kept = sum(r["kept"] for r in this.trace["regions"])
    read = sum(bool(c["text"]) for c in this.cells)
    closed = (this.trace.get("parts") or {}).get("regions")
    outcome = {
        "turn": f"{this.trace.get('rotation_degrees', 0)}° clockwise", "deskew": f"{this.trace['skew_degrees']:+.2f}° turned back",
        "flood fill": f"{count(this.trace['regions_total'], 'region')}, {kept:,} kept", "grid": f"{count(len(closed), 'cell')}" if closed else "none",
        "ocr": f"{count(read, 'cell')} with text, {len(this.to_check)} below {100 * CONFIDENT:.0f} % confidence"} | _model_outcomes(this.model)
    return [(STEPS.get(stage, stage.capitalize()), outcome.get(stage, ""), seconds) for stage, seconds in this.trace["seconds"].items()]


def _model_outcomes(model: dict | None) -> dict[str, str]:
    """What came out of the model's stages."""
    if not model:
        return {}
    height, width = model["size"]
    found = {"encoder": f"{width} × {height} pixels", "heads": f"{len(model['heads']['ys']) - 1} rows, {len(model['heads']['xs']) - 1} columns"}
    calls = len(model["calls"])
    return found | ({"decode": f"{count(len(model['tokens']), 'token')} in {count(calls, 'call')}"} if calls else {})


def shares(this: Reading) -> str:
    """Structure and text apart, in seconds."""
    text = this.trace["seconds"].get("ocr", 0.0)
    structure = sum(this.trace["seconds"].values()) - text
    return f"Structure {structure:.3f} s, text {text:.2f} s"


def verdicts(this: Reading) -> str:
    """How many regions were kept, and why the rest were not."""
    why: dict[str, int] = {}
    for region in this.trace["regions"]:
        if not region["kept"]:
            why[region["reason"]] = why.get(region["reason"], 0) + 1
    kept = sum(r["kept"] for r in this.trace["regions"])
    dropped = ", ".join(f"{n:,} {reason}" for reason, n in sorted(why.items(), key=lambda item: -item[1])[:4])
    return f"{count(this.trace['regions_total'], 'region')}: {kept:,} kept" + (f"; dropped: {dropped}" if dropped else "")


LEGENDS = {
    "Binarised": "Black: taken for ink. Dark headers and fills are told apart from the letters on them.",
    "Rule mask": "Black: taken for a rule. Letters have gone; what is left closes the cells.",
    "Regions": "Every region the flood fill found, each in a shade of its own; hover one for its verdict. The rules stay dark.",
}


def changes(result: dict, before, after) -> dict[tuple[int, int], str]:
    """Corrected texts by (row, col) of the cell, from the grid before and after editing (data frames of one shape)."""
    found = {}
    for cell in result["cells"]:
        for r in range(cell["row"], cell["row"] + cell["rowspan"]):
            for k in range(cell["col"], cell["col"] + cell["colspan"]):
                new = after.iat[r, k]
                if new != before.iat[r, k]:
                    found[(cell["row"], cell["col"])] = "" if new is None else str(new)
    return found


def comparison(a, b, mode: str, px: int):
    """Two runs for the compare view: ((figure, alt), (figure, alt), [(words, value)]).

    Of one picture the cells that differ in span or text are marked in both; of two pictures only the counts are compared.
    """
    one, two = reading(a, stems(a)[0]), reading(b, stems(b)[0])
    first, second = ({(c["row"], c["col"]): c for c in r.cells} for r in (one, two))
    same = {at for at in first.keys() & second.keys() if _alike(first[at], second[at])}
    texts = {at for at in same if first[at]["text"] == second[at]["text"]}
    one_picture = a.record["inputs"][0]["sha256"] == b.record["inputs"][0]["sha256"]
    marks = [set(cells) - texts if one_picture else set() for cells in (first, second)]
    figures = [cells_figure(v, r.stem, mode, px, marked, tall=26) for v, r, marked in zip((a, b), (one, two), marks)]
    left, right = (sum(r.trace["seconds"].values()) for r in (one, two))
    agreement = [("same cells", f"{len(same):,} of {max(len(first), len(second)):,}"), ("same text in them", f"{len(texts):,} of {len(same):,}")]
    counts = [("cells, left", f"{len(first):,}"), ("cells, right", f"{len(second):,}")]
    return figures[0], figures[1], [*(agreement if one_picture else counts), ("time, right ÷ left", f"{right / left:.2f}×")]


def _alike(a: dict, b: dict) -> bool:
    return (a["rowspan"], a["colspan"]) == (b["rowspan"], b["colspan"])


def report(view) -> str:
    """The result part of the one-page report: each picture with its cells, and the table."""
    parts = []
    for stem in stems(view):
        this = reading(view, stem)
        parts.append(f"<h2>{escape(this.result['image']['name'])}</h2>" + _svg(view, this))
        if this.result["abstained"]:
            parts.append(f"<p>{escape(this.result['reason'])}</p>")
        else:
            parts.append(f"<p>{escape(choice_words(this))} {escape(decoded(this))}</p>")
            table = view.files[f"{stem}.html"].decode()
            parts.append(table[table.index("<table"):table.index("</table>") + 8])
    return "".join(parts)


def decoded(this: Reading) -> str:
    """The decoding in one sentence, empty where none ran."""
    calls = len(this.model["calls"]) if this.model else 0
    if not calls:
        return ""
    tokens = len(this.model["tokens"])
    return f"The decoder wrote {count(tokens, 'token')} in {count(calls, 'call')}, {tokens / calls:.1f} a call."


def _svg(view, this: Reading) -> str:
    width, height = this.size
    shapes = (" ".join(f"{x:.1f},{y:.1f}" for x, y in around(this, c["box"])) for c in this.cells)
    width_of_line = max(width, height) / 500
    boxes = "".join(f'<polygon points="{points}" fill="none" stroke="{INK["light"]["ours"]}" stroke-width="{width_of_line:.2f}"/>' for points in shapes)
    return (f'<svg viewBox="0 0 {width} {height}" width="{min(width, 900)}" role="img" aria-label="{count(len(this.cells), "cell")} outlined">'
            f'<image href="{upright_uri(view, this)}" width="{width}" height="{height}"/>{boxes}</svg>')
