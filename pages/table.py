"""The table exhibit: a picture in, its cells over it, the table beside it, corrected, exported, replayed and scored."""

from functools import partial

import pandas as pd
import streamlit as st

from app import desk
from app.figures import readings
from app.figures import table as figures
from app.pieces import base_px, chart, mode, nb, plain, small
from app.registry import exhibit
from app.room import room
from app.widgets.downloads import download, download_row, zipped
from app.widgets.table_views import chosen_stem, show_engines, show_score, show_tokens
from core.errors import StorageError

ROW = exhibit("table")
FORMATS = (("XLSX", ".xlsx"), ("CSV", ".csv"), ("HTML", ".html"), ("Markdown", ".md"), ("OTSL", ".otsl.txt"), ("JSON", ".json"))
LAYERS = {"Binarised": "binary.png", "Rule mask": "rules.png", "Regions": "regions.png"}


def show(view: desk.View) -> None:
    """Cells over the picture, the table beside it, downloads under it."""
    stem = chosen_stem(view)
    this = figures.reading(view, stem)
    if this.result["abstained"]:
        st.image(figures.picture_of(view, stem), alt=f"The picture {this.result['image']['name']}, in which no table was found.")
        st.markdown(f"**{plain(this.result['reason'])}**")
        small("Where no engine finds a table the page says so; no grid is made up." if this.model else
              "The regions read tables whose cells are closed by rules; they never make up a grid. Choose the engine Automatic to ask the model, too.")
    else:
        small(plain(figures.choice_words(this)))
        left, right = st.columns(2, gap="small")
        with left:
            chart(figures.cells_figure(view, stem, mode(), base_px()), "table:cells")
            small(f":blue[Outlined: a cell.] :red[Red: read with less than {100 * figures.CONFIDENT:.0f} % confidence.] Drag to zoom, double-click to go back.")
            if this.model and this.model["tokens"]:
                st.button("Watch it being written", icon=":material/slideshow:", type="tertiary", on_click=st.session_state.update, args=({"view:table": "Tokens"},))
        with right:
            edit(view, stem, this)
        download_row("Save as", view.files, [(name, stem + end) for name, end in FORMATS], "table:save")
    if len(figures.stems(view)) > 1:
        download("Everything as a zip", f"{view.id or 'tables'}.zip", zipped(view.files), "table:zip", ":material/folder_zip:")


def edit(view: desk.View, stem: str, this: figures.Reading) -> None:
    """The table as a grid to correct; every correction goes into the saved run and its downloads."""
    frame = pd.DataFrame(figures.grid_of(this.result), index=range(1, this.result["rows"] + 1))
    corrected = st.data_editor(frame, key=f"table:grid:{view.id}:{view.version}:{stem}", height=grid_height(len(frame)), alt="The table read from the picture")
    changes = figures.changes(this.result, frame, corrected)
    if changes:
        write_back(view, stem, changes)
    small("Click a cell to correct it; a joined cell shows its text in each of its places. " + checks(this))


def grid_height(rows: int) -> int:
    """Pixels for a grid of this many rows, at most what fits beside the picture."""
    return int(min(34, 2.2 * (rows + 1) + 0.3) * base_px())


def checks(this: figures.Reading) -> str:
    """The cells a visitor should look at, by address."""
    doubtful = [f"{figures.address(c)} ({100 * c['confidence']:.0f} %)" for c in this.to_check[:8]]
    return f":red[To check: {', '.join(doubtful)}{' …' if len(this.to_check) > 8 else ''}]" if doubtful else "Nothing to check."


def write_back(view: desk.View, stem: str, changes: dict[tuple[int, int], str]) -> None:
    """Save corrections; when somebody else was first they stay here and can become a run of their own."""
    place, files = desk.desk(ROW), ROW.module().amend(view.files, stem, changes)
    try:
        place.view = desk.amend(view, files)
        st.rerun()
    except StorageError as error:
        st.error(plain(str(error)), icon=":material/error:")
        if st.button("Save mine as a copy", key="table:copy"):
            place.view = desk.copy(view, files)
            st.query_params["run"] = place.view.id or ""
            st.rerun()
        if st.button("Show the other version", key="table:other"):
            place.view = None
            st.rerun()


def explain(view: desk.View) -> None:
    """The stages with their times, the masks, every region with its verdict, and the labellers' race on this picture."""
    stem = figures.stems(view)[0] if len(figures.stems(view)) == 1 else st.session_state.get("table:stem", figures.stems(view)[0])
    this = figures.reading(view, stem)
    st.subheader(nb(figures.shares(this)), anchor=False)
    stages = pd.DataFrame(figures.stages(this), columns=["Step", "Outcome", "Seconds"])
    st.dataframe(stages, hide_index=True, alt="Stages and their seconds",
                 column_config={"Seconds": st.column_config.ProgressColumn(format="%.3f s", max_value=float(max(stages["Seconds"].max(), 1e-3)))})
    layers(view, stem, this)
    if this.trace["regions"]:
        st.subheader(nb(figures.verdicts(this)), anchor=False)
        st.dataframe(pd.DataFrame(figures.region_rows(this)), hide_index=True, height=14 * base_px(), alt="Every region the flood fill found, and why it was kept or dropped")
    if this.trace.get("race"):
        st.subheader("The same labelling, measured on this picture just now", anchor=False)
        chart(figures.race_figure(this.trace["race"], mode(), base_px()), "table:race")
        small("Bar: best of the repeats. Whisker: their median. × : against OpenCV with labels and statistics. " + figures.race_note(this))


def layers(view: desk.View, stem: str, this: figures.Reading) -> None:
    """What the engines saw, one layer at a time."""
    there = [name for name, file in LAYERS.items() if f"{stem}/{file}" in view.trace] + (["Separators"] if this.model else [])
    layer = st.segmented_control("What the engines saw", there, default=there[-1], required=True, key=f"table:layer:{len(there)}")
    if layer == "Separators":
        chart(readings.separators_figure(view, stem, mode(), base_px()), "table:separators")
        small(readings.SEPARATORS_LEGEND)
    else:
        fig, alt = figures.layer_figure(view, stem, LAYERS[layer], mode(), base_px())
        chart((fig, f"{layer}. {alt}"), "table:layer-figure")
        small(figures.LEGENDS[layer])


room(ROW, figures.finding, show, explain,
     views={"Tokens": partial(show_tokens, ROW), "Engines": partial(show_engines, ROW), "Score": partial(show_score, ROW)})
