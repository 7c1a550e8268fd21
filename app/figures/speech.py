"""Figures of the speech exhibit: takes for the player, measures side by side, quality against cost; pure functions of a saved run."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from scipy.optimize import isotonic_regression

from app.figures.style import INK, SEQUENTIAL, figure

ROLES = {"ours": "ours", "noisy": "rest", "clean": "reference"}
MEASURES = {"si_sdr": ("SI-SDR", " dB", 1), "pesq": ("PESQ", "", 2), "estoi": ("ESTOI", "", 2), "ovrl": ("DNSMOS overall", "", 2), "sig": ("DNSMOS speech", "", 2),
            "bak": ("DNSMOS background", "", 2), "lsd_high": ("Distance above 8 kHz", " dB", 1)}
"""Key -> name, unit, digits; the last one is better when lower."""
LOWER = {"lsd_high"}
STAGES = {"open": "Opened the file", "spoil": "Spoilt the clean recording", "restore": "Restored", "peers": "Ran the other tools", "measure": "Measured",
          "pictures": "Drew the spectrograms", "latents": "Tried other latents",
          "files": "Wrote the files", "total": "In all"}


@dataclass(frozen=True)
class Clip:
    """One recording of a run: its entry in trace.json, and the run's trace and files."""

    told: dict
    trace: Mapping[str, bytes]

    @property
    def takes(self) -> list[dict]:
        return self.told["takes"]

    def take(self, key: str) -> dict | None:
        """A take by its key, None where it was not made."""
        return next((t for t in self.takes if t["key"] == key), None)

    def value(self, key: str, measure: str) -> float | None:
        """A measure of a take, None where it could not be taken."""
        take = self.take(key)
        return take["measures"].get(measure) if take else None


def stems(view) -> list[str]:
    """The recordings of a run, in order."""
    return list(json.loads(view.trace["trace.json"])["clips"])


def clip(view, stem: str) -> Clip:
    """One recording of a saved run."""
    return Clip(json.loads(view.trace["trace.json"])["clips"][stem], view.trace)


def finding(view) -> str:
    """The run in one sentence with its numbers."""
    first = clip(view, stems(view)[0])
    rtf = first.take("ours")["rtf"]
    before, after = first.value("noisy", "si_sdr"), first.value("ours", "si_sdr")
    cost = f"in {rtf:.2f} s a second" if rtf >= 0.095 else f"in {1000 * rtf:.0f} ms a second"
    if before is not None and after is not None:
        change = f"{after - before:+.1f}".replace("-", "\u2212")
        return f"{change} dB SI-SDR, {cost} of sound"
    before, after = first.value("noisy", "ovrl"), first.value("ours", "ovrl")
    return f"DNSMOS {before:.2f} became {after:.2f}, {cost} of sound" if before is not None and after is not None else f"Restored {cost} of sound"


# ---- the player

@lru_cache
def _palette() -> bytes:
    colours = [[int(c[i:i + 2], 16) for i in (1, 3, 5)] for c in ("#0B1114", *SEQUENTIAL["dark"])]
    places, full = np.linspace(0, 1, len(colours)), np.linspace(0, 1, 256)
    return np.stack([np.interp(full, places, channel) for channel in np.array(colours).T], 1).round().astype(np.uint8).tobytes()


def coloured(grey_png: bytes) -> str:
    """A grey spectrogram in the studio's one hue on a dark ground, as a data address."""
    image = Image.open(io.BytesIO(grey_png))
    image.putpalette(_palette())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def player_story(view, stem: str) -> dict:
    """What the sound player needs of one recording."""
    this = clip(view, stem)
    tracks = [dict(key=t["key"], name=t["name"], role=t["key"], words=_words(t), picture=coloured(this.trace[t["picture"]]),
                   sound="data:audio/flac;base64," + base64.b64encode(this.trace[t["sound"]]).decode()) for t in this.takes]
    return dict(id=f"{view.id}:{stem}:{view.record['created']}", seconds=this.told["excerpt_s"][1] - this.told["excerpt_s"][0], top_hz=24_000, tracks=tracks, left="noisy", right="ours",
                alt=f"Spectrograms before and after. {measures_words(this)}")


def _words(take: Mapping) -> str:
    best = next(((key, take["measures"][key]) for key in ("si_sdr", "ovrl") if take["measures"].get(key) is not None), None)
    if best is None:
        return ""
    name, unit, digits = MEASURES[best[0]]
    return f"{best[1]:.{digits}f} dB" if unit else f"{name.split()[0]} {best[1]:.{digits}f}"


def measures_words(this: Clip) -> str:
    """Ours against the input in words."""
    said = []
    for key, (name, unit, digits) in MEASURES.items():
        before, after = this.value("noisy", key), this.value("ours", key)
        if before is not None and after is not None:
            said.append(f"{name} {before:.{digits}f} to {after:.{digits}f}{unit}")
    return ", ".join(said) + "." if said else ""


# ---- measures

NARROW, EDGE = 20.0, 0.03
"""Width in rem that names are set for, and the share of the axis left free at either end of a line."""
TAG, LANE, LETTER = 0.75, 1.0, 0.52
"""Size of a name in rem, height of a lane of names in rem, width of a letter in sizes."""
SYMBOLS = {"ours": "circle", "noisy": "x-thin", "clean": "square"}


@dataclass(frozen=True)
class Tag:
    """A name under a mark: its place on the line (0 to 1), the text, the side it is anchored at ("left" where it would leave the figure there), the lane."""

    x: float
    text: str
    anchor: str
    lane: int

    def span(self, width: float) -> tuple[float, float]:
        """Left and right end in rem on a figure of this width in rem."""
        long, at = LETTER * TAG * len(self.text), (self.x + EDGE) / (1 + 2 * EDGE) * width
        left = at - {"left": 0.0, "center": 0.5, "right": 1.0}[self.anchor] * long
        return left, left + long


def lanes(names: Sequence[tuple[float, str]], width: float = NARROW) -> list[Tag]:
    """Names by their places, those of one place as one text, each in the first lane where it is clear of the others at this width in rem (and so at any larger)."""
    merged: dict[float, list[str]] = {}
    for x, name in sorted(names):
        near = next((at for at in merged if abs(at - x) * width < 0.3), x)
        merged.setdefault(near, []).append(name)
    placed: list[Tag] = []
    for x, texts in merged.items():
        tag = Tag(x, ", ".join(texts), "center", 0)
        tag = replace(tag, anchor="left" if tag.span(width)[0] < 0 else "right" if tag.span(width)[1] > width else "center")
        left = tag.span(width)[0]
        busy = {other.lane for other in placed if other.span(width)[1] + 0.5 > left}
        placed.append(replace(tag, lane=next(lane for lane in range(len(placed) + 1) if lane not in busy)))
    return placed


def measures_figure(this: Clip, mode: str, px: int) -> tuple[go.Figure, str]:
    """Every measure as a line of its own: each take a mark between the worst (left) and the best of them, ours filled, its value beside the measure's name.

    One unit of the y axis is one rem. Names stand under their marks, in lanes where they would meet.
    """
    fig, ink, y = figure(mode, px), INK[mode], 0.0
    for key, (name, unit, digits) in MEASURES.items():
        values = {t["key"]: t["measures"][key] for t in this.takes if t["measures"].get(key) is not None}
        if len(values) < 2:
            continue
        at, line = _places(values, key in LOWER), y + 2.1
        _heading(fig, y + 0.75, name, f"{values['ours']:.{digits}f}{unit}" if "ours" in values else "", key in LOWER)
        fig.add_shape(type="line", x0=0, x1=1, y0=line, y1=line, line=dict(color=ink["grid"], width=2), layer="below")
        for k, v in values.items():
            colour = ink[ROLES.get(k, "rest")]
            fig.add_scatter(x=[at[k]], y=[line], mode="markers", hovertemplate=f"{this.take(k)['name']}: {v:.{digits}f}{unit}<extra></extra>",
                            marker=dict(size=px if k == "ours" else 0.75 * px, color=colour if k in ROLES else "rgba(0,0,0,0)", line=dict(color=colour, width=2),
                                        symbol=SYMBOLS.get(k, "circle")))
        tags = lanes([(at[k], _short(this.take(k)["name"])) for k in values if k != "ours"])
        for tag in tags:
            fig.add_annotation(x=tag.x, y=line + 1.05 + LANE * tag.lane, text=escape(tag.text), showarrow=False, xanchor=tag.anchor, borderpad=0,
                               font=dict(size=TAG * px, color=ink["muted"]))
        y = line + 1.05 + LANE * (max((tag.lane for tag in tags), default=0) + 1)
    fig.update_yaxes(visible=False, range=[max(y, 1.0), 0])
    fig.update_xaxes(visible=False, range=[-EDGE, 1 + EDGE])
    fig.update_layout(height=int(max(y, 1.0) * px), margin=dict(l=0, r=0, t=0, b=0), hovermode="closest")
    return fig, measures_words(this)


def _places(values: Mapping[str, float], lower: bool) -> dict[str, float]:
    """0 for the worst value to 1 for the best."""
    signed = {k: -v if lower else v for k, v in values.items()}
    worst, best = min(signed.values()), max(signed.values())
    return {k: (v - worst) / ((best - worst) or 1) for k, v in signed.items()}


def _heading(fig: go.Figure, y: float, name: str, ours: str, lower: bool) -> None:
    """A measure's name with our value, above its line."""
    mode, px = fig.layout.meta["mode"], fig.layout.meta["px"]
    ink = INK[mode]
    more = f" <span style='color:{ink['muted']};font-size:{TAG * px}px'>lower is better</span>" if lower else ""
    text = f"{name}  <b><span style='color:{ink['ours']}'>{ours}</span></b>{more}"
    fig.add_annotation(x=0, xref="paper", y=y, text=text, showarrow=False, xanchor="left", borderpad=0, font=dict(size=px, color=ink["text"]))


def _short(name: str) -> str:
    return {"As it was": "before", "Clean": "clean"}.get(name, name)


def measures_table(this: Clip) -> list[dict]:
    """One row per take with every measure, for the engineer."""
    return [{"Take": t["name"]} | {name: t["measures"].get(key) for key, (name, *_) in MEASURES.items()} | {"s per second of sound": t["rtf"]} for t in this.takes]


# ---- what a latent keeps

DESIGNS = {"KLT start": ("klt", True), "No hidden connections": ("klt", False), "Random start": ("random", True)}
DESIGN_WORDS = {
    "KLT start": "Starts as a linear transform (KLT) and learns on from there: our addition. Encoder, decoder and hidden connections follow the post.",
    "No hidden connections": "The same training, but the decoder sees nothing of the recording beside the latent. The post has these connections.",
    "Random start": "Starts from random weights, as usual, with the same training. The post does not state its width.",
}
PATCH_NUMBERS = 32
"""Real numbers of a patch of 4 by 4 points of the spectrogram."""


def latent_rows(this: Clip, design: str) -> dict[int, dict]:
    """What was tried of a design, by width; empty for a run without it."""
    start, hidden = DESIGNS[design]
    found = [row for row in (this.told.get("latents") or {}).get("rows", ()) if (row["start"], row["hidden"]) == (start, hidden)]
    return {row["latent"]: row for row in sorted(found, key=lambda row: row["latent"])}


def latent_words(this: Clip, row: Mapping) -> str:
    """What is kept against what there was, and what comes back, in one sentence."""
    numbers, samples = row["numbers_per_second"], this.told["latents"]["samples_per_second"]
    against = {0.5: "half the samples", 1.0: "as many as samples", 2.0: "twice the samples"}.get(numbers / samples, f"{numbers / samples:.2g} times the samples")
    return f"{numbers:,} numbers a second, {against}: {_decibels(row['si_sdr'])} SI-SDR"


def _decibels(value: float) -> str:
    return f"{value:.1f} dB".replace("-", "\u2212")


def latent_story(view, this: Clip, row: Mapping) -> dict:
    """What the sound player needs: what went into the latent, what came out of it, and the recording that the hidden connections see."""
    told = this.told["latents"]
    known = "clean" in told["came"]
    tracks = [_latent_track(this, "before", "Clean, as it went in" if known else "As it went in", "clean", told["came"]["clean" if known else "noisy"]),
              _latent_track(this, "after", f"Through {row['latent']} numbers", "ours", row, _decibels(row["si_sdr"]))]
    tracks += [_latent_track(this, "noisy", "Recording", "noisy", told["came"]["noisy"])] if known else []
    return dict(id=f"{view.id}:{row['sound']}:{view.record['created']}", seconds=told["seconds"], top_hz=24_000, tracks=tracks, left="before", right="after",
                alt=f"Spectrograms before and after a latent {row['latent']} numbers wide. {latent_words(this, row)}.")


def _latent_track(this: Clip, key: str, name: str, role: str, at: Mapping, words: str = "") -> dict:
    sound = "data:audio/flac;base64," + base64.b64encode(this.trace[at["sound"]]).decode()
    return dict(key=key, name=name, role=role, words=words, picture=coloured(this.trace[at["picture"]]), sound=sound)


def latent_table(this: Clip, design: str, latent: int) -> str:
    """Every design and width on this recording as a Markdown table, the chosen one in bold: SI-SDR, and the distance above 8 kHz."""
    widths = list(latent_rows(this, design))
    lines = ["| SI-SDR (distance above 8 kHz), dB | " + " | ".join(str(width) for width in widths) + " |", "|:--|" + "--:|" * len(widths)]
    for name in DESIGNS:
        found = latent_rows(this, name)
        values = [f"{found[w]['si_sdr']:.1f} ({found[w]['lsd_high']:.2f})".replace("-", "\u2212") if w in found else "" for w in widths]
        lines.append(f"| {name} | " + " | ".join(f"**{value}**" if (name, w) == (design, latent) else value for w, value in zip(widths, values)) + " |")
    return "\n".join(lines)


def latent_source_words(this: Clip) -> str:
    """Whose latent is heard, and of which seconds."""
    told = this.told["latents"]
    whose = ("The clean recording is known: its latent is decoded, with the hidden connections of the noisy one. This is the most that restoration could reach."
             if "clean" in told["came"] else "No clean recording is known: this is the latent of the recording itself, noise and all.")
    return f"{whose} Nothing is restored here. The loudest {round(told['seconds'], 1):g} s, from {told['start_s']:.1f} s on."


# ---- quality against cost, from the recorded bench

LANE_S = 0.2
"""Where the names of the cost figure stand: dearer than everything that is measured, cheaper than real time."""
NOTHING_S = 1e-4
"""Whatever takes less is no tool but the input itself."""


def cost_figure(rows: Sequence[Mapping], measure: str, mode: str, px: int) -> tuple[go.Figure, str]:
    """Quality over seconds of computing per second of sound: our sizes, steps and shifts, the other tools; the input and real time as lines.

    rows  recorded rows with name, rtf, family ("ours" or a rival) and the measures
    """
    fig, ink = figure(mode, px), INK[mode]
    rows = [r for r in rows if r.get(measure) is not None and r.get("rtf")]
    tools, inputs = ([r for r in rows if (r["rtf"] >= NOTHING_S) == dear] for dear in (True, False))
    named = []
    for family in dict.fromkeys(r["family"] for r in tools):
        part = sorted((r for r in tools if r["family"] == family), key=lambda r: r["rtf"])
        role = "ours" if family.startswith("ours") else "rest"
        fig.add_scatter(x=[r["rtf"] for r in part], y=[r[measure] for r in part], mode="lines+markers" if role == "ours" else "markers",
                        text=[r["name"] for r in part], hovertemplate="%{text}: %{y:.2f} at %{x:.3f} s<extra></extra>",
                        marker=dict(size=0.7 * px, color=ink[role]), line=dict(color=ink[role], width=1.5, dash="dot"))
        if role == "rest" or len(part) > 1:
            named.append((part[-1], ink["muted" if role == "rest" else role]))
    values = [r[measure] for r in rows]
    low, high = min(values, default=0), max(values, default=1)
    span = (high - low) or 1
    places = _apart([r[measure] for r, _ in named], 0.075 * span)
    for (row, colour), y in zip(named, places):
        brief = row["name"].removeprefix("ours ").replace(" averaged", "").removesuffix(", 1 step")
        fig.add_annotation(x=np.log10(row["rtf"]), y=row[measure], ax=np.log10(LANE_S), ay=y, axref="x", ayref="y", text=brief, xanchor="left", showarrow=True, arrowhead=0,
                           arrowwidth=1, arrowcolor=ink["grid"], standoff=0.4 * px, font=dict(size=0.85 * px, color=colour))
    for row in inputs:
        fig.add_hline(row[measure], line=dict(color=ink["muted"], width=1.2, dash="2px,3px"))
        fig.add_annotation(x=0, xref="paper", y=row[measure], text=row["name"], showarrow=False, xanchor="left", yanchor="bottom", font=dict(size=0.85 * px, color=ink["muted"]))
    fig.add_vline(1, line=dict(color=ink["muted"], width=1.2, dash="2px,3px"))
    fig.add_annotation(x=0, y=1, yref="paper", yanchor="bottom", text="real time", showarrow=False, font=dict(size=0.875 * px, color=ink["muted"]))
    least = min((r["rtf"] for r in tools), default=0.01)
    fig.update_xaxes(type="log", title_text="core seconds per second of sound, logarithmic", dtick=1, range=[np.log10(0.8 * least), 0.1])
    fig.update_yaxes(title_text=MEASURES[measure][0] + (MEASURES[measure][1] and f" ({MEASURES[measure][1].strip()})"),
                     range=[min([low, *places]) - 0.08 * span, max([high, *places]) + 0.08 * span])
    fig.update_layout(height=22 * px, margin=dict(l=0, r=px, t=1.6 * px, b=0), hovermode="closest")
    said = [f"{r['name']} {r[measure]:.2f}" + (f" at {r['rtf']:.3f} s" if r in tools else "") for r in rows]
    return fig, f"{MEASURES[measure][0]} against cost: " + ", ".join(said) + "."


def _apart(values: Sequence[float], gap: float) -> list[float]:
    """Places for names beside these values: in their order, at least `gap` from one another, as near to their values as that allows in the mean square."""
    order, steps, found = np.argsort(values, kind="stable"), gap * np.arange(len(values)), np.empty(len(values))
    if len(values):
        found[order] = isotonic_regression(np.asarray(values)[order] - steps).x + steps
    return found.tolist()


# ---- compare and report

def comparison(a, b, mode: str, px: int) -> tuple:
    """Two saved runs: ((figure, alt), (figure, alt), [(words, value)])."""
    one, two = clip(a, stems(a)[0]), clip(b, stems(b)[0])
    between = []
    for key, (name, unit, digits) in MEASURES.items():
        first, second = one.value("ours", key), two.value("ours", key)
        if first is not None and second is not None and len(between) < 3:
            between.append((f"{name}, right \u2212 left", f"{second - first:+.{digits}f}{unit}".replace("-", "\u2212")))
    between.append(("cost, right ÷ left", f"{two.take('ours')['rtf'] / max(one.take('ours')['rtf'], 1e-9):.2f}×"))
    return measures_figure(one, mode, px), measures_figure(two, mode, px), between


def report(view) -> str:
    """The result part of the one-page report: spectrograms before and after, every measure."""
    parts = []
    for stem in stems(view):
        this = clip(view, stem)
        pictures = "".join(f'<p>{escape(t["name"])}</p><img src="{coloured(this.trace[t["picture"]])}" alt="Spectrogram: {escape(t["name"])}" style="height:140px;width:100%">'
                           for t in this.takes if t["key"] in ("noisy", "ours"))
        head = "".join(f"<th>{escape(word)}</th>" for word in measures_table(this)[0])
        body = "".join("<tr>" + "".join(f"<td>{_number(value)}</td>" for value in row.values()) + "</tr>" for row in measures_table(this))
        parts.append(f"<h2>{escape(this.told['name'])}</h2>{pictures}<table><tr>{head}</tr>{body}</table>")
    return "".join(parts)


def _number(value) -> str:
    return escape(value) if isinstance(value, str) else "-" if value is None else f"{value:.3g}"
