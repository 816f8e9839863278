"""Gaussians and likelihoods written out, against which the equations of the zoo are held."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

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
