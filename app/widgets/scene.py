"""The scenario on the desk as a floor plan to work on: drag, see the coverage at once, run it. A fragment, so that a move redraws nothing else."""

import re

import streamlit as st

from app import desk
from app.figures.dmimo_plan import MAPS, coverage_table, coverage_words, plan_data
from app.pieces import act, mode, nb, plain, small
from app.registry import Exhibit
from app.widgets.floor_plan import floor_plan
from core.dmimo.coverage import one_against_all
from core.dmimo.scenario import Scenario, from_json, to_json
from core.errors import VitrineError
from core.exhibit import Source

CELLS_ACROSS = 64


def scenario_on_desk(row: Exhibit) -> Scenario:
    """What the next run takes: the file on the desk, else what the result on show was made of."""
    place = desk.desk(row)
    return from_json(place.sources[0].data if place.sources else place.view.files["scenario.json"])


@st.fragment
def scene(row: Exhibit) -> None:
    """Plan, coverage in numbers, and the button that sweeps the plan once something was moved."""
    scenario, place = scenario_on_desk(row), desk.desk(row)
    maps = one_against_all(scenario, max(scenario.width_m, scenario.depth_m) / CELLS_ACROSS)
    st.subheader(nb(coverage_words(maps)), anchor=False)
    chosen = st.segmented_control("Who sends", tuple(MAPS), default="all_per_trp", required=True, format_func=MAPS.get, key=f"map:{row.slug}", label_visibility="collapsed")
    state = st.session_state.setdefault(f"plan-state:{row.slug}", {"turn": 0, "refused": ""})
    floor_plan(plan_data(scenario, maps[chosen], mode(), state["turn"]), f"plan:{row.slug}", lambda found: _move(row, found, state))
    if state["refused"]:
        st.error(plain(state["refused"]), icon=":material/error:")
    st.markdown(coverage_table(maps, chosen))
    if place.origin == "editor":
        act("Sweep this floor plan", icon=":material/play_arrow:", width="stretch", on_click=desk.start, args=(row,), kwargs=dict(row.on_page), key="run-plan")
        small("You moved something: the curves still belong to the plan before.")
        if place.job or place.error:
            st.rerun()


def _move(row: Exhibit, found: dict, state: dict) -> None:
    """Put the changed plan on the desk; a place that cannot be is refused with its sentence and taken back."""
    place, scenario = desk.desk(row), scenario_on_desk(row)
    try:
        changed = row.module().moved(scenario, found["radios"], found["users"])
    except VitrineError as error:
        state.update(turn=state["turn"] + 1, refused=str(error))
        return
    state["refused"] = ""
    stem = re.sub(r"[^a-z0-9]+", "-", changed.name.lower()).strip("-") or "plan"
    place.sources, place.origin, place.picked, place.refused = (Source(f"{stem}.json", to_json(changed).encode()),), "editor", None, []
