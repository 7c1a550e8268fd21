"""Scenarios: what is valid, what is refused in which words, and that a file comes back as it went."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.dmimo.scenario import MOST_WALLS, RadioConfig, Scenario, Trp, Ue, Wall, from_json, to_json
from core.errors import InputError, LimitError


def office(**changes) -> Scenario:
    values = dict(name="Office", width_m=30.0, depth_m=18.0, walls=(Wall(10, 0, 10, 12, 4.0),), trps=(Trp(5, 5), Trp(25, 5)), ues=(Ue(8, 9), Ue(20, 10, layers=2)))
    return Scenario(**values | changes)


def document(**changes) -> dict:
    return json.loads(to_json(office())) | changes


def changed(part: str, **values) -> dict:
    found = document()
    found[part][0] |= values
    return found


@settings(max_examples=25, deadline=None)
@given(x=st.floats(0, 30), y=st.floats(0, 18), db=st.floats(-30, 60), layers=st.integers(1, 8), form=st.sampled_from(["antenna", "layer"]))
def test_a_scenario_comes_back_as_it_went(x, y, db, layers, form):
    if min(math.hypot(x - 5, y - 5), math.hypot(x - 25, y - 5)) < 0.5:
        return
    scenario = office(ues=(Ue(x, y, layers=layers),), radio=RadioConfig(snr_db=db, weight_form=form))
    assert from_json(to_json(scenario)) == scenario == from_json(to_json(scenario).encode())


def test_what_is_left_out_takes_its_default():
    scenario = from_json('{"version": 1, "name": "x", "width_m": 10, "depth_m": 10, "trps": [{"x_m": 1, "y_m": 1}], "ues": [{"x_m": 5, "y_m": 5}]}')
    assert scenario.radio == RadioConfig() and scenario.antennas == 16 and scenario.layers == 1 and scenario.wall_lines.shape == (0, 5)


def test_numbers_of_numpy_become_plain_ones():
    trp = Trp(np.float32(1.5), np.int64(2), antennas=np.int16(8))
    assert type(trp.x_m) is float and type(trp.antennas) is int and trp == Trp(1.5, 2.0, antennas=8)
    assert office().trp_xyz_m.shape == (2, 3) and office().layers == 3


@pytest.mark.parametrize("data, says", [
    (document(trps=[]), "has no TRP, so nothing receives"),
    (document(ues=[]), "has no UE, so nothing is sent"),
    (changed("ues", x_m=5.0, y_m=5.2), "TRP 1 stands on top of UE 1 .0.20 m apart"),
    (changed("ues", layers=8) | {"trps": [{"x_m": 1, "y_m": 1, "antennas": 4}, {"x_m": 2, "y_m": 1, "antennas": 4}], "radio": {"streams_per_trp": 1}},
     "send 10 layers, more than the 8 antennas"),
    (changed("trps", x_m=math.nan), "TRP 1: x_m is nan; it has to be a finite number"),
    (changed("trps", x_m=10**400), "TRP 1: x_m is inf; it has to be a finite number"),
    (changed("trps", power_dbm=True), "TRP 1: power_dbm is True; it has to be a number"),
    (changed("trps", antennas=2.5), "antennas is 2.5; it has to be a whole number"),
    (changed("trps", antennas=8), r"The TRPs have \[8, 16\] antennas"),
    (changed("trps", height_m="3"), "height_m is '3'; it has to be a number"),
    (changed("walls", x1_m=10, y1_m=0), "Wall 1 begins and ends at the same point"),
    (changed("walls", x1_m=200), r"Wall 1 is at \(200, 12\) m, outside the plan of 30 x 18 m"),
    (changed("walls", loss_db=-1), "Wall 1: loss_db is -1; it has to lie between 0 and 100"),
    (document(width_m=-3), "width_m is -3; it has to lie between 1 and 1000"),
    (document(radio={"streams_per_trp": 17}), "streams_per_trp is 17, more than the 16 antennas"),
    (document(radio={"weight_form": "other"}), "weight_form is 'other'; it can be antenna or layer"),
    (document(radio={"qam_bits": 3}), "qam_bits is 3; it can be 2 or 4 or 6 or 8"),
    (document(radio=[]), r"The radio settings is \[\]; it has to be an object"),
    (document(floors=2), "unknown key 'floors'"),
    (changed("ues", colour="red"), "UE 1 has an unknown key 'colour'. Known are: x_m"),
    (document(ues=[{"x_m": 1}]), "UE 1 has no y_m"),
    (document(ues=[3]), "UE 1 is 3; it has to be an object"),
    (document(trps={"x_m": 1}), "trps holds something that is no Trp"),
    (document(name="a\nb"), "printable text"),
    (document(name=5), "name is 5; it has to be text"),
    (document(version=2), "This scenario has version 2; version 1 can be read"),
    (document(version=True), "This scenario has version True"),
    (document(format="svg"), "is not a D-MIMO scenario"),
    ([], "holds no scenario"),
])
def test_bad_values_are_refused_in_a_sentence(data, says):
    with pytest.raises(InputError, match=says):
        from_json(json.dumps(data))


@pytest.mark.parametrize("data, says", [
    (b"", "not readable as JSON"), (b"{", r"not readable as JSON \(line 1"), (b"\xff\xfe\x00", "not readable as JSON"), (b"[" * 100_000, "not readable as JSON"),
    (b'{"version": 1, "name": "a", "name": "b"}', "same key twice"), (b"9" * 10_000, "not readable as JSON")])
def test_bytes_that_are_no_scenario_are_refused_in_a_sentence(data, says):
    with pytest.raises(InputError, match=says):
        from_json(data)


def test_too_much_is_refused_with_its_limit():
    with pytest.raises(LimitError, match="This file has 1.1 MB; a scenario has at most 1 MB"):
        from_json(b" " * 1_100_000)
    with pytest.raises(LimitError, match="33 trps, more than the 32"):
        from_json(json.dumps(document(trps=[{"x_m": 1, "y_m": 1}] * 33)))
    with pytest.raises(LimitError, match="walls, more than the 2000"):
        office(walls=[Wall(0, 0, 1, 1)] * (MOST_WALLS + 1))


def test_a_changed_scenario_is_checked_again():
    with pytest.raises(InputError, match="has no TRP"):
        dataclasses.replace(office(), trps=())
    with pytest.raises(InputError, match="finite"):
        dataclasses.replace(office().trps[0], x_m=math.nan)
