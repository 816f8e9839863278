"""Gaussians and likelihoods written out, against which the equations of the zoo are held."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from symdgm.data import Episodes
from symdgm.model import Model

Gaussian = tuple[Tensor, Tensor]
"""Mean and standard deviation."""


def draw(q: Gaussian) -> Tensor:
    return q[0] + q[1] * torch.randn_like(q[0])


def kl(q: Gaussian, p: Gaussian | None = None) -> Tensor:
    loc, scale = (torch.zeros_like(q[0]), torch.ones_like(q[1])) if p is None else p
    ratio = (q[1] / scale) ** 2
    return 0.5 * (((q[0] - loc) / scale) ** 2 + ratio - 1 - ratio.log()).sum(-1)


def log_normal(z: Tensor, p: Gaussian) -> Tensor:
    return torch.distributions.Normal(*p).log_prob(z).sum(-1)


def entropy(q: Gaussian) -> Tensor:
    return torch.distributions.Normal(*q).entropy().sum(-1)


def log_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    return -binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def log_one_hot(y: Tensor, logits: Tensor) -> Tensor:
    return (y * logits.log_softmax(-1)).sum(-1)


def product(*experts: Gaussian) -> Gaussian:
    """The product of experts and of the standard normal law."""
    precision = 1 + sum(scale**-2 for _, scale in experts)
    return sum(loc * scale**-2 for loc, scale in experts) / precision, precision**-0.5


def dense_chain(
    start: Gaussian,
    move: torch.nn.Linear,
    noise: Tensor,
    emit: torch.nn.Linear,
    spread: Tensor,
    pushes: Tensor,
) -> torch.distributions.MultivariateNormal:
    """The law of all observations of a linear-Gaussian chain, as one vector ``[time features]``.

    ``pushes [time - 1, latent]`` is what is added to the states from the second on.
    """
    loc, scale = start
    means, rows = [loc], [[scale.square().diag()]]
    for push in pushes:
        means.append(move(means[-1]) + push)
        before = [row[-1] @ move.weight.T for row in rows]
        own = move.weight @ rows[-1][-1] @ move.weight.T + noise.square().diag()
        rows = [[*row, crossed] for row, crossed in zip(rows, before, strict=True)]
        rows.append([*(crossed.T for crossed in before), own])
    covariance = torch.cat([torch.cat(row, 1) for row in rows])
    whole = torch.block_diag(*[emit.weight] * len(means))
    observed = spread.square().repeat(len(means)).diag()
    return torch.distributions.MultivariateNormal(
        torch.cat([emit(mean) for mean in means]), whole @ covariance @ whole.T + observed
    )


def forecast_errors(model: Model, test: Episodes, seen: int = 5, ahead: int = 10) -> tuple[float, float]:
    """The squared error of forecasts by that of the last observation: with what was done, and with opposites.

    A forecast is the mean of 20 draws; actions are one of two.
    """
    long = seen + ahead <= test.T
    x, a = test.x[long, : seen + ahead], test.a[long, : seen + ahead]

    def error(guess: Tensor) -> Tensor:
        return (guess - x)[:, seen:].square().mean()

    def forecast(actions: Tensor) -> Tensor:
        given = {"x": x[:, :seen].repeat_interleave(20, 0), "a": actions.repeat_interleave(20, 0)}
        return model.sample(**given, mean=True, seed=0)["x"].unflatten(0, (-1, 20)).mean(1)

    still = error(x[:, seen - 1 : seen].expand_as(x))
    return float(error(forecast(a)) / still), float(error(forecast(a.flip(-1))) / still)
