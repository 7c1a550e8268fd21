"""The token player: a decoding replayed over its picture, one step per decoder call (HTML, SVG and script beside this file; nothing is fetched)."""

from functools import lru_cache
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent


@lru_cache
def _parts() -> dict[str, str]:
    return {end: (HERE / f"token_player.{end}").read_text(encoding="utf8") for end in ("html", "css", "js")}


def token_player(story: dict, key: str) -> None:
    """Draw the player for a story of `app.figures.tokens.story`."""
    st.components.v2.component("token_player", **_parts())(data=story, key=key)
