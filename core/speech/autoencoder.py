"""The autoencoder of LAFUFU (section 3; Refusion, Luo et al. 2023): a U-Net with two down/up blocks over real and imaginary STFT parts, hidden connections from
the distorted input, latent replacement, MRSTFT loss and Reg-Loss.

Ours: it starts as a linear patch KLT (Karhunen-Loeve transform) and learns what to add to it; small depthwise-separable blocks without normalisation.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.speech.stft import BINS, HOP, PATCH, RATE_HZ, istft

NUMBERS = 2 * PATCH * PATCH
"""Real numbers of one patch."""
WINDOWS = (32, 64, 128, 256, 512, 1024, 1534, 2048)
"""MRSTFT windows of LAFUFU in samples, each with hops of a quarter."""
FLOOR = 1e-3


@dataclass(frozen=True)
class Width:
    """latent: channels of the latent; channels: width of the nets. start: "klt" or "random". hidden: with connections from the distorted input.

    gain: the nets see parts and latents this many times larger, and answer as much smaller. Numbers near zero pass a SiLU in a straight line, and straight lines do no
    better than the KLT: how soon the nets learn depends on this more than on anything else. The shipped one was trained with 16.
    """

    latent: int = 16
    channels: int = 16
    start: str = "klt"
    hidden: bool = True
    gain: float = 16.0

    @property
    def name(self) -> str:
        """What its weights are called: "z8", "z4-random", "z16-nohidden"."""
        return "-".join([f"z{self.latent}"] + [mark for mark, said in (("random", self.start != "klt"), ("nohidden", not self.hidden)) if said])

    @property
    def numbers_per_second(self) -> int:
        """Real numbers of the latent for a second of sound; the sound itself has RATE_HZ samples."""
        return self.latent * (BINS // PATCH) * RATE_HZ // (HOP * PATCH)


SHIPPED = Width()
GAIN = 128.0
"""Gain of the nets of the ablation."""


def ablation() -> list[Width]:
    """What is held against each other: three widths, each as it is, without hidden connections, from a random start."""
    return [Width(latent, start=start, hidden=hidden, gain=GAIN) for latent in (8, 16, 4) for start, hidden in (("klt", True), ("klt", False), ("random", True))]


# The linear transform

def patches(parts: Tensor) -> Tensor:
    """STFT parts [b, 2, F, T] -> patches as channels [b, 32, F/4, T/4] (parts, bins, frames)."""
    return F.pixel_unshuffle(parts, PATCH)


def unpatched(channels: Tensor) -> Tensor:
    """Undo `patches`."""
    return F.pixel_shuffle(channels, PATCH)


def klt(examples: Tensor, latent: int) -> Tensor:
    """Orthonormal basis [32, latent] of the strongest directions of the patches of examples [b, 2, F, T]."""
    rows = patches(examples).permute(0, 2, 3, 1).reshape(-1, NUMBERS).double()
    values, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
    return vectors[:, values.argsort(descending=True)[:latent]].float()


def wiener_matrix(code: Tensor, help_: Tensor, wanted: Tensor) -> Tensor:
    """Least-squares matrix [inputs, 32] from a code and helping numbers (rows) to the wanted patches: a linear hidden connection."""
    rows = torch.cat([code, help_], 1).double()
    gram = rows.T @ rows
    return torch.linalg.solve(gram + 1e-6 * gram.trace() / len(gram) * torch.eye(len(gram)), rows.T @ wanted.double()).float()


# The nets

class Separable(nn.Module):
    """x + pointwise(SiLU(pointwise(depthwise 3 x 3 (x)))): a residual block without normalisation."""

    def __init__(self, channels: int):
        super().__init__()
        self.spread = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.narrow = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(F.silu(self.widen(self.spread(x))))


class Encoder(nn.Module):
    """Parts [b, 2, F, T] -> latent [b, z, F/4, T/4] and hidden features at 1/2 and 1/4 of the resolution."""

    def __init__(self, width: Width):
        super().__init__()
        c, z, self.gain = width.channels, width.latent, width.gain
        self.stem = nn.Conv2d(8, c, 1)
        self.fine = Separable(c)
        self.down = nn.Conv2d(4 * c, 2 * c, 1)
        self.coarse = Separable(2 * c)
        self.linear = nn.Conv2d(NUMBERS, z, 1, bias=False)
        self.last = nn.Conv2d(2 * c, z, 1)

    def forward(self, parts: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        half = self.fine(self.stem(self.gain * F.pixel_unshuffle(parts, 2)))
        quarter = self.coarse(self.down(F.pixel_unshuffle(half, 2)))
        return _exact(self.linear, patches(parts)) + self.last(quarter).float() / self.gain, (half, quarter)


class Decoder(nn.Module):
    """Latent and hidden features of the distorted input -> parts [b, 2, F, T]."""

    def __init__(self, width: Width):
        super().__init__()
        c, z, self.gain = width.channels, width.latent, width.gain
        self.first = nn.Conv2d(z, 2 * c, 1)
        self.join_quarter = nn.Conv2d(4 * c, 2 * c, 1)
        self.coarse = Separable(2 * c)
        self.up = nn.Conv2d(2 * c, 4 * c, 1)
        self.join_half = nn.Conv2d(2 * c, c, 1)
        self.fine = Separable(c)
        self.linear = nn.Conv2d(z, NUMBERS, 1, bias=False)
        self.last = nn.Conv2d(c, 8, 1)

    def forward(self, latent: Tensor, hidden: tuple[Tensor, Tensor]) -> Tensor:
        half, quarter = hidden
        x = self.coarse(self.join_quarter(torch.cat([self.first(2 * self.gain * latent), quarter], 1)))
        x = self.fine(self.join_half(torch.cat([F.pixel_shuffle(self.up(x), 2), half], 1)))
        return unpatched(_exact(self.linear, latent)) + F.pixel_shuffle(self.last(x), 2).float() / self.gain


class Autoencoder(nn.Module):
    """encode(parts) -> (latent, hidden); decode(latent, hidden) -> parts. Replacing the latent restores; hidden features stay the distorted input's."""

    def __init__(self, width: Width = SHIPPED):
        super().__init__()
        self.width = width
        self.encoder, self.decoder = Encoder(width), Decoder(width)

    def encode(self, parts: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return self.encoder(parts)

    def decode(self, latent: Tensor, hidden: tuple[Tensor, Tensor]) -> Tensor:
        return self.decoder(latent, hidden if self.width.hidden else tuple(torch.zeros_like(level) for level in hidden))

    def begin(self, examples: Tensor) -> None:
        """Set the linear parts to the KLT of examples [b, 2, F, T], scaled so that Reg-Loss is met, and the nets' last layers to zero."""
        basis = klt(examples, self.width.latent)
        code = patches(examples).permute(0, 2, 3, 1).reshape(-1, NUMBERS) @ basis
        scale = 0.5 * examples.std() / code.std()
        with torch.no_grad():
            self.encoder.linear.weight.copy_((scale * basis.T)[:, :, None, None])
            self.decoder.linear.weight.copy_((basis / scale)[:, :, None, None])
            for last in (self.encoder.last, self.decoder.last):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)

    @torch.no_grad()
    def forward(self, parts: Tensor) -> Tensor:
        return self.decode(*self.encode(parts))


def _exact(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """The linear path in single precision, also where the nets run in bf16."""
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float())


# Losses

def dropped(hidden: tuple[Tensor, Tensor], share: float, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
    """Hidden dropout: each level of each item is zeroed with this probability, so that the decoder relies on the latent."""
    keep = [(torch.rand(len(level), 1, 1, 1, generator=generator) >= share).to(level) for level in hidden]
    return tuple(level * kept for level, kept in zip(hidden, keep))


def reg_loss(latent: Tensor, parts: Tensor) -> Tensor:
    """abs(mean(Z_Y) - mean(Y)) + abs(std(Z_Y) - std(Y) / 2) (LAFUFU, section 3)."""
    return (latent.mean() - parts.mean()).abs() + (latent.std() - 0.5 * parts.std()).abs()


def mrstft_loss(found: Tensor, wanted: Tensor, windows: tuple[int, ...] = WINDOWS) -> Tensor:
    """Spectral convergence plus log-magnitude L1, mean over the windows (Yamamoto et al. 2020). Samples [b, n] each.

    Magnitudes 60 dB under the largest one do not count in the second term: the logarithms of empty bins would outweigh the speech.
    """
    total = found.new_zeros(())
    for size in windows:
        window = torch.hann_window(size, device=found.device)
        a, b = (torch.stft(wave, size, size // 4, window=window, return_complex=True).abs() for wave in (found, wanted))
        floor = float(b.detach().max().clamp_min(1e-2)) * FLOOR
        total = total + (a - b).norm() / b.norm().clamp_min(1e-5) + (a.clamp_min(floor).log() - b.clamp_min(floor).log()).abs().mean()
    return total / len(windows)


def loss_of(net: Autoencoder, noisy: Tensor, clean: Tensor, noisy_wave: Tensor, clean_wave: Tensor, windows: tuple[int, ...] = WINDOWS,
            replacement: float = 2.0, reg: float = 0.1, dropout: float = 0.3) -> Tensor:
    """Refusion's two reconstructions, the second with the latent replaced: loss(dec(L_y, H_y), Y) + replacement * loss(dec(L_x, H_y), X) + reg * Reg-Loss."""
    (latent_y, hidden), (latent_x, _) = net.encode(noisy), net.encode(clean)
    made_y = net.decode(latent_y, dropped(hidden, dropout))
    made_x = net.decode(latent_x, dropped(hidden, dropout))
    return (_apart(made_y, noisy, noisy_wave, windows) + replacement * _apart(made_x, clean, clean_wave, windows)
            + reg * (reg_loss(latent_y, noisy) if reg else 0.0))


def _apart(made: Tensor, wanted: Tensor, wave: Tensor, windows: tuple[int, ...]) -> Tensor:
    found = istft(made, wave.shape[-1])
    bins, samples = ((a - b).abs().mean() / b.abs().mean().clamp_min(least) for a, b, least in ((made, wanted, 1e-3), (found, wave, 1e-4)))
    return bins + 0.25 * samples + 0.25 * mrstft_loss(found, wave, windows)
