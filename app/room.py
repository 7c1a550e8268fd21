"""An exhibit's page: header, rail, stage with its states, what happened, numbers footer. A page brings only what is its own to show."""

from collections.abc import Callable, Mapping

import streamlit as st

from app import arrival, desk, shell
from app.desk import View
from app.jobs import Job
from app.pieces import plain, small
from app.registry import Exhibit
from app.widgets.compare import compare_in_stage
from app.widgets.footer import numbers_footer
from app.widgets.input_rail import input_rail, run_sample
from core.errors import LimitError, VitrineError

Show = Callable[[View], None]
UnderWay = Callable[[Job], None]
TICK = 0.4
"""Seconds between looks at a job under way."""
SHORT = 10.5
"""Height in rem of the working state where a growing figure stands under it."""


def room(row: Exhibit, finding: Callable[[View], str], show: Show, explain: Show, under_way: UnderWay | None = None,
         views: Mapping[str, Show] | None = None) -> None:
    """Draw the exhibit's page.

    finding  the result as one sentence with its number, the header of the stage
    show     draws the result
    explain  draws "what happened"
    under_way  draws what a running job has shown so far (`job.shown`); such work keeps what it has when it is stopped
    views      further looks at the same result, by the word on their button between Result and Compare
    """
    place = desk.desk(row)
    desk.open_link(row)
    desk.collect(row)
    waiting = arrival.greet(row, place)
    shell.header(row)
    shell.fallback_notice()
    rail, stage = st.columns([1, 2.6], gap="medium")
    with rail:
        input_rail(row)
    with stage:
        _stage(row, place, waiting, finding, {"Result": show, **(views or {})}, under_way)
    if place.view and not place.job and not place.error:
        with st.expander("What happened", icon=":material/timeline:", key=f"what-happened:{row.slug}"):
            explain(place.view)
        numbers_footer(row, place.view)


def _stage(row: Exhibit, place: desk.Desk, waiting: bool, finding: Callable[[View], str], views: Mapping[str, Show],
           under_way: UnderWay | None) -> None:
    if place.error:
        shell.could_not(place.error, _ways_out(row, place, place.error))
    elif waiting or place.job:
        _under_way(row, waiting, under_way)
    elif place.view:
        _result(row, place.view, finding, views)
    else:
        limits = f"{', '.join(a.upper() for a in row.accepts if a not in ('jpeg', 'tiff'))}, up to {row.max_bytes // 1_000_000} MB"
        shell.empty(f"**No {row.input_word} yet.** Start with a sample, or drop your own.", limits,
                    [(s.label, lambda label=s.label: run_sample(row, label)) for s in row.samples])


def _result(row: Exhibit, view: View, finding: Callable[[View], str], views: Mapping[str, Show]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small"):
        st.header(finding(view), anchor=False, width="content")
        chosen = _view(row, (*views, "Compare"))
    for note in view.record["notes"]:
        small(plain(note))
    if chosen == "Compare":
        compare_in_stage(row, view)
    else:
        views[chosen](view)


def _view(row: Exhibit, names: tuple[str, ...]) -> str:
    """The view that is chosen; while a job runs the control is not drawn and Streamlit forgets it, so the desk remembers."""
    place, key = desk.desk(row), f"view:{row.slug}"
    if key not in st.session_state:
        st.session_state[key] = place.looking if place.looking in names else names[0]
    place.looking = st.segmented_control("View", names, required=True, key=key, label_visibility="collapsed")
    return place.looking


@st.fragment(run_every=TICK)
def _under_way(row: Exhibit, waiting: bool, under_way: UnderWay | None) -> None:
    """The job's state; a finished job reruns the page, which collects it."""
    if waiting and arrival.prepare(row) is not None:
        st.rerun()
    job = arrival.job(row) if waiting else desk.current_job(row)
    if waiting:
        _working("Working on the first sample", job, under_way)
        return
    if job is None or job.finished:
        st.rerun()
    if job.state == "queued" and job.ahead:
        _in_line(row, job)
    else:
        _working(job.message or "Starting", job, under_way, (lambda: desk.finish_early(row)) if under_way else (lambda: desk.stop(row)))


def _working(message: str, job: Job | None, under_way: UnderWay | None, stop: Callable[[], None] | None = None) -> None:
    """The step, the bar, the time and Stop (not for the house's own job); under it what there is to see so far."""
    growing = under_way is not None and job is not None and bool(job.shown)
    with shell.state_box("state-working", SHORT if growing else shell.STAGE_HEIGHT):
        st.markdown(f"**{plain(message)}.**")
        st.progress(min(max(job.fraction if job else 0.0, 0.0), 1.0))
        with st.container(horizontal=True, vertical_alignment="center"):
            if job and stop:
                left = job.seconds_left
                small(f"{job.seconds_so_far:.0f} s so far" + (f", about {max(left, 1):.0f} s left" if left is not None else ""), width="content")
                st.button("Stop", icon=":material/stop:", on_click=stop, key="stop-job")
    if growing:
        under_way(job)


def _in_line(row: Exhibit, job) -> None:
    many = "One visitor is" if job.ahead == 1 else f"{job.ahead} visitors are"
    about = f" About {job.seconds_left:.0f} s." if job.seconds_left is not None else ""
    with shell.state_box("state-in-line"):
        st.markdown(f"**{many} before you.**{about}")
        st.progress(0.0)
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Show my saved runs meanwhile", icon=":material/history:", key="meanwhile"):
                shell.goto("history")
            st.button("Leave the line", type="tertiary", on_click=desk.stop, args=(row,), key="leave-line")


def _ways_out(row: Exhibit, place: desk.Desk, error: VitrineError) -> list[tuple[str, Callable[[], None]]]:
    """Buttons that do what the sentence advises."""
    ways: list[tuple[str, Callable[[], None]]] = []
    if isinstance(error, LimitError) and "shrink" in row.module().Config.__dataclass_fields__ and place.sources:
        ways.append(("Halve it for me", lambda: desk.start(row, shrink=True, **row.on_page)))
    elif place.sources:
        ways.append(("Try again", lambda: desk.start(row, **row.on_page)))
    if row.samples:
        ways.append(("Use a sample instead", lambda: run_sample(row, row.samples[0].label)))
    if place.view:
        ways.append(("Back to the last result", lambda: setattr(place, "error", None)))
    return ways
