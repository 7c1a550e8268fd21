"""Booth mode: when nobody has touched the page for a while, the studio starts over for the next visitor and forgets this one."""

import os

import streamlit as st

from app import visitors
from app.jobs import jobs

SECONDS, WARNING = int(os.environ.get("VITRINE_IDLE_SECONDS", "90")), 15
"""Seconds without a touch until the studio starts over, and the last of them during which it says so."""

SCRIPT = """
export default function (component) {
  const { parentElement, data, setTriggerValue } = component;
  const line = parentElement.querySelector("p");
  let touched = Date.now();
  const touch = () => { touched = Date.now(); line.hidden = true; };
  const kinds = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart", "somebody-here"];
  kinds.forEach(kind => document.addEventListener(kind, touch, { passive: true }));
  const clock = setInterval(() => {
    if (data.busy || document.querySelector("iframe:hover")) { touched = Date.now(); return; }
    const left = data.seconds - (Date.now() - touched) / 1000;
    line.hidden = left > data.warning;
    line.textContent = "Starting over for the next visitor in " + Math.max(0, Math.ceil(left)) + " s. Touch anything to stay.";
    if (left <= 0) { clearInterval(clock); setTriggerValue("idle", Date.now()); }
  }, 500);
  return () => { clearInterval(clock); kinds.forEach(kind => document.removeEventListener(kind, touch)); };
}
"""
STYLE = """p { position: fixed; left: 0; right: 0; bottom: 0; margin: 0; padding: 1rem; text-align: center; z-index: 1000; font: 600 1.125rem var(--st-font);
color: var(--st-text-color); background: var(--st-secondary-background-color); border-top: 1px solid var(--st-border-color) } p[hidden] { display: none }"""


def idle_guard() -> None:
    """In booth mode, watch for idleness; never while this visitor's job is waiting or running."""
    if os.environ.get("VITRINE_MODE") != "booth":
        return
    watcher = st.components.v2.component("idle_guard", html='<p role="status" hidden></p>', css=STYLE, js=SCRIPT)
    busy = any(not job.finished for job in jobs().of(visitors.visitor()))
    watcher(data={"seconds": SECONDS, "warning": min(WARNING, SECONDS // 2), "busy": busy}, key="idle", on_idle_change=start_over)


def start_over() -> None:
    """Forget this visitor (unkept runs, jobs, pictures, everything on the desks) and return to the gallery."""
    visitors.forget(visitors.visitor())
    for key in list(st.session_state):
        del st.session_state[key]
    st.query_params.clear()
    st.session_state["start-over"] = True
