"""The split shares nothing, mixtures follow from seed and number, and what is missing is said."""

import numpy as np
import pytest

from core.errors import ConfigError, InputError
from core.speech import corpus, noises, rooms
from core.speech.train import Options, parse, rate_at
from tests.core.speech.voices import voice


def test_training_validation_and_test_share_no_voice_noise_or_room():
    for parts in ((corpus.TRAIN_VOICES, corpus.VALIDATION_VOICES, corpus.TEST_VOICES), (noises.TRAIN, noises.VALIDATION, noises.TEST),
                  (rooms.TRAIN, rooms.VALIDATION, rooms.TEST)):
        assert len(set().union(*parts)) == sum(map(len, parts))


@pytest.fixture(scope="module")
def made_up() -> corpus.Corpus:
    return corpus.Corpus({"one": [voice(3, 1), voice(3, 2)], "flemishguy": [voice(3, 3)]}, {"tick": np.resize(np.r_[1.0, np.zeros(99)], 90_000).astype(np.float32)})


def test_a_mixture_follows_from_seed_and_number(made_up):
    first, second = corpus.Mixer(made_up, 5, 24_000, simulated=1), corpus.Mixer(made_up, 5, 24_000, simulated=1)
    pairs = [next(first) for _ in range(12)]
    second.made = 11
    again = next(second)
    assert np.array_equal(pairs[11].noisy, again.noisy)
    assert not np.array_equal(pairs[10].noisy, again.noisy)
    assert all(np.isfinite(pair.noisy).all() and pair.noisy.shape == pair.target.shape == (24_000,) for pair in pairs)
    assert all(np.abs(pair.noisy).max() <= 1 for pair in pairs)


def test_a_voice_without_a_high_band_teaches_nothing_about_it(made_up):
    mixer = corpus.Mixer(corpus.Corpus({"flemishguy": made_up.voices["flemishguy"]}, made_up.noises), 1, 24_000, simulated=1)
    for _ in range(4):
        power = np.abs(np.fft.rfft(next(mixer).noisy)) ** 2
        assert power[7_000:].sum() < 1e-4 * power.sum()


def test_training_licences_are_free(shared_data):
    rows = [line.split(",") for line in (shared_data / "speech" / "manifest.csv").read_text(encoding="utf8").splitlines()[1:]]
    licences = {row[11] for row in rows if row[2] in corpus.TRAIN_VOICES}
    licences |= {row[11] for row in rows if any(row[0] == f"noise/{name}" for name in noises.TRAIN) or row[2] in rooms.TRAIN}
    assert len(licences) >= 3
    assert all(licence.startswith(("CC0", "CC-BY-4", "CC-BY (", "Public Domain")) for licence in licences), licences


def test_a_folder_without_speech_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no manifest\.csv"):
        corpus.load(tmp_path, ("kathleen",), (), ())


def test_the_rate_rises_then_falls():
    rates = [rate_at(share, 1.0) for share in (0, 0.03, 0.5, 1)]
    assert rates[0] < 0.01
    assert rates[1] > 0.99
    assert rates[1] > rates[2] > rates[3] > 0


def test_tags_tell_runs_apart():
    assert [Options(name="m").tag, Options(name="s", domain="stft").tag, Options(process="ouve").tag] == ["m", "s-stft", "m-ouve"]


@pytest.mark.parametrize("argv", [["--minutes", "0"], ["--batch", "1"], ["--latent", "40"], ["--device", "cuda:9"]])
def test_options_that_do_not_fit_are_one_sentence(argv):
    with pytest.raises(ConfigError):
        parse(argv)
