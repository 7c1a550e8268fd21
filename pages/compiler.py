"""The compiler exhibit: a network in, one C++ file out, raced against people and runtimes on this core; what was fused, measured and written."""

import pandas as pd
import streamlit as st

from app import desk, recorded
from app.figures import compiler as figures
from app.figures.compiler_graph import graph_figure
from app.jobs import Job
from app.pieces import base_px, mode, nb, plain, small
from app.registry import exhibit
from app.room import room
from app.widgets.downloads import download_row

ROW = exhibit("compiler")
CALLS = ("ours", "hand", "plain hand", "onnxruntime")


def chart(drawn: tuple, key: str, **more):
    """A figure with its alternative text."""
    fig, alt = drawn
    return st.plotly_chart(fig, theme=None, config={"displayModeBar": False}, alt=alt, key=f"compiler:{key}", **more)


def budget() -> float | None:
    """What the slot leaves to this network, as the visitor sets it."""
    chosen = st.select_slider("Time the network may take", ("no limit", *figures.SLOTS_US), key="compiler:budget",
                              format_func=lambda us: us if isinstance(us, str) else figures.time_words(us) + (f", {figures.WORDS[us]}" if us in figures.WORDS else ""))
    return None if isinstance(chosen, str) else float(chosen)


def show(view: desk.View) -> None:
    """The race on this core, the slot budget, the bundle to take away."""
    this = figures.story(view)
    if not this.race:
        small("Nothing was timed: " + plain(this.trace.get("race_refused") or "this run was made without a race."))
    else:
        allowed = budget()
        chart(figures.race_figure(this.race, this.trace.get("limit"), allowed, mode(), base_px()), "race")
        small("Bar: best of many blocks of calls, one pinned core, one thread, all in turn. Whisker: the median call. × : against the file made here. "
              + ("" if allowed is None else figures.late_words(this.race, allowed)))
        small(plain(this.trace["verified"]["words"]))
    save(view, this)
    others(this)


def save(view: desk.View, this: figures.Story) -> None:
    """The C++ file, its header, everything as a bundle, the report."""
    stem = this.trace["stem"]
    download_row("Take it away", view.files, [("Bundle, zip", f"{stem}.bundle.zip"), ("C++", f"{stem}.cpp"), ("Header", f"{stem}.h"), ("Report, JSON", "report.json")], "compiler:save")


def others(this: figures.Story) -> None:
    """What the recorded benchmark says of runtimes that are not installed with the studio."""
    rows = [row for row in recorded.rows(ROW.slug, f"race_{this.trace['model']['benchmark']}") if row.get("best_us")]
    if rows:
        with st.expander("The same network under other runtimes, from the recorded benchmark", icon=":material/leaderboard:"):
            st.dataframe(pd.DataFrame([{"Runtime": row["name"], "Best (µs)": row["best_us"], "Median (µs)": row.get("median_us"), "Of the limit (%)": row.get("limit_percent")} for row in rows]),
                         hide_index=True, alt="Recorded times of other runtimes on this network")
            small(f"Recorded by `launch.py bench compiler` on {recorded.value(ROW.slug, 'machine')}, {recorded.value(ROW.slug, 'date')}; not measured just now.")


def graphs(view: desk.View) -> None:
    """The network before and after fusion; the chosen node lit in both."""
    this = figures.story(view)
    before, after = this.trace["before"], this.trace["after"]
    st.subheader(nb(f"{len(before['nodes'])} nodes became {len(after['nodes'])}"), anchor=False)
    node = choose(this, "graph")
    left, right = st.columns([1.3, 1], gap="medium")
    with left:
        st.markdown("**As it came**")
        origins = set(after["nodes"][node]["origins"])
        chart(graph_figure(before, {k for k, n in enumerate(before["nodes"]) if set(n["origins"]) & origins}, mode(), base_px()), "before")
    with right:
        st.markdown("**As it runs**")
        clicked = chart(graph_figure(after, {node}, mode(), base_px()), "after", on_select="rerun", selection_mode="points")
        picked(clicked, node)
    st.subheader(nb(f"{len(this.trace['candidates'])} candidate graphs"), anchor=False)
    st.dataframe(pd.DataFrame(figures.candidates_table(this)), hide_index=True, alt="Candidate graphs with their fusion rules, nodes and times")


def choose(this: figures.Story, key: str) -> int:
    """The node looked at, the same in every view."""
    nodes = range(len(this.trace["after"]["nodes"]))
    st.session_state.setdefault("compiler:node", 0)
    start = st.session_state["compiler:node"] if st.session_state["compiler:node"] in nodes else 0
    found = st.selectbox("Node", nodes, index=start, format_func=lambda k: figures.node_words(this.trace["after"], k), key=f"compiler:node:{key}:{start}")
    st.session_state["compiler:node"] = found
    return found


def picked(event, node: int) -> None:
    """A click on a node of the graph chooses it."""
    points = event.get("selection", {}).get("points", []) if event else []
    wanted = points[0].get("customdata") if points else None
    wanted = wanted[0] if isinstance(wanted, list | tuple) else wanted
    if wanted is not None and wanted != node and st.session_state.get("compiler:clicked") != wanted:
        st.session_state["compiler:node"] = st.session_state["compiler:clicked"] = int(wanted)
        st.rerun()


def code(view: desk.View) -> None:
    """The C++ of the chosen node, with where it stands in the file."""
    this = figures.story(view)
    node = choose(this, "code")
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        chart(graph_figure(this.trace["after"], {node}, mode(), base_px()), "code-graph")
    with right:
        first, last, text = figures.block_of(this, node)
        if not text:
            small("This node needs no code: it only renames what is in memory.")
            return
        found = this.trace["after"]["nodes"][node]
        st.markdown(f"**Lines {first} to {last} of {len(this.lines):,}**" + (f", variant {plain(found['variant'])}" if found.get("variant") else ""))
        small(plain("From " + ", ".join(found["origins"])) if found["origins"] else "Made by the compiler.")
        st.code(text, language=None, wrap_lines=True, height=36 * base_px())


def measured(view: desk.View) -> None:
    """Which variants were timed, which were discarded, and why."""
    this = figures.story(view)
    rows = this.trace["measured"]
    if rows:
        st.subheader(nb(f"{len(rows)} kernels timed on this core, {sum(r['chosen'] for r in rows)} taken"), anchor=False)
        chart(figures.measured_figure(rows, mode(), base_px()), "measured")
        small("Filled: taken, its name at the right. Hollow: slower here. Other nodes were decided by rule.")
    else:
        small("Every node was decided by rule; nothing was timed on the way.")
    if this.trace["discarded"]:
        st.subheader("Discarded", anchor=False)
        st.dataframe(pd.DataFrame(this.trace["discarded"]), hide_index=True, alt="Variants that did not compile or did not agree, with the reason")
    timed = [row for row in this.race if row["key"] in CALLS]
    if any(row.get("histogram") for row in timed):
        st.subheader("How late a call can be", anchor=False)
        chart(figures.calls_figure(timed, mode(), base_px()), "calls")
        small("10,000 calls each on a machine that does other work too: the far right is the operating system’s, not the code’s.")


def under_way(job: Job) -> None:
    """The race while it is run."""
    rows = job.shown[-1]["race"] if job.shown else []
    if rows:
        chart(figures.race_figure(rows, job.shown[-1].get("limit"), None, mode(), base_px()), "growing")
        small("Under way: best so far.")


def explain(view: desk.View) -> None:
    """The stages with their seconds, and what was checked."""
    this = figures.story(view)
    st.markdown(figures.stages_table(view.record))
    small(plain(this.trace["method"]))


room(ROW, figures.finding, show, explain, under_way, {"Graph": graphs, "Code": code, "Measured": measured})
