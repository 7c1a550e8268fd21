"""Figures of the handwriting exhibit: what the ink player and the join lens draw, alphabets and variants as SVG, two runs compared; pure functions of a saved run."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape

import plotly.graph_objects as go

from app.figures.style import INK, bars, figure

HEAD, BODY, TAIL, ISOLATED, BRIDGE = range(5)
PART_NAMES = ("head", "body", "tail", "isolated", "bridge")
PART_ROLES = ("second", "reference", "third", "muted", "ours")
"""Heads indigo, tails garnet, the rest of a letter as ink; what bridges two letters is new and therefore glass."""
TERM_ROLES = {"connection": "reference", "smoothness": "ours", "displacement": "rest", "tail": "third", "head": "second"}
BOTH_LINES = 2
"""Up to that many lines the page shows the text letter by letter beside the joined one."""
TALLEST_PX = 64
MOST_RUNS = 8


@lru_cache(maxsize=MOST_RUNS)
def _parsed(data: bytes) -> dict:
    return json.loads(data)


def story(view) -> dict:
    """What a run tells the page: the content of its story.json."""
    return _parsed(view.trace["story.json"])


def identity(view) -> str:
    """A name that changes with the ink (unsaved runs have no id)."""
    return view.id or f"{view.record['created']}:{hash(view.trace['story.json'])}"


def count(number: int, word: str) -> str:
    """1, "join" -> "1 join"; 3 -> "3 joins"."""
    return f"{number}\u00a0{word}{'' if number == 1 else 's'}"


# ---- words

def finding(view) -> str:
    """The run in one sentence with its numbers."""
    metrics = view.record["metrics"]
    pace = f"{metrics['ms_per_letter']:.2f} ms a letter"
    made, pairs = metrics["joins_made"], sum(metrics["joins"].values())
    if not view.record["config"]["join"]:
        return f"{count(metrics['letters'], 'letter')}, each written alone"
    if not made:
        return f"A {metrics['kind']} hand keeps its pen lifts: nothing joined, {pace}"
    gap = "none left open" if metrics["largest_gap"] == 0 else f"largest gap {metrics['largest_gap']:.3f} x-heights"
    return f"{made} of {pairs} pairs of letters joined, {gap}, {pace}"


def said(this: Mapping) -> str:
    """What the player's sheets show, for the small print."""
    hand, borrowed = this["hand"], borrowed_words(this)
    kinds = Counter(join["kind"] for join in this["joins"])
    how = ", ".join(count(kinds[kind], kind) for kind in ("merge", "bridge", "lift") if kinds[kind])
    return f"{hand['title']}, {hand['kind']}. {how or 'One letter'}.{f' {borrowed}' if borrowed else ''} Click a letter to change it."


def borrowed_words(this: Mapping) -> str:
    """Which letters are not this hand's own."""
    found = {letter["char"]: letter["borrowed"] for letter in this["letters"] if letter["borrowed"]}
    return f"Grey: {', '.join(found)} borrowed from {', '.join(dict.fromkeys(found.values()))}." if found else ""


def edit_words(this: Mapping) -> str:
    """What the last change left as it was."""
    edit = this.get("edit")
    if not edit:
        return ""
    again = "no join had to be solved again" if not edit["joins_again"] else f"only {count(edit['joins_again'], 'join')} of {edit['joins']} solved again"
    return f"One letter changed: {again}; {edit['points_same']} of {edit['points']} points lie bit for bit where they lay."


def needed(text: str) -> list[str]:
    """The letters somebody has to write for this text, in the order they appear."""
    return list(dict.fromkeys(char for char in text if not char.isspace() and char.isprintable())) or list("helo")


# ---- what the components draw

def colours(mode: str) -> list[dict]:
    """The parts of a letter by the number they have in the ink."""
    return [{"name": name, "colour": INK[mode][role]} for name, role in zip(PART_NAMES, PART_ROLES)]


def player_data(view, mode: str, **options) -> dict:
    """The ink player's data for a saved run; options go before (autoplay, editable, both ...)."""
    return ink_data(story(view), identity(view), mode) | options


def ink_data(this: Mapping, name: str, mode: str) -> dict:
    """The ink player's data for a story: the joined ink, and the same letters before any join."""
    joined = {"title": "Joined" if this["join"] else "Written", "label": f"Handwriting: {this['text']}", "strokes": this["joined"], "baselines": this["baselines"]}
    plain = {"title": "The same letters, not joined", "label": f"The same letters, not joined: {this['text']}", "strokes": this["plain"], "baselines": this["plain_baselines"]}
    both = any(join["kind"] != "lift" for join in this["joins"])
    sheets = [sheet | {"box": box_of(sheet["strokes"])} for sheet in ([joined, plain] if both else [joined])]
    return {
        "id": name, "sheets": sheets, "parts": colours(mode), "letters": [_pick(letter, "char", "box", "borrowed") for letter in this["letters"]], "tallest": TALLEST_PX,
        "both": len(this["baselines"]) <= BOTH_LINES, "coloured": both, "autoplay": True, "editable": True, "said": said(this)}


def _pick(row: Mapping, *names: str) -> dict:
    return {name: row[name] for name in names}


def box_of(strokes: Sequence[Mapping]) -> list[float]:
    """(left, top, right, bottom) of strokes in columns."""
    xs, ys = [x for s in strokes for x in s["x"]], [y for s in strokes for y in s["y"]]
    return [min(xs), min(ys), max(xs), max(ys)]


def made_joins(this: Mapping) -> list[dict]:
    """The joins there is something to see of."""
    return [join for join in this["joins"] if join["kind"] != "lift" and join["tail_was"] and join["head_was"]]


def lens_data(view, mode: str) -> dict | None:
    """The join lens' data; None where nothing is joined."""
    this = story(view)
    joins = made_joins(this)
    if not joins:
        return None
    widest = max(range(len(joins)), key=lambda k: joins[k]["moved"])
    return {
        "id": identity(view), "joined": [_pick(stroke, "x", "y") for stroke in this["joined"]], "joins": joins, "letters": [_pick(x, "char", "box") for x in this["letters"]],
        "box": box_of(this["joined"]), "baselines": this["baselines"], "weights": this["weights"], "exact": this["exact"], "cap": this["cap"],
        "colours": {name: INK[mode][role] for name, role in TERM_ROLES.items()}, "at": widest}


# ---- SVG

def _svg(width: float, height: float, left: float, top: float, body: str, px: float) -> str:
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.3f} {top:.3f} {width:.3f} {height:.3f}" width="{width * px:.0f}" height="{height * px:.0f}" '
            f'fill="none" stroke-linecap="round" stroke-linejoin="round">{body}</svg>')


def path_of(xs: Sequence[float], ys: Sequence[float]) -> str:
    """Points as an SVG path; a single point is a dot."""
    points = [f"{x:.3f} {y:.3f}" for x, y in zip(xs, ys)]
    return "M" + "L".join(points) + ("h.001" if len(points) == 1 else "")


def ink_svg(strokes: Sequence[Mapping], colour: str, px: float = 26.0) -> str:
    """Strokes as a picture, `px` pixels per x-height at most."""
    left, top, right, bottom = box_of(strokes)
    body = "".join(f'<path d="{path_of(s["x"], s["y"])}"/>' for s in strokes)
    return _svg(right - left + 0.6, bottom - top + 0.6, left - 0.3, top - 0.3, f'<g stroke="{colour}" stroke-width=".085">{body}</g>', px)


CELL, TALL = 2.6, 3.6
MARKS = {HEAD: "circle", TAIL: "triangle", ISOLATED: "square", BODY: "dot"}


def alphabet(this: Mapping, small: bool) -> list[dict]:
    """The hand's small letters, or all its others."""
    return [letter for letter in this["alphabet"] if letter["char"].islower() == small]


def alphabet_svg(shown: Sequence[Mapping], mode: str, columns: int, px: float = 40.0) -> str:
    """Letters with the class of the 20 points the classifier sees of each: shape and colour say which."""
    ink, rows = INK[mode], (len(shown) + columns - 1) // columns
    body = [f'<g transform="translate({(k % columns + 0.5) * CELL:.2f} {(k // columns) * TALL + 2.1:.2f})">{_letter_svg(letter, ink)}</g>' for k, letter in enumerate(shown)]
    return _svg(columns * CELL, rows * TALL + 0.1, 0, 0, "".join(body), px)


def _letter_svg(letter: Mapping, ink: Mapping) -> str:
    xs, ys = [x for x, _ in letter["points"]], [y for _, y in letter["points"]]
    shift, wide, tall = (min(xs) + max(xs)) / 2, max(xs) - min(xs), max(-min(ys) / 2.0, max(ys) / 1.35, 1e-9)
    shrink = min(1.0, (CELL - 0.4) / max(wide, 1e-9), 1 / tall)
    strokes = "".join(f'<path d="{path_of(*zip(*stroke))}"/>' for stroke in letter["strokes"])
    marks = "".join(_mark(x, y, part, ink[PART_ROLES[part]]) for (x, y), part in zip(letter["points"], letter["classes"]))
    name = f'<text x="{0.12 - CELL / 2}" y="-1.6" font-size=".42" font-family="sans-serif" fill="{ink["muted"]}">{escape(letter["char"])}</text>'
    return (f'<path d="M{0.1 - CELL / 2} 0H{CELL / 2 - 0.1}" stroke="{ink["grid"]}" stroke-width=".03"/>'
            f'<g transform="scale({shrink:.3f}) translate({-shift:.3f} 0)"><g stroke="{ink["axis"]}" stroke-width=".06">{strokes}</g>{marks}</g>{name}')


def _mark(x: float, y: float, part: int, colour: str) -> str:
    shape = MARKS[part]
    if shape == "triangle":
        return f'<path d="M{x:.3f} {y - 0.11:.3f}l.1 .18h-.2z" fill="{colour}"/>'
    if shape == "square":
        return f'<path d="M{x - 0.08:.3f} {y - 0.08:.3f}h.16v.16h-.16z" fill="{colour}"/>'
    return f'<circle cx="{x:.3f}" cy="{y:.3f}" r="{".09" if shape == "circle" else ".045"}" fill="{colour}"/>'


def alphabet_words(this: Mapping) -> str:
    """Shares of the classes over the hand's letters."""
    found = Counter(part for letter in this["alphabet"] for part in letter["classes"])
    total = sum(found.values()) or 1
    return ", ".join(f"{PART_NAMES[part]} {100 * found[part] / total:.0f} %" for part in (HEAD, BODY, TAIL, ISOLATED))


# ---- joins in words

def joins_table(this: Mapping) -> str:
    """Every pair of letters with what was done and why, as a Markdown table."""
    rows = ["| Pair | Done | Why | Gap | Largest shift | Turn |", "|:--|:--|:--|--:|--:|--:|"]
    for join in this["joins"]:
        pair = f"{_cell(this['letters'][join['left']]['char'])} {_cell(this['letters'][join['right']]['char'])}"
        numbers = ("", "", "") if join["kind"] == "lift" else (f"{join['gap']:.3f}", f"{join['moved']:.2f}", f"{join['turn_deg']:.0f}°")
        rows.append(f"| {pair} | {join['kind']} | {_cell(join['reason'])} | {' | '.join(numbers)} |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-.!|~$:<>&" else c for c in text)


STAGES = {"hand": "Read the hand", "letters": "Choose and place letters", "classify": "Find heads and tails", "layout": "Space the letters", "solve": "Solve all joins",
          "assemble": "Put the ink together", "edit": "Change letters", "files": "Write the files", "page": "Prepare the page", "total": "In all"}


FORMULAS = (r"E=w_c\,\lVert f_m-f_{m+1}\rVert^2+\sum_{i\neq m}s_i\,\lVert(f_{i+1}-f_i)-t_i\rVert^2+w_d\sum_i\lVert f_i-p_i\rVert^2",
            r"-k_{i-1}f_{i-1}+(w_d+k_{i-1}+k_i)\,f_i-k_i f_{i+1}=w_d\,p_i+k_{i-1}t_{i-1}-k_i t_i")
"""The objective, and a row of its normal equations: symmetric, tridiagonal, positive definite."""


def method(this: Mapping) -> str:
    """How the text was written, in a few sentences with this run's settings."""
    weights = this["weights"]
    meet = "tail and head meet in one point, the limit of an endless connection weight" if this["exact"] else f"the connection weight {weights['connection']:g} pulls tail and head together"
    return (f"Each letter’s 20 points are classified without its name; the composer decides per pair between merge, bridge and pen lift. In each join {meet}; smoothness "
            f"{weights['smoothness']:g} and displacement {weights['displacement']:g} keep the letter’s shape. One tridiagonal system per join, one factorisation for x, y and pressure; "
            f"a point may move {this['cap']:g} x-heights at most, else the pen is lifted.")


# ---- what every exhibit brings

def ink_figure(this: Mapping, mode: str, px: int) -> tuple[go.Figure, str]:
    """The joined ink as a figure; heads and tails in their colours."""
    fig, ink = figure(mode, px), INK[mode]
    lines: dict[str, tuple[list, list]] = {}
    for stroke in this["joined"]:
        for x, y, part in _runs(stroke):
            xs, ys = lines.setdefault(PART_ROLES[part], ([], []))
            xs += [*x, None]
            ys += [*y, None]
    for role, (xs, ys) in lines.items():
        fig.add_scatter(x=xs, y=ys, mode="lines", line=dict(color=ink[role], width=px / 7), hoverinfo="skip", connectgaps=False)
    left, top, right, bottom = box_of(this["joined"])
    fig.update_xaxes(visible=False, range=[left - 0.4, right + 0.4])
    fig.update_yaxes(visible=False, range=[bottom + 0.4, top - 0.4], scaleanchor="x")
    fig.update_layout(height=int(min(22, 6 + 4 * len(this["baselines"])) * px), margin=dict(l=0, r=0, t=0, b=0))
    return fig, f"{this['text']}, written by {this['hand']['title']}."


def _runs(stroke: Mapping) -> list[tuple[list[float], list[float], int]]:
    """A stroke cut where its part changes; neighbouring pieces share the point between them."""
    parts, runs, begun = stroke["c"], [], 0
    for i in range(1, len(parts) + 1):
        if i == len(parts) or parts[i] != parts[begun]:
            end = min(i + 1, len(parts))
            runs.append((stroke["x"][begun:end], stroke["y"][begun:end], parts[begun]))
            begun = i
    return runs


def comparison(a, b, mode: str, px: int):
    """Two runs for the compare view: ((figure, alt), (figure, alt), [(words, value)])."""
    one, two = story(a), story(b)
    left, right = a.record["metrics"], b.record["metrics"]
    between = [("joins, left", str(left["joins_made"])), ("joins, right", str(right["joins_made"])),
               ("largest shift, right less left", f"{right['largest_move'] - left['largest_move']:+.2f}".replace("-", "\u2212")),
               ("ms a letter, right ÷ left", f"{right['ms_per_letter'] / left['ms_per_letter']:.2f}×" if left["ms_per_letter"] else "none")]
    return ink_figure(one, mode, px), ink_figure(two, mode, px), between


def report(view) -> str:
    """The result part of the one-page report: joined, letter by letter, every pair in words."""
    this = story(view)
    ink = INK["light"]
    rows = "".join(f"<tr><td>{escape(this['letters'][j['left']]['char'] + this['letters'][j['right']]['char'])}</td><td>{j['kind']}</td><td>{escape(j['reason'])}</td>"
                   f"<td>{j['gap']:.3f}</td><td>{j['moved']:.2f}</td></tr>" for j in this["joins"])
    return (f"<h2>Joined</h2>{ink_svg(this['joined'], ink['reference'])}<h2>Not joined</h2>{ink_svg(this['plain'], ink['muted'])}"
            f"<h2>Joins</h2><table><tr><th>pair</th><th>done</th><th>why</th><th>gap</th><th>largest shift, x-heights</th></tr>{rows}</table>"
            f"<p class=\"muted\">Hand: {escape(this['hand']['title'])}. {escape(this['hand']['origin'])} {escape(this['hand']['licence'])}</p>")


# ---- what the benchmark recorded

MEASURED = {
    "readability": ("What OCR engines read, before and after joining", "Characters and words read right, in per cent, single words. Both engines were made for print: only the difference counts."),
    "real_ocr": ("Real ink, and the same words from the writer’s own letters", "The same engines on words of real writers, and on those words put together from letters of their other words."),
    "style": ("Distance to the writer’s own real words", "Ink features through one linear layer of our own, fitted on other writers. HWD and FID proper need weights that cannot be shipped."),
    "connectivity": ("How real cursive joins, and how ours does", "Share of joined neighbours, and the turning angle near the join, per writer."),
    "joins": ("Every pair of small letters of every hand", "Gaps, shifts, turns, and how many joins got a new crossing or a spike."),
    "unseen": ("Words in the hands of writers nobody looked at", "The same, in hands of UNIPEN letters written by other people, with no guide lines."),
    "classifier": ("The point classifier on writers it never saw", "Cross-validation over whole writers. Rule: the turning-point rule on the same points."),
    "pipeline": ("Text to ink, milliseconds a letter", "One core."),
    "lens": ("Slider to picture", "The join lens in Chromium, milliseconds, least and median."),
    "solver": ("One tridiagonal system", "Ours beside LAPACK and NumPy, one core, one run."),
    "batch": ("Ten thousand systems at once", "One core, one run."),
    "page": ("A page of 1,000 joins", "One core.")}
"""Sections of the recorded benchmark in the order of the page: key -> (title, what it is)."""


def readability_figure(rows: Sequence[Mapping], mode: str, px: int) -> tuple[go.Figure, str]:
    """Character recognition per engine, not joined and joined, the mean over the hands with the least and the most readable hand as whiskers."""
    fig, said = figure(mode, px), []
    names, values, words, roles, low, high = [], [], [], [], [], []
    for engine in dict.fromkeys(row["engine"] for row in rows):
        own = [row for row in rows if row["engine"] == engine and row["hand"] != "mean"]
        for column, name, role in (("CRR apart", "not joined", "rest"), ("CRR joined", "joined", "ours")):
            found = [row[column] for row in own]
            mean = sum(found) / len(found)
            names.append(f"{engine}, {name}")
            values.append(mean)
            words.append(f"<b>{mean:.1f} %</b>")
            roles.append(role)
            low.append(min(found))
            high.append(max(found))
            said.append(f"{engine} {name} {mean:.1f} %")
    bars(fig, names, values, words, roles, low, high)
    fig.update_xaxes(range=[0, 118], tickvals=[0, 50, 100], ticksuffix=" %", title_text="characters read right; whisker: from the least to the most readable hand")
    fig.update_layout(margin=dict(l=0, r=2 * px, t=0.5 * px, b=0))
    return fig, f"Characters read right: {', '.join(said)}."


def plain_rows(rows: Sequence[Mapping]) -> list[dict]:
    """Recorded rows for a table: numbers to three significant digits, lists as words."""
    return [{key: float(f"{value:.4g}") if isinstance(value, float) else ", ".join(map(str, value)) if isinstance(value, list) else value for key, value in row.items()} for row in rows]
