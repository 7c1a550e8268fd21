"""The look of every figure: colours, shapes, template. Knows no paper and no Streamlit.

Show with st.plotly_chart(fig, theme=None, alt="what it shows, with its numbers", config={"displayModeBar": False}).
`px` is theme.baseFontSize, so a figure grows with the page.
"""

from collections.abc import Sequence

import plotly.graph_objects as go

FONT = "Atkinson Hyperlegible Next, Source Sans, sans-serif"
INK = {
    "light": dict(ours="#00707F", second="#2A2F8F", third="#7C1A42", reference="#171D20", rest="#839095", paper="#8F5600", fault="#A3241C",
                  text="#0B1114", muted="#4E5B60", grid="#DCE3E4", axis="#8A989D", page="#F8FAFA"),
    "dark": dict(ours="#4CC3D6", second="#9A8CF2", third="#F26A82", reference="#E6ECEE", rest="#5B6970", paper="#F0B04A", fault="#F26A5E",
                 text="#E6ECEE", muted="#9DABB0", grid="#232F34", axis="#5B6B72", page="#0E1518"),
}

SHAPE = {"ours": ("solid", "circle"), "second": ("dash", "diamond"), "third": ("dot", "triangle-up"), "reference": ("solid", "square"), "rest": ("dashdot", "x")}
"""The second cue beside colour: dash and marker."""
SEQUENTIAL = {
    "light": ("#EAF3F4", "#CFE4E7", "#AED2D7", "#86BCC4", "#5CA3AE", "#338A97", "#00707F", "#005B68", "#00454F", "#003038"),
    "dark": ("#0F2A30", "#113A42", "#144C56", "#185F6C", "#1D7483", "#248B9C", "#31A5B7", "#4CC3D6", "#86DCE8", "#C4F0F6"),
}
"""One hue (glass) for what is measured over a plane, from little to much; as chartSequentialColors in .streamlit."""


def tint(colour: str, opacity: float) -> str:
    """A hex colour as rgba with this opacity (0 to 1)."""
    red, green, blue = (int(colour[i:i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def template(mode: str, px: int) -> go.layout.Template:
    """The layout every figure starts from."""
    ink = INK[mode]
    small = dict(size=0.875 * px, color=ink["muted"])
    axis = dict(zeroline=False, ticks="", automargin=True, tickfont=small, title=dict(font=small, standoff=0.75 * px))
    hover = dict(font=dict(family=FONT, size=0.875 * px, color=ink["text"]), bgcolor=ink["page"], bordercolor=ink["axis"])
    return go.layout.Template(layout=dict(
        font=dict(family=FONT, size=px, color=ink["text"]), paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        showlegend=False, bargap=0.45, margin=dict(l=0, r=8 * px, t=px, b=0), hoverlabel=hover,
        xaxis=dict(axis, showgrid=False, showline=True, linecolor=ink["axis"]), yaxis=dict(axis, showgrid=True, gridcolor=ink["grid"])))


def figure(mode: str, px: int = 16) -> go.Figure:
    """An empty figure in the studio's look; mode and px travel in `fig.layout.meta`."""
    return go.Figure(layout=dict(template=template(mode, px), meta=dict(mode=mode, px=px)))


def bars(fig: go.Figure, names: list[str], values: list[float], words: list[str], roles: list[str], low: list[float], high: list[float]) -> None:
    """Horizontal bars, first on top: name on the left, value behind the bar, whisker from low to high (same unit as values)."""
    ink, px = INK[fig.layout.meta["mode"]], fig.layout.meta["px"]
    spread = list(low) != list(values) or list(high) != list(values)
    fig.add_bar(
        y=names, x=values, orientation="h", marker_color=[ink[r] for r in roles], hoverinfo="skip",
        error_x=dict(visible=spread, type="data", symmetric=False, array=[h - v for h, v in zip(high, values)], arrayminus=[v - b for v, b in zip(values, low)],
                     color=ink["text"], thickness=1.2, width=px / 4))
    for name, end, text, role in zip(names, high, words, roles):
        fig.add_annotation(x=end, y=name, text=text, showarrow=False, xanchor="left", xshift=px / 2,
                           font=dict(size=px, color=ink["muted" if role == "rest" else role]))
    fig.update_xaxes(showgrid=True, gridcolor=ink["grid"], showline=False, rangemode="tozero")
    fig.update_yaxes(autorange="reversed", showgrid=False, showline=True, linecolor=ink["axis"], tickfont=dict(size=px, color=ink["text"]))
    fig.update_layout(height=2.4 * px * len(names) + 4 * px)


def series(fig: go.Figure, x: Sequence[float], y: Sequence[float], name: str, role: str, low: Sequence[float] = (), high: Sequence[float] = (),
           hover: str = "%{y:.3g}", shift: float = 0.0) -> None:
    """A measured line: its spread as a band, its name at its end instead of a legend (moved up by `shift` rem where names would meet)."""
    mode, px = fig.layout.meta["mode"], fig.layout.meta["px"]
    colour, (dash, marker) = INK[mode][role], SHAPE[role]
    if len(low):
        fig.add_scatter(x=[*x, *x[::-1]], y=[*high, *low[::-1]], fill="toself", mode="lines", line_width=0, hoverinfo="skip", fillcolor=tint(colour, 0.14))
    fig.add_scatter(x=x, y=y, name=name, mode="lines+markers", line=dict(color=colour, width=px / 6, dash=dash),
                    marker=dict(symbol=marker, size=px / 2, color=colour), hovertemplate=f"{name} {hover}<extra></extra>")
    ink = INK[mode]["muted"] if role == "rest" else colour
    fig.add_annotation(x=1, xref="paper", y=y[-1], text=f"<b>{name}</b>", showarrow=False, xanchor="left", xshift=0.6 * px, yshift=shift * px, align="left", font=dict(color=ink, size=px))


def paper_line(fig: go.Figure, y: float, text: str, shift: float = 0.0) -> None:
    """A figure the paper states: always ochre, always dashed, its words, at the line's end, always begin with "paper" (moved up by `shift` rem)."""
    mode, px = fig.layout.meta["mode"], fig.layout.meta["px"]
    colour = INK[mode]["paper"]
    fig.add_hline(y, line=dict(color=colour, width=px / 9, dash="6px,5px"))
    fig.add_annotation(x=1, xref="paper", y=y, text=f"paper {text}", showarrow=False, xanchor="left", xshift=0.6 * px, yshift=shift * px,
                       font=dict(color=colour, size=0.875 * px))


def limit_line(fig: go.Figure, x: float, text: str) -> None:
    """A value that divides the axis (a limit, the setting of this run): neutral, thin, solid, named at its head."""
    mode, px = fig.layout.meta["mode"], fig.layout.meta["px"]
    fig.add_vline(x, line=dict(color=INK[mode]["muted"], width=1.2, dash="2px,3px"))
    fig.add_annotation(x=x, y=1, yref="paper", text=text, showarrow=False, yanchor="bottom", font=dict(color=INK[mode]["muted"], size=0.875 * px))
