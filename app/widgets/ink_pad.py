"""The ink pad: letters written one after the other with pen, finger, mouse or keys on guide lines, with time and pressure (a component without a build step)."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent


@lru_cache
def _parts() -> dict[str, str]:
    return {end: (HERE / f"ink_pad.{end}").read_text(encoding="utf8") for end in ("html", "css", "js")}


def ink_pad(data: dict, key: str, on_letters: Callable[[dict], None]) -> None:
    """Draw the pad; `on_letters` gets {"letters": [{"char", "strokes": [{"x", "y", "t", "p"}]}], "finished"} before the page is drawn again.

    data     see ink_pad.js
    strokes  x-height 1, baseline 0, y down; seconds from the letter's first point; pressure 0 to 1. Whatever arrives is a visitor's: check it.
    """
    def taken() -> None:
        found = st.session_state[key].get("letters") if key in st.session_state else None
        if found:
            on_letters(found)

    st.components.v2.component("ink_pad", **_parts())(data=data, key=key, on_letters_change=taken)
