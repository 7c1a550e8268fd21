"""The network of the bridge and of the score: a U-Net over bins and frames with a dual-path recurrent bottom, one family for latent and STFT domain.

LAFUFU runs SGMSE+'s NCSN++ in the latent; it is 65 M parameters wide. Ours is the same idea at a size that one core trains in an hour: levels halve the bins,
residual blocks conditioned on diffusion time, and at the bottom bidirectional LSTMs along frames and bins (as in DPCRN, Le et al. 2021) in place of attention.
Ours too: the output is a complex mask on the STFT bins, applied between the inverse and the forward KLT, plus a residual (see `Network.forward`).
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.speech.autoencoder import Autoencoder, unpatched
from core.speech.stft import PATCH

FOLD = 4
"""Above 8 kHz (the upper two thirds of the bins) the net works at a quarter of the frequency resolution."""
STATE_STD = 0.5
"""The distorted state is scaled to this deviation, so that the noise of the process means the same in every clip."""


@dataclass(frozen=True)
class Size:
    """channels: of the first level (each next one adds as many, up to four times); depth: dual-path blocks; domain: "latent" or "stft"; widen: how many times as
    wide a block is inside."""

    channels: int = 32
    depth: int = 2
    domain: str = "latent"
    latent: int = 16
    widen: int = 2

    @property
    def planes(self) -> int:
        """Channels of the state: the latent's, or real and imaginary part."""
        return self.latent if self.domain == "latent" else 2

    @property
    def bins(self) -> int:
        """STFT bins under one point of the state, over frames and frequency."""
        return PATCH * PATCH if self.domain == "latent" else 1


SIZES = dict(s=Size(16, 1), m=Size(32, 2), l=Size(32, 4, widen=4))
"""The three widths; l is m with wider blocks and a deeper bottom, so that it can begin as m (`grown`)."""


def size_of(name: str, domain: str = "latent") -> Size:
    """A width by its letter, in either domain."""
    return replace(SIZES[name], domain=domain)


# Blocks

class Block(nn.Module):
    """x + pointwise(SiLU(FiLM(pointwise(norm(depthwise 5 x 3 (x)))))): five points of frequency, three of time; `widen` times as wide between the pointwise ones."""

    def __init__(self, channels: int, time_dim: int, widen: int):
        super().__init__()
        self.spread = nn.Conv2d(channels, channels, (5, 3), padding=(2, 1), groups=channels)
        self.norm = nn.GroupNorm(1, channels)
        self.widen = nn.Conv2d(channels, widen * channels, 1)
        self.film = nn.Linear(time_dim, 2 * widen * channels)
        self.narrow = nn.Conv2d(widen * channels, channels, 1)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        gain, shift = self.film(time)[:, :, None, None].chunk(2, 1)
        return x + self.narrow(F.silu(self.widen(self.norm(self.spread(x))) * (1 + gain) + shift))


class DualPath(nn.Module):
    """A bidirectional LSTM along the frames of each bin, then one along the bins of each frame, each with a way around it."""

    def __init__(self, channels: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.runs = nn.ModuleList(nn.LSTM(channels, channels // 2, batch_first=True, bidirectional=True) for _ in range(2))
        self.outs = nn.ModuleList(nn.Linear(channels, channels) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        b, c, bins, frames = x.shape
        x = x.permute(0, 2, 3, 1).reshape(b * bins, frames, c)
        x = x + self.outs[0](self.runs[0](self.norms[0](x))[0])
        x = x.reshape(b, bins, frames, c).transpose(1, 2).reshape(b * frames, bins, c)
        x = x + self.outs[1](self.runs[1](self.norms[1](x))[0])
        return x.reshape(b, frames, bins, c).permute(0, 3, 2, 1)


class Network(nn.Module):
    """(state, distorted state, diffusion time) -> estimate of the clean state: data prediction. Shapes [b, planes, F, T], F 192 or 768, a multiple of 8."""

    def __init__(self, size: Size):
        super().__init__()
        self.size = size
        c, n = size.channels, 4
        widths = [c * (level + 1) for level in range(n)]
        self.time = nn.Sequential(nn.Linear(32, 2 * c), nn.SiLU(), nn.Linear(2 * c, 2 * c), nn.SiLU())
        seen, told = 2 * size.planes + size.bins + 6, 3 * size.bins + 2 * size.planes
        self.entry_low, self.entry_high = nn.Conv2d(seen, c, 1), nn.Conv2d(seen, c, (FOLD, 1), (FOLD, 1))
        self.downs = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], (2, 1), (2, 1)) for i in range(n - 1))
        self.falling = nn.ModuleList(Block(widths[i], 2 * c, size.widen) for i in range(n))
        self.bottom = nn.ModuleList(DualPath(widths[-1]) for _ in range(size.depth))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(widths[i + 1], widths[i], (2, 1), (2, 1)) for i in range(n - 1))
        self.rising = nn.ModuleList(Block(widths[i], 2 * c, size.widen) for i in range(n))
        self.last_norm = nn.GroupNorm(1, c)
        self.last_low, self.last_high = nn.Conv2d(c, told, 1), nn.ConvTranspose2d(c, told, (FOLD, 1), (FOLD, 1))
        for last in (self.last_low, self.last_high):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        if size.domain == "latent":
            self.register_buffer("linear_analysis", torch.zeros(size.planes, 2 * size.bins))
            self.register_buffer("linear_synthesis", torch.zeros(2 * size.bins, size.planes))

    def use(self, autoencoder: Autoencoder) -> "Network":
        """Take over the linear KLT layers of a trained autoencoder: what the mask is applied through. Nothing to do in the STFT domain."""
        if self.size.domain == "latent":
            self.linear_analysis.copy_(autoencoder.encoder.linear.weight[:, :, 0, 0])
            self.linear_synthesis.copy_(autoencoder.decoder.linear.weight[:, :, 0, 0])
        return self

    def spectrum(self, state: Tensor) -> Tensor:
        """The patches [b, 2 * bins, F, T] under a state, by the linear decoder: real parts first."""
        return state if self.size.domain == "stft" else _through(self.linear_synthesis, state)

    def forward(self, state: Tensor, noisy: Tensor, time: Tensor) -> Tensor:
        """M * noisy (the mask on the STFT bins, through the KLT) + residual + q * (state - noisy). time [b], 0 (clean) to 1 (distorted)."""
        seen = self.spectrum(noisy)
        real, imag = seen.chunk(2, 1)
        out = self._unet(self._inputs(state, noisy, real, imag), self.time(_waves(time))).float()
        gate, turn_real, turn_imag, residual, carry = out.split([self.size.bins] * 3 + [self.size.planes] * 2, 1)
        gate = torch.sigmoid(gate + 2)
        turn_real, turn_imag = gate + gate * turn_real, gate * turn_imag
        masked = torch.cat([turn_real * real - turn_imag * imag, turn_real * imag + turn_imag * real], 1)
        if self.size.domain == "latent":
            masked = _through(self.linear_analysis, masked)
        return masked + residual + carry * (state - noisy)

    def _inputs(self, state: Tensor, noisy: Tensor, real: Tensor, imag: Tensor) -> Tensor:
        power = real.square() + imag.square()
        level = power.mean((1, 2, 3), keepdim=True)
        logs = (power / level.clamp_min(1e-12) + 1e-5).log()
        logs = (logs - logs.mean((1, 2, 3), keepdim=True)) * 0.3
        b, _, bins, frames = state.shape
        places = _waves(torch.linspace(0, 1, bins, device=state.device), 6).T[None, :, :, None].expand(b, -1, -1, frames)
        return torch.cat([state, noisy, logs, places], 1).contiguous(memory_format=torch.channels_last)

    def _unet(self, x: Tensor, time: Tensor) -> Tensor:
        low = x.shape[2] // 3
        x, kept = torch.cat([self.entry_low(x[:, :, :low]), self.entry_high(x[:, :, low:])], 2), []
        for level, block in enumerate(self.falling):
            x = block(self.downs[level - 1](x) if level else x, time)
            kept.append(x)
        for path in self.bottom:
            x = path(x)
        for level in reversed(range(len(self.rising))):
            if level < len(self.ups):
                x = self.ups[level](x) + kept[level]
            x = self.rising[level](x, time)
        x = F.silu(self.last_norm(x))
        return torch.cat([self.last_low(x[:, :, :low]), self.last_high(x[:, :, low:])], 2)


def grown(net: Network, size: Size) -> Network:
    """A wider or deeper network that computes what `net` does (Net2Net, Chen et al. 2016): what is new in it ends in zeros. Sizes of equal channels and domain."""
    made, held = Network(size), net.state_dict()
    for name, value in made.state_dict().items():
        old = held.get(name)
        if ".narrow." in name or (old is None and ".outs." in name):
            value.zero_()
        if old is not None:
            new, old = ((part.unflatten(0, (2, -1)) if ".film." in name else part) for part in (value, old))  # a FiLM holds gains, then shifts
            new[tuple(slice(n) for n in old.shape)] = old
    return made


def _through(matrix: Tensor, x: Tensor) -> Tensor:
    """A matrix over the channels of each point, in single precision also where the net runs in bf16."""
    with torch.autocast(x.device.type, enabled=False):
        return F.conv2d(x.float(), matrix[:, :, None, None])


def _waves(places: Tensor, dim: int = 32) -> Tensor:
    """Sines and cosines of places 0..1 at doubling frequencies. [n] -> [n, dim]"""
    angles = places.float()[:, None] * (math.pi * 2 ** torch.arange(dim // 2, device=places.device).clamp_max(8))
    return torch.cat([angles.sin(), angles.cos()], 1)


def scaled(state: Tensor) -> tuple[Tensor, Tensor]:
    """A distorted state at deviation STATE_STD, and the factor [b, 1, 1, 1] that took it there. Silence keeps its level."""
    rms = state.square().mean((1, 2, 3), keepdim=True).sqrt()
    factor = torch.where(rms > 1e-6, STATE_STD / rms.clamp_min(1e-6), torch.ones_like(rms))
    return state * factor, factor


def spectra_of(net: Network, state: Tensor) -> Tensor:
    """STFT parts [b, 2, BINS, frames] under a state, by the linear decoder (scale of the state)."""
    return unpatched(net.spectrum(state)) if net.size.domain == "latent" else state
