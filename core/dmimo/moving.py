"""What the exhibit asks of users that walk: one user's serving TRPs over time, every scheduler and every link adapter on a walk; each a work for a sweep."""

import numpy as np

from core.dmimo import link_adaptation, scheduling
from core.dmimo.scenario import Scenario
from core.dmimo.walk import walk

KINDS = ("walk", "schedulers", "adaptation")
STEPS, STEP_S, SPEED_M_S = 200, 0.25, 1.2
SCHEDULED_STEPS = 60
ADAPTED_STEPS = 300


def point(kind: str, scenario: Scenario, seed: int) -> dict:
    """{"rows": ...} of one kind: of the walk a row per step of the first user, of the others a row per scheduler or adapter; "about" says how it was made."""
    if kind == "schedulers":
        return {"rows": scheduling.compare(scenario, steps=SCHEDULED_STEPS, step_s=STEP_S, speed_m_s=SPEED_M_S, seed=seed),
                "about": {"seconds": SCHEDULED_STEPS * STEP_S, "speed_m_s": SPEED_M_S}}
    if kind == "adaptation":
        return {"rows": link_adaptation.compare(scenario, steps=ADAPTED_STEPS, speed_m_s=SPEED_M_S, seed=seed), "about": {"steps": ADAPTED_STEPS, "speed_m_s": SPEED_M_S}}
    return journey(scenario, seed)


def journey(scenario: Scenario, seed: int, user: int = 0) -> dict:
    """Where one user walks, how every TRP hears it, and which TRPs receive it: a row per step.

    Rows have time_s, x_m, y_m, gain_M_db per TRP (path loss, walls and shadowing, negated) and serving ("1+3": numbers of TRPs).
    """
    way = walk(scenario, STEPS, STEP_S, SPEED_M_S, 1, seed)
    serving = scheduling.select_trps(way.gain_db)[:, :, user]
    rows = []
    for t, time_s in enumerate(way.times_s):
        x_m, y_m, _ = way.places_m[t, user]
        gains = {f"gain_{m + 1}_db": round(float(g), 2) for m, g in enumerate(way.gain_db[t, :, user])}
        rows.append({"time_s": float(time_s), "x_m": round(float(x_m), 2), "y_m": round(float(y_m), 2), **gains,
                     "serving": "+".join(str(m + 1) for m in np.flatnonzero(serving[t]))})
    changes = int((serving[1:] != serving[:-1]).any(axis=1).sum())
    return {"rows": rows, "about": {"trps": len(scenario.trps), "changes": changes, "seconds": STEPS * STEP_S, "metres": STEPS * STEP_S * SPEED_M_S}}
