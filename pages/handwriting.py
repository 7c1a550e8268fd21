"""The handwriting exhibit: a text in a shipped hand or in the visitor's own letters, every join under a lens, the hand's letters, variants, and what was measured."""

import pandas as pd
import streamlit as st

from app import desk, recorded
from app.figures import handwriting as figures
from app.pieces import base_px, chart, mode, nb, small, stages
from app.registry import exhibit
from app.room import room
from app.widgets import writing
from app.widgets.downloads import download, download_row
from app.widgets.join_lens import join_lens

ROW = exhibit("handwriting")
FILES = [("SVG", "ink.svg"), ("PNG", "ink.png"), ("InkML", "ink.inkml"), ("Ink, JSON", "ink.json")]


def show(view: desk.View) -> None:
    """The text, its ink, and the files to take home."""
    writing.follow(ROW, view)
    writing.text_line(ROW, view)
    writing.written(ROW, view)
    download_row("Save as", view.files, FILES, "handwriting:save")


def own(view: desk.View) -> None:
    """Letters of the visitor's own."""
    writing.follow(ROW, view)
    writing.own_letters(ROW, view)


def joins(view: desk.View) -> None:
    """One join under the lens; below, every pair in words."""
    writing.follow(ROW, view)
    data = figures.lens_data(view, mode())
    if data is None:
        small("Nothing is joined here: this hand keeps its pen lifts, or joining is switched off at the left. Choose a cursive hand.")
    else:
        join_lens(data, f"lens:{ROW.slug}", lambda found: writing.weights_for_all(ROW, found))
    with st.expander("Every pair of letters", icon=":material/table_rows:"):
        st.markdown(figures.joins_table(figures.story(view)))
    with st.expander("Formulas", icon=":material/function:"):
        st.markdown("Points of the tail, then of the head; p as drawn, f as bent, t the letter’s own links; the first and last point are fixed.")
        for line in figures.FORMULAS:
            st.latex(line)


def letters(view: desk.View) -> None:
    """The hand's alphabet with the class of every point the classifier sees."""
    writing.follow(ROW, view)
    this = figures.story(view)
    st.subheader(nb(f"What may bend: {figures.alphabet_words(this)} of the points"), anchor=False)
    small("The classifier sees 20 points of a letter and no name. :violet[Circles: head.] :red[Triangles: tail.] Squares: isolated. Small dots: body.")
    alphabet(this, True)
    if figures.alphabet(this, False):
        with st.expander("Capitals and others", icon=":material/match_case:"):
            alphabet(this, False)
    small(f"{this['hand']['title']}, {this['hand']['kind']}. {this['hand']['origin']} {this['hand']['licence']}")
    download("This hand, JSON", f"{this['hand']['name']}.json", view.trace["letters.json"], "handwriting:hand")


def alphabet(this: dict, small_letters: bool) -> None:
    """A part of the alphabet as a picture."""
    shown = figures.alphabet(this, small_letters)
    if shown:
        st.image(figures.alphabet_svg(shown, mode(), 7), width="stretch", alt=f"{len(shown)} letters of {this['hand']['title']} with their parts: {figures.alphabet_words(this)}")


def variants(view: desk.View) -> None:
    """The same text with other seeds, to choose from."""
    this = figures.story(view)
    writing.follow(ROW, view)
    small("The same letters, another seed: no two come out the same, and each seed comes out the same every time.")
    grid = st.grid(2, min_column_width=18 * base_px(), border=True)
    for one in this["variants"]:
        with grid.cell(), st.container(gap="xsmall"):
            st.image(figures.ink_svg(one["strokes"], figures.INK[mode()]["reference"]), width="stretch", alt=f"{this['text']}, seed {one['seed']}")
            st.button(f"Take seed {one['seed']}", key=f"seed:{one['seed']}", on_click=writing.take_seed, args=(ROW, one["seed"]))


def measured(view: desk.View) -> None:
    """What the benchmark recorded, section by section; nothing here is measured just now."""
    found = {key: rows for key in figures.MEASURED if (rows := recorded.rows(ROW.slug, key))}
    if not found:
        small("Nothing is recorded yet: `launch.py bench handwriting --record` writes what stands here.")
        return
    for key, rows in found.items():
        title, about = figures.MEASURED[key]
        st.subheader(title, anchor=False)
        if key == "readability":
            chart(figures.readability_figure(rows, mode(), base_px()), "handwriting:readability")
        st.dataframe(pd.DataFrame(figures.plain_rows(rows)), hide_index=True, alt=title)
        small(about)
    small(f"Recorded by `launch.py bench handwriting` on {recorded.value(ROW.slug, 'machine')}, {recorded.value(ROW.slug, 'date')}; not measured just now.")


def explain(view: desk.View) -> None:
    """The stages with their milliseconds."""
    stages(view.record, figures.STAGES, "Milliseconds")
    small(figures.method(figures.story(view)))


room(ROW, figures.finding, show, explain, views={"Your letters": own, "Joins": joins, "Letters": letters, "Variants": variants, "Measured": measured})
