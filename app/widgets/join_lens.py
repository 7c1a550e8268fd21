"""The join lens: the three weights of the objective dragged, every join solved again in the browser by the twin of the solve (a component without a build step)."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent


@lru_cache
def _parts() -> dict[str, str]:
    made = {end: (HERE / f"join_lens.{end}").read_text(encoding="utf8") for end in ("html", "css", "js")}
    return made | {"js": (HERE / "join_solve.js").read_text(encoding="utf8") + made["js"]}


def join_lens(data: dict, key: str, on_weights: Callable[[dict], None]) -> None:
    """Draw the lens; `on_weights` gets {"connection", "smoothness", "displacement", "exact"} when the visitor asks to write everything so.

    data  see join_lens.js; made by app.figures.handwriting.lens_data
    """
    def chosen() -> None:
        found = st.session_state[key].get("weights") if key in st.session_state else None
        if found:
            on_weights(found)

    st.components.v2.component("join_lens", **_parts())(data=data, key=key, on_weights_change=chosen)
