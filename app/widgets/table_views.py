"""Further looks at a table result: its tokens as they were decoded, model and regions side by side, and the score against a ground truth."""

from functools import lru_cache

import pandas as pd
import streamlit as st

from app import desk, recorded
from app.figures import readings, scores, tokens
from app.figures import table as figures
from app.pieces import base_px, chart, mode, nb, plain, small
from app.registry import Exhibit, Sample
from app.widgets.token_player import token_player
from core.errors import VitrineError
from core.exhibit import Source

TRUTH_MEGABYTES = 2


def chosen_stem(view: desk.View) -> str:
    """The picture on show; a run over several has a choice."""
    stems = figures.stems(view)
    return st.selectbox("Picture", stems, key="table:stem") if len(stems) > 1 else stems[0]


# The tokens

def show_tokens(row: Exhibit, view: desk.View) -> None:
    """The token stream over the picture, to be played; under it what the drafts save here."""
    stem = chosen_stem(view)
    this, story = figures.reading(view, stem), tokens.story(view, stem)
    if story is None:
        _no_tokens(row, this)
        return
    token_player(story, key="table:player")
    small(tokens.replay_words(this))
    if drafts := this.model.get("drafts"):
        st.subheader(nb(tokens.drafts_words(drafts)), anchor=False)
        chart(tokens.drafts_figure(drafts, mode(), base_px()), "table:drafts")
        small("The same decoder on this picture, one way after the other, best of the repeats. A draft only saves calls: each token is the one that greedy decoding writes.")


def _no_tokens(row: Exhibit, this: figures.Reading) -> None:
    why = "The mobile model answers in one look: it has no decoder, so there are no tokens to follow." if this.model else \
        "The regions were asked alone: they write no tokens."
    st.markdown(f"**{why}**")
    st.button("Read it with the full model", icon=":material/play_arrow:", on_click=_with_full_model, args=(row,), disabled=not desk.desk(row).sources)


def _with_full_model(row: Exhibit) -> None:
    """Run again with the decoder; the form shows what was set."""
    for field, value in (("engine", "auto"), ("model", "full")):
        desk.desk(row).settings[field] = st.session_state[f"{row.slug}:{field}"] = value
    desk.start(row, **row.on_page)


# Two engines, two models

def show_engines(row: Exhibit, view: desk.View) -> None:
    """What each engine read, what differs, why one was taken; the full model beside the mobile one."""
    stem = chosen_stem(view)
    this = figures.reading(view, stem)
    st.markdown(f"**{plain(figures.choice_words(this))}**")
    _both(view, stem, this)
    if mobile := (this.model or {}).get("mobile"):
        st.subheader(nb(readings.mobile_words(mobile)), anchor=False)
        chart(readings.mobile_figure(mobile, mode(), base_px()), "table:mobile")
        small("Rows, columns and joined cells in one look, without decoding, one model after the other on this picture, best of the repeats." +
              readings.recorded_words(recorded.rows(row.slug, "mobile")))


def _both(view: desk.View, stem: str, this: figures.Reading) -> None:
    numbers = readings.between(this)
    columns = st.columns([3, 1.2, 3] if numbers else 2, gap="small")
    for column, engine in ((columns[0], "regions"), (columns[-1], "model")):
        with column:
            st.markdown(readings.heading(this, engine))
            chart(readings.part_figure(view, stem, engine, mode(), base_px()), f"table:part-{engine}")
    if numbers:
        with columns[1]:
            for words, value in numbers:
                st.metric(words, nb(value))
    small(":red[Red: a cell that the other one does not have.] Cells are the same where each one’s middle lies in the other and both span as much.")


# Against a ground truth

def show_score(row: Exhibit, view: desk.View) -> None:
    """TEDS against a table the visitor drops in, and where it differs."""
    stem = chosen_stem(view)
    html = _truth(row, view, stem)
    if html is None:
        small("The score is TEDS, as the paper counts it: 1 minus the edits that make one table the other, over their size. It is computed here and the file is kept nowhere.")
        return
    try:
        score = row.module().score(view.files, stem, html)
    except VitrineError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    _scored(view, stem, score)


def _truth(row: Exhibit, view: desk.View, stem: str) -> bytes | None:
    """The ground truth: a file that was dropped in, else the sample's own when asked for."""
    dropped = st.file_uploader("Drop the true table as HTML", ("html", "htm"), key=f"table:truth:{view.id}:{stem}", max_upload_size=TRUTH_MEGABYTES,
                               help="Any page with a <table>: rowspan and colspan count, th counts as td.")
    sample = _sample(row, view)
    if sample and st.toggle("Use the sample’s own ground truth", value=True, key=f"table:own-truth:{view.id}", disabled=dropped is not None):
        return dropped.getvalue() if dropped else sample.truth_path.read_bytes()
    return dropped.getvalue() if dropped else None


def _sample(row: Exhibit, view: desk.View) -> Sample | None:
    """The built-in sample this run read, where its ground truth is known."""
    read = view.record["inputs"][0]["sha256"]
    return next((s for s in row.samples if s.truth and _hash(s) == read), None)


@lru_cache
def _hash(sample: Sample) -> str:
    return Source(sample.file, sample.path.read_bytes()).sha256


def _scored(view: desk.View, stem: str, score) -> None:
    st.subheader(nb(scores.finding(score)), anchor=False)
    with st.container(horizontal=True, gap="medium"):
        st.metric("TEDS, structure and text", nb(scores.percent(score.teds)), width="content")
        st.metric("TEDS-struct, structure alone", nb(scores.percent(score.teds_struct)), width="content")
    left, right = st.columns(2, gap="small")
    with left:
        chart(scores.scored_figure(view, stem, score, mode(), base_px()), "table:scored")
        small(":blue[Outlined: as in the ground truth.] :red[Red: differs.]")
    with right:
        if score.differences:
            st.dataframe(pd.DataFrame(scores.lines(score)), hide_index=True, height="auto", alt="Where the table differs from the ground truth")
        more = len(score.differences) - scores.SHOWN
        small(f"{more:,} more differences are not listed." if more > 0 else "Corrected cells count as corrected." if not score.differences else "")
