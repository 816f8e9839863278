"""The linear-Gaussian state-space model, with or without actions."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from symdgm.model import Model
from symdgm.zoo.checked import checked

FREE = """
    p(z_t|z_{t-1}) = Normal(z_t; loc = A(z_{t-1}), log_scale = u)
    maximize log p(x_{1:T})
"""
DRIVEN = """
    p(z_t|z_{t-1}, a_{t-1}) = Normal(z_t; loc = A(z_{t-1}) + B(a_{t-1}), log_scale = u)
    maximize log p(x_{1:T}|a_{1:T})
"""
"""How states move, by themselves or under actions."""

EQUATION = """
    p(z_1)     = Normal(z_1; loc = m, log_scale = s)
    p(x_t|z_t) = Normal(x_t; loc = C(z_t), log_scale = w)
"""
"""All laws are normal with linear means, so that the likelihood is exact, by the Kalman filter."""


@checked
def linear_dynamics(features: int, *, latent: int = 4, actions: int = 0) -> Model:
    r"""A linear-Gaussian state-space model, trained by its exact likelihood.

    .. math:: \max\; \log p(x_{1:T}|a_{1:T}), \quad x_t \sim N(C z_t + d, \mathrm{diag}\, e^{2w}), \quad
        z_t \sim N(A z_{t-1} + B a_{t-1} + b, \mathrm{diag}\, e^{2u})

    What follows a sequence is drawn from its posterior on, ``model.sample(x=seen, T=20)``, with the actions
    of all steps where there are any.

    Args:
        features: the size of an observation ``x``, ``[batch, time, features]``; the lengths are data under
            the name ``T``.
        latent: the size of a state ``z``.
        actions: the size of an action ``a``, ``[batch, time, actions]``, which is done once ``x_t`` is seen;
            0 for none.

    Source:
        R. E. Kalman, "A New Approach to Linear Filtering and Prediction Problems" (1960); Z. Ghahramani,
        G. E. Hinton, "Parameter Estimation for Linear Dynamical Systems" (1996).

    Example:
        >>> import torch
        >>> model = linear_dynamics(3, latent=2, actions=1)
        >>> model.loss(x=torch.zeros(4, 5, 3), a=torch.zeros(4, 5, 1), T=torch.tensor([5, 1, 2, 5])).shape
        torch.Size([])
        >>> model.sample(x=torch.zeros(4, 2, 3), a=torch.zeros(4, 7, 1))["x"].shape
        torch.Size([4, 7, 3])
    """
    driven: dict[str, Any] = {"B": nn.Linear(actions, latent, bias=False)} if actions else {}
    return Model(
        EQUATION + (DRIVEN if actions else FREE),
        C=nn.Linear(latent, features),
        w=nn.Parameter(torch.full((features,), -1.0)),
        **driven,
        **chain(latent),
    )


def chain(latent: int) -> dict[str, Any]:
    """The parts of a chain of states that keep where they are: its matrix, its beginning, its noise."""
    still = nn.Linear(latent, latent)
    nn.init.eye_(still.weight)
    nn.init.zeros_(still.bias)
    noise = nn.Parameter(torch.full((latent,), -1.0))
    return {
        "A": still,
        "u": noise,
        "m": nn.Parameter(torch.zeros(latent)),
        "s": nn.Parameter(torch.zeros(latent)),
    }
