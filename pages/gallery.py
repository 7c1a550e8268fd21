"""Home: one card per exhibit with the paper's figure and ours, and the promise about data."""

import streamlit as st

from app import shell
from app.execute import machine
from app.figures.plates import PLATES
from app.pieces import HERE, PAPER, act, base_px, small
from app.registry import EXHIBITS
from app.widgets.input_rail import run_sample
from cython_ext import BACKEND

SHOWN = 3
"""Samples of an exhibit that have a button here; its own page has them all."""

left, right = st.columns([1.7, 1], gap="medium", vertical_alignment="bottom")
with left, st.container(gap="xxsmall"):
    st.title("Research you can put your hands on", anchor=False)
    st.markdown("Published systems, rebuilt small enough for one laptop. Bring a picture, a recording, a network or a few letters from your pen: everything runs here, with no network.")
with right, st.container(gap="xsmall"):
    with st.container(horizontal=True, gap="small"):
        st.badge("measured here", icon=HERE, color="blue")
        st.badge("the paper’s figure", icon=PAPER, color="orange")
    small("Two colours, two sources. Where both exist they share one scale, and the exhibit says what differs.")

cards = st.grid(3, min_column_width=18 * base_px(), border=True)
for row in EXHIBITS:
    with cards.cell(), st.container(gap="xsmall"):
        st.image(PLATES[row.slug](), width="stretch", alt=f"Drawing: {row.name}")
        st.header(row.name, anchor=False)
        st.markdown(row.card)
        shell.measure(row)
        small(row.headline.unit)
        st.page_link(st.session_state["house"][row.slug], label=f"Open {row.name.lower()}", icon=":material/arrow_forward:", icon_position="right")

with cards.cell(), st.container(gap="small"):
    st.header("New here?", anchor=False)
    st.markdown("One click runs a built-in sample and stops where something is worth a look.")
    for row in EXHIBITS:
        with st.container(horizontal=True, gap="small"):
            for number, sample in enumerate(row.samples[:SHOWN]):
                if (act if number == 0 else st.button)(sample.label, icon=":material/play_arrow:", key=f"try:{row.slug}:{sample.label}"):
                    run_sample(row, sample.label)
                    shell.goto(row.slug)
    small("What is behind these buttons and where it comes from is listed in the SOURCES.md files of assets/samples.")

with cards.cell(), st.container(gap="small"):
    st.header("Nothing leaves this machine", anchor=False)
    st.markdown("What you bring is deleted after you have left, unless you keep the run. There is no account, no cloud and no network behind these pages.")
    small(f"{machine()} · no network · no accelerator · kernels {BACKEND}")
