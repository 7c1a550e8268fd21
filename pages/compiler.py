"""The compiler exhibit: a network in, one C++ file out, raced against people and runtimes on this core; what was fused, measured and written."""

from app import desk
from app.figures import compiler as figures
from app.jobs import Job
from app.pieces import base_px, chart, mode, plain, small, stages
from app.registry import exhibit
from app.room import room
from app.widgets.compiler_views import budget, others, show_code, show_graphs, show_measured
from app.widgets.downloads import download_row

ROW = exhibit("compiler")


def show(view: desk.View) -> None:
    """The race on this core, the slot budget, the bundle to take away."""
    this = figures.story(view)
    if not this.race:
        small("Nothing was timed: " + plain(this.trace.get("race_refused") or "this run was made without a race."))
    else:
        allowed = budget()
        chart(figures.race_figure(this.race, this.trace.get("limit"), allowed, mode(), base_px()), "compiler:race")
        small("Bar: best of many blocks of calls, one pinned core, one thread, all in turn. Whisker: the median call. × : against the file made here. "
              + ("" if allowed is None else figures.late_words(this.race, allowed)))
        small(plain(this.trace["verified"]["words"]))
    save(view, this)
    others(ROW, this)


def save(view: desk.View, this: figures.Story) -> None:
    """The C++ file, its header, everything as a bundle, the report."""
    stem = this.trace["stem"]
    download_row("Take it away", view.files, [("Bundle, zip", f"{stem}.bundle.zip"), ("C++", f"{stem}.cpp"), ("Header", f"{stem}.h"), ("Report, JSON", "report.json")], "compiler:save")


def under_way(job: Job) -> None:
    """The race while it is run."""
    rows = job.shown[-1]["race"] if job.shown else []
    if rows:
        chart(figures.race_figure(rows, job.shown[-1].get("limit"), None, mode(), base_px()), "compiler:growing")
        small("Under way: best so far.")


def explain(view: desk.View) -> None:
    """The stages with their seconds, and what was checked."""
    this = figures.story(view)
    stages(view.record)
    small(plain(this.trace["method"]))


room(ROW, figures.finding, show, explain, under_way, {"Graph": show_graphs, "Code": show_code, "Measured": show_measured})
