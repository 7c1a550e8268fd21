"""Large-scale propagation indoors: 3GPP TR 38.901 indoor office path loss, line of sight and shadowing, walls, and RSRP over a floor plan."""

import numpy as np

from core.ran.units import linear_to_db

SHADOWING_DB = {True: 3.0, False: 8.03}
"""Standard deviation of shadow fading, InH-Office, for line of sight and without it (TR 38.901 Table 7.4.1-1)."""
SHADOWING_CORRELATION_M = {True: 10.0, False: 6.0}
"""Correlation distance of shadow fading, Indoor-Office (TR 38.901 Table 7.5-6)."""
SHORTEST_M = 1.0
"""The path loss of InH-Office is stated for 1 to 150 m; nearer than this the value at 1 m is taken."""
WALLS = {"glass": (2.0, 0.2), "concrete": (5.0, 4.0), "wood": (4.85, 0.12), "plywood": (1.03, 0.17)}
"""Material -> a, b of its penetration loss a + b f dB, f in GHz (TR 38.901 Table 7.4.3-1)."""


def path_loss_db(distance_m, carrier_hz: float, los):
    """Median path loss of an indoor office, InH-Office (TR 38.901 Table 7.4.1-1).

        line of sight   PL = 32.4 + 17.3 log10(d) + 20 log10(f)
        without it      max(PL, 38.3 log10(d) + 17.30 + 24.9 log10(f)),   f in GHz

    distance_m  [...] three-dimensional distance, stated for 1 to 150 m; below 1 m taken as 1 m
    carrier_hz  0.5 to 100 GHz
    los         bool or bool[...]: whether there is line of sight
    returns     dB [...]
    """
    log_d = np.log10(np.maximum(np.asarray(distance_m, dtype=float), SHORTEST_M))
    log_f = np.log10(carrier_hz / 1e9)
    clear = 32.4 + 17.3 * log_d + 20.0 * log_f
    hidden = np.maximum(clear, 38.3 * log_d + 17.30 + 24.9 * log_f)
    return np.where(los, clear, hidden)


def los_probability(distance_2d_m, office: str = "mixed"):
    """Probability of line of sight over horizontal distance (TR 38.901 Table 7.4.2-1, Indoor - Mixed office and Indoor - Open office).

    distance_2d_m  [...], 0 or more
    office         "mixed" or "open"
    """
    d = np.asarray(distance_2d_m, dtype=float)
    near, far, near_scale, far_scale, share = dict(mixed=(1.2, 6.5, 4.7, 32.6, 0.32), open=(5.0, 49.0, 70.8, 211.7, 0.54))[office]
    beyond = np.exp(-(np.maximum(d, far) - far) / far_scale) * share
    return np.where(d <= near, 1.0, np.where(d < far if office == "mixed" else d <= far, np.exp(-(d - near) / near_scale), beyond))


def shadowing_db(positions_m: np.ndarray, los: bool, rng: np.random.Generator) -> np.ndarray:
    """Shadow fading at several places as seen from one radio: normal in dB, correlation exp(-distance / d_cor) (TR 38.901 eq. 7.4-5).

    positions_m  [places, 2]
    returns      dB [places], one draw; zero mean
    """
    positions = np.asarray(positions_m, dtype=float)
    apart = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    correlation = np.exp(-apart / SHADOWING_CORRELATION_M[bool(los)])
    values, vectors = np.linalg.eigh(correlation)       # unlike Cholesky, two places at one point are no trouble
    return SHADOWING_DB[bool(los)] * (vectors * np.sqrt(np.maximum(values, 0.0))) @ rng.standard_normal(len(positions))


def penetration_loss_db(material: str, carrier_hz: float) -> float:
    """Loss of one wall of this material (TR 38.901 Table 7.4.3-1); material is a key of WALLS."""
    constant, per_ghz = WALLS[material]
    return constant + per_ghz * carrier_hz / 1e9


def wall_loss_db(from_m, to_m, walls) -> np.ndarray:
    """Summed loss of the walls that the straight lines cross, in the plane: the losses of a multi-wall model (COST 231, sec. 4.7).

    from_m, to_m  [..., 2] broadcast against each other
    walls         [walls, 5]: x0, y0, x1, y1 in m and the loss in dB; a line that only touches a wall's end crosses it
    returns       dB [...]
    """
    start, end = np.broadcast_arrays(np.asarray(from_m, dtype=float), np.asarray(to_m, dtype=float))
    loss = np.zeros(start.shape[:-1])
    for x0, y0, x1, y1, loss_db in np.asarray(walls, dtype=float).reshape(-1, 5):
        ends_apart = _side(start, end, x0, y0) * _side(start, end, x1, y1) <= 0
        along, normal = np.array([x1 - x0, y1 - y0]), np.array([y0 - y1, x1 - x0])
        sides = [(point - (x0, y0)) @ normal for point in (start, end)]
        crossed = ends_apart & (sides[0] * sides[1] < 0)     # strictly: a radio that hangs on the wall is not behind it
        loss += np.where(crossed & bool(along.any()), loss_db, 0.0)
    return loss


def _side(start: np.ndarray, end: np.ndarray, x: float, y: float) -> np.ndarray:
    """On which side of each line the point lies: the sign of a cross product."""
    return (end[..., 0] - start[..., 0]) * (y - start[..., 1]) - (end[..., 1] - start[..., 1]) * (x - start[..., 0])


def rsrp_dbm(power_dbm: float, trp_m, places_m, carrier_hz: float, subcarriers: int, walls=(), los=None, gain_dbi: float = 0.0) -> np.ndarray:
    """Reference signal received power: what one subcarrier of the transmitter delivers, P - 10 log10(subcarriers) + gain - path loss - walls.

    power_dbm    total transmit power over all subcarriers
    trp_m        [..., 3]; places_m [..., 3], broadcast against each other
    walls        [walls, 5] as in `wall_loss_db`
    los          None: line-of-sight path loss plus the walls that are crossed (what hides a place here is drawn, so the statistical term without
                 line of sight would count it twice); or bool[...]: as in `path_loss_db`, on top of the walls
    returns      dBm [...], without shadowing and fast fading
    """
    trp, places = np.asarray(trp_m, dtype=float), np.asarray(places_m, dtype=float)
    distance = np.linalg.norm(trp - places, axis=-1)
    loss = path_loss_db(distance, carrier_hz, True if los is None else los) + wall_loss_db(trp[..., :2], places[..., :2], walls)
    return power_dbm - float(linear_to_db(subcarriers)) + gain_dbi - loss
