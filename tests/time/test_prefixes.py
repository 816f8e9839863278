"""Sequences continued from given steps where no factor infers the latent chain: its posterior is exact."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm.errors import NameResolutionError

DRAWS = 4000
Z = 4.5
"""The bound on |z| of a mean of draws; seeds are fixed."""


def agrees(draws, mean):
    """The mean over draws, ``[n, ...]``, is that expected."""
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - mean).abs() <= Z * error + 1e-9).all(), (draws.mean(0), mean, error)


class Finite:
    """A hidden Markov model with three states and two observed sequences."""

    def __init__(self):
        torch.manual_seed(0)
        self.start, self.move = torch.randn(3).double(), nn.Embedding(3, 3).double()
        self.loc, self.logits = nn.Embedding(3, 1).double(), nn.Embedding(3, 1).double()
        self.factors = (
            sd.Categorical("p(z_1)", logits=self.start),
            sd.Categorical("p(z_t|z_{t-1})", self.move),
            sd.Normal("p(x_t|z_t)", lambda z: (self.loc(z), torch.ones(len(z), 1).double())),
            sd.Bernoulli("p(y_t|z_t)", logits=self.logits),
        )

    @torch.no_grad()
    def after(self, x, y=None):
        """p(z_s | x_{1:s}) by enumeration of paths, and p(z_{s+1} | x_{1:s})."""
        start, move = self.start.log_softmax(-1), self.move.weight.log_softmax(-1)
        weights = torch.zeros(3).double()
        for path in itertools.product(range(3), repeat=len(x)):
            log = start[path[0]] + sum(move[i, j] for i, j in itertools.pairwise(path))
            for k, value in zip(path, x, strict=True):
                log = log + torch.distributions.Normal(self.loc.weight[k], 1.0).log_prob(value).sum()
            for k, value in zip(path, () if y is None else y, strict=y is not None):
                log = log + torch.distributions.Bernoulli(logits=self.logits.weight[k]).log_prob(value).sum()
            weights[path[-1]] += log.exp()
        now = weights / weights.sum()
        return now, now @ move.exp()


X = torch.tensor([[0.3], [-1.2], [0.8], [2.0]]).double()
Y = torch.tensor([[1.0], [0.0], [0.0], [1.0]]).double()


def rows(x):
    return x.expand(DRAWS, *x.shape)


@pytest.mark.parametrize("both", [True, False])
def test_a_hidden_markov_model_goes_on(both):
    finite = Finite()
    model = sd.Model("maximize log p(x_{1:T}, y_{1:T})", *finite.factors)
    given = {"x": rows(X), "y": rows(Y)} if both else {"x": rows(X)}
    found = model.sample(**given, T=5, seed=1)
    assert found["z"].shape == (DRAWS, 5) and found["y"].shape == (DRAWS, 5, 1)
    now, following = finite.after(X, Y if both else None)
    agrees(nn.functional.one_hot(found["z"][:, 3], 3).double(), now)
    agrees(nn.functional.one_hot(found["z"][:, 4], 3).double(), following)
    agrees(found["x"][:, 4], following @ finite.loc.weight.detach())
    assert torch.equal(found["z"], model.sample(**given, T=5, seed=1)["z"])


def test_what_drives_a_chain_is_given_for_all_steps():
    """Where the input is one the state moves on by one, else it stays; what is emitted tells it."""
    states = torch.eye(3)
    model = sd.Model(
        "maximize log p(x_{1:T}|a_{1:T})",
        sd.Categorical("p(z_1)", probs=torch.ones(3) / 3),
        sd.Categorical("p(z_t|z_{t-1}, a_t)", lambda z, a: {"probs": states[(z + a[:, 0].long()) % 3]}),
        sd.Normal("p(x_t|z_t)", lambda z: (states[z] * 50.0, torch.ones(len(z), 3))),
    )
    a = torch.tensor([[0.0], [1.0], [0.0], [1.0], [1.0]]).expand(7, 5, 1)
    found = model.sample(x=50 * states[[2, 0, 0]].expand(7, 3, 3), a=a, T=5)
    assert found["z"].tolist() == [[2, 0, 0, 1, 2]] * 7


def linear():
    torch.manual_seed(1)
    step, emit = nn.Linear(2, 2, bias=False).double(), nn.Linear(2, 3).double()
    scale = {"scale": torch.tensor(0.5).double()}
    return (
        sd.Normal("p(z_1)", loc=torch.zeros(2).double(), scale=torch.ones(2).double()),
        sd.Normal("p(z_t|z_{t-1})", loc=step, **scale),
        sd.Normal("p(x_t|z_t)", loc=emit, **scale),
    ), step.weight.detach()


def test_a_linear_gaussian_chain_goes_on():
    factors, step = linear()
    model, x = sd.Model("maximize log p(x_{1:T})", *factors), torch.randn(4, 3).double()
    found = model.sample(x=rows(x), T=5, seed=1)["z"]
    mean, covariance = sd.Chain("p(x_{1:T})", *factors).filter(x=x[None])
    agrees(found[:, 3], mean[0, 3])
    agrees(found[:, 4], step @ mean[0, 3])
    spread = found[:, 4] - step @ mean[0, 3]
    expected = step @ covariance[0, 3] @ step.T + 0.25 * torch.eye(2)
    agrees(spread[:, :, None] * spread[:, None, :], expected)


def test_a_nonlinear_chain_must_be_inferred():
    factors, _ = linear()
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh()).double()
    bent = sd.Normal("p(z_t|z_{t-1})", loc=net, scale=torch.tensor(0.5).double())
    with pytest.raises(NameResolutionError, match="no factor infers `z_t` at step 1"):
        sd.rollout(factors[0], bent, factors[2], x=torch.zeros(2, 3, 3).double(), steps=4)


def test_what_is_encoded_step_by_step_is_the_observation_of_a_chain():
    """A Kalman autoencoder: ``a_t`` is inferred from ``x_t``, and the chain behind it is exact."""
    (first, move, _), step = linear()
    emit = sd.Normal("p(a_t|z_t)", loc=nn.Linear(2, 3).double(), scale=torch.tensor(0.5).double())
    decode = sd.Normal("p(x_t|a_t)", loc=nn.Identity(), scale=torch.tensor(0.1).double())
    encode = sd.Normal("q(a_t|x_t)", loc=nn.Identity(), scale=torch.tensor(1e-6).double())
    model = sd.Model(
        "maximize E_q(a_{1:T}|x_{1:T})[log p(x_{1:T}|a_{1:T}) + log p(a_{1:T}) - log q(a_{1:T}|x_{1:T})]",
        first,
        move,
        emit,
        decode,
        encode,
    )
    x = torch.randn(4, 3).double()
    found = model.sample(x=rows(x), T=5, seed=1)
    mean, _ = sd.Chain("p(a_{1:T})", first, move, emit).filter(a=x[None])
    agrees(found["z"][:, 3], mean[0, 3])
    agrees(found["z"][:, 4], step @ mean[0, 3])
