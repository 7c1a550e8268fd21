"""Users who walk: their paths over the plan, the levels that every TRP has of them, and a fading channel that moves with them.

The moving counterpart of `channel.draw`: the same rays, angular spread, delays and estimates, but the rays stay while the user moves through them
(spatial consistency in the spirit of TR 38.901 sec. 7.6.3), so that what was measured a moment ago is worth something, and less a moment later.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.dmimo import channel
from core.dmimo.scenario import Scenario
from core.errors import ConfigError, LimitError
from core.ran import fading
from core.ran.numerology import Numerology
from core.ran.propagation import SHADOWING_CORRELATION_M, SHADOWING_DB
from core.ran.units import db_to_linear, noise_dbm, wavelength_m

MOST_STEPS = 20_000
MOST_RAY_SAMPLES = 400_000_000
"""Steps x TRPs x UEs x rays x antennas."""
CHUNK = 2_000_000
SOUNDING_SYMBOLS = 1


@dataclass(frozen=True)
class Walk:
    """K users over T steps in front of M TRPs; every user sends one layer. Thermal noise has variance 1.

    times_s   [T];  places_m [T, K, 3]
    gain_db   [T, M, K]: path loss, walls and shadowing, negated
    snr_db    [T, M, K]: mean SNR per antenna after power control, which a user's largest power bounds
    gram      complex128 [T, F, M, K, K]: H^H H of each TRP on F subbands, from the DMRS of the step: what combining has
    error     [T, M, K]: what the estimate of a user leaves open; a TRP's noise is 1 + the sum over the users that send
    sounded, sounded_error  the same from the sounding signal (SRS) of the step, with an error of its own: what scheduling and link adaptation have
    antennas  Nr of each TRP;  streams: how many users a TRP takes part for on a subband;  qam_bits: of the largest constellation
    bandwidth_hz  occupied bandwidth;  data_share: share of its symbols that carry data
    """

    times_s: np.ndarray
    places_m: np.ndarray
    gain_db: np.ndarray
    snr_db: np.ndarray
    gram: np.ndarray
    error: np.ndarray
    sounded: np.ndarray
    sounded_error: np.ndarray
    antennas: int
    streams: int
    qam_bits: int
    bandwidth_hz: float
    data_share: float


def walk(scenario: Scenario, steps: int = 200, step_s: float = 0.25, speed_m_s: float = 1.2, subbands: int = 2, seed: int = 0) -> Walk:
    """A walk of all users of the scenario; clustered users keep together. Deterministic per seed.

    steps, step_s  length and grain in time;  speed_m_s  0 to 50, the same for all
    subbands       F: parts of the band that are scheduled apart, the channel being that of their middles
    Raises ConfigError for a value out of its range, LimitError where the walk would take gigabytes.
    """
    _check(scenario, steps, step_s, speed_m_s, subbands)
    paths, shadows, rays, pilots = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4))
    places = stroll(scenario, steps, step_s * speed_m_s, paths)
    gain = _gain_db(scenario, places, shadows)
    snr = _power_controlled_db(scenario, gain)
    power, sent = db_to_linear(snr), [np.sqrt(p)[:, None, :] * small for p, small in zip(db_to_linear(snr), _fading(scenario, places, subbands, rays))]
    gram, error = _heard(sent, power, scenario.radio.dmrs_symbols, pilots)
    sounded, sounded_error = _heard(sent, power, SOUNDING_SYMBOLS, pilots)
    radio = scenario.radio
    return Walk(np.arange(steps) * step_s, places, gain, snr, gram, error, sounded, sounded_error, scenario.antennas, radio.streams_per_trp, radio.qam_bits,
                Numerology(radio.prbs, radio.subcarrier_spacing_hz).bandwidth_hz, (14 - radio.dmrs_symbols) / 14)


def _check(scenario: Scenario, steps: int, step_s: float, speed_m_s: float, subbands: int) -> None:
    for name, value, low, high in (("steps", steps, 1, MOST_STEPS), ("step_s", step_s, 1e-4, 60), ("speed_m_s", speed_m_s, 0, 50), ("subbands", subbands, 1, 64)):
        if not low <= value <= high:
            raise ConfigError(f"{name} is {value}; it has to lie between {low:g} and {high:g}.")
    samples = steps * len(scenario.trps) * len(scenario.ues) * scenario.radio.rays * scenario.antennas
    if samples > MOST_RAY_SAMPLES:
        raise LimitError(f"A walk of {steps:,} steps of {len(scenario.ues)} users before {len(scenario.trps)} TRPs of {scenario.antennas} antennas would take minutes. "
                         f"Take at most {steps * MOST_RAY_SAMPLES // samples:,} steps.")


def stroll(scenario: Scenario, steps: int, step_m: float, rng: np.random.Generator) -> np.ndarray:
    """Random waypoints: every user walks straight to a random point of the plan, then to the next; walls do not stop anybody. Clustered users walk
    beside each other. [steps, UEs, 3]"""
    start = channel.place_ues(scenario, rng)
    together = scenario.radio.placement == "clustered"
    size = np.array([scenario.width_m, scenario.depth_m])
    walkers = start[:, :2].mean(axis=0, keepdims=True) if together else start[:, :2]
    paths = np.stack([_path(place, size, steps, step_m, rng) for place in walkers], axis=1)
    if together:
        paths = paths + (start[:, :2] - walkers)
    heights = np.broadcast_to(start[:, 2:], (steps, len(start), 1))
    return np.concatenate([np.clip(paths, 0.0, size), heights], axis=2)


def _path(place: np.ndarray, size: np.ndarray, steps: int, step_m: float, rng: np.random.Generator) -> np.ndarray:
    """One walker's places [steps, 2], step_m apart along straight legs."""
    corners, length = [place], 0.0
    while length < steps * step_m:
        corners.append(rng.uniform(0.0, size))
        length += float(np.linalg.norm(corners[-1] - corners[-2]))
    points = np.array(corners)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.arange(steps) * step_m
    return np.stack([np.interp(at, along, points[:, axis]) for axis in (0, 1)], axis=1)


def _gain_db(scenario: Scenario, places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Path loss and walls, and shadowing that decays with the distance walked as exp(-distance / d_cor) (TR 38.901 eq. 7.4-5): [T, M, K]."""
    steps, users = places.shape[:2]
    trps = len(scenario.trps)
    gain = channel.gain_db(scenario, places.reshape(-1, 3)).reshape(trps, steps, users).swapaxes(0, 1)
    moved = np.linalg.norm(np.diff(places[..., :2], axis=0), axis=-1)
    kept = np.exp(-moved / SHADOWING_CORRELATION_M[True])
    noise = rng.standard_normal((steps, trps, users))
    shadow = np.empty_like(noise)
    shadow[0] = noise[0]
    for t in range(1, steps):
        shadow[t] = kept[t - 1] * shadow[t - 1] + np.sqrt(1 - kept[t - 1] ** 2) * noise[t]
    return gain + SHADOWING_DB[True] * shadow


def _power_controlled_db(scenario: Scenario, gain_db: np.ndarray) -> np.ndarray:
    """SNR per antenna [T, M, K]: the scenario's SNR at the TRP that hears a user best, or what the user's largest power gives."""
    radio, best = scenario.radio, gain_db.max(axis=1, keepdims=True)
    bandwidth = Numerology(radio.prbs, radio.subcarrier_spacing_hz).bandwidth_hz
    reachable = radio.ue_power_dbm + best - noise_dbm(bandwidth, radio.noise_figure_db)
    return gain_db - best + np.minimum(radio.snr_db, reachable)


def _fading(scenario: Scenario, places: np.ndarray, subbands: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Small-scale fading step by step, complex128 [F, M, Nr, K], mean power 1.

        h = R^{-1/2} sum_r exp(j (phi_r + pi n sin theta_r + 2 pi (u_r . place) / wavelength - 2 pi f tau_r)),   u_r: where ray r leaves the user

    iid fading has independent phases phi_{r,n} at every antenna in place of the array's.
    """
    radio, steps, users = scenario.radio, len(places), places.shape[1]
    shape = (len(scenario.trps), users, radio.rays)
    spread = fading.ray_angles_rad(np.zeros(shape[:2]), radio.angular_spread_deg, radio.rays, rng)
    leaving = rng.uniform(0.0, 2.0 * np.pi, shape)
    wave = 2 * np.pi / wavelength_m(radio.carrier_hz) * np.stack([np.cos(leaving), np.sin(leaving)], axis=-1)
    middles = (np.arange(subbands) + 0.5) / subbands * Numerology(radio.prbs, radio.subcarrier_spacing_hz).bandwidth_hz
    turning = np.exp(-2j * np.pi * fading.ray_delays_s(shape, radio.carrier_hz, rng)[..., None] * middles)          # [M, K, R, F]
    alone = radio.channel == "iid"
    phases = np.exp(2j * np.pi * rng.uniform(size=(*shape, scenario.antennas if alone else 1)))                    # [M, K, R, Nr or 1]
    towards = channel.directions_rad(scenario, places.reshape(-1, 3)).reshape(shape[0], steps, users).swapaxes(0, 1)
    chunk = max(1, CHUNK // (np.prod(shape) * scenario.antennas))
    for begin in range(0, steps, chunk):
        now = slice(begin, min(begin + chunk, steps))
        moved = np.exp(1j * np.einsum("mkrd,tkd->tmkr", wave, places[now, :, :2]))
        arriving = (phases if alone else phases * fading.steering(towards[now, ..., None] + spread, scenario.antennas)) * moved[..., None]
        yield from np.einsum("mkrf,tmkrn->tfmnk", turning, arriving, optimize=True) / np.sqrt(radio.rays)


def _heard(true: list[np.ndarray], power: np.ndarray, pilot_symbols: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """H^H H of the estimates that so many pilot symbols give, [T, F, M, K, K], and the error variance each user leaves, [T, M, K]."""
    found = (channel.estimate(h, p, pilot_symbols, rng)[0] for h, p in zip(true, power))
    error_var = 1.0 / (channel.PILOTS_PER_PRB * pilot_symbols)
    return np.stack([np.conj(np.swapaxes(h, -1, -2)) @ h for h in found]), power * error_var / (power + error_var)
