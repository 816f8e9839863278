"""Exact chains over one step, and over a thousand steps in single precision."""

import pytest
import torch
from torch import nn

import symdgm as sd

TEXT = "log p(x_{1:T})"


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def hidden():
    move, emit = nn.Embedding(4, 4), nn.Embedding(4, 6)
    factors = [
        sd.Categorical("p(z_t|z_{t-1})", move),
        sd.Normal("p(x_t|z_t)", lambda z: (emit(z), torch.ones_like(emit(z)))),
    ]
    return factors, {"z_0": 0}, [move, emit]


def linear():
    move, emit = nn.Linear(4, 4), nn.Linear(4, 6)
    nn.init.orthogonal_(move.weight, 0.99)
    factors = [
        sd.Normal("p(z_1)", loc=0.0, scale=1.0, event_shape=4),
        sd.Normal("p(z_t|z_{t-1})", loc=move, scale=0.1),
        sd.Normal("p(x_t|z_t)", loc=emit, scale=0.5),
    ]
    return factors, {}, [move, emit]


@pytest.mark.parametrize("chain", [hidden, linear])
def test_a_thousand_steps_in_single_precision_are_those_in_double(chain):
    factors, names, modules = chain()
    x = torch.randn(2, 1000, 6)
    found = []
    for dtype in (torch.float32, torch.float64):
        trained = [p for m in modules for p in m.to(dtype).parameters()]
        value = sd.Objective(TEXT, *factors, **names)(x=x.to(dtype))
        found.append([value, *torch.autograd.grad(value, trained)])
    (value, *gradients), (exact, *wanted) = found
    assert abs(value.double() - exact) < 1e-6 * abs(exact)
    for single, double in zip(gradients, wanted, strict=True):  # 1000 steps of rounding by 6e-8 each
        assert (single.double() - double).norm() < 2e-4 * double.norm()


def test_one_step_is_a_mixture_and_a_normal():
    x = torch.randn(3, 1, 6)
    factors, names, (move, emit) = hidden()
    logs = torch.distributions.Normal(emit.weight, 1.0).log_prob(x).sum(-1)
    mixture = (move.weight[0].log_softmax(-1) + logs).logsumexp(-1)
    torch.testing.assert_close(sd.Objective(TEXT, *factors, **names).per_example(x=x), mixture)
    factors, names, (_, emit) = linear()
    covariance = emit.weight @ emit.weight.T + 0.25 * torch.eye(6)
    normal = torch.distributions.MultivariateNormal(emit.bias, covariance).log_prob(x[:, 0])
    torch.testing.assert_close(sd.Objective(TEXT, *factors, **names).per_example(x=x), normal)
