"""Small-scale fading at a uniform linear array: rays with an angular spread (one cluster of 3GPP TR 38.901 sec. 7.5), or independent Rayleigh fading.

Angles are measured from broadside; elements lie half a wavelength apart, so element n sees a plane wave from theta with phase pi n sin(theta).
"""

import numpy as np


def steering(angle_rad: np.ndarray, antennas: int) -> np.ndarray:
    """exp(j pi n sin(theta)): response of the array to plane waves, complex128 [..., antennas]."""
    return np.exp(1j * np.pi * np.sin(np.asarray(angle_rad, dtype=float))[..., None] * np.arange(antennas))


def ray_angles_rad(towards_rad: np.ndarray, spread_deg: float, rays: int, rng: np.random.Generator) -> np.ndarray:
    """Angles of arrival of the rays: Laplacian about the transmitter's direction with this rms spread (as the rays of TR 38.901, sec. 7.5 step 7).

    towards_rad  [...]; returns [..., rays]
    """
    offsets = rng.laplace(scale=np.radians(spread_deg) / np.sqrt(2.0), size=(*np.shape(towards_rad), rays))
    return np.asarray(towards_rad)[..., None] + offsets


def ray_delays_s(shape: tuple[int, ...], carrier_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Excess delays: exponential with the median rms delay spread of an indoor office in line of sight (TR 38.901 Table 7.5-6).

        lg DS = -0.01 lg(1 + f) - 7.692, f in GHz
    """
    return rng.exponential(10.0 ** (-0.01 * np.log10(1.0 + carrier_hz / 1e9) - 7.692), size=shape)


def geometric(towards_rad: np.ndarray, layers: np.ndarray, antennas: int, offsets_hz: np.ndarray, *,
              spread_deg: float, rays: int, carrier_hz: float, rng: np.random.Generator) -> np.ndarray:
    """A draw of correlated fading: equally strong rays of random phase, angles as in `ray_angles_rad`, delays as in `ray_delays_s`.

        h[p, m, n, l] = R^{-1/2} sum_r exp(j (phi_r + pi n sin theta_r + pi i_l sin psi_r - 2 pi f_p tau_r))

    Layers of one UE share its rays; its antennas i lie half a wavelength apart and the rays leave at uniform angles psi.

    towards_rad  [TRPs, UEs] direction of each UE as each array sees it
    layers       int [UEs]: layers (antennas) of each UE
    antennas     of each TRP
    offsets_hz   [P] frequencies
    returns      complex128 [P, TRPs, antennas, layers in all], mean power 1
    """
    shape = (*towards_rad.shape, rays)
    angles = ray_angles_rad(towards_rad, spread_deg, rays, rng)
    phases, leaving = rng.uniform(0.0, 2.0 * np.pi, shape), rng.uniform(0.0, 2.0 * np.pi, shape)
    delays = ray_delays_s(shape, carrier_hz, rng)
    arriving = steering(angles, antennas) * np.exp(1j * phases)[..., None] / np.sqrt(rays)      # [M, U, R, N]
    turning = np.exp(-2j * np.pi * delays[..., None] * offsets_hz)                               # [M, U, R, P]
    of_ue = np.repeat(np.arange(len(layers)), layers)
    antenna_of_layer = np.concatenate([np.arange(count) for count in layers])
    sent = np.exp(1j * np.pi * np.sin(leaving[:, of_ue]) * antenna_of_layer[:, None])            # [M, L, R]
    weighted = np.swapaxes(turning[:, of_ue] * sent[..., None], -1, -2)                          # [M, L, P, R]
    return np.transpose(weighted @ arriving[:, of_ue], (2, 0, 3, 1))


def iid(count: int, trps: int, antennas: int, layers: int, rng: np.random.Generator) -> np.ndarray:
    """Independent Rayleigh fading: complex normal, mean power 1, complex128 [count, trps, antennas, layers]."""
    parts = rng.standard_normal((2, count, trps, antennas, layers))
    return (parts[0] + 1j * parts[1]) * np.sqrt(0.5)
