"""The network begins as a gate on the input, is one family in both domains, and its weights come back from their file."""

import numpy as np
import pytest
import torch

from core.errors import ConfigError, EngineError
from core.speech.autoencoder import Autoencoder, Width
from core.speech.sampler import Plan, Restorer
from core.speech.score import SIZES, STATE_STD, Network, Size, grown, scaled, size_of, spectra_of
from core.speech.stft import BINS, HOP, stft
from core.speech.weights import load_autoencoder, load_network, save
from tests.core.speech.voices import voice

TINY = Size(8, 1)


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    net = Autoencoder(Width(16, channels=8)).eval()
    net.begin(stft(torch.from_numpy(voice(0.5))[None]))
    return net


def test_before_training_the_mask_is_one_gain_through_the_klt(autoencoder):
    net = Network(TINY).use(autoencoder).eval()
    noisy = torch.randn(1, 16, 192, 8)
    with torch.no_grad():
        wanted = torch.einsum("zp,pq,bqft->bzft", net.linear_analysis, net.linear_synthesis, noisy) * torch.sigmoid(torch.tensor(2.0))
        assert torch.allclose(net(noisy, noisy, torch.ones(1)), wanted, atol=1e-5)


@pytest.mark.parametrize("domain", ["latent", "stft"])
def test_both_domains_take_the_same_path(domain, autoencoder):
    net = Network(Size(8, 1, domain)).use(autoencoder)
    noisy = torch.randn(2, net.size.planes, 192 if domain == "latent" else BINS, 4)
    found = net(noisy, noisy, torch.tensor([0.3, 1.0]))
    assert found.shape == noisy.shape
    assert spectra_of(net, found).shape[1:3] == (2, BINS)
    widths = {name: value.shape for name, value in net.state_dict().items() if "falling" in name or "bottom" in name}
    other = {name: value.shape for name, value in Network(TINY).state_dict().items() if name in widths}
    assert widths == other


def test_three_widths_grow():
    counts = [sum(p.numel() for p in Network(SIZES[name]).parameters()) for name in "sml"]
    assert counts == sorted(counts)
    assert size_of("m", "stft").channels == SIZES["m"].channels


def test_a_network_grows_without_changing_what_it_computes(autoencoder):
    small = Network(TINY).use(autoencoder).eval()
    for value in small.parameters():
        torch.nn.init.normal_(value, std=0.2)
    large = grown(small, Size(8, 3, widen=4)).eval()
    state, noisy, time = torch.randn(2, 16, 192, 8), torch.randn(2, 16, 192, 8), torch.tensor([0.2, 1.0])
    with torch.no_grad():
        assert torch.allclose(large(state, noisy, time), small(state, noisy, time), rtol=1e-4, atol=1e-4)
    assert sum(p.numel() for p in large.parameters()) > sum(p.numel() for p in small.parameters())


def test_scaling_is_undone_by_its_factor_and_leaves_silence_alone():
    state = torch.cat([torch.randn(1, 16, 8, 8) * 0.02, torch.zeros(1, 16, 8, 8)])
    made, factor = scaled(state)
    assert made[0].square().mean().sqrt() == pytest.approx(STATE_STD, rel=1e-4)
    assert torch.allclose(made / factor, state, atol=1e-7)
    assert torch.equal(made[1], state[1])


@pytest.mark.parametrize("plan", [Plan(), Plan("bridge", 3), Plan("pc", 2, seed=4), Plan(shifts=3)])
def test_a_clip_keeps_length_and_level_and_repeats_to_the_byte(plan, autoencoder):
    restorer = Restorer(Network(TINY).use(autoencoder).eval(), autoencoder)
    noisy = 0.3 * voice(0.7)[:-77]
    made = restorer.restore(noisy, plan)
    assert made.shape == noisy.shape
    assert made.dtype == np.float32
    assert made.tobytes() == restorer.restore(noisy, plan).tobytes()
    if plan.sampler == "bridge":
        assert np.allclose(restorer.restore(10 * noisy, plan), 10 * made, atol=1e-3)


def test_shifts_are_the_mean_of_moved_and_turned_restorations(autoencoder):
    restorer, told = Restorer(Network(TINY).use(autoencoder).eval(), autoencoder), []
    noisy = 0.3 * voice(0.7)
    made = restorer.restore(noisy, Plan(steps=2, shifts=2), seen=lambda step, steps, _: told.append((step, steps)))
    moved = -restorer.restore(np.pad(-noisy, (2 * HOP, 0)), Plan(steps=2))[2 * HOP:]
    assert np.allclose(made, (restorer.restore(noisy, Plan(steps=2)) + moved) / 2, atol=1e-5)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("wave", [np.zeros(500, np.float32), np.zeros(0, np.float32)])
def test_silence_stays_silence(wave, autoencoder):
    assert np.array_equal(Restorer(Network(TINY).use(autoencoder), autoencoder).restore(wave), wave)


def test_weights_come_back_from_their_file(tmp_path, autoencoder):
    net = Network(TINY).use(autoencoder).eval()
    save(net, tmp_path / "net.npz")
    save(autoencoder, tmp_path / "ae.npz")
    noisy = torch.randn(1, 16, 192, 4)
    with torch.no_grad():
        assert torch.allclose(load_network(tmp_path / "net.npz")(noisy, noisy, torch.ones(1)), net(noisy, noisy, torch.ones(1)), atol=2e-3)
    assert load_autoencoder(tmp_path / "ae.npz").width == autoencoder.width


def test_missing_and_foreign_weights_are_one_sentence(tmp_path):
    with pytest.raises(EngineError, match="There are no model weights"):
        load_network(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    with pytest.raises(EngineError, match="do not fit"):
        load_network(tmp_path / "bad.npz")


def test_the_shipped_autoencoder_is_transparent():
    """Latent replacement with the true latent: the shipped autoencoder, its hidden features those of a noisy input, keeps a voice above 20 dB."""
    from core.speech.evaluation import oracle
    from core.speech.metrics import si_sdr
    clean = voice(1.0)
    noisy = clean + 0.03 * np.random.default_rng(1).standard_normal(len(clean)).astype(np.float32)
    assert si_sdr(oracle(load_autoencoder(), noisy, clean), clean) > 20


def test_a_width_that_was_not_trained_in_a_domain_is_a_sentence():
    from core.speech.restore import restorer
    with pytest.raises(ConfigError, match="Size l was not trained for domain=stft with sampler=bridge. Take model=s."):
        restorer("l", "stft")
