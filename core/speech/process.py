"""The two processes between clean and distorted states: the mean-reverting OUVE SDE of SGMSE+ and the variance-exploding Schrodinger bridge (SB-VE).

Marginals, scores and constants after Richter et al. (2023, 2024) and Jukic et al. (2024); notation of the 48 kHz recipes.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ouve:
    """dx = theta (y - x) dt + sigma(t) dw, sigma(t) = s_min (s_max / s_min)^t sqrt(2 ln(s_max / s_min)); t in (0, 1]. 48 kHz constants."""

    theta: float = 2.0
    s_min: float = 0.1
    s_max: float = 1.0

    @property
    def log_ratio(self) -> float:
        return math.log(self.s_max / self.s_min)

    def drift(self, state: Tensor, noisy: Tensor) -> Tensor:
        """f(x, y) = theta (y - x)."""
        return self.theta * (noisy - state)

    def diffusion(self, time: Tensor) -> Tensor:
        """g(t)."""
        return self.s_min * (self.s_max / self.s_min) ** time * math.sqrt(2 * self.log_ratio)

    def mean(self, clean: Tensor, noisy: Tensor, time: Tensor) -> Tensor:
        """e^(-theta t) x0 + (1 - e^(-theta t)) y."""
        share = torch.exp(-self.theta * time)
        return share * clean + (1 - share) * noisy

    def std(self, time: Tensor) -> Tensor:
        """Deviation of the marginal: s_min^2 e^(-2 theta t) (e^(2 (theta + L) t) - 1) L / (theta + L), the root of it."""
        rate = self.theta + self.log_ratio
        return (self.s_min ** 2 * torch.exp(-2 * self.theta * time) * torch.expm1(2 * rate * time) * self.log_ratio / rate).sqrt()

    def score(self, state: Tensor, clean: Tensor, noisy: Tensor, time: Tensor) -> Tensor:
        """grad log p_t(x_t) where the clean state is known (or predicted)."""
        return (self.mean(clean, noisy, time) - state) / self.std(time) ** 2


@dataclass(frozen=True)
class Bridge:
    """SB-VE: sigma_t^2 = c (k^(2t) - 1) / (2 ln k); starts exactly at the distorted state (t = 1) and ends at the clean one (t = 0)."""

    k: float = 2.6
    c: float = 0.4

    def variance(self, time: Tensor) -> Tensor:
        """sigma_t^2 of the reference process, 0 at t = 0."""
        return self.c * torch.expm1(2 * math.log(self.k) * time) / (2 * math.log(self.k))

    def rest(self, time: Tensor) -> Tensor:
        """sigma_1^2 - sigma_t^2, 0 at t = 1."""
        return (self.variance(torch.ones_like(time)) - self.variance(time)).clamp_min(0)

    def mean(self, clean: Tensor, noisy: Tensor, time: Tensor) -> Tensor:
        """(rest x0 + variance y) / sigma_1^2."""
        share = self.variance(time) / self.variance(torch.ones_like(time))
        return (1 - share) * clean + share * noisy

    def std(self, time: Tensor) -> Tensor:
        """sigma_t sqrt(rest) / sigma_1: none at both ends."""
        return (self.variance(time) * self.rest(time) / self.variance(torch.ones_like(time))).sqrt()

    def step(self, state: Tensor, clean: Tensor, noisy: Tensor, time: Tensor, after: Tensor) -> Tensor:
        """One step of the probability-flow ODE from `time` to `after` < time with the predicted clean state (first order, exact for a constant prediction)."""
        if float(self.rest(time)) <= 1e-12:
            return self.mean(clean, noisy, after)
        s_t, s_a, r_t, r_a = (value.sqrt() for value in (self.variance(time), self.variance(after), self.rest(time), self.rest(after)))
        total = self.variance(torch.ones_like(time))
        kept = s_a * r_a / (s_t * r_t)
        return kept * state + ((r_a ** 2 - r_t ** 2 * kept) * clean + (s_a ** 2 - s_t ** 2 * kept) * noisy) / total
