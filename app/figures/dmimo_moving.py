"""Figures of the D-MIMO exhibit for users that move: serving radios along a walk, schedulers, link adaptation; pure functions of a saved run."""

import plotly.graph_objects as go

from app.figures.style import INK, bars, figure
from core.dmimo.findings import percent

SCHEDULERS = {
    "joint": ("Joint selection", "reference"), "two_stage": ("Two stages", "ours"), "orthogonal": ("Two stages, no SINR", "second"), "round_robin": ("In turn", "rest"),
    "single_cell": ("No group, each its own", "third"), "one_at_a_time": ("No pairing", "rest")}
ADAPTERS = {
    "genie": ("Knows the SINR", "reference"), "predicted": ("Predicts for the new radios", "ours"), "blind": ("Blind to the change", "third"),
    "measured": ("Takes the last block’s SINR", "rest")}


def walk_figure(this, mode: str, px: int) -> tuple[go.Figure, str]:
    """Which radios receive the user over time: a bar per stretch, a row per radio."""
    rows, about, ink, fig = this.trace["walk"]["rows"], this.trace["walk"]["about"], INK[mode], figure(mode, px)
    names = [f"Radio {m + 1}" for m in range(about["trps"])]
    step = rows[1]["time_s"] - rows[0]["time_s"] if len(rows) > 1 else 1.0
    for m, name in enumerate(names):
        spans = stretches([str(m + 1) in row["serving"].split("+") for row in rows])
        fig.add_bar(y=[name] * len(spans), base=[first * step for first, _ in spans], x=[(end - first) * step for first, end in spans], orientation="h", width=0.55,
                    marker=dict(color=ink["ours"], line_width=0), customdata=[end * step for _, end in spans],
                    hovertemplate=name + " from %{base:.1f} s to %{customdata:.1f} s<extra></extra>")
    fig.update_xaxes(title_text="time on the walk (s)", range=[0, len(rows) * step], showgrid=True, gridcolor=ink["grid"])
    fig.update_yaxes(categoryorder="array", categoryarray=names[::-1], showgrid=False, tickfont=dict(size=px, color=ink["text"]))
    fig.update_layout(barmode="overlay", height=int((2.0 * len(names) + 4) * px), margin=dict(l=0, r=px, t=0.5 * px, b=0))
    shares = ", ".join(f"{n} {percent(sum(str(m + 1) in r['serving'].split('+') for r in rows) / len(rows))}" for m, n in enumerate(names))
    return fig, f"Share of the walk for which each radio receives: {shares}."


def stretches(flags: list[bool]) -> list[tuple[int, int]]:
    """(first, end) of every run of True; end is one past the last."""
    edges = [i for i in range(1, len(flags)) if flags[i] != flags[i - 1]]
    bounds = [0, *edges, len(flags)]
    return [(a, b) for a, b in zip(bounds, bounds[1:]) if flags[a]]


def scheduler_figure(this, mode: str, px: int) -> tuple[go.Figure, str]:
    """Throughput of every scheduler on the same walk, with its weakest user and what it had to evaluate."""
    found = sorted(this.trace["schedulers"]["rows"], key=lambda r: -r["throughput_bps"])
    names, roles = zip(*(SCHEDULERS.get(r["scheduler"], (r["scheduler"], "rest")) for r in found))
    values = [r["throughput_bps"] / 1e9 for r in found]
    words = [f"<b>{v:.2f} Gb/s</b>  weakest {r['worst_user_bps'] / 1e6:.0f} Mb/s, {r['evaluations_per_step']:,.0f} SINRs" for v, r in zip(values, found)]
    fig = figure(mode, px)
    bars(fig, list(names), values, words, list(roles), values, values)
    fig.update_xaxes(title_text="throughput of all users (Gb/s)", range=[0, 1.9 * max(values)])
    fig.update_layout(margin=dict(l=0, r=px, t=0.5 * px, b=0))
    return fig, "Throughput: " + ", ".join(f"{n} {v:.2f} Gb/s" for n, v in zip(names, values)) + "."


def adaptation_figure(this, mode: str, px: int) -> tuple[go.Figure, str]:
    """Throughput of every link adapter, of one that knows the SINR."""
    found = this.trace["adaptation"]["rows"]
    names, roles = zip(*(ADAPTERS.get(r["adapter"], (r["adapter"], "rest")) for r in found))
    values = [100 * (r["throughput_ratio"] or 0) for r in found]
    words = [f"<b>{v:.0f} %</b>  {percent(r['bler'])} of blocks lost" + (f", keeps {percent(r['ratio_after_change'])} after a change" if r["ratio_after_change"] is not None and r["adapter"] != "genie" else "")
             for v, r in zip(values, found)]
    fig = figure(mode, px)
    bars(fig, list(names), values, words, list(roles), values, values)
    fig.update_xaxes(title_text="throughput, % of an adapter that knows the SINR", ticksuffix=" %", range=[0, 200], tickvals=[0, 25, 50, 75, 100])
    fig.update_layout(margin=dict(l=0, r=px, t=0.5 * px, b=0))
    return fig, "Throughput of an adapter that knows the SINR: " + ", ".join(f"{n} {v:.0f} %" for n, v in zip(names, values)) + "."


def words(this, key: str) -> tuple[str, str]:
    """Heading and small print of a part, with this run's numbers."""
    return _WORDS[key](this.trace[key])


def _walk_words(walk: dict) -> tuple[str, str]:
    about = walk["about"]
    return (f"Over {about['metres']:.0f} m of walking the receiving radios change {about['changes']} times",
            "Up to two radios receive this user, those within 10 dB of the strongest; one in use is kept until another is 3 dB better. Simulated random walk.")


def _scheduler_words(found: dict) -> tuple[str, str]:
    by = {r["scheduler"]: r for r in found["rows"]}
    two, every = by.get("two_stage"), by.get("joint")
    if not two or not every or not every["throughput_bps"] or not every["evaluations_per_step"]:
        return "Schedulers on the same walk", ""
    return (f"Two stages reach {percent(two['throughput_bps'] / every['throughput_bps'])} of joint selection with "
            f"{percent(two['evaluations_per_step'] / every['evaluations_per_step'])} of the work",
            f"All serve the same walk of {found['about']['seconds']:.0f} s with proportional fairness; SINRs: how many had to be evaluated a step. "
            "In turn looks at no channel. Simulated.")


def _adaptation_words(found: dict) -> tuple[str, str]:
    by = {r["adapter"]: r for r in found["rows"]}
    knows, blind = by["predicted"], by["blind"]
    return (f"Predicting for the radios that will receive keeps {percent(knows['throughput_ratio'])}, being blind to their change {percent(blind['throughput_ratio'])}",
            f"In {percent(knows['changed_share'])} of the blocks other radios receive than for the block before. Both correct themselves by ACK and NACK. "
            f"Simulated at {found['about']['speed_m_s']:g} m/s.")


_WORDS = {"walk": _walk_words, "schedulers": _scheduler_words, "adaptation": _adaptation_words}
PARTS = {"walk": walk_figure, "schedulers": scheduler_figure, "adaptation": adaptation_figure}
