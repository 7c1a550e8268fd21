"""Decibels, powers and noise: the few conversions every radio module shares."""

import numpy as np

SPEED_OF_LIGHT_M_S = 299_792_458.0
THERMAL_NOISE_DBM_HZ = -173.975
"""k T at 290 K (k = 1.380649e-23 J/K, exact in the SI), in dBm per hertz."""


def db_to_linear(ratio_db):
    """A power ratio from decibels."""
    return 10.0 ** (np.asarray(ratio_db, dtype=float) / 10.0)


def linear_to_db(ratio):
    """Decibels of a power ratio; -inf for 0."""
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(np.asarray(ratio, dtype=float))


def dbm_to_watt(power_dbm):
    """Power in watts."""
    return db_to_linear(power_dbm) * 1e-3


def watt_to_dbm(power_w):
    """Power in dBm; -inf for 0."""
    return linear_to_db(np.asarray(power_w, dtype=float) * 1e3)


def noise_dbm(bandwidth_hz: float, noise_figure_db: float = 0.0):
    """Thermal noise power at 290 K in this bandwidth behind a receiver of this noise figure."""
    return THERMAL_NOISE_DBM_HZ + linear_to_db(bandwidth_hz) + noise_figure_db


def wavelength_m(carrier_hz: float) -> float:
    """Free-space wavelength."""
    return SPEED_OF_LIGHT_M_S / carrier_hz
