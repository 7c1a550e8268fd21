"""Processes against closed forms, samplers against what they must do with a perfect network, and the same bytes twice."""

import math

import pytest
import torch

from core.errors import ConfigError
from core.speech.process import Bridge, Ouve
from core.speech.sampler import Plan, sample

CLEAN, NOISY = torch.tensor([[[[0.3, -0.2]]]]), torch.tensor([[[[1.0, 0.5]]]])
TIMES = torch.linspace(0.05, 1, 6)


def test_ouve_moments_solve_their_differential_equations():
    sde, step = Ouve(), 1e-3
    mean, variance = CLEAN.double().clone(), 0.0
    for index in range(1000):
        time = torch.tensor((index + 0.5) * step, dtype=torch.float64)
        mean = mean + step * sde.drift(mean, NOISY.double())
        variance += step * (-2 * sde.theta * variance + float(sde.diffusion(time)) ** 2)
    one = torch.tensor(1.0, dtype=torch.float64)
    assert torch.allclose(mean, sde.mean(CLEAN.double(), NOISY.double(), one), atol=2e-3)
    assert math.sqrt(variance) == pytest.approx(float(sde.std(one)), rel=5e-3)


def test_ouve_score_is_the_gradient_of_the_log_density():
    sde, time = Ouve(), torch.tensor(0.4)
    state = torch.tensor([[[[0.1, 0.9]]]], requires_grad=True)
    density = -(state - sde.mean(CLEAN, NOISY, time)).square().sum() / (2 * sde.std(time) ** 2)
    assert torch.allclose(torch.autograd.grad(density, state)[0], sde.score(state, CLEAN, NOISY, time))


def test_bridge_ends_at_both_states_without_noise_and_has_the_published_variance():
    bridge, ends = Bridge(), torch.tensor([0.0, 1.0])
    assert bridge.std(ends).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert torch.allclose(bridge.mean(CLEAN, NOISY, ends[0]), CLEAN)
    assert torch.allclose(bridge.mean(CLEAN, NOISY, ends[1]), NOISY)
    assert float(bridge.variance(ends[1])) == pytest.approx(0.4 * (2.6 ** 2 - 1) / (2 * math.log(2.6)))


@pytest.mark.parametrize("time", [0.9, 0.5, 0.2])
def test_a_bridge_step_keeps_a_marginal_sample_marginal(time):
    """mean + std * z at t goes to mean + std * z at s where the prediction is right: the flow moves samples, it draws none."""
    bridge, noise = Bridge(), torch.tensor([[[[1.3, -0.4]]]])
    now, after = torch.tensor(time), torch.tensor(time / 2)
    state = bridge.mean(CLEAN, NOISY, now) + bridge.std(now) * noise
    wanted = bridge.mean(CLEAN, NOISY, after) + bridge.std(after) * noise
    assert torch.allclose(bridge.step(state, CLEAN, NOISY, now, after), wanted, atol=1e-5)


@pytest.mark.parametrize("plan", [Plan("bridge", 1), Plan("bridge", 8)])
def test_the_bridge_with_a_perfect_network_ends_clean(plan):
    assert torch.allclose(sample(lambda state, noisy, time: CLEAN, NOISY, plan), CLEAN)


def test_predictor_corrector_with_a_perfect_network_ends_near_clean():
    wide = [part.expand(1, 1, 64, 2) for part in (CLEAN, NOISY)]
    made = sample(lambda state, noisy, time: wide[0], wide[1], Plan("pc", 30, seed=3))
    assert (made - wide[0]).abs().mean() < 0.12  # the marginal at t = 0.03 still deviates by 0.04


def test_one_seed_gives_the_same_bytes_and_another_does_not():
    def made(seed: int) -> torch.Tensor:
        return sample(lambda state, noisy, time: 0.5 * state, NOISY.expand(1, 1, 8, 2), Plan("pc", 4, seed=seed))
    assert torch.equal(made(1), made(1))
    assert not torch.equal(made(1), made(2))


def test_times_run_from_one_down_and_steps_are_told():
    times, told = [], []
    sample(lambda state, noisy, time: times.append(float(time[0])) or CLEAN, NOISY, Plan("bridge", 4), seen=lambda step, of, state: told.append((step, of)))
    assert times == pytest.approx([1, 0.75, 0.5, 0.25])
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("wrong", [dict(sampler="euler"), dict(steps=0), dict(steps=9), dict(sampler="pc", steps=51)])
def test_a_plan_out_of_range_is_refused(wrong):
    with pytest.raises(ConfigError, match="bridge takes 1 to 8"):
        Plan(**wrong)
    with pytest.raises(ConfigError, match="1 to 4 shifts, not 5"):
        Plan(shifts=5)
