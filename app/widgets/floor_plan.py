"""A floor plan whose radios and users are dragged or moved with the arrow keys, over a coverage map: a Streamlit component without a build step."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
HTML = """<div class="plan"><svg role="group"></svg><p class="readout"></p>
<div class="key" aria-hidden="true"><span class="low"></span><span class="ramp"></span><span class="high"></span><span class="hole"></span><span class="word"></span></div>
<p class="spoken" role="status"></p></div>"""


def floor_plan(data: dict, key: str, on_moved: Callable[[dict], None]) -> None:
    """Draw the plan; `on_moved` gets {"radios": [[x_m, y_m]...], "users": [[x_m, y_m]...], "what", "index"} before the page is drawn again.

    data  see floor_plan.js; made by app.figures.dmimo_plan.plan_data
    """
    mounted = st.components.v2.component("floor_plan", html=HTML, css=(HERE / "floor_plan.css").read_text("utf8"), js=(HERE / "floor_plan.js").read_text("utf8"))

    def moved() -> None:
        found = st.session_state[key].get("moved") if key in st.session_state else None
        if found:
            on_moved(found)

    mounted(data=data, key=key, on_moved_change=moved)
