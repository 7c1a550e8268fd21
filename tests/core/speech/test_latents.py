"""What a latent keeps: the loudest stretch, the order of the shipped widths, and what a run leaves for the page."""

import io

import numpy as np
import pytest
import soundfile

from core.exhibit import silent
from core.speech import exhibit, latents
from core.speech.autoencoder import Width, ablation
from core.speech.stft import RATE_HZ
from tests.core.speech.voices import voice


def test_eight_numbers_of_a_patch_are_as_many_as_samples():
    assert [Width(latent).numbers_per_second for latent in (4, 8, 16)] == [RATE_HZ // 2, RATE_HZ, 2 * RATE_HZ]
    assert len({width.name for width in ablation()}) == 9
    assert [net.width for net in latents.autoencoders()] == [width for width in ablation() if (latents.FOLDER / f"speech-ae-{width.name}.npz").is_file()]


def test_the_loudest_stretch_is_found():
    wave = np.full(RATE_HZ, 0.01, np.float32)
    wave[30_000:36_000] = 0.5
    there = latents.loudest(wave, 0.125)
    assert there.stop - there.start == 6_000 and wave[there].min() == 0.5
    assert np.array_equal(wave[latents.loudest(wave)], wave)


@pytest.fixture(scope="module")
def lesson():
    """Half a second of a made-up voice with noise, its clean version known: what is told, and the files."""
    clean = voice(0.5)
    noisy = clean + 0.02 * np.random.default_rng(1).standard_normal(len(clean)).astype(np.float32)
    return exhibit._lesson(noisy, clean, "said", silent, {})


def test_a_wider_latent_keeps_more(lesson):
    told, _ = lesson
    kept = {(row["latent"], row["start"], row["hidden"]): row["si_sdr"] for row in told["rows"]}
    assert kept[4, "klt", True] < kept[8, "klt", True] - 3 < kept[16, "klt", True] - 6
    assert set(told["came"]) == {"noisy", "clean"} and told["seconds"] == 0.5


def test_the_run_holds_every_take_of_the_lesson(lesson):
    told, trace = lesson
    for row in (*told["rows"], *told["came"].values()):
        samples, rate_hz = soundfile.read(io.BytesIO(trace[row["sound"]]))
        assert (len(samples), rate_hz) == (RATE_HZ // 2, RATE_HZ) and trace[row["picture"]][:4] == b"\x89PNG"


def test_without_a_clean_version_the_recordings_own_latent_is_taken_and_silence_has_none():
    told, trace = exhibit._lesson(voice(0.2), None, "a", silent, {})
    assert set(told["came"]) == {"noisy"} and len(trace) == 2 * (len(told["rows"]) + 1)
    assert exhibit._lesson(np.zeros(9_600, np.float32), None, "a", silent, {}) == (None, {})
