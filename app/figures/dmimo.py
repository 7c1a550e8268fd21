"""Figures of the D-MIMO exhibit: throughput, cost and trade-off of the combining schemes; pure functions of a saved run (moving users: dmimo_moving)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import plotly.graph_objects as go

from app.figures.style import INK, SEQUENTIAL, bars, figure, limit_line, paper_line, series
from core.dmimo import findings
from core.dmimo.findings import PAPER, WORDS, caveat, percent
from core.dmimo.findings import SCHEMES as NAMES

__all__ = ["caveat"]

ROLES = {"iqc": "reference", "deqc": "ours", "llrc": "third", "deqc_local": "second", "deqc_combined": "rest", "single_trp": "rest"}
THREE = ("iqc", "deqc", "llrc")


@dataclass(frozen=True)
class Story:
    """What a run tells the page: the content of trace.json, and the metrics of its record."""

    trace: dict
    metrics: dict

    @cached_property
    def rows(self) -> list[dict]:
        return sorted(self.trace["rows"], key=lambda row: row["snr_db"])

    def of(self, scheme: str) -> list[dict]:
        """The rows of one scheme, by SNR."""
        return [row for row in self.rows if row["scheme"] == scheme]

    @property
    def schemes(self) -> list[str]:
        """The schemes simulated, in the order of NAMES."""
        found = {row["scheme"] for row in self.trace["rows"]}
        return [s for s in NAMES if s in found]

    @property
    def reference_db(self) -> float:
        return self.trace["reference_snr_db"]

    def at_reference(self, scheme: str) -> dict | None:
        """The row of a scheme at the run's reference SNR, None where that point is missing."""
        return next((row for row in self.of(scheme) if row["snr_db"] == self.reference_db), None)

    def share(self, scheme: str, column: str) -> float | None:
        """A column at the reference SNR relative to IQC's."""
        ours, base = self.at_reference(scheme), self.at_reference("iqc")
        return ours[column] / base[column] if ours and base and base[column] else None


def story(view) -> Story:
    """The story of a saved run."""
    return Story(json.loads(view.trace["trace.json"]), view.record["metrics"])


def finding(view) -> str:
    """The run in one sentence with its numbers."""
    return findings.headline(view.record["metrics"])


# ---- throughput

def throughput_figure(rows: Sequence[Mapping], schemes: Sequence[str], relative: bool, reference_db: float | None, mode: str, px: int) -> tuple[go.Figure, str]:
    """Throughput over SNR with its 90 % band, of IQC in per cent or in Gb/s; works on rows that are still coming in.

    rows  rows of sweep.csv in any order; a point counts once IQC has arrived there
    """
    fig, base, said = figure(mode, px), {r["snr_db"]: r["throughput_bps"] for r in rows if r["scheme"] == "iqc"}, []
    drawn = {s: curve for s in schemes if (curve := _curve(rows, s, base, relative))[0]}
    stated = {f"paper {s}": PAPER["throughput_ratio"][s] for s in ("deqc", "llrc")} if relative and set(schemes) == set(THREE) else {}
    shifts = _apart({s: curve[1][-1] for s, curve in drawn.items()} | {s: 100 * number for s, (number, _) in stated.items()},
                    max([max(curve[3]) for curve in drawn.values()] + [1e-9]), 17)
    for scheme, (x, y, low, high) in drawn.items():
        series(fig, x, y, NAMES[scheme], ROLES[scheme], low, high, "%{y:.0f} %" if relative else "%{y:.2f} Gb/s", shifts[scheme])
        said.append(f"{NAMES[scheme]} {y[-1]:.0f} %" if relative else f"{NAMES[scheme]} {y[-1]:.2f} Gb/s")
    for name, (number, text) in stated.items():
        paper_line(fig, 100 * number, text.replace("below", "<"), shifts[name])
    if reference_db is not None and len(base) > 1:
        limit_line(fig, reference_db, "compared here")
    ends = [min(base, default=0), max(base, default=1)]
    room = max(0.04 * (ends[1] - ends[0]), 0.5)
    fig.update_xaxes(title_text="SNR per antenna at the radio that hears a user best (dB)", range=[ends[0] - room, ends[1] + room])
    fig.update_yaxes(title_text="throughput, % of IQC" if relative else "throughput (Gb/s)", rangemode="tozero", ticksuffix=" %" if relative else "")
    fig.update_layout(height=int(23 * px), margin=dict(l=0, r=int(longest([*schemes]) * 0.6 * px), t=1.6 * px, b=0), hovermode="x unified")
    at = f" at {ends[1]:g} dB" if base else ""
    return fig, f"Throughput over SNR{', of IQC' if relative else ''}: {', '.join(said)}{at}."


def longest(schemes: Sequence[str]) -> int:
    """Letters of the longest name at the right, for the margin there."""
    return max(max(len(NAMES[s]) for s in schemes) + 1, 12)


def _curve(rows: Sequence[Mapping], scheme: str, base: Mapping[float, float], relative: bool) -> tuple[list[float], ...]:
    found = sorted((r for r in rows if r["scheme"] == scheme and (base.get(r["snr_db"], 0) > 0 or not relative)), key=lambda r: r["snr_db"])
    unit = [base[r["snr_db"]] / 100 if relative else 1e9 for r in found]
    columns = [[r[name] / u for r, u in zip(found, unit)] for name in ("throughput_bps", "throughput_low_bps", "throughput_high_bps")]
    return [r["snr_db"] for r in found], *columns


def _apart(values: Mapping[str, float], top: float, tall: float, least: float = 1.35) -> dict[str, float]:
    """How far up (rem) each name at the right end has to move so that no two lie on each other.

    top   the value at the top of the figure, which is `tall` rem high inside; least: rem between two names
    """
    placed, shifts = -10.0, {}
    for name, value in sorted(values.items(), key=lambda item: item[1]):
        want = value / top * tall
        placed = max(want, placed + least)
        shifts[name] = placed - want
    return shifts


# ---- the post beside this run

def against_paper_figure(this: Story, mode: str, px: int) -> tuple[go.Figure, str]:
    """Six shares of IQC: ours as bars, the post's as hollow diamonds."""
    fig, ink = figure(mode, px), INK[mode]
    names, values, words, roles, stated = [], [], [], [], []
    for key, what in WORDS.items():
        for scheme in ("deqc", "llrc"):
            value = this.metrics[key][scheme]
            names.append(f"{NAMES[scheme]} {what}")
            values.append(100 * (value or 0))
            words.append(f"<b>{percent(value, 1 if key != 'throughput_ratio' else 0)}</b>")
            roles.append(ROLES[scheme])
            stated.append(PAPER[key][scheme])
    bars(fig, names, values, [""] * len(names), roles, values, values)
    fig.add_scatter(x=[100 * number for number, _ in stated], y=names, mode="markers", hoverinfo="skip", cliponaxis=False,
                    marker=dict(symbol="diamond", size=0.8 * px, color=ink["page"], line=dict(color=ink["paper"], width=2)))
    for name, own, role, (_, text) in zip(names, words, roles, stated):
        place = dict(x=1, xref="paper", y=name, showarrow=False)
        fig.add_annotation(text=own, xanchor="right", xshift=4.4 * px, font=dict(color=ink[role], size=px), **place)
        fig.add_annotation(text=f"paper {text.replace('below', '<')}", xanchor="left", xshift=4.8 * px, font=dict(color=ink["paper"], size=0.875 * px), **place)
    fig.update_xaxes(range=[0, 100], title_text="share of IQC, which sends everything", ticksuffix=" %", tickvals=[0, 50, 100])
    fig.update_layout(margin=dict(l=0, r=11 * px, t=0.5 * px, b=0), height=2.1 * px * len(names) + 4 * px)
    said = "; ".join(f"{name} {value:.1f} %, paper {text}" for name, value, (_, text) in zip(names, values, stated))
    return fig, f"Share of IQC. {said}." + ("" if this.trace["is_post"] else " This scenario is not the one chosen to match the post.")


# ---- cost

def cost_figure(this: Story, what: str, mode: str, px: int) -> tuple[go.Figure, str]:
    """What each scheme costs: "fronthaul" in Gb/s, or "flops" per slot with the radios' part and the centre's part stacked."""
    fig, ink = figure(mode, px), INK[mode]
    schemes = [s for s in THREE if this.at_reference(s)]
    rows, names = [this.at_reference(s) for s in schemes], [NAMES[s] for s in schemes]
    if what == "fronthaul":
        total = [r["fronthaul_bps"] / 1e9 for r in rows]
        bars(fig, names, total, _with_share(total, "{:.1f} Gb/s"), [ROLES[s] for s in schemes], total, total)
        fig.update_xaxes(title_text="fronthaul from all radios (Gb/s)", range=[0, 1.5 * max(total)])
        return fig, "Fronthaul: " + ", ".join(f"{n} {v:.1f} Gb/s" for n, v in zip(names, total)) + "."
    parts = [[r[f"{part}_flops_per_slot"] / 1e9 for r in rows] for part in ("trp", "centre")]
    total = [a + b for a, b in zip(*parts)]
    fig.add_bar(y=names, x=parts[0], orientation="h", marker=dict(color=[ink[ROLES[s]] for s in schemes]), hovertemplate="radios %{x:.2f} GFLOP<extra></extra>")
    fig.add_bar(y=names, x=parts[1], orientation="h", hovertemplate="centre %{x:.2f} GFLOP<extra></extra>",
                marker=dict(color="rgba(0,0,0,0)", line=dict(color=[ink[ROLES[s]] for s in schemes], width=2),
                            pattern=dict(shape="/", size=6, solidity=0.25, fgcolor=[ink[ROLES[s]] for s in schemes])))
    for name, end, text, scheme in zip(names, total, _with_share(total, "{:.2f} GFLOP"), schemes):
        fig.add_annotation(x=end, y=name, text=text, showarrow=False, xanchor="left", xshift=px / 2, font=dict(size=px, color=ink[ROLES[scheme]]))
    fig.update_xaxes(showgrid=True, gridcolor=ink["grid"], showline=False, range=[0, 1.5 * max(total)], title_text="PUSCH arithmetic per slot (GFLOP)")
    fig.update_yaxes(autorange="reversed", showgrid=False, showline=True, linecolor=ink["axis"], tickfont=dict(size=px, color=ink["text"]))
    fig.update_layout(barmode="stack", height=2.4 * px * len(names) + 4 * px)
    return fig, "Arithmetic per slot: " + ", ".join(f"{n} {a:.2f} at the radios and {b:.2f} GFLOP at the centre" for n, a, b in zip(names, *parts)) + "."


def _with_share(values: Sequence[float], form: str) -> list[str]:
    return [f"<b>{form.format(v)}</b>" + (f"  {percent(v / values[0], 1)}" if n and values[0] else "") for n, v in enumerate(values)]


def pareto_figure(this: Story, mode: str, px: int) -> tuple[go.Figure, str]:
    """Throughput against fronthaul, both of IQC: every scheme of the run, and DEQC with more or fewer streams from the regime map."""
    fig, ink = figure(mode, px), INK[mode]
    line = _more_streams(this)
    if line:
        fig.add_scatter(x=[100 * p["fronthaul_ratio"] for p in line], y=[100 * p["ratio"] for p in line], mode="lines+markers+text",
                        line=dict(color=ink["ours"], width=px / 10, dash="dot"), marker=dict(size=px / 2, color=ink["page"], line=dict(color=ink["ours"], width=1.6)),
                        text=[f"{p['streams']}" for p in line], textposition="top center", textfont=dict(color=ink["ours"], size=0.8 * px),
                        hovertemplate="DEQC, %{text} streams: %{y:.0f} % on %{x:.0f} %<extra></extra>")
    said, there = [], {s: (this.share(s, "fronthaul_bps"), this.share(s, "throughput_bps")) for s in this.schemes}
    shifts = _apart({s: 100 * y for s, (_, y) in there.items() if y is not None}, 112, 19, 1.15)
    for scheme, (x, y) in there.items():
        if x is None or y is None:
            continue
        role = ROLES[scheme]
        fig.add_scatter(x=[100 * x], y=[100 * y], mode="markers", marker=dict(size=0.8 * px, color=ink[role], symbol="square" if scheme == "iqc" else "circle"),
                        hovertemplate=f"{NAMES[scheme]}: %{{y:.0f}} % on %{{x:.1f}} %<extra></extra>")
        away = (-1.2 if scheme == "iqc" else 1.2 + 3 * (shifts[scheme] > 0.3)) * px
        fig.add_annotation(x=100 * x, y=100 * y, text=f"<b>{NAMES[scheme]}</b>", ax=away, ay=-shifts[scheme] * px, xanchor="right" if scheme == "iqc" else "left",
                           arrowhead=0, arrowwidth=1, arrowcolor=ink["axis"], font=dict(color=ink["muted" if role == "rest" else role], size=0.9 * px))
        said.append(f"{NAMES[scheme]} {percent(y)} on {percent(x, 1)}")
    for scheme, (number, _) in PAPER["throughput_ratio"].items():
        fig.add_scatter(x=[100 * PAPER["fronthaul_ratio"][scheme][0]], y=[100 * number], mode="markers", hovertemplate=f"paper, {NAMES[scheme]}<extra></extra>",
                        marker=dict(symbol="diamond-open", size=0.85 * px, color=ink["paper"], line=dict(width=2)))
    widest = max([x for x, _ in there.values() if x is not None] + [p["fronthaul_ratio"] for p in line] + [1.0])
    fig.update_xaxes(title_text="fronthaul, % of IQC (further left is cheaper)", range=[0, 106 * widest], ticksuffix=" %")
    fig.update_yaxes(title_text="throughput, % of IQC", range=[0, 112], ticksuffix=" %")
    fig.update_layout(height=24 * px, margin=dict(l=0, r=px, t=px, b=0), hovermode="closest")
    return fig, "Throughput against fronthaul, of IQC: " + ", ".join(said) + "."


def _more_streams(this: Story) -> list[dict]:
    """DEQC's ratio over streams per radio at this run's own angular spread."""
    regime = this.trace.get("regime")
    if not regime:
        return []
    own = min(range(len(regime["spreads_deg"])), key=lambda k: abs(regime["spreads_deg"][k] - this.trace["angular_spread_deg"]))
    return [dict(streams=s, ratio=r, fronthaul_ratio=f) for s, r, f in zip(regime["streams"], regime["ratio"][own], regime["fronthaul_ratio"]) if r is not None]


# ---- where it holds, and what the post does not tell

def regime_figure(this: Story, mode: str, px: int) -> tuple[go.Figure, str]:
    """DEQC's share of IQC's throughput over angular spread and streams per radio; this run's own cell is framed."""
    regime, ink, fig = this.trace["regime"], INK[mode], figure(mode, px)
    spreads, streams, colours = regime["spreads_deg"], regime["streams"], SEQUENTIAL[mode]
    values = [[None if v is None else 100 * v for v in row] for row in regime["ratio"]]
    fig.add_heatmap(z=values, x=list(range(len(streams))), y=list(range(len(spreads))), zmin=0, zmax=110, showscale=False, xgap=2, ygap=2,
                    colorscale=[[k / (len(colours) - 1), c] for k, c in enumerate(colours)], hoverinfo="skip")
    for j, row in enumerate(values):
        for i, value in enumerate(row):
            light = (value or 0) > 52 if mode == "light" else (value or 0) < 68
            fig.add_annotation(x=i, y=j, text="?" if value is None else f"{value:.0f} %", showarrow=False, font=dict(size=px, color="#FFFFFF" if light else "#0B1114"))
    if this.trace["streams_per_trp"] in streams and this.trace["angular_spread_deg"] in spreads:
        i, j = streams.index(this.trace["streams_per_trp"]), spreads.index(this.trace["angular_spread_deg"])
        fig.add_shape(type="rect", x0=i - 0.48, x1=i + 0.48, y0=j - 0.46, y1=j + 0.46, line=dict(color=ink["text"], width=3))
    ticks = [f"{s}<br>{percent(f)} of the bits" for s, f in zip(streams, regime["fronthaul_ratio"])]
    fig.update_xaxes(title_text="streams each radio forwards, and what they cost of IQC’s fronthaul", tickvals=list(range(len(streams))), ticktext=ticks, showline=False)
    fig.update_yaxes(title_text="angular spread of the rays", tickvals=list(range(len(spreads))), ticktext=[f"{s:g}°" for s in spreads], showgrid=False)
    fig.update_layout(height=int((2.8 * len(spreads) + 6) * px), margin=dict(l=0, r=0, t=0.5 * px, b=0))
    flat = [(v, s, d) for d, row in zip(regime["spreads_deg"], regime["ratio"]) for s, v in zip(regime["streams"], row) if v is not None]
    low, high = min(flat), max(flat)
    return fig, f"DEQC's share of IQC: from {percent(low[0])} ({low[1]} a radio, {low[2]:g}°) to {percent(high[0])} ({high[1]} a radio, {high[2]:g}°)."


def forms_figure(this: Story, mode: str, px: int) -> tuple[go.Figure, str]:
    """Arithmetic of DEQC and LLRC, of IQC counted the same way, with the MMSE weights formed over antennas and over layers."""
    forms = this.trace["forms"]
    names, values, roles = [], [], []
    for form, words in (("antenna", "over antennas"), ("layer", "over layers")):
        for scheme in ("deqc", "llrc"):
            names.append(f"{NAMES[scheme]}, weights {words}")
            values.append(100 * forms[form][scheme]["flops"] / forms[form]["iqc"]["flops"])
            roles.append(ROLES[scheme])
    fig = figure(mode, px)
    bars(fig, names, values, [f"<b>{v:.1f} %</b>" for v in values], roles, values, values)
    limit_line(fig, 100, "IQC in the same form")
    fig.update_xaxes(range=[0, 1.25 * max(100, *values)], title_text="PUSCH arithmetic, % of IQC in the same form", ticksuffix=" %")
    fig.update_layout(margin=dict(l=0, r=2 * px, t=1.6 * px, b=0))
    return fig, "Arithmetic of IQC in the same form: " + ", ".join(f"{n} {v:.1f} %" for n, v in zip(names, values)) + "."


def choice_figure(this: Story, mode: str, px: int) -> tuple[go.Figure, str]:
    """Throughput of every way to choose what is forwarded, at the reference SNR, with the fronthaul it takes."""
    fig, found = figure(mode, px), [(s, this.share(s, "throughput_bps")) for s in this.schemes if s != "iqc"]
    found = sorted(((s, v) for s, v in found if v is not None), key=lambda item: -item[1])
    base = this.at_reference("iqc")["throughput_bps"] if this.at_reference("iqc") else 1
    low, high = ([100 * this.at_reference(s)[f"throughput_{end}_bps"] / base for s, _ in found] for end in ("low", "high"))
    names, values = [NAMES[s] for s, _ in found], [100 * v for _, v in found]
    words = [f"<b>{v:.0f} %</b>  on {percent(this.share(s, 'fronthaul_bps'), 1)} of the bits" for (s, _), v in zip(found, values)]
    bars(fig, names, values, words, [ROLES[s] for s, _ in found], low, high)
    fig.update_xaxes(range=[0, 1.75 * max([*high, 40])], title_text=f"throughput at {this.reference_db:g} dB, % of IQC", ticksuffix=" %")
    fig.update_layout(margin=dict(l=0, r=px, t=0.5 * px, b=0))
    return fig, "Throughput of IQC: " + ", ".join(f"{n} {v:.0f} %" for n, v in zip(names, values)) + "."


def streams_figure(this: Story, mode: str, px: int) -> tuple[go.Figure, str]:
    """DEQC's throughput and fronthaul of IQC over the streams a radio forwards, at this run's own angular spread."""
    line, fig, ink = _more_streams(this), figure(mode, px), INK[mode]
    x = [p["streams"] for p in line]
    series(fig, x, [100 * p["ratio"] for p in line], "throughput", "ours", hover="%{y:.1f} %")
    series(fig, x, [100 * p["fronthaul_ratio"] for p in line], "fronthaul", "second", hover="%{y:.1f} %")
    fig.add_hline(100, line=dict(color=ink["reference"], width=1.2))
    fig.add_annotation(x=0, xref="paper", y=100, text="IQC", showarrow=False, xanchor="left", yanchor="bottom", font=dict(color=ink["reference"], size=0.875 * px))
    fig.update_xaxes(title_text="streams each radio forwards", tickvals=x, range=[min(x) - 0.2, max(x) + 0.2])
    fig.update_yaxes(title_text="DEQC, % of IQC", ticksuffix=" %", range=[0, 118])
    fig.update_layout(height=16 * px, margin=dict(l=0, r=7 * px, t=px, b=0))
    return fig, "DEQC of IQC: " + ", ".join(f"{p['streams']} a radio {percent(p['ratio'], 1)} of the throughput on {percent(p['fronthaul_ratio'])} of the fronthaul" for p in line) + "."


# ---- words

def untold(this: Story) -> list[tuple[int, tuple[str, str]]]:
    """The findings that this run has numbers for, with their places 0 to 2."""
    every = (findings.weights(this.trace), findings.sufficient(this.trace), findings.choice(this.trace))
    return [(number, found) for number, found in enumerate(every) if found]


def curve_words(this: Story) -> str:
    """What the curves say, with the range over SNR."""
    shares = [r["throughput_bps"] / b["throughput_bps"] for r, b in zip(this.of("deqc"), this.of("iqc")) if b["throughput_bps"] and r["snr_db"] == b["snr_db"]]
    return f"Over SNR DEQC keeps between {percent(min(shares))} and {percent(max(shares))} of IQC" if shares else "Nothing comes through at these SNR"


def paper_words(this: Story) -> str:
    """The heading over the six figures."""
    return f"The post’s six figures beside this run, at {this.reference_db:g} dB"


def cost_words(this: Story, what: str) -> str:
    """The heading of a cost figure."""
    if what == "fronthaul":
        base = this.at_reference("iqc")
        return f"Fronthaul: IQC {base['fronthaul_bps'] / 1e9:.0f} Gb/s, DEQC {percent(this.share('deqc', 'fronthaul_bps'))} of it" if base else "Fronthaul"
    form = this.trace["scenario"]["radio"]["weight_form"]
    return f"Arithmetic over {form}s: DEQC {percent(this.share('deqc', 'flops_per_slot'))} of IQC"


def regime_words(this: Story) -> str:
    """The heading of the regime map."""
    flat = [v for row in this.trace["regime"]["ratio"] for v in row if v is not None]
    return f"DEQC keeps {percent(min(flat))} to {percent(max(flat))} of IQC: it depends on the scenario" if flat else "No cell of the map could be computed"


STAGES = {"curve": "Swept the SNR", "regime map": "Mapped the regimes", "moving users": "Let users walk", "files": "Wrote the files", "total": "In all"}


def method(this: Story) -> str:
    """How the link is simulated, in a few sentences with this run's settings."""
    radio, scene = this.trace["scenario"]["radio"], this.trace["scenario"]
    fading = f"{radio['rays']} rays over {radio['angular_spread_deg']:g}° a user" if radio["channel"] == "geometric" else "independent Rayleigh fading"
    return (f"{len(scene['trps'])} radios × {scene['trps'][0]['antennas']} antennas, {sum(u['layers'] for u in scene['ues'])} layers, {2 ** radio['qam_bits']}-QAM, {fading}, "
            f"users power-controlled to the radio that hears them best. Channels are estimated from {radio['dmrs_symbols']} DMRS symbols; IQ travel with {radio['iq_bits']} bits, "
            f"streams with {radio['stream_bits']}, soft bits with {radio['llr_bits']}. Throughput is what a code with a margin would carry given the soft bits as they are. "
            "Not modelled: clock and frequency offsets between radios, contaminated pilots, retransmissions, interference from outside.")


FORMULAS = {
    "mmse": ("Joint MMSE in its layer form, its predicted SINR and the unbiased symbol",
             r"A=(H^{H}R^{-1}H+I)^{-1},\quad \hat x=A\,H^{H}R^{-1}y,\quad \mathrm{SINR}_k=\tfrac{1}{A_{kk}}-1,\quad x_k=\tfrac{\hat x_k}{1-A_{kk}}"),
    "subspace": ("DEQC: radio m whitens, keeps its Ls strongest left singular vectors and sends them; the centre joins all radios by MMSE",
                 r"R_m^{-1/2}H_m=U\Sigma V^{H},\quad z_m=U_{1..L_s}^{H}R_m^{-1/2}y_m,\quad L_s=L\Rightarrow z_m\ \text{is a sufficient statistic}"),
    "llr": ("LLRC: soft bits of every radio, added and saturated", r"\ell_{b}=\sum_m \tfrac{1}{\sigma_m^2}\Big(\min_{s\in S_1}|x_m-s|^2-\min_{s\in S_0}|x_m-s|^2\Big)"),
    "fronthaul": ("Fronthaul, bits per slot: M radios of Nr antennas, Ls streams, L layers, D of S = 14 symbols carry data",
                  r"\begin{aligned}\mathrm{IQC}&=M N_r S\,(2N_{sc}b_{iq}+8\,\mathrm{PRB})\\ \mathrm{DEQC}&=M L_s D\,(2N_{sc}b_{eq}+8\,\mathrm{PRB})+"
                  r"M\tfrac{\mathrm{PRB}}{2}(2L_sL+L_s^2)\,16\\ \mathrm{LLRC}&=M L_s D\,N_{sc}Q_m b_{llr}\end{aligned}"),
    "flops": ("Arithmetic, real operations per slot, N = M Nr",
              r"\begin{aligned}\mathrm{IQC}&=CE+W(N)+EQ(N,L)+DEMAP+LDPC\\ \mathrm{DEQC}&=CE+M\,W(N_r)+M\,EQ(N_r,L_s)+W(ML_s)+EQ(ML_s,L)+DEMAP+LDPC\\ "
              r"\mathrm{LLRC}&=CE+M\,W(N_r)+M\,EQ(N_r,L_s)+M\,DEMAP(L_s)+adds+LDPC\end{aligned}"),
    "weights": ("The weights, one set per G subcarriers, over antennas or over layers",
                r"W_{\mathrm{antenna}}=\tfrac{N_{sc}}{G}\left(4N^2L+\tfrac43N^3+8N^2L\right),\qquad W_{\mathrm{layer}}=\tfrac{N_{sc}}{G}\left(4NL^2+\tfrac43L^3+8NL^2\right)"),
    "fairness": ("Proportional fairness: serve who has the best rate against their own average; fairness after Jain",
                 r"\max\sum_u \frac{r_u}{\bar R_u},\qquad J=\frac{(\sum_u \bar R_u)^2}{U\sum_u \bar R_u^2}"),
    "outer_loop": ("Outer loop: the SINR margin moves on every ACK and NACK so that the error rate settles at its target",
                   r"\Delta\leftarrow\Delta+\delta\ (\mathrm{ACK}),\qquad \Delta\leftarrow\Delta-\delta\,\tfrac{1-\epsilon}{\epsilon}\ (\mathrm{NACK})"),
}
"""Formulas by name: words, LaTeX."""


# ---- what every exhibit brings

def comparison(a, b, mode: str, px: int):
    """Two runs for the compare view: ((figure, alt), (figure, alt), [(words, value)])."""
    one, two = story(a), story(b)
    drawn = [throughput_figure(s.rows, [x for x in THREE if x in s.schemes], True, s.reference_db, mode, px) for s in (one, two)]
    between = [("DEQC of IQC, left", percent(one.share("deqc", "throughput_bps"))), ("DEQC of IQC, right", percent(two.share("deqc", "throughput_bps")))]
    top, base = two.at_reference("iqc"), one.at_reference("iqc")
    if top and base and base["throughput_bps"]:
        between.append(("IQC, right ÷ left", f"{top['throughput_bps'] / base['throughput_bps']:.2f}×"))
        between.append(("fronthaul, right ÷ left", f"{two.at_reference('deqc')['fronthaul_bps'] / one.at_reference('deqc')['fronthaul_bps']:.2f}×"))
    return drawn[0], drawn[1], between


def report(view) -> str:
    """The result part of the one-page report: the body of the run's own report.html."""
    page = view.files["report.html"].decode()
    return page[page.index("<!--result-->"):page.index("<!--end-->")]
