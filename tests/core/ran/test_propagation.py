"""Units, path loss, line of sight, shadowing, walls: against the tables of TR 38.901 worked by hand, and against the statistics they state."""

import numpy as np
import pytest

from core.ran import propagation, units


def test_units() -> None:
    assert units.noise_dbm(1.0) == pytest.approx(10 * np.log10(1.380649e-23 * 290 * 1e3), abs=1e-3)
    assert units.watt_to_dbm(units.dbm_to_watt(23.0)) == pytest.approx(23.0)
    assert units.linear_to_db(0.0) == -np.inf
    assert units.wavelength_m(3.5e9) == pytest.approx(0.08566, rel=1e-4)


@pytest.mark.parametrize("distance_m, carrier_hz, los, expected_db", [
    (10.0, 1e9, True, 49.7),                 # 32.4 + 17.3
    (100.0, 10e9, True, 87.0),               # 32.4 + 34.6 + 20
    (10.0, 10e9, False, 80.5),               # 38.3 + 17.3 + 24.9
    (1.0, 3.5e9, False, 43.281),             # the line-of-sight value where it is the larger
    (0.2, 3.5e9, True, 43.281),              # no nearer than 1 m
])
def test_path_loss_is_that_of_the_table(distance_m, carrier_hz, los, expected_db) -> None:
    assert propagation.path_loss_db(distance_m, carrier_hz, los) == pytest.approx(expected_db, abs=1e-3)


def test_a_fit_of_the_path_loss_gives_its_slopes_back() -> None:
    d = np.linspace(10, 150, 50)
    for los, slope in ((True, 17.3), (False, 38.3)):
        assert np.polyfit(np.log10(d), propagation.path_loss_db(d, 3.5e9, los), 1)[0] == pytest.approx(slope)
    assert (np.diff(propagation.path_loss_db(np.linspace(1, 150, 500), 3.5e9, False)) > 0).all()


def test_line_of_sight_probability() -> None:
    assert propagation.los_probability([0.0, 1.2, 6.5]) == pytest.approx([1.0, 1.0, 0.32])
    assert propagation.los_probability(3.0) == pytest.approx(np.exp(-1.8 / 4.7))
    assert propagation.los_probability([5.0, 20.0, 60.0], "open") == pytest.approx([1.0, np.exp(-15 / 70.8), 0.54 * np.exp(-11 / 211.7)])
    assert (np.diff(propagation.los_probability(np.linspace(0, 100, 300))) <= 1e-12).all()


@pytest.mark.parametrize("los, sigma_db, correlation_m", [(True, 3.0, 10.0), (False, 8.03, 6.0)])
def test_shadowing_has_its_variance_and_correlation(los, sigma_db, correlation_m) -> None:
    rng = np.random.default_rng(1)
    places = np.array([[0.0, 0.0], [correlation_m, 0.0], [0.0, 300.0], [0.0, 0.0]])
    draws = np.array([propagation.shadowing_db(places, los, rng) for _ in range(4000)])
    assert draws.std(axis=0) == pytest.approx(sigma_db, rel=0.04)
    correlation = np.corrcoef(draws.T)
    assert correlation[0, 1] == pytest.approx(np.exp(-1), abs=0.05)
    assert correlation[0, 2] == pytest.approx(0.0, abs=0.05)
    assert draws[:, 0] == pytest.approx(draws[:, 3], abs=1e-6), "one place has one shadow"


def test_walls_are_counted_where_they_are_crossed() -> None:
    walls = [[2, -1, 2, 1, 7], [3, -1, 3, 1, 5], [0, 5, 9, 5, 40]]
    assert propagation.wall_loss_db([0, 0], [[4, 0], [2.5, 0], [1, 0], [4, 4]], walls).tolist() == [12, 7, 0, 0]
    assert propagation.wall_loss_db([4, 0], [0, 0], walls) == 12, "the same the other way round"
    assert propagation.wall_loss_db([2, 0], [0, 0], walls) == 0, "a radio on a wall is not behind it"
    assert propagation.wall_loss_db([0, 0], [4, 0], ()) == 0
    assert propagation.penetration_loss_db("concrete", 3.5e9) == pytest.approx(19.0)


def test_rsrp_adds_up() -> None:
    free = propagation.rsrp_dbm(24.0, [0, 0, 3], [[3, 4, 3.0]], 3.5e9, 3276)
    assert free == pytest.approx(24.0 - 10 * np.log10(3276) - (32.4 + 17.3 * np.log10(5) + 20 * np.log10(3.5)))
    walled = propagation.rsrp_dbm(24.0, [0, 0, 3], [[3, 4, 3.0]], 3.5e9, 3276, walls=[[0, 2, 9, 2, 5]])
    assert walled == pytest.approx(free - 5)
    hidden = propagation.rsrp_dbm(24.0, [0, 0, 3], [[30, 40, 3.0]], 3.5e9, 3276, los=False)
    assert hidden < propagation.rsrp_dbm(24.0, [0, 0, 3], [[30, 40, 3.0]], 3.5e9, 3276)
