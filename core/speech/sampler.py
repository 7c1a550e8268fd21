"""From a distorted state to a restored one: the bridge's ODE (no noise) and SGMSE+'s predictor-corrector over the OUVE SDE; a short clip through all.

Data prediction in both: the network gives the clean state, from which the bridge takes its step and the SDE its score.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import ConfigError
from core.speech.autoencoder import Autoencoder
from core.speech.process import Bridge, Ouve
from core.speech.score import Network, scaled
from core.speech.stft import HOP, PATCH, istft, stft

Wave = NDArray[np.float32]
Predict = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(state, distorted state, time [b]) -> clean state."""
Seen = Callable[[int, int, Tensor], None]
"""(step from 1, steps, state): told after each step; may raise to stop."""
LEVEL = 0.9
"""Peak to which a clip is brought before the STFT."""


@dataclass(frozen=True)
class Plan:
    """How a state is sampled: sampler "bridge" (steps 1 to 8) or "pc" (1 to 50 steps of predictor and corrector), the seed of the noise.

    shifts: a clip is restored this many times (1 to 4), moved by parts of a patch and turned in sign by turns, and averaged (Defossez et al. 2019)
    """

    sampler: str = "bridge"
    steps: int = 1
    seed: int = 0
    snr: float = 0.5
    t_least: float = 0.03
    shifts: int = 1

    def __post_init__(self) -> None:
        if self.sampler not in ("bridge", "pc") or not 1 <= self.steps <= (8 if self.sampler == "bridge" else 50):
            raise ConfigError(f"The bridge takes 1 to 8 steps and the sampler pc 1 to 50, not {self.sampler!r} with {self.steps}.")
        if not 1 <= self.shifts <= PATCH:
            raise ConfigError(f"A recording is restored on 1 to {PATCH} shifts, not {self.shifts}.")


def sample(predict: Predict, noisy: Tensor, plan: Plan, process: Bridge | Ouve | None = None, seen: Seen | None = None) -> Tensor:
    """The restored state of a distorted one [b, planes, F, T]; same plan, same bytes."""
    if plan.sampler == "bridge":
        return bridge_ode(predict, noisy, plan.steps, process or Bridge(), plan.t_least, seen)
    return predictor_corrector(predict, noisy, plan, process or Ouve(), seen)


def bridge_ode(predict: Predict, noisy: Tensor, steps: int, bridge: Bridge, t_least: float = 0.03, seen: Seen | None = None) -> Tensor:
    """Steps of equal length from t = 1 down; the last prediction is the answer, so that one step is one evaluation at t = 1."""
    times = torch.linspace(1, 0, steps + 1)
    state = clean = noisy
    for index in range(steps):
        clean = predict(state, noisy, times[index].expand(len(noisy)))
        if seen:
            seen(index + 1, steps, clean)
        if index + 1 < steps:
            state = bridge.step(state, clean, noisy, times[index], times[index + 1].clamp_min(t_least))
    return clean


def predictor_corrector(predict: Predict, noisy: Tensor, plan: Plan, sde: Ouve, seen: Seen | None = None) -> Tensor:
    """Reverse-diffusion predictor and one annealed Langevin corrector per step (Song et al. 2021, as in SGMSE+); the mean of the last step is returned."""
    generator = torch.Generator().manual_seed(plan.seed)
    times = torch.linspace(1, plan.t_least, plan.steps)
    state = mean = noisy + sde.std(times[0]) * torch.randn(noisy.shape, generator=generator)
    for index, time in enumerate(times):
        batch_time = time.expand(len(noisy))
        score = sde.score(state, predict(state, noisy, batch_time), noisy, time)
        length = 2 * (plan.snr * sde.std(time)) ** 2
        state = state + length * score + (2 * length).sqrt() * torch.randn(noisy.shape, generator=generator)
        gap = time - times[index + 1] if index + 1 < len(times) else torch.tensor(plan.t_least)
        clean = predict(state, noisy, batch_time)
        push = sde.diffusion(time)
        mean = state - gap * (sde.drift(state, noisy) - push ** 2 * sde.score(state, clean, noisy, time))
        state = mean + push * gap.sqrt() * torch.randn(noisy.shape, generator=generator)
        if seen:
            seen(index + 1, plan.steps, clean)
    return mean


# A clip

def fast() -> torch.autocast:
    """bf16 where the processor multiplies it in hardware, single precision elsewhere."""
    return torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported())


@dataclass(frozen=True)
class Restorer:
    """The nets of one restoration: a network in its domain and (for the latent one) the autoencoder."""

    network: Network
    autoencoder: Autoencoder | None = None

    @torch.inference_mode()
    def restore(self, noisy: Wave, plan: Plan = Plan(), seen: Seen | None = None, peak: float | None = None) -> Wave:
        """A short clip [n] at 48 kHz -> restored [n], at the level it came with.

        peak: largest magnitude of the whole recording where this is a stretch of it. Silence comes back as silence.
        """
        wave = np.asarray(noisy, np.float32)
        peak = float(np.abs(wave).max(initial=0)) if peak is None else peak
        if peak < 1e-6 or not len(wave):
            return wave.copy()
        total = np.zeros_like(wave)
        for turn in range(plan.shifts):
            total += self._shifted(wave * (LEVEL / peak), plan, turn, seen)
        return total * (peak / LEVEL / plan.shifts)

    def _shifted(self, wave: Wave, plan: Plan, turn: int, seen: Seen | None) -> Wave:
        """One restoration of a clip at LEVEL: the network's patches begin elsewhere in every turn, every other one hears it upside down."""
        ahead, sign = turn * PATCH // plan.shifts * HOP, (-1) ** turn
        parts = stft(torch.from_numpy(np.pad(sign * wave, (ahead, 0)))[None])
        told = seen and (lambda step, steps, state: seen(turn * steps + step, plan.shifts * steps, state))
        return sign * istft(self.parts(parts, plan, told), ahead + len(wave))[0].numpy()[ahead:]

    @torch.inference_mode()
    def parts(self, parts: Tensor, plan: Plan = Plan(), seen: Seen | None = None) -> Tensor:
        """Distorted STFT parts [b, 2, BINS, T] -> restored ones."""
        parts = parts.contiguous(memory_format=torch.channels_last)
        with fast():
            state, hidden = self.autoencoder.encode(parts) if self.autoencoder else (parts, None)
            state, factor = scaled(state.float())
            restored = sample(self.network, state, plan, seen=seen) / factor
            return self.autoencoder.decode(restored, hidden).float() if self.autoencoder else restored.float()
