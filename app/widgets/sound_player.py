"""The sound player: takes of one recording locked to each other, a wipe over two spectrograms (HTML, CSS and script beside this file; nothing is fetched)."""

from functools import lru_cache
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent


@lru_cache
def _parts() -> dict[str, str]:
    return {end: (HERE / f"sound_player.{end}").read_text(encoding="utf8") for end in ("html", "css", "js")}


def sound_player(story: dict, key: str) -> None:
    """Draw the player.

    story  id; seconds; top_hz; tracks: dicts of key, name, role (input, ours, clean, rest), sound and picture (data addresses), words (said under its name);
           left and right: keys of the tracks in the wipe; alt: the result in a sentence
    """
    st.components.v2.component("sound_player", **_parts())(data=story, key=key)
