"""The live voice: the microphone to the studio and back, heard and seen (HTML, CSS and scripts beside this file; the sound goes over app.live and is kept nowhere)."""

import base64
from functools import lru_cache
from pathlib import Path

import streamlit as st

from app.figures.style import SEQUENTIAL
from app.live import PATH
from app.pieces import mode

HERE = Path(__file__).parent
WORDS = "Sound starts switched off: wear headphones before you switch it on, or the microphone hears the loudspeaker."


@lru_cache
def _parts() -> dict[str, str]:
    return {end: (HERE / f"live_voice.{end}").read_text(encoding="utf8") for end in ("html", "css", "js")}


@lru_cache
def _worklet() -> str:
    return (HERE / "live_worklet.js").read_text(encoding="utf8")


def live_voice(sample: bytes, key: str) -> None:
    """Draw live mode: one button, a choice of what is heard, two running spectrograms, the delay and the cost as measured.

    sample  a FLAC recording, offered where there is no microphone
    """
    palette = [[int(colour[i:i + 2], 16) for i in (1, 3, 5)] for colour in ("#0B1114", *SEQUENTIAL["dark"])]
    sound = "data:audio/flac;base64," + base64.b64encode(sample).decode()
    st.components.v2.component("live_voice", **_parts())(data=dict(worklet=_worklet(), path=PATH, palette=palette, words=WORDS, sample=sound, mode=mode()), key=key)
