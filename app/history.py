"""The list of a visitor's own runs: open, compare, keep, delete."""

import streamlit as st

from app import desk, shell
from app.pieces import plain, small
from app.registry import EXHIBITS, exhibit
from app.runs import store
from app.visitors import visitor
from core.errors import StorageError

SHOWN = 50


def draw() -> None:
    """One row per run of this browser: name, when, link, keep, compare, delete."""
    mine = store().list(visitor())
    if "history-error" in st.session_state:
        st.error(plain(st.session_state.pop("history-error")), icon=":material/error:")
    if not mine:
        shell.empty("**No runs yet.** Every result you make is listed here with its link.", "Runs of other visitors are never shown.",
                    [])
        for row in EXHIBITS:
            st.page_link(st.session_state["house"][row.slug], label=f"Open {row.name.lower()}", icon=":material/arrow_forward:")
        return
    kept = sum(s.kept for s in mine)
    small(f"{len(mine)} run{'s' if len(mine) != 1 else ''}, {kept} kept" + (f"; the newest {SHOWN} are shown" if len(mine) > SHOWN else ""))
    for summary in mine[:SHOWN]:
        _row(summary, [s for s in mine if s.slug == summary.slug and s.id != summary.id])


def _row(summary, others: list) -> None:
    name = exhibit(summary.slug).name
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small", key=f"run:{summary.id}"):
        with st.container(gap="xxsmall"):
            st.markdown(f"**{plain(desk.input_name(summary.record))}** · {name}")
            small(f"{summary.record['created'].replace('T', ' ').rstrip('Z')} UTC · took {summary.record['seconds']['total']:.2f} s · `{summary.id}`")
        st.page_link(st.session_state["house"][summary.slug], label="Open", icon=":material/open_in_new:", query_params={"run": summary.id})
        if others:
            st.page_link(st.session_state["house"]["compare"], label="Compare", icon=":material/compare:",
                         query_params={"a": summary.id, "b": others[0].id})
        _buttons(summary)


def _buttons(summary) -> None:
    def act(action, *args) -> None:
        try:
            action(summary.id, visitor(), *args)
        except StorageError as error:
            st.session_state["history-error"] = str(error)

    label, icon = ("Kept", ":material/bookmark_added:") if summary.kept else ("Keep", ":material/bookmark_add:")
    st.button(label, icon=icon, type="tertiary", key=f"keep:{summary.id}", on_click=act, args=(store().keep, not summary.kept))
    st.button("Delete", icon=":material/delete:", type="tertiary", key=f"delete:{summary.id}", on_click=act, args=(store().delete,))
