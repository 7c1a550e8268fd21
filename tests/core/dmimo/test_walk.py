"""Walks: where users go, what power control leaves, and a channel that changes with the distance walked."""

import numpy as np
import pytest

from core.dmimo import walk as walking
from core.dmimo.scenario import Wall
from core.dmimo.walk import walk
from core.errors import ConfigError, LimitError
from core.ran.units import db_to_linear
from tests.core.dmimo.walks import hall


def test_users_walk_at_their_speed_and_stay_inside():
    way = walk(hall(), steps=120, step_s=0.5, speed_m_s=2.0, subbands=1)
    moved = np.linalg.norm(np.diff(way.places_m, axis=0), axis=-1)
    assert moved.max() <= 1.0 + 1e-9 and np.median(moved) == pytest.approx(1.0)
    assert way.places_m[..., :2].min() >= 0 and way.places_m[..., :2].max() <= 40
    np.testing.assert_array_equal(way.places_m[0], hall().ue_xyz_m)


def test_clustered_users_walk_beside_each_other():
    way = walk(hall(placement="clustered", cluster_radius_m=0.5), steps=80, step_s=0.5, subbands=1)
    apart = np.linalg.norm(way.places_m - way.places_m.mean(axis=1, keepdims=True), axis=-1)
    assert apart.max() < 3 and np.linalg.norm(way.places_m[-1] - way.places_m[0], axis=-1).min() > 3


def test_a_seed_gives_one_walk_whatever_the_chunks(monkeypatch):
    first = walk(hall(), steps=12, seed=4)
    monkeypatch.setattr(walking, "CHUNK", 1)
    again = walk(hall(), steps=12, seed=4)
    np.testing.assert_allclose(again.gram, first.gram, rtol=1e-9)
    assert not np.allclose(walk(hall(), steps=12, seed=5).gram, first.gram)


def test_power_control_reaches_the_reference_or_the_users_limit():
    assert walk(hall(snr_db=17.0), steps=5).snr_db.max(axis=1) == pytest.approx(17.0)
    weak = walk(hall(snr_db=17.0, ue_power_dbm=-20.0), steps=5)
    assert weak.snr_db.max() < 17.0
    best = weak.gain_db.max(axis=1)
    np.testing.assert_allclose(weak.snr_db.max(axis=1) - best, -20.0 - (-173.975 + 10 * np.log10(273 * 12 * 30e3) + 5.0))


@pytest.mark.parametrize("channel", ["geometric", "iid"])
def test_estimates_have_the_power_that_mmse_estimates_have(channel):
    way = walk(hall(users=2, channel=channel, rays=30, dmrs_symbols=2), steps=400, step_s=1.0, speed_m_s=20.0)
    power, error = db_to_linear(way.snr_db), 1 / 12
    measured = np.einsum("tfmkk->tfmk", way.gram).real.mean(axis=1) / way.antennas / (power**2 / (power + error))
    assert measured.mean() == pytest.approx(1.0, abs=0.1)
    np.testing.assert_allclose(way.error, power * error / (power + error))
    assert way.sounded_error.mean() > way.error.mean()


def test_the_channel_changes_with_the_distance_walked():
    def kept(speed_m_s):
        gram = walk(hall(users=2, antennas=16, snr_db=40.0), steps=60, step_s=0.01, speed_m_s=speed_m_s, subbands=1).gram[:, 0, :, 0, 1]
        return float(np.abs((gram[1:] * gram[:-1].conj()).mean()) / (np.abs(gram) ** 2).mean())

    assert kept(0.05) > 0.97 > kept(3.0) + 0.2


def test_walls_are_felt():
    free, walled = hall(), hall()
    object.__setattr__(walled, "walls", tuple(Wall(20, 0, 20, 40, 20.0) for _ in range(1)))
    difference = walk(free, steps=20).gain_db - walk(walled, steps=20).gain_db
    assert set(np.round(np.unique(difference), 6)) == {0.0, 20.0}


@pytest.mark.parametrize("settings, error, says", [
    (dict(steps=0), ConfigError, "steps is 0"), (dict(step_s=-1), ConfigError, "step_s is -1"), (dict(speed_m_s=float("nan")), ConfigError, "speed_m_s is nan"),
    (dict(subbands=99), ConfigError, "subbands is 99")])
def test_what_cannot_be_walked_is_a_sentence(settings, error, says):
    with pytest.raises(error, match=says):
        walk(hall(), **settings)


def test_a_walk_that_takes_minutes_is_refused():
    with pytest.raises(LimitError, match="Take at most"):
        walk(hall(users=12, antennas=64, rays=200), steps=20_000)
