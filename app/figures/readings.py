"""Model and regions on one picture side by side, the separators the model saw, and the full model beside the mobile one (PIX-TAB's hybrid selection)."""

import plotly.graph_objects as go

from app.figures.style import INK, bars, figure
from app.figures.table import Reading, cells_figure, count, picture_figure, reading
from app.figures.tokens import milliseconds

ENGINES = {"regions": "Regions", "model": "Model"}
STAGES = {"regions": ("binarise", "rules", "flood fill", "grid"), "model": ("encoder", "heads", "decode")}
NOT_ASKED = "not asked; choose the engine Automatic to have both"


def parts(this: Reading) -> dict[str, list[dict] | None]:
    """Engine -> the cells it read, None where it gave no table."""
    return {name: (this.trace.get("parts") or {}).get(name) for name in ENGINES}


def asked(this: Reading, engine: str) -> bool:
    """Whether this engine looked at the picture at all."""
    return bool(this.model) if engine == "model" else "flood fill" in this.trace["seconds"]


def absent(this: Reading, engine: str) -> str:
    """Why there is no table of this engine."""
    return f"{ENGINES[engine]}: no table found here" if asked(this, engine) else f"{ENGINES[engine]}: {NOT_ASKED}"


def heading(this: Reading, engine: str) -> str:
    """What stands over one engine's picture (Markdown)."""
    cells = parts(this)[engine]
    if cells is None:
        return absent(this, engine).replace(ENGINES[engine], f"**{ENGINES[engine]}**", 1)
    taken = ", taken" if this.result["engine"] == engine and not this.result["abstained"] else ""
    return f"**{ENGINES[engine]}**: {count(len(cells), 'cell')}{taken}"


def counterparts(ours: list[dict], theirs: list[dict]) -> set[tuple[int, int]]:
    """(row, col) of the cells that lie in the same place in both and span as much: each one's middle is inside the other."""
    return {(a["row"], a["col"]) for a in ours if any(_holds(a, b) and _holds(b, a) and _spans(a) == _spans(b) for b in theirs)}


def _holds(a: dict, b: dict) -> bool:
    x, y = (b["box"][0] + b["box"][2]) / 2, (b["box"][1] + b["box"][3]) / 2
    return a["box"][0] <= x <= a["box"][2] and a["box"][1] <= y <= a["box"][3]


def _spans(cell: dict) -> tuple[int, int]:
    return cell["rowspan"], cell["colspan"]


def part_figure(view, stem: str, engine: str, mode: str, px: int) -> tuple[go.Figure, str]:
    """One engine's cells over the picture; those the other engine does not have are marked. Without a table of its own the picture alone."""
    this = reading(view, stem)
    ours, theirs = parts(this)[engine], parts(this)["model" if engine == "regions" else "regions"]
    if ours is None:
        return picture_figure(view, this, mode, px, tall=30), f"{absent(this, engine)} The picture {this.result['image']['name']} alone."
    marked = set() if theirs is None else {(c["row"], c["col"]) for c in ours} - counterparts(ours, theirs)
    fig, alt = cells_figure(view, stem, mode, px, marked, tall=30, cells=ours)
    return fig, f"{ENGINES[engine]}. {alt}"


def between(this: Reading) -> list[tuple[str, str]]:
    """(words, value) between the two pictures: what both have, their sizes, their times."""
    found = parts(this)
    if None in found.values():
        return []
    shared = len(counterparts(found["regions"], found["model"]))
    sizes = {name: (max(c["row"] + c["rowspan"] for c in cells), max(c["col"] + c["colspan"] for c in cells)) for name, cells in found.items()}
    spent = {name: sum(this.trace["seconds"].get(stage, 0.0) for stage in stages) for name, stages in STAGES.items()}
    return [("same cells", f"{shared:,} of {max(map(len, found.values())):,}"),
            *((word, " | ".join(f"{size[axis]:,}" for size in sizes.values())) for axis, word in enumerate(("rows, left | right", "columns, left | right"))),
            ("time, model ÷ regions", f"{spent['model'] / max(spent['regions'], 1e-9):.1f}×")]


def separators_figure(view, stem: str, mode: str, px: int) -> tuple[go.Figure, str]:
    """Where the separator heads see rows and columns begin and end, over the picture."""
    this = reading(view, stem)
    heads, ink = this.model["heads"], INK["light"]
    fig = picture_figure(view, this, mode, px, tall=36)
    (left, right), (top, bottom) = ((places[0], places[-1]) for places in (heads["xs"], heads["ys"]))
    lines = (([((left, y), (right, y)) for y in heads["ys"]], "ours", "solid"), ([((x, top), (x, bottom)) for x in heads["xs"]], "second", "dash"))
    for segments, role, dash in lines:
        ends = [[this.upright(*_mapped(this.model["to_input"], *point)) for point in segment] for segment in segments]
        x, y = ([value for a, b in ends for value in (a[i], b[i], None)] for i in (0, 1))
        fig.add_scatter(x=x, y=y, mode="lines", line=dict(color=ink[role], width=px / 8, dash=dash), hoverinfo="skip")
    return fig, f"The separators of {count(len(heads['ys']) - 1, 'row')} and {count(len(heads['xs']) - 1, 'column')} over the picture."


def _mapped(affine: list[list[float]], x: float, y: float) -> tuple[float, float]:
    return tuple(row[0] * x + row[1] * y + row[2] for row in affine)


SEPARATORS_LEGEND = "Solid: where the model sees rows begin and end. Dashed: columns. One look, no decoding; the decoder then confirms this grid or corrects it."


def mobile_figure(mobile: dict, mode: str, px: int) -> tuple[go.Figure, str]:
    """The structure of this picture by the full and by the mobile model, without decoding: milliseconds."""
    values = [1e3 * mobile["full_seconds"], 1e3 * mobile["seconds"]]
    words = [f"<b>{milliseconds(values[0])}</b>", f"<b>{milliseconds(values[1])}</b>  {values[0] / values[1]:.1f}× faster"]
    names = ["Full model", "Mobile model"]
    fig = figure(mode, px)
    bars(fig, names, values, words, ["reference", "ours"], values, values)
    fig.update_traces(error_x_visible=False)
    fig.update_xaxes(title_text="one look at this picture (ms), shorter is better", range=[0, 1.4 * max(values)])
    return fig, f"Full model {milliseconds(values[0])}, mobile model {milliseconds(values[1])}."


def mobile_words(mobile: dict) -> str:
    """Whether the mobile model reads this picture as the full one does."""
    same = "the same structure as" if mobile["same_structure"] else "another structure than"
    return f"The mobile model reads {count(mobile['cells'], 'cell')}, {same} the full one"


def recorded_words(rows: list[dict]) -> str:
    """What the benchmark recorded about both models, set by set; empty where it recorded nothing."""
    said = [f"{row['name']} ({row['n']:,} pictures) full {row['full']:.1f}\u00a0%, mobile {row['mobile']:.1f}\u00a0%" for row in rows if "full" in row and "mobile" in row]
    return f" Recorded by the benchmark, structure score TEDS: {'; '.join(said)}." if said else ""
