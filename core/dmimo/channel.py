"""One draw of a scenario's radio channel: where the users stand, what every array hears of them, and what the receivers know of it."""

from dataclasses import dataclass

import numpy as np

from core.dmimo.scenario import Scenario
from core.ran import fading, propagation
from core.ran.numerology import Numerology
from core.ran.units import db_to_linear

PILOTS_PER_PRB = 6
"""Resource elements per DMRS symbol and PRB that one layer's estimate averages over (comb 2; layers of a comb are told apart by cover codes)."""


@dataclass(frozen=True)
class Channel:
    """A draw on P resource blocks; noise has variance 1 at every antenna.

    true       complex128 [P, M, Nr, L]
    estimate   what DMRS tell, same shape: least squares, scaled to least mean squared error per TRP and layer
    noise_var  [M]: variance that combining has to reckon with per antenna: thermal noise and what the estimates of all layers leave open
    """

    true: np.ndarray
    estimate: np.ndarray
    noise_var: np.ndarray


def draw(scenario: Scenario, snr_db: float, blocks: int, rng: np.random.Generator, middle: np.ndarray | None = None) -> Channel:
    """A new drop: places, shadowing, fading on `blocks` resource blocks spread over the band, DMRS noise.

    snr_db  mean SNR per antenna at the TRP that hears a UE best: every UE is power-controlled to it
    middle  as in `place_ues`
    """
    places = place_ues(scenario, rng, middle)
    radio, layers = scenario.radio, np.array([ue.layers for ue in scenario.ues])
    power = np.repeat(db_to_linear(snr_db + relative_gain_db(scenario, places, rng)), layers, axis=1)       # [M, L]
    if radio.channel == "iid":
        small = fading.iid(blocks, len(scenario.trps), scenario.antennas, scenario.layers, rng)
    else:
        small = fading.geometric(directions_rad(scenario, places), layers, scenario.antennas, _offsets_hz(scenario, blocks),
                                 spread_deg=radio.angular_spread_deg, rays=radio.rays, carrier_hz=radio.carrier_hz, rng=rng)
    true = np.sqrt(power)[:, None, :] * small
    return Channel(true, *estimate(true, power, radio.dmrs_symbols, rng))


def estimate(true: np.ndarray, power: np.ndarray, dmrs_symbols: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Channel estimates from DMRS and the noise variance they leave.

        h_LS = h + e, var e = 1 / (6 DMRS);  h_est = beta / (beta + var e) h_LS;  noise = 1 + sum_l beta_l var e / (beta_l + var e)

    The scaling takes a channel to be white over antennas, as the counted FLOPS do. Where it is not (users close together, a small angular spread),
    the error of the estimates makes layers look easier to tell apart at one radio than they are, and SINRs predicted there are too high;
    with known channels they are not.

    true   [P, M, Nr, L]; power: beta, mean channel power [M, L], taken as known
    returns  h_est [P, M, Nr, L], noise variance per antenna [M]
    """
    error_var = 1.0 / (PILOTS_PER_PRB * dmrs_symbols)
    noise = rng.standard_normal((2, *true.shape)) * np.sqrt(error_var / 2)
    shrink = power / (power + error_var)
    return shrink[:, None, :] * (true + noise[0] + 1j * noise[1]), 1.0 + (shrink * error_var).sum(axis=1)


def place_ues(scenario: Scenario, rng: np.random.Generator, middle: np.ndarray | None = None) -> np.ndarray:
    """Places of the UEs in this drop [UEs, 3]: as planned, in a cluster about a random point (normal, sigma = cluster_radius_m), or anywhere.

    Always inside the plan. middle: where a cluster's random point lies, as shares of width and depth; None draws it.
    """
    places, size = scenario.ue_xyz_m.copy(), (scenario.width_m, scenario.depth_m)
    if scenario.radio.placement == "clustered":
        centre = (rng.uniform(size=2) if middle is None else middle) * size
        places[:, :2] = centre + scenario.radio.cluster_radius_m * rng.standard_normal((len(places), 2))
    elif scenario.radio.placement == "spread":
        places[:, :2] = rng.uniform(0.0, size, (len(places), 2))
    places[:, :2] = np.clip(places[:, :2], 0.0, size)
    return places


def gain_db(scenario: Scenario, places_m: np.ndarray) -> np.ndarray:
    """Large-scale gain of every link [M, UEs]: line-of-sight path loss and the walls in between, negated; no shadowing."""
    trps = scenario.trp_xyz_m[:, None]
    distance = np.linalg.norm(trps - places_m[None], axis=-1)
    loss = propagation.path_loss_db(distance, scenario.radio.carrier_hz, True)
    return -loss - propagation.wall_loss_db(trps[..., :2], places_m[None, :, :2], scenario.wall_lines)


def relative_gain_db(scenario: Scenario, places_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gains with shadowing relative to each UE's best TRP, [M, UEs], at most 0: what power control leaves."""
    shadowing = np.array([propagation.shadowing_db(places_m[:, :2], True, rng) for _ in scenario.trps])
    gain = gain_db(scenario, places_m) + shadowing
    return gain - gain.max(axis=0)


def directions_rad(scenario: Scenario, places_m: np.ndarray) -> np.ndarray:
    """Direction of every UE as each array sees it, [M, UEs], from broadside; broadside looks at the middle of the plan.

    The angle is that of a horizontal array: sin(theta) = the horizontal sine times the cosine of the elevation.
    """
    trps = scenario.trp_xyz_m[:, None]
    facing = np.array([scenario.width_m / 2, scenario.depth_m / 2]) - trps[..., :2]
    facing = np.where(np.linalg.norm(facing, axis=-1, keepdims=True) > 1e-9, facing, [0.0, 1.0])
    along = np.stack([-facing[..., 1], facing[..., 0]], axis=-1) / np.linalg.norm(facing, axis=-1, keepdims=True)
    ray = places_m[None] - trps
    sine = (ray[..., :2] * along).sum(axis=-1) / np.linalg.norm(ray, axis=-1)
    return np.arcsin(np.clip(sine, -1.0, 1.0))


def _offsets_hz(scenario: Scenario, blocks: int) -> np.ndarray:
    """Centres of the simulated resource blocks, evenly over the band."""
    bandwidth = Numerology(scenario.radio.prbs, scenario.radio.subcarrier_spacing_hz).bandwidth_hz
    return (np.arange(blocks) + 0.5) / blocks * bandwidth
