"""The ink player: ink written at the speed it was drawn, its parts coloured, its letters chosen and changed (a component without a build step)."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent


@lru_cache
def _parts() -> dict[str, str]:
    return {end: (HERE / f"ink_player.{end}").read_text(encoding="utf8") for end in ("html", "css", "js")}


def ink_player(data: dict, key: str, on_edit: Callable[[dict], None] | None = None) -> None:
    """Draw the player; `on_edit` gets {"what": "replace" | "insert" | "delete", "at": letter, "char": what to write} before the page is drawn again.

    data  see ink_player.js; made by app.figures.handwriting.player_data
    """
    def edited() -> None:
        found = st.session_state[key].get("edit") if key in st.session_state else None
        if found and on_edit:
            on_edit(found)

    st.components.v2.component("ink_player", **_parts())(data=data, key=key, on_edit_change=edited)
