"""Two saved runs of one exhibit side by side, the measured difference between them."""

from importlib import import_module

import streamlit as st

from app.desk import View, input_name
from app.pieces import base_px, chart, mode, nb, plain, small
from app.registry import Exhibit, exhibit
from app.runs import store
from app.visitors import visitor
from core.errors import StorageError


def compare_in_stage(row: Exhibit, view: View) -> None:
    """Compare the result on show with another of the visitor's runs, chosen from a list."""
    others = [s for s in store().list(visitor()) if s.slug == row.slug and s.id != view.id]
    if not others:
        small("Nothing to compare with yet: run it once more, with another input or another setting.")
        return
    others.sort(key=lambda s: s.record["inputs"] != view.record["inputs"])  # the same input first
    other = st.selectbox("With", others, format_func=title, key=f"compare-with:{row.slug}")
    try:
        side_by_side(row, view, View.of(store().load(other.id)))
    except StorageError as error:
        st.error(plain(str(error)), icon=":material/error:")


def title(summary) -> str:
    """A saved run in one line: what, how, when."""
    settings = ", ".join(f"{key} {value}" for key, value in summary.record["config"].items() if key in ("ocr", "engine", "preset"))
    return f"{input_name(summary.record)} · {settings} · {summary.record['created'][11:16]} · {summary.id[-4:]}"


def label(view: View, other: View) -> str:
    """The heading of one side: its input, what was set otherwise than on the other side, the end of its id."""
    settings = view.record["config"]
    differing = [f"{key} {value}" for key, value in settings.items() if other.record["config"].get(key) != value]
    return " · ".join([input_name(view.record), *differing, (view.id or "not saved")[-4:]])


def side_by_side(row: Exhibit, left: View, right: View) -> None:
    """Both results at the same scale, differences marked in the pictures, the numbers between them."""
    figures = import_module(row.figures)
    first, second, between = figures.comparison(left, right, mode(), base_px())
    columns = st.columns([3, 1.2, 3], gap="small")
    for column, view, other, drawn, key in ((columns[0], left, right, first, "a"), (columns[2], right, left, second, "b")):
        with column:
            st.markdown(f"**{plain(label(view, other))}**")
            chart(drawn, f"compare-{key}")
    with columns[1]:
        for words, value in between:
            st.metric(words, nb(value))
    small("Two saved runs, each timed on its own; the middle column is the difference between what they stored.")


def compare_two(a: str | None, b: str | None) -> None:
    """The compare page: two runs chosen from the visitor's own, or named by the link."""
    mine = {s.id: s for s in store().list(visitor())}
    left, right = st.columns(2, gap="medium")
    with left:
        first = _choose("Left", mine, a, 0)
    with right:
        second = _choose("Right", mine, b, 1)
    if not first or not second:
        small("Two runs are needed: read something twice, with another input or another setting, then come back.")
        return
    try:
        views = [View.of(store().load(run_id)) for run_id in (first, second)]
    except StorageError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.query_params.from_dict({"a": first, "b": second})
    if views[0].slug != views[1].slug:
        st.error("These two runs belong to different exhibits. Choose two runs of one exhibit.", icon=":material/error:")
        return
    side_by_side(exhibit(views[0].slug), *views)


def _choose(word: str, mine: dict, wanted: str | None, fallback: int) -> str | None:
    """A run by id: the one the link names (also of another browser), else the visitor's own by age."""
    ids = list(mine) if wanted is None or wanted in mine else [wanted, *mine]
    if not ids:
        return None
    index = ids.index(wanted) if wanted else min(fallback, len(ids) - 1)
    return st.selectbox(word, ids, index=index, format_func=lambda i: title(mine[i]) if i in mine else i, key=f"compare:{word}")
