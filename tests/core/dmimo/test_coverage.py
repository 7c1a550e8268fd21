"""Coverage maps: the levels at places one can work out by hand, what walls and power rules do, and what is refused."""

import dataclasses

import numpy as np
import pytest

from core.dmimo.coverage import one_against_all, rsrp_map
from core.dmimo.scenario import Scenario, Trp, Ue, Wall
from core.errors import ConfigError, LimitError


def office(walls=(), trps=((5, 5), (25, 5), (5, 13), (25, 13))) -> Scenario:
    return Scenario("Office", 30.0, 18.0, tuple(walls), tuple(Trp(x, y, power_dbm=24.0) for x, y in trps), (Ue(15, 9),))


def test_the_level_is_power_per_subcarrier_less_path_loss_and_walls():
    coverage = rsrp_map(office([Wall(10, 0, 10, 18, 7.0)], [(0.5, 0.5)]), 1.0)
    assert coverage.rsrp_dbm.shape == coverage.best_trp.shape == (18, 30) and coverage.x_m[0] == 0.5 and coverage.y_m[-1] == 17.5
    for row, column, walls in ((0, 20, 1), (10, 5, 0), (17, 29, 1)):
        distance = np.sqrt(column**2 + row**2 + 1.5**2)
        loss = 32.4 + 17.3 * np.log10(distance) + 20 * np.log10(3.5) + 7.0 * walls
        assert coverage.rsrp_dbm[row, column] == pytest.approx(24 - 10 * np.log10(3276) - loss)


def test_every_cell_belongs_to_its_strongest_radio():
    coverage = rsrp_map(office(), 0.5)
    alone = np.stack([rsrp_map(office(), 0.5, trps=[m]).rsrp_dbm for m in range(4)])
    np.testing.assert_array_equal(coverage.rsrp_dbm, alone.max(axis=0))
    assert [coverage.best_trp[j, i] for j, i in ((0, 0), (0, -1), (-1, 0), (-1, -1))] == [0, 1, 2, 3]


def test_four_share_the_power_of_one_at_equal_total_power():
    each, total = rsrp_map(office()), rsrp_map(office(), power="total")
    np.testing.assert_allclose(each.rsrp_dbm - total.rsrp_dbm, 10 * np.log10(4))
    assert each.radiated_dbm == pytest.approx(24 + 10 * np.log10(4)) and total.radiated_dbm == pytest.approx(24.0)


def test_numbers_are_those_of_the_map():
    coverage = rsrp_map(office([Wall(15, 0, 15, 18, 30.0)], [(5, 9)]), hole_dbm=-100.0)
    below = coverage.rsrp_dbm < -100.0
    assert coverage.holes_share == below.mean() == pytest.approx(0.5) and not below[:, :15].any()
    assert (coverage.rsrp_dbm >= coverage.p5_dbm).mean() == pytest.approx(0.95, abs=0.01)
    assert coverage.p5_dbm < -100.0 <= coverage.median_dbm + 31


def test_radios_on_both_sides_of_a_wall_reach_what_one_cannot():
    maps = one_against_all(office([Wall(15, 0, 15, 18, 30.0)]))
    assert set(maps) == {"one", "all_per_trp", "all_total"} and len(maps["one"].trps) == 1
    assert maps["one"].radiated_dbm == pytest.approx(maps["all_total"].radiated_dbm)
    assert maps["one"].p5_dbm + 10 < maps["all_total"].p5_dbm < maps["all_per_trp"].p5_dbm
    assert maps["one"].p5_dbm == max(rsrp_map(office([Wall(15, 0, 15, 18, 30.0)]), trps=[m]).p5_dbm for m in range(4))


@pytest.mark.parametrize("settings, error, says", [
    (dict(power="both"), ConfigError, "per_trp or total"), (dict(trps=[]), ConfigError, "cannot send"), (dict(trps=[4]), ConfigError, "has 0 to 3"),
    (dict(cell_m=0.0), ConfigError, "above 0"), (dict(cell_m=float("nan")), ConfigError, "above 0"), (dict(cell_m=0.01), LimitError, "Take larger cells")])
def test_what_cannot_be_mapped_is_a_sentence(settings, error, says):
    with pytest.raises(error, match=says):
        rsrp_map(office(), **settings)
    with pytest.raises(LimitError, match="2000 walls"):
        rsrp_map(dataclasses.replace(office(), walls=[Wall(0, 0, 1, 1)] * 2000), 0.1)
