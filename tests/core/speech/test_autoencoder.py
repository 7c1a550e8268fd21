"""Gate (a): what the linear KLT must give before anything is trained; and the autoencoder's start."""

import numpy as np
import pytest
import torch

from core.speech import noises
from core.speech.autoencoder import NUMBERS, Autoencoder, Width, dropped, klt, loss_of, patches, reg_loss, unpatched, wiener_matrix
from core.speech.degrade import Recipe, spoil
from core.speech.metrics import si_sdr
from core.speech.stft import istft, stft
from tests.core.speech.voices import voice


@pytest.fixture(scope="module")
def pairs(shared_data) -> list:
    """Twelve clips of 1.5 s with noise at 5 dB: eight to fit on, four of another voice to measure on."""
    names = [("clean/nathalie", 8), ("clean_44k_vorbis/julia_wycherley", 4)]
    files = [path for folder, count in names for path in sorted((shared_data / "speech" / folder).iterdir())[:count]]
    waves = [np.resize(noises.read(path)[12_000:], 72_000) for path in files]
    return [spoil(wave, Recipe(("white", "pink", "hum", "modulated")[i % 4], 5, seed=i)) for i, wave in enumerate(waves)]


@pytest.mark.parametrize(("latent", "helped", "least_gain_db"), [(8, True, 8), (16, False, 25)])
def test_linear_klt_gate(pairs, latent, helped, least_gain_db):
    """Width 8 with a linear hidden connection >= noisy + 8 dB; width 16 alone >= 30 dB (noisy + 25)."""
    noisy, clean = (stft(torch.from_numpy(np.stack([getattr(pair, part) for pair in pairs]))) for part in ("noisy", "target"))
    basis = klt(torch.cat([noisy[:8], clean[:8]]), latent)
    rows_noisy, rows_clean = (patches(parts).permute(0, 2, 3, 1) for parts in (noisy, clean))
    codes = rows_clean @ basis
    if helped:
        back = wiener_matrix(codes[:8].flatten(0, 2), rows_noisy[:8].flatten(0, 2), rows_clean[:8].flatten(0, 2))
        made = torch.cat([codes, rows_noisy], -1) @ back
    else:
        made = codes @ basis.T
    waves = istft(unpatched(made.permute(0, 3, 1, 2)), 72_000).numpy()
    gains = [si_sdr(waves[i], pairs[i].target) - si_sdr(pairs[i].noisy, pairs[i].target) for i in range(8, 12)]
    assert np.mean(gains) >= least_gain_db


def test_patches_come_back_and_a_full_klt_loses_nothing():
    parts = torch.randn(2, 2, 16, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(unpatched(patches(parts)), parts)
    basis = klt(parts, NUMBERS)
    assert torch.allclose(basis.T @ basis, torch.eye(NUMBERS), atol=1e-5)


def test_the_klt_start_meets_reg_loss_and_is_the_linear_codec():
    parts = stft(torch.from_numpy(voice(0.5))[None])
    net = Autoencoder(Width(16))
    net.begin(parts)
    with torch.no_grad():
        latent, hidden = net.encode(parts)
        assert latent.shape == (1, 16, 192, parts.shape[-1] // 4)
        assert float(reg_loss(latent, parts)) < 2e-3
        basis = klt(parts, 16)
        wanted = unpatched(torch.einsum("pz,qz,bqft->bpft", basis, basis, patches(parts)))
        assert torch.allclose(net.decode(latent, hidden), wanted, atol=1e-4)


def test_without_hidden_connections_the_distorted_input_is_not_heard():
    net, latent = Autoencoder(Width(8, hidden=False)), torch.randn(1, 8, 4, 4)
    one, other = (net.encode(torch.randn(1, 2, 16, 16))[1] for _ in range(2))
    assert torch.equal(net.decode(latent, one), net.decode(latent, other))
    assert not torch.equal(Autoencoder(Width(8)).decode(latent, one), Autoencoder(Width(8)).decode(latent, other))


def test_hidden_dropout_zeroes_whole_levels():
    level = torch.ones(400, 1, 2, 2)
    kept = dropped((level, level), 0.3, torch.Generator().manual_seed(2))[0].mean((1, 2, 3))
    assert set(kept.tolist()) == {0.0, 1.0}
    assert kept.mean() == pytest.approx(0.7, abs=0.07)


def test_training_steps_lower_the_loss():
    torch.manual_seed(3)
    clean = torch.from_numpy(np.stack([voice(0.15, seed) for seed in range(2)]))
    noisy = clean + 0.05 * torch.randn(clean.shape)
    net = Autoencoder(Width(6, channels=8))
    net.begin(torch.cat([stft(noisy), stft(clean)]))
    found = []
    for _ in range(8):
        loss = loss_of(net, stft(noisy), stft(clean), noisy, clean, (256, 1024), dropout=0.0)
        for value, slope in zip(net.parameters(), torch.autograd.grad(loss, list(net.parameters()))):
            value.data -= 2e-3 * slope.sign()
        found.append(float(loss.detach()))
    assert found[-1] < 0.97 * found[0]
