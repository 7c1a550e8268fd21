"""The numbers footer: run, input, engines, seed, kernel, time, machine; then link, keep, delete, run.json and the one-page report."""

import json

import streamlit as st

from app import desk
from app.desk import View
from app.pieces import plain, small
from app.registry import Exhibit
from app.report import one_page
from app.widgets.downloads import download
from core.errors import StorageError


def numbers_footer(row: Exhibit, view: View) -> None:
    """Draw the footer of a result."""
    with st.container(border=True, key="numbers-footer", gap="small"):
        st.markdown("&emsp;".join(f":small[:gray[{word}]] `{value}`" for word, value in facts(view)))
        if view.unsaved:
            small(plain(view.unsaved))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if view.id:
                st.link_button("Open this run again", f"/{row.slug}?run={view.id}", icon=":material/link:", type="tertiary")
            download("run.json", "run.json", json.dumps(view.record, indent=1, ensure_ascii=False).encode(), f"runjson:{row.slug}", ":material/data_object:", "tertiary")
            download("One-page report", f"{view.id or row.slug}-report.html", one_page(row, view), f"report:{row.slug}", ":material/description:", "tertiary")
            if view.id and view.own:
                _keep_and_delete(row, view)


def facts(view: View) -> list[tuple[str, str]]:
    """The provenance of a run as (word, value) pairs."""
    record = view.record
    models = ", ".join(f"{name} {version}" for name, version in record["models"].items()) or "none"
    return [("run", view.id or "not saved"), ("input", _first(record["inputs"])), ("engines", _code(models)), ("seed", str(record["seed"]) if record["seed"] is not None else "none"),
            ("kernels", record["kernel_backend"]), ("took", f"{record['seconds']['total']:.2f} s"), ("machine", record["machine"]),
            ("at", record["created"].replace("T", " ").rstrip("Z") + " UTC")]


def _first(inputs: list[dict]) -> str:
    if not inputs:
        return "settings only"
    more = f" and {len(inputs) - 1} more" if len(inputs) > 1 else ""
    return f"{_code(inputs[0]['name'])} · {inputs[0]['sha256'][:4]}…{inputs[0]['sha256'][-2:]}{more}"


def _code(text: str) -> str:
    return text.replace("`", "'")


def _keep_and_delete(row: Exhibit, view: View) -> None:
    place = desk.desk(row)

    def keep() -> None:
        place.view = desk.keep(view, not view.kept)

    def delete() -> None:
        desk.delete(view)
        place.view = None
        st.query_params.clear()

    label, icon = ("Kept: let it go", ":material/bookmark_remove:") if view.kept else ("Keep this run", ":material/bookmark_add:")
    st.button(label, icon=icon, type="tertiary", on_click=_guarded(place, keep), key="keep-run",
              help="A run is deleted after you have left, unless you keep it.")
    st.button("Delete", icon=":material/delete:", type="tertiary", on_click=_guarded(place, delete), key="delete-run")


def _guarded(place: desk.Desk, action):
    """A callback whose storage errors become the stage's sentence."""
    def guarded() -> None:
        try:
            action()
        except StorageError as error:
            place.error = error
    return guarded
