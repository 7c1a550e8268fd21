"""Small pieces of the page that carry the look: here and paper, the ruler, small print, the one button to press."""

import re
from collections.abc import Mapping
from types import MappingProxyType

import streamlit as st

from app.figures.style import INK

HERE, PAPER = ":material/straighten:", ":material/article:"


def mode() -> str:
    """"light" or "dark", as the server was started (st.context.theme is wrong on a first load)."""
    return st.get_option("theme.base") if st.get_option("theme.base") in INK else "light"


def base_px() -> int:
    """The base font size in pixels: 16 laptop, 20 projector, 22 booth."""
    return int(st.get_option("theme.baseFontSize") or 16)


def nb(text: str) -> str:
    """No line break between a number and its unit."""
    return re.sub(r"(?<=\d) (?=%|×|µs|ms|s\b|dB|Gb/s|MB|kB|°)", "\u00a0", text)


def plain(text: str) -> str:
    """A visitor's words as literal text: nothing in them becomes Markdown, colour, icon or formula."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~$:<>&])", r"\\\1", text)


def small(text: str, width: str = "stretch") -> None:
    """Muted small print. st.caption is 60 % opaque: coloured words inside it fall below 4.5:1."""
    st.markdown(f":small[:gray[{nb(text)}]]", width=width)


def chart(drawn: tuple, key: str, **more):
    """A figure (Plotly figure, alternative text) in the studio's way; what Streamlit returns of a selection."""
    fig, alt = drawn
    return st.plotly_chart(fig, theme=None, config={"displayModeBar": False}, alt=alt, key=key, **more)


def stages(record: Mapping, words: Mapping[str, str] = MappingProxyType({}), unit: str = "Seconds") -> None:
    """The stages of a run in their order with their times, as a table. words: stage -> what it did; unit: Seconds or Milliseconds."""
    factor = {"Seconds": 1, "Milliseconds": 1000}[unit]
    rows = [f"| {words.get(name, name.capitalize())} | {factor * seconds:.2f} |" for name, seconds in record["seconds"].items()]
    st.markdown("\n".join(["| Step | " + unit + " |", "|:--|--:|", *rows]))


def act(label: str, icon: str | None = None, **kw) -> bool:
    """The one thing to do on a page. Streamlit writes white on primaryColor however light it is; the dark theme uses coloured letters."""
    dark = mode() == "dark"
    return st.button(f":primary[**{label}**]" if dark else label, type="secondary" if dark else "primary", icon=icon, **kw)


def pair(paper: str | None, here: str) -> None:
    """The paper's figure and ours as two metrics; without a paper figure only ours."""
    left, right = st.columns(2, gap="small", wrap=False)
    if paper:
        left.metric(f":orange[{PAPER} paper]", nb(paper))
    (right if paper else left).metric(f":blue[{HERE} here]", nb(here))


def ruler(paper: float | None, here: float | None, alt: str) -> None:
    """The signature: one scale, the paper's figure as a hollow flag above it, ours as the filled bar on it. Fractions of the scale, 0 to 1."""
    ink, width, y = INK[mode()], 400, 22

    def at(value: float) -> float:
        return 12 + min(max(value, 0), 1) * (width - 24)

    body = "".join(f'<path d="M{at(i / 40):.1f} {y}v{8 if i % 10 == 0 else 5 if i % 5 == 0 else 3}" stroke="{ink["axis"]}" stroke-width="1.2"/>'
                   for i in range(41))
    body += f'<path d="M{at(0)} {y}H{at(1)}" stroke="{ink["axis"]}" stroke-width="1.4"/>'
    if here is not None:
        body += f'<path d="M{at(0)} {y}H{at(here):.1f}" stroke="{ink["ours"]}" stroke-width="4.5"/>'
        body += f'<circle cx="{at(here):.1f}" cy="{y}" r="5.6" fill="{ink["ours"]}"/>'
    if paper is not None:
        x, line = at(paper), f'fill="none" stroke="{ink["paper"]}"'
        body += f'<path d="M{x:.1f} {y - 19}l6.5 6.5l-6.5 6.5l-6.5 -6.5z" {line} stroke-width="2.4"/>'
        body += f'<path d="M{x:.1f} {y - 6}V{y}" {line} stroke-width="1.6"/>'
    st.image(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 32" width="{width}" height="32">{body}</svg>', width="stretch", alt=alt)
