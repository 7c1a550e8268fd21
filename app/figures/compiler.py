"""Figures of the compiler exhibit: the race, the calls that come late, what was measured on the way; pure functions of a saved run (graphs: compiler_graph)."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape

import plotly.graph_objects as go

from app.figures.style import INK, figure, limit_line

ROLES = {"ours": "ours", "hand": "reference", "plain hand": "reference"}
"""Everybody else is `rest`."""
SLOTS_US = (0.5, 1, 2, 5, 10, 20, 50, 71, 100, 200, 500, 1000, 2000, 5000)
"""What the budget can be set to; 71 µs is one OFDM symbol and 500 µs one slot at 30 kHz."""
WORDS = {71: "one symbol at 30 kHz", 500: "one slot at 30 kHz", 1000: "one slot at 15 kHz"}


@dataclass(frozen=True)
class Story:
    """What a run tells the page: the content of trace.json, the record's metrics, and the lines of the C++ file."""

    trace: dict
    metrics: dict
    code: str

    @cached_property
    def race(self) -> list[dict]:
        """The rows that have a time, fastest first."""
        return sorted((row for row in self.trace["race"] if row["best_us"] is not None), key=lambda row: row["best_us"])

    @cached_property
    def ours(self) -> dict | None:
        return next((row for row in self.trace["race"] if row["key"] == "ours" and row["best_us"] is not None), None)

    def of(self, *keys: str) -> dict | None:
        """The fastest row among these, None where none was timed."""
        return next((row for row in self.race if row["key"] in keys), None)

    @property
    def limit_us(self) -> float | None:
        return self.trace["limit"]["us"] if self.trace.get("limit") else None

    @cached_property
    def lines(self) -> list[str]:
        return self.code.split("\n")


def story(view) -> Story:
    """The story of a saved run."""
    trace = json.loads(view.trace["trace.json"])
    code = next((data.decode() for name, data in view.files.items() if name.endswith(".cpp")), "")
    return Story(trace, view.record["metrics"], code)


def time_words(us: float) -> str:
    """A time with its unit and three figures."""
    if us >= 10_000:
        return f"{us / 1000:.0f} ms"
    if us >= 1000:
        return f"{us / 1000:.2f} ms"
    return f"{us:.0f} µs" if us >= 100 else f"{us:.1f} µs" if us >= 10 else f"{us:.2f} µs" if us >= 1 else f"{us:.3f} µs"


def ratio_words(theirs: float, ours: float) -> str:
    """How they stand to ours: "3.2 times ahead of", "4 % behind"."""
    if theirs >= 1.995 * ours:
        return f"{theirs / ours:.1f} times ahead of"
    share = round(100 * abs(theirs - ours) / max(theirs, ours))
    return "level with" if share < 2 else f"{share} % {'ahead of' if theirs > ours else 'behind'}"


def finding(view) -> str:
    """The run in one sentence with its numbers."""
    this = story(view)
    if this.ours is None:
        return f"{this.trace['model']['name']} is compiled; nothing was timed here"
    words = [f"{this.trace['model']['name']} answers in {time_words(this.ours['best_us'])}"]
    versus = [(row, name) for row, name in ((this.of("onnxruntime"), "ONNX Runtime"), (this.of("hand", "plain hand"), "the hand-tuned code")) if row]
    words += [f"{ratio_words(row['best_us'], this.ours['best_us'])} {name}" for row, name in versus]
    return ", ".join(words[:1]) + (": " + " and ".join(words[1:]) if versus else "")


# ---- the race

def race_figure(rows: Sequence[Mapping], limit: Mapping | None, budget_us: float | None, mode: str, px: int) -> tuple[go.Figure, str]:
    """Best time of every way to run the network on a logarithmic scale, the machine's limit as a line; bars over the budget are red.

    rows  dicts with key, name, best_us, median_us, p999_us; works on rows that are still coming in
    """
    fig, ink = figure(mode, px), INK[mode]
    rows = sorted((row for row in rows if row["best_us"] is not None), key=lambda row: row["best_us"])
    ours = next((row["best_us"] for row in rows if row["key"] == "ours"), None)
    every = [row["best_us"] for row in rows] + ([limit["us"]] if limit else []) + ([budget_us] if budget_us else [])
    low, high = 10 ** math.floor(math.log10(min(every) * 0.999)), max(row["median_us"] for row in rows)
    for row in rows:
        late = budget_us is not None and row["median_us"] > budget_us
        role = ROLES.get(row["key"], "rest")
        fig.add_bar(y=[row["name"]], x=[row["best_us"] - low], base=[low], orientation="h", width=0.55, marker_color=ink["fault" if late else role],
                    error_x=dict(type="data", symmetric=False, array=[max(row["median_us"] - row["best_us"], 0)], arrayminus=[0], color=ink["text"], thickness=1.2, width=px / 4),
                    hovertemplate=f"{row['name']}: best {time_words(row['best_us'])}, median {time_words(row['median_us'])}, 99.9 % {time_words(row['p999_us'])}<extra></extra>")
        times = "" if ours is None or row["key"] == "ours" else f"  {row['best_us'] / ours:.{1 if row['best_us'] / ours < 20 else 0}f}×"
        fig.add_annotation(x=math.log10(max(row["median_us"], row["best_us"])), y=row["name"], text=f"<b>{time_words(row['best_us'])}</b>{times}{'  too late' if late else ''}",
                           showarrow=False, xanchor="left", xshift=px * 0.7, font=dict(size=px, color=ink["fault" if late else "muted" if role == "rest" else role]))
    if limit:
        limit_line(fig, limit["us"], f"{limit['words']} {time_words(limit['us'])}")
        fig.layout.annotations[-1].update(x=math.log10(limit["us"]))
    if budget_us:
        fig.add_vline(budget_us, line=dict(color=ink["fault"], width=1.6))
        fig.add_annotation(x=math.log10(budget_us), y=1, yref="paper", text=f"budget {time_words(budget_us)}", showarrow=False, yanchor="bottom", yshift=1.1 * px,
                           font=dict(color=ink["fault"], size=0.875 * px))
    fig.update_xaxes(type="log", range=[math.log10(low), math.log10(high * 6)], showgrid=True, gridcolor=ink["grid"], showline=False, dtick=1,
                     title_text="time for one answer (µs, logarithmic; shorter is better)", title_standoff=0.6 * px)
    fig.update_yaxes(autorange="reversed", showgrid=False, showline=True, linecolor=ink["axis"], tickfont=dict(size=px, color=ink["text"]))
    fig.update_layout(height=int(2.3 * px * max(len(rows), 2) + 7 * px), margin=dict(l=0, r=0, t=3 * px, b=0), barmode="overlay")
    return fig, "Time for one answer: " + ", ".join(f"{row['name']} {time_words(row['best_us'])}" for row in rows) + (f"; limit {time_words(limit['us'])}." if limit else ".")


def late_words(rows: Sequence[Mapping], budget_us: float) -> str:
    """How often each runtime was later than the budget, out of its timed calls."""
    said = []
    for row in rows:
        histogram = row.get("histogram")
        if histogram:
            late, total = late_calls(histogram, budget_us), sum(histogram["counts"])
            said.append(f"{row['name']} {late:,} of {total:,}")
    return f"Calls later than {time_words(budget_us)}: {', '.join(said)}." if said else ""


def late_calls(histogram: Mapping, budget_us: float) -> int:
    """Calls in the bins that begin at or over the budget; edges has one more entry than counts."""
    return sum(count for edge, count in zip(histogram["edges_us"], histogram["counts"]) if edge >= budget_us)


def calls_figure(rows: Sequence[Mapping], mode: str, px: int) -> tuple[go.Figure, str]:
    """All timed calls of a few runtimes: share of calls over their time, both logarithmic, so that the rare late call is seen."""
    fig, ink, said = figure(mode, px), INK[mode], []
    for n, row in enumerate(sorted((r for r in rows if r.get("histogram")), key=lambda r: r["worst_us"])):
        edges, counts = row["histogram"]["edges_us"], row["histogram"]["counts"]
        total, left, x, y = sum(counts), sum(counts), [], []
        for edge, count in zip(edges, counts):
            if left:
                x.append(edge)
                y.append(left / total)
            left -= count
        role = ROLES.get(row["key"], "rest")
        fig.add_scatter(x=x, y=y, mode="lines", line=dict(color=ink[role], width=px / (6 if role == "ours" else 10), shape="hv", dash="dot" if role == "rest" else "solid"), name=row["name"],
                        hovertemplate=f"{row['name']}: %{{y:.2%}} of the calls take %{{x:.3g}} µs or more<extra></extra>")
        fig.add_annotation(x=math.log10(x[-1]), y=math.log10(y[-1]), text=row["name"], showarrow=False, xanchor="left", xshift=0.4 * px,
                           yshift=-1.1 * px * (n % 3), font=dict(color=ink["muted" if role == "rest" else role], size=0.8 * px))
        said.append(f"{row['name']} {time_words(row['p999_us'])}")
    fig.update_xaxes(type="log", title_text="time of a call (µs)", dtick=1)
    fig.update_yaxes(type="log", title_text="share of calls that take longer", tickvals=[1, 0.1, 0.01, 0.001, 0.0001], ticktext=["all", "1 in 10", "1 in 100", "1 in 1,000", "1 in 10,000"],
                     range=[-4.6, 0.1])
    fig.update_layout(height=18 * px, margin=dict(l=0, r=9 * px, t=px, b=0), hovermode="closest")
    return fig, "99.9 % of the calls are faster than: " + ", ".join(said) + "."


# ---- what was measured on the way

def candidates_table(this: Story) -> list[dict]:
    """One row per candidate graph: its rules, its nodes, its time or the reason it has none."""
    return [{"Candidate": c["name"], "Rules": ", ".join(c["rules"]) or "none", "Nodes": c["nodes"], "Its kernels, summed (µs)": c.get("predicted_us"), "Whole, timed (µs)": c["best_us"], "": "chosen" if c["chosen"] else c.get("reason") or ""}
            for c in this.trace["candidates"]]


def measured_figure(rows: Sequence[Mapping], mode: str, px: int) -> tuple[go.Figure, str]:
    """Every variant that was timed, one line per node of the chosen graph: the taken one filled, the others hollow."""
    fig, ink = figure(mode, px), INK[mode]
    names = list(dict.fromkeys(row["label"] for row in rows))
    for chosen, filled in ((False, False), (True, True)):
        part = [row for row in rows if row["chosen"] is chosen]
        fig.add_scatter(x=[row["best_us"] for row in part], y=[row["label"] for row in part], mode="markers", text=[row["variant"] for row in part],
                        marker=dict(size=0.8 * px, color=ink["ours"] if filled else "rgba(0,0,0,0)", line=dict(color=ink["ours" if filled else "rest"], width=2), symbol="circle"),
                        hovertemplate="%{y}, %{text}: %{x:.4g} µs<extra></extra>")
    for row in (r for r in rows if r["chosen"]):
        fig.add_annotation(x=1, xref="paper", y=row["label"], text=row["variant"], showarrow=False, xanchor="left", xshift=0.6 * px, font=dict(size=0.875 * px, color=ink["ours"]))
    fig.update_xaxes(type="log", title_text="time of this node alone (µs)", showgrid=True, gridcolor=ink["grid"], dtick="D2")
    fig.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=names, showgrid=True, gridcolor=ink["grid"], tickfont=dict(color=ink["text"]))
    fig.update_layout(height=int((1.9 * max(len(names), 2) + 5) * px), margin=dict(l=0, r=9 * px, t=px, b=0))
    return fig, "Taken: " + ", ".join(f"{r['label']} {r['variant']} {time_words(r['best_us'])}" for r in rows if r["chosen"]) + "."


# ---- code

def block_of(this: Story, node: int) -> tuple[int, int, str]:
    """First line (from 1), last line and text of the C++ of a node of the chosen graph, its weights told by their number of lines; (0, 0, "") for a node without code."""
    found = next((b for b in this.trace["blocks"] if b["node"] == node), None)
    if found is None:
        return 0, 0, ""
    first, last = found["first"], found["last"]
    begin, end = found.get("weights") or (last + 1, last)
    left_out = [f"// lines {begin:,} to {end:,}: weights, left out here"] if end >= begin else []
    return first, last, "\n".join([*this.lines[first - 1:begin - 1], *left_out, *this.lines[max(end, begin - 1):last]])


def node_words(graph: Mapping, index: int) -> str:
    """One node in a line: number, operation, shape of what it gives."""
    node = graph["nodes"][index]
    return f"{index + 1}. {node['op']} → {' × '.join(map(str, node['shape'])) or 'scalar'}"


# ---- compare and report

def comparison(a, b, mode: str, px: int) -> tuple:
    """Two saved runs: ((figure, alt), (figure, alt), [(words, value)])."""
    one, two = story(a), story(b)
    drawn = [race_figure(s.race, s.trace.get("limit"), None, mode, px) if s.race else (figure(mode, px), "Nothing was timed.") for s in (one, two)]
    between = []
    if one.ours and two.ours:
        between = [("left", time_words(one.ours["best_us"])), ("right", time_words(two.ours["best_us"])), ("right ÷ left", f"{two.ours['best_us'] / one.ours['best_us']:.2f}×")]
    return drawn[0], drawn[1], between


def report(view) -> str:
    """The result part of the one-page report: the race, the candidates and what was verified."""
    this = story(view)
    head = "<tr><th>runtime</th><th>best µs</th><th>median</th><th>99.9 %</th><th>worst</th><th>largest error</th></tr>"
    race = "".join(f"<tr><td>{escape(r['name'])}</td>" + "".join(f"<td>{number(r.get(k))}</td>" for k in ("best_us", "median_us", "p999_us", "worst_us", "error")) + "</tr>" for r in this.race)
    limit = f"<p>Limit of this core: {this.limit_us:.3f} µs ({escape(this.trace['limit']['words'])}).</p>" if this.limit_us else ""
    candidates = "".join(f"<tr><td>{escape(str(c['name']))}</td><td>{c['nodes']}</td><td>{number(c['best_us'])}</td><td>{'chosen' if c['chosen'] else escape(c.get('reason') or '')}</td></tr>"
                         for c in this.trace["candidates"])
    return (f"<h2>Time for one answer</h2><table>{head}{race}</table>{limit}<h2>Candidate graphs</h2><table><tr><th>candidate</th><th>nodes</th><th>best µs</th><th></th></tr>{candidates}</table>")


def number(value) -> str:
    """A number with four figures, a dash where there is none."""
    return "-" if value is None else f"{value:.4g}"
