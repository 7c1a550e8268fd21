"""Views of the compiler exhibit: graphs, code, measurements, the slot budget, runtimes from the record."""

import pandas as pd
import streamlit as st

from app import desk, recorded
from app.figures import compiler as figures
from app.figures.compiler_graph import graph_figure
from app.pieces import base_px, chart, mode, nb, plain, small
from app.registry import Exhibit

CALLS = ("ours", "hand", "plain hand", "onnxruntime")


def budget() -> float | None:
    """What the slot leaves to this network, as the visitor sets it."""
    chosen = st.select_slider("Time the network may take", ("no limit", *figures.SLOTS_US), key="compiler:budget",
                              format_func=lambda us: us if isinstance(us, str) else figures.time_words(us) + (f", {figures.WORDS[us]}" if us in figures.WORDS else ""))
    return None if isinstance(chosen, str) else float(chosen)


def others(row: Exhibit, this: figures.Story) -> None:
    """What the recorded benchmark says of runtimes that are not installed with the studio."""
    rows = [r for r in recorded.rows(row.slug, f"race_{this.trace['model']['benchmark']}") if r.get("best_us")]
    if rows:
        with st.expander("The same network under other runtimes, from the recorded benchmark", icon=":material/leaderboard:"):
            st.dataframe(pd.DataFrame([{"Runtime": r["name"], "Best (µs)": r["best_us"], "Median (µs)": r.get("median_us"), "Of the limit (%)": r.get("limit_percent")} for r in rows]),
                         hide_index=True, alt="Recorded times of other runtimes on this network")
            small(f"Recorded by `launch.py bench compiler` on {recorded.value(row.slug, 'machine')}, {recorded.value(row.slug, 'date')}; not measured just now.")


def show_graphs(view: desk.View) -> None:
    """The network before and after fusion; the chosen node lit in both."""
    this = figures.story(view)
    before, after = this.trace["before"], this.trace["after"]
    st.subheader(nb(f"{len(before['nodes'])} nodes became {len(after['nodes'])}"), anchor=False)
    node = choose(this, "graph")
    left, right = st.columns([1.3, 1], gap="medium")
    with left:
        st.markdown("**As it came**")
        origins = set(after["nodes"][node]["origins"])
        chart(graph_figure(before, {k for k, n in enumerate(before["nodes"]) if set(n["origins"]) & origins}, mode(), base_px()), "compiler:before")
    with right:
        st.markdown("**As it runs**")
        clicked = chart(graph_figure(after, {node}, mode(), base_px()), "compiler:after", on_select="rerun", selection_mode="points")
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


def show_code(view: desk.View) -> None:
    """The C++ of the chosen node, with where it stands in the file."""
    this = figures.story(view)
    node = choose(this, "code")
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        chart(graph_figure(this.trace["after"], {node}, mode(), base_px()), "compiler:code-graph")
    with right:
        first, last, text = figures.block_of(this, node)
        if not text:
            small("This node needs no code: it only renames what is in memory.")
            return
        found = this.trace["after"]["nodes"][node]
        st.markdown(f"**Lines {first} to {last} of {len(this.lines):,}**" + (f", variant {plain(found['variant'])}" if found.get("variant") else ""))
        small(plain("From " + ", ".join(found["origins"])) if found["origins"] else "Made by the compiler.")
        st.code(text, language=None, wrap_lines=True, height=36 * base_px())


def show_measured(view: desk.View) -> None:
    """Which variants were timed, which were discarded, and why."""
    this = figures.story(view)
    rows = this.trace["measured"]
    if rows:
        st.subheader(nb(f"{len(rows)} kernels timed on this core, {sum(r['chosen'] for r in rows)} taken"), anchor=False)
        chart(figures.measured_figure(rows, mode(), base_px()), "compiler:measured")
        small("Filled: taken, its name at the right. Hollow: slower here. Other nodes were decided by rule.")
    else:
        small("Every node was decided by rule; nothing was timed on the way.")
    if this.trace["discarded"]:
        st.subheader("Discarded", anchor=False)
        st.dataframe(pd.DataFrame(this.trace["discarded"]), hide_index=True, alt="Variants that did not compile or did not agree, with the reason")
    timed = [row for row in this.race if row["key"] in CALLS]
    if any(row.get("histogram") for row in timed):
        st.subheader("How late a call can be", anchor=False)
        chart(figures.calls_figure(timed, mode(), base_px()), "compiler:calls")
        small("10,000 calls each on a machine that does other work too: the far right is the operating system’s, not the code’s.")
