"""A recipe does what it says, and the same recipe does it again."""

import numpy as np
import pytest

from core.errors import ConfigError
from core.speech import noises, rooms
from core.speech.degrade import Recipe, Sources, active_rms, spoil
from core.speech.stft import RATE_HZ
from tests.core.speech.voices import voice

CLEAN = voice()
SOURCES = Sources({"tick": np.tile(np.r_[1.0, np.zeros(999)], 100).astype(np.float32)}, {"box": np.r_[1.0, np.zeros(4_000), 0.5].astype(np.float32)},
                  [voice(seed=5), voice(seed=6)])


@pytest.mark.parametrize("recipe", [
    Recipe("pink", 3, seed=4), Recipe("babble", 5, seed=1), Recipe("tick", 0), Recipe("", room="box"), Recipe("hum", 10, clip_db=6, band_hz=(300, 3400)),
    Recipe("white", 10, room=rooms.Room((4.0, 3.0, 2.5), 0.3, 1.0, 3)),
])
def test_a_recipe_replays_to_the_sample_also_from_its_text(recipe):
    first, again = (spoil(CLEAN, made, SOURCES) for made in (recipe, Recipe.from_json(recipe.to_json())))
    assert np.array_equal(first.noisy, again.noisy)
    assert np.array_equal(first.target, again.target)
    assert first.noisy.shape == first.target.shape == CLEAN.shape
    assert first.noisy.dtype == np.float32


@pytest.mark.parametrize("family", list(noises.FAMILIES))
def test_families_have_unit_power_and_another_seed_is_other_noise(family):
    made, other = noises.synthetic(family, 30_001, 1), noises.synthetic(family, 30_001, 2)
    assert made.shape == (30_001,)
    assert np.mean(made ** 2) == pytest.approx(1, rel=1e-3)
    assert not np.array_equal(made, other)


@pytest.mark.parametrize("snr_db", [-5, 0, 15])
def test_the_ratio_is_that_of_active_speech_to_noise(snr_db):
    spoilt = spoil(CLEAN, Recipe("white", snr_db))
    noise = spoilt.noisy - spoilt.target
    assert 20 * np.log10(active_rms(CLEAN) / np.sqrt(np.mean(noise ** 2))) == pytest.approx(snr_db, abs=0.05)


@pytest.mark.parametrize(("family", "slope_db"), [("white", 0), ("pink", -3), ("brown", -6)])
def test_colours_fall_by_their_slope_per_octave(family, slope_db):
    power = np.abs(np.fft.rfft(noises.synthetic(family, 4 * RATE_HZ, 1))) ** 2
    octaves = [10 * np.log10(power[4 * low:8 * low].mean()) for low in (500, 1000, 2000, 4000)]
    assert np.diff(octaves) == pytest.approx([slope_db] * 3, abs=0.4)


def test_the_target_keeps_early_reflections_only():
    spoilt = spoil(CLEAN, Recipe("", room="box"), SOURCES)
    assert np.allclose(spoilt.target, CLEAN, atol=1e-5)
    assert np.abs(spoilt.noisy - CLEAN).max() > 0.05


def test_a_simulated_room_rings_about_as_long_as_asked():
    response = rooms.simulated(rooms.Room((6.0, 4.5, 2.7), 0.6, 1.5, 3))
    decay = np.cumsum((response ** 2)[::-1])[::-1]
    level_db = 10 * np.log10(decay / decay[0])
    seconds = (np.argmax(level_db < -30) - np.argmax(level_db < -10)) / RATE_HZ * 3
    assert seconds == pytest.approx(0.6, rel=0.25)
    assert np.abs(response).max() == pytest.approx(1)


@pytest.mark.parametrize("wrong", [dict(snr_db=90), dict(band_hz=(4000, 300)), dict(clip_db=-1), dict(level_db=40)])
def test_a_recipe_out_of_range_is_one_sentence(wrong):
    with pytest.raises(ConfigError, match="A recipe takes"):
        Recipe(**wrong)


@pytest.mark.parametrize("recipe", [Recipe("thunder"), Recipe("white", room="cave")])
def test_what_the_sources_lack_is_named(recipe):
    with pytest.raises(ConfigError, match="There is no"):
        spoil(CLEAN, recipe, SOURCES)


@pytest.mark.parametrize("text", ["", "[]", '{"noise": "white", "loud": 1}', '{"band_hz": 3}', '{"room": {}}'])
def test_text_that_is_no_recipe_is_refused(text):
    with pytest.raises(ConfigError):
        Recipe.from_json(text)
