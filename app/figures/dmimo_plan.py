"""What the floor plan of the D-MIMO exhibit shows: places, walls and a coverage map as plain values for app/widgets/floor_plan.js, and the coverage in numbers."""

from collections.abc import Mapping

from app.figures.style import SEQUENTIAL
from core.dmimo.coverage import Coverage
from core.dmimo.scenario import Scenario

LOW_DBM, HIGH_DBM = -100, -50
"""Ends of the colour scale: fixed, so that a map does not change its colours while a radio moves."""
HOLE = {"light": "#DDA29C", "dark": "#6B2B27"}
PLACEMENT = {
    "fixed": "Drag radios and users, or press Tab and move them with the arrow keys.",
    "clustered": "Drag the radios. The users are one example: each placement draws a new cluster, until you move one.",
    "spread": "Drag the radios. The users are one example: each placement draws new places, until you move one."}
MAPS = {"all_per_trp": "All radios", "all_total": "All, on the power of one", "one": "One radio"}


def plan_data(scenario: Scenario, coverage: Coverage, mode: str, turn: int = 0) -> dict:
    """The plan with its coverage as the component takes it.

    turn  changes when the component has to take back what it shows (a move that was refused)
    """
    ny, nx = coverage.rsrp_dbm.shape
    said = PLACEMENT[scenario.radio.placement] if scenario.radio.channel == "geometric" else "Independent fading: where radios and users stand matters for the power alone."
    return {
        "width_m": scenario.width_m, "depth_m": scenario.depth_m, "walls": [[w.x0_m, w.y0_m, w.x1_m, w.y1_m, w.loss_db] for w in scenario.walls],
        "radios": [[t.x_m, t.y_m] for t in scenario.trps], "users": [[u.x_m, u.y_m] for u in scenario.ues], "fixed": scenario.radio.placement == "fixed",
        "said": said, "turn": turn, "sending": list(coverage.trps),
        "label": f"Floor plan, {scenario.width_m:g} by {scenario.depth_m:g} metres, {len(scenario.trps)} radios and {len(scenario.ues)} users",
        "heat": {"nx": nx, "ny": ny, "dbm": coverage.rsrp_dbm.round().astype(int).ravel().tolist(), "best": coverage.best_trp.ravel().tolist(),
                 "holes_dbm": round(coverage.hole_dbm), "low_dbm": LOW_DBM, "high_dbm": HIGH_DBM, "palette": list(SEQUENTIAL[mode]), "hole": HOLE[mode]}}


def coverage_table(maps: Mapping[str, Coverage], marked: str) -> str:
    """The three maps in numbers as a Markdown table; the one that is drawn is bold."""
    lines = ["| Sending | dBm in all | 5th percentile | holes |", "|:--|--:|--:|--:|"]
    for name, words in MAPS.items():
        c = maps[name]
        who = f"Radio {c.trps[0] + 1} alone" if name == "one" else words.replace("All", f"All {len(c.trps)}", 1)
        cells = [who, f"{c.radiated_dbm:.0f}", f"{dbm(c.p5_dbm, 1)}", f"{100 * c.holes_share:.1f}\u00a0%"]
        lines.append("| " + " | ".join(f"**{cell}**" if name == marked else cell for cell in cells) + " |")
    return "\n".join(lines)


def dbm(level: float, digits: int = 0) -> str:
    """-73.2 -> "−73 dBm", with a real minus and a no-break space."""
    return f"{level:.{digits}f}".replace("-", "\u2212") + "\u00a0dBm"


def gain(step_db: float) -> str:
    """-0.6 -> "−1 dB"."""
    return f"{step_db:.0f}".replace("-0", "0").replace("-", "\u2212") + "\u00a0dB"


def coverage_words(maps: Mapping[str, Coverage]) -> str:
    """What several radios change, in one sentence."""
    one, every, shared = maps["one"], maps["all_per_trp"], maps["all_total"]
    if len(every.trps) == 1:
        return f"95 % of the floor gets {dbm(one.p5_dbm)} or more"
    return f"{len(every.trps)} radios lift the weakest 5 % of the floor by {gain(every.p5_dbm - one.p5_dbm)}; on the power of one by {gain(shared.p5_dbm - one.p5_dbm)}"
