"""Coverage of a floor plan: the RSRP of the strongest TRP in every cell, one radio against all, at equal power per radio and at equal total power.

The post's Figure 4. Line-of-sight path loss of the indoor office (TR 38.901 Table 7.4.1-1) plus the walls in between; no shadowing, no fading, so a map
is the same every time and can follow a radio while it is dragged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.dmimo.scenario import Scenario
from core.errors import ConfigError, LimitError
from core.ran.numerology import Numerology
from core.ran.propagation import rsrp_dbm
from core.ran.units import db_to_linear, linear_to_db

POWERS = ("per_trp", "total")
HOLE_DBM = -95.0
"""Below this RSRP a cell counts as a hole."""
RECEIVER_HEIGHT_M = 1.5
MOST_CELLS = 100_000
MOST_CROSSINGS = 200_000_000
"""Cells x TRPs x walls."""


@dataclass(frozen=True)
class Coverage:
    """RSRP over the plan; cell [row, column] has its middle at (x_m[column], y_m[row]), row 0 is y = 0.

    rsrp_dbm     float64[ny, nx]: of the strongest TRP, per subcarrier
    best_trp     int[ny, nx]: which TRP that is, as an index into the scenario's TRPs
    p5_dbm       the RSRP that 95 % of the cells reach;  median_dbm: that half of them reach
    holes_share  share of cells below hole_dbm, 0 to 1
    trps         the TRPs that send;  power: "per_trp" or "total";  radiated_dbm: power of all of them together
    """

    x_m: np.ndarray
    y_m: np.ndarray
    rsrp_dbm: np.ndarray
    best_trp: np.ndarray
    p5_dbm: float
    median_dbm: float
    holes_share: float
    hole_dbm: float
    trps: tuple[int, ...]
    power: str
    radiated_dbm: float


def rsrp_map(scenario: Scenario, cell_m: float = 1.0, power: str = "per_trp", trps: Sequence[int] | None = None, hole_dbm: float = HOLE_DBM) -> Coverage:
    """The coverage of these TRPs (default: all) on cells of about cell_m.

    power  "per_trp": every TRP sends its own power_dbm, so four radiate 6 dB more than one;
           "total": those that send share the mean power of one, so that many radiate what one does
    Raises ConfigError (unknown power, no TRP, a cell size that is not above 0), LimitError (too many cells or too many walls for them).
    """
    chosen = tuple(range(len(scenario.trps))) if trps is None else tuple(trps)
    x_m, y_m = _cells(scenario, cell_m, chosen)
    return _coverage(scenario, x_m, y_m, {m: _level_dbm(scenario, m, x_m, y_m) for m in chosen}, power, hole_dbm)


def one_against_all(scenario: Scenario, cell_m: float = 1.0, hole_dbm: float = HOLE_DBM) -> dict[str, Coverage]:
    """Three maps: "one", the TRP whose fifth percentile alone is highest; "all_per_trp" and "all_total", all of them at either rule of power."""
    x_m, y_m = _cells(scenario, cell_m, range(len(scenario.trps)))
    levels = {m: _level_dbm(scenario, m, x_m, y_m) for m in range(len(scenario.trps))}
    alone = [_coverage(scenario, x_m, y_m, {m: level}, "per_trp", hole_dbm) for m, level in levels.items()]
    return {"one": max(alone, key=lambda c: c.p5_dbm), **{f"all_{power}": _coverage(scenario, x_m, y_m, levels, power, hole_dbm) for power in POWERS}}


def _level_dbm(scenario: Scenario, trp: int, x_m: np.ndarray, y_m: np.ndarray) -> np.ndarray:
    """RSRP of one TRP at its own power, [ny, nx]."""
    places = np.stack([*np.meshgrid(x_m, y_m), np.full((len(y_m), len(x_m)), RECEIVER_HEIGHT_M)], axis=-1)
    subcarriers = Numerology(scenario.radio.prbs, scenario.radio.subcarrier_spacing_hz).subcarriers
    return rsrp_dbm(scenario.trps[trp].power_dbm, scenario.trp_xyz_m[trp], places, scenario.radio.carrier_hz, subcarriers, scenario.wall_lines)


def _coverage(scenario: Scenario, x_m: np.ndarray, y_m: np.ndarray, levels: dict[int, np.ndarray], power: str, hole_dbm: float) -> Coverage:
    """The map of the TRPs in `levels` (index -> RSRP at its own power) under a rule of power."""
    if power not in POWERS:
        raise ConfigError(f"The power rule {power!r} is not known; it can be {' or '.join(POWERS)}.")
    chosen = tuple(levels)
    own = np.array([scenario.trps[m].power_dbm for m in chosen])
    sent = own if power == "per_trp" else np.full(len(own), linear_to_db(db_to_linear(own).mean() / len(own)))
    all_levels = np.stack(list(levels.values())) + (sent - own)[:, None, None]
    best = all_levels.max(axis=0)
    p5, median = np.percentile(best, [5, 50])
    return Coverage(x_m, y_m, best, np.array(chosen)[all_levels.argmax(axis=0)], float(p5), float(median), float((best < hole_dbm).mean()), hole_dbm,
                    chosen, power, float(linear_to_db(db_to_linear(sent).sum())))


def _cells(scenario: Scenario, cell_m: float, chosen: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Middles of the cells along x and y."""
    if not chosen or not set(chosen) <= set(range(len(scenario.trps))):
        raise ConfigError(f"The TRPs {list(chosen)} cannot send: the scenario has 0 to {len(scenario.trps) - 1}.")
    if not cell_m > 0:
        raise ConfigError(f"The cell size {cell_m} m is not valid: it takes a number above 0.")
    count = [max(1.0, np.ceil(size / cell_m)) for size in (scenario.width_m, scenario.depth_m)]
    cells = count[0] * count[1]
    if cells > MOST_CELLS or cells * len(chosen) * len(scenario.walls) > MOST_CROSSINGS:
        raise LimitError(f"A map of {cells:,.0f} cells for {len(chosen)} TRPs and {len(scenario.walls)} walls is more than this page computes. Take larger cells.")
    return tuple((np.arange(n) + 0.5) * size / n for n, size in zip(map(int, count), (scenario.width_m, scenario.depth_m)))
