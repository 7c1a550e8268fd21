"""The D-MIMO exhibit: radios dragged over a floor plan, coverage at once, the combining schemes swept over SNR, their cost, where it holds, and what is not told."""

import streamlit as st

from app import desk
from app.figures import dmimo as figures
from app.figures import dmimo_moving as moving
from app.jobs import Job
from app.pieces import base_px, chart, mode, nb, small, stages
from app.registry import exhibit
from app.room import room
from app.widgets.downloads import download_row
from app.widgets.scene import scene

ROW = exhibit("dmimo")


def finding_and_text(head: str, text: str) -> None:
    """A finding as a heading, what it means under it."""
    st.subheader(nb(head), anchor=False)
    small(text)


def formulas(names: tuple[str, ...]) -> None:
    """The formulas behind a figure, for the engineer."""
    with st.expander("Formulas", icon=":material/function:"):
        for name in names:
            words, latex = figures.FORMULAS[name]
            st.markdown(words)
            st.latex(latex)


def curves(rows: list[dict], reference_db: float, schemes: tuple[str, ...], key: str) -> None:
    """Throughput over SNR, of IQC or in Gb/s."""
    unit = st.segmented_control("Unit", ("Of IQC", "Gb/s"), default="Of IQC", required=True, key=f"dmimo:unit:{key}", label_visibility="collapsed")
    chart(figures.throughput_figure(rows, schemes, unit == "Of IQC", reference_db, mode(), base_px()), f"dmimo:curves:{key}")


def show(view: desk.View) -> None:
    """The floor plan to work on, the curves beside it, and the post's six figures beside ours."""
    this = figures.story(view)
    left, right = st.columns(2, gap="medium")
    with left:
        scene(ROW)
    with right:
        st.subheader(nb(figures.curve_words(this)), anchor=False)
        curves(this.rows, this.reference_db, figures.THREE, "three")
        small(f"Simulated. Line: all users together. Band: 90 % of the mean over {this.trace['drops']} random placements. Dashed: the post, in its own scenario.")
    st.subheader(nb(figures.paper_words(this)), anchor=False)
    chart(figures.against_paper_figure(this, mode(), base_px()), "dmimo:paper")
    small(figures.caveat(this.trace))
    save(view)


def save(view: desk.View) -> None:
    """Every curve's numbers, and the scenario as a file that can be dropped back in."""
    download_row("Save as", view.files, [("Curves, CSV", "sweep.csv"), ("Scenario, JSON", "scenario.json"), ("Regime map, CSV", "regimes.csv"), ("Walk, CSV", "walk.csv"),
                                         ("Schedulers, CSV", "schedulers.csv"), ("Link adaptation, CSV", "adaptation.csv"), ("Report", "report.html")], "dmimo:save")


def costs(view: desk.View) -> None:
    """Fronthaul, arithmetic at radios and centre, and throughput bought with either."""
    this = figures.story(view)
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader(nb(figures.cost_words(this, "fronthaul")), anchor=False)
        chart(figures.cost_figure(this, "fronthaul", mode(), base_px()), "dmimo:fronthaul")
    with right:
        st.subheader(nb(figures.cost_words(this, "flops")), anchor=False)
        chart(figures.cost_figure(this, "flops", mode(), base_px()), "dmimo:flops")
        small("Filled: at the radios. Hatched: at the centre.")
    st.subheader("What a bit of fronthaul buys", anchor=False)
    chart(figures.pareto_figure(this, mode(), base_px()), "dmimo:pareto")
    small("Numbers on the dotted line: DEQC with so many streams a radio. Hollow diamonds: the post’s DEQC and LLRC.")
    formulas(("fronthaul", "flops", "weights"))


def regimes(view: desk.View) -> None:
    """Where DEQC keeps what share of IQC."""
    this = figures.story(view)
    if "regime" not in this.trace:
        small("This run was made without the map of regimes. Switch it on at the left and sweep again.")
        return
    st.subheader(nb(figures.regime_words(this)), anchor=False)
    chart(figures.regime_figure(this, mode(), base_px()), "dmimo:regime")
    small(f"DEQC’s throughput of IQC’s at {this.reference_db:g} dB, simulated, {this.trace['regime']['drops']} placements a cell, the same in all. "
          "Framed: this run. “72 %” is one cell of such a map.")
    formulas(("mmse", "subspace"))


def untold(view: desk.View) -> None:
    """The three findings the post does not tell, each with this run's numbers and its figure."""
    this = figures.story(view)
    drawn = {0: ("forms", figures.forms_figure), 1: ("exact", figures.streams_figure), 2: ("choice", figures.choice_figure)}
    for number, (head, text) in figures.untold(this):
        finding_and_text(f"{number + 1}. {head}", text)
        chart(drawn[number][1](this, mode(), base_px()), f"dmimo:{drawn[number][0]}")
    st.subheader("All six ways over SNR", anchor=False)
    curves(this.rows, this.reference_db, tuple(this.schemes), "six")
    formulas(("mmse", "subspace", "llr"))


def users(view: desk.View) -> None:
    """A walk with its serving radios, schedulers compared, link adaptation compared."""
    this = figures.story(view)
    for key, draw in moving.PARTS.items():
        if this.trace.get(key):
            finding_and_text(*moving.words(this, key))
            chart(draw(this, mode(), base_px()), f"dmimo:{key}")
    if not any(this.trace.get(key) for key in moving.PARTS):
        small("This run was made without moving users. Switch them on at the left and sweep again.")
    formulas(("fairness", "outer_loop"))


def under_way(job: Job) -> None:
    """The curves grow while points arrive."""
    rows = [row for shown in job.shown for row in shown["rows"]]
    if rows:
        drawn = figures.throughput_figure(rows, figures.THREE, True, job.shown[-1]["reference_snr_db"], mode(), base_px())
        chart(drawn, "dmimo:growing")
        small(f"{len({row['snr_db'] for row in rows})} points so far, simulated.")


def explain(view: desk.View) -> None:
    """The stages with their seconds, and the settings of the link."""
    this = figures.story(view)
    stages(view.record, figures.STAGES)
    small(figures.method(this))


room(ROW, figures.finding, show, explain, under_way, {"Costs": costs, "Where it holds": regimes, "Not told": untold, "Moving users": users})
