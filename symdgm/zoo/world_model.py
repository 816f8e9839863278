"""A world model of an environment with rewards: the recurrent state-space model."""

from __future__ import annotations

from math import prod
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, softplus

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import network

GAUSSIAN = """
    p(z_t|h_t)      = Normal(z_t; prior(h_t))
    q(z_t|h_t, e_t) = Normal(z_t; post(h_t, e_t))
"""
DISCRETE = """
    p(z_t|h_t)      = OneHotCategorical(z_t; logits = prior(h_t))
    q(z_t|h_t, e_t) = OneHotCategorical(z_t; logits = post(h_t, e_t))
"""
"""The part of the state that is drawn, of either kind."""

EQUATION = """
    h_t = cell(z_{t-1}, a_{t-1}, h_{t-1})
    e_t = embed(x_t)
    p(x_t|h_t, z_t) = Normal(x_t; see(h_t, z_t))
    p(r_t|h_t, z_t) = Normal(r_t; earn(h_t, z_t))
    p(c_t|h_t, z_t) = Bernoulli(c_t; logits = go_on(h_t, z_t))
    z_0 = 0
    maximize sum_{t=1}^T (
        E_q(z_t|h_t, e_t)[log p(x_t|h_t, z_t) + log p(r_t|h_t, z_t) + log p(c_t|h_t, z_t)]
        - max(alpha KL[sg[q] || p] + (1 - alpha) KL[q || sg[p]], n)
    )
"""
"""A state has a part h that is computed and a part z that is drawn. The divergence is balanced by alpha, so
that the prior learns faster than the posterior gives way, and n nats of it are free at each step."""

LEAST = 0.1
"""The least standard deviation."""


@checked
def world_model(
    features: int,
    actions: int,
    *,
    latent: int | tuple[int, int] = 30,
    hidden: int = 200,
    width: int = 200,
    alpha: float = 0.8,
    free: float = 1.0,
) -> Model:
    r"""The recurrent state-space model of observations and rewards under actions.

    .. math:: \max\; \sum_t \mathbb{E}_q[\log p(x_t|h_t,z_t) + \log p(r_t|h_t,z_t) + \log p(c_t|h_t,z_t)]
        - \max(\alpha D_{\mathrm{KL}}[\mathrm{sg}[q] \| p]
        + (1-\alpha) D_{\mathrm{KL}}[q \| \mathrm{sg}[p]], n)

    An action ``a_t`` is what is done once ``x_t`` is seen; the reward ``r_t`` comes with ``x_t``. What
    actions lead to is drawn from the first observations and all actions, ``model.sample(x=seen, a=actions)``.

    Args:
        features: the size of an observation ``x``, ``[batch, time, features]``; the lengths are data under
            the name ``T``.
        actions: the size of an action ``a``, ``[batch, time, actions]``. The reward ``r`` and whether an
            episode continues ``c``, zeros and ones, are ``[batch, time, 1]``.
        latent: the size of the normal ``z``; or how many parts a discrete one has and how many classes each
            part, whose draws pass gradients straight through.
        hidden: the size of the state ``h``, which a gated recurrent unit computes.
        width: the size of the one hidden layer of the networks.
        alpha: how far the prior is drawn to the posterior rather than the other way round, from 0 to 1.
        free: how many nats n of the divergence cost nothing less, at each step.

    Source:
        D. Hafner et al., "Learning Latent Dynamics for Planning from Pixels" (2019), eq. 4 and 6; "Mastering
        Atari with Discrete World Models" (2021), eq. 1 and 2 and algorithms 1 and 2; free nats of each step:
        "Mastering Diverse Domains through World Models" (2023), eq. 5.

    Example:
        >>> import torch
        >>> model = world_model(3, 1, latent=(2, 4), hidden=4, width=4)
        >>> a, r, c = torch.zeros(2, 5, 1), torch.zeros(2, 5, 1), torch.ones(2, 5, 1)
        >>> len(model.terms(x=torch.zeros(2, 5, 3), a=a, r=r, c=c, T=torch.tensor([5, 2])))
        4
        >>> model.sample(x=torch.zeros(2, 3, 3), a=a)["r"].shape
        torch.Size([2, 5, 1])
    """
    discrete = isinstance(latent, tuple)
    event = latent if isinstance(latent, tuple) else (latent,)
    head = Numbers if discrete else Gaussian
    size = prod(event)
    return Model(
        (DISCRETE if discrete else GAUSSIAN) + EQUATION,
        cell=Cell(size + actions, hidden),
        embed=network(features, width, outputs=width),
        prior=head(hidden, width, event),
        post=head(hidden + width, width, event),
        see=Gaussian(hidden + size, width, (features,)),
        earn=Gaussian(hidden + size, width, (1,)),
        go_on=Numbers(hidden + size, width, (1,)),
        z=event,
        alpha=alpha,
        n=free,
        estimators={"z": "straight-through"} if discrete else None,
    )


@final
class Cell(nn.Module):
    """The next computed part of a state.

    Args:
        inputs: the size of the drawn part and of an action together.
        hidden: the size of the computed part.

    Example:
        >>> Cell(3, 4)(torch.zeros(2, 1, 2), torch.zeros(2, 1), torch.zeros(2, 4)).shape
        torch.Size([2, 4])
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden_size = hidden
        self.inward, self.unit = nn.Linear(inputs, hidden), nn.GRUCell(hidden, hidden)

    def forward(self, z: Tensor, a: Tensor, h: Tensor) -> Tensor:
        """``[batch, *latent]``, ``[batch, actions]`` and ``[batch, hidden]`` to ``[batch, hidden]``."""
        state: Tensor = self.unit(elu(self.inward(torch.cat([z.flatten(1), a], -1))), h)
        return state


@final
class Gaussian(nn.Module):
    """The mean and the standard deviation of a vector, from what is read side by side.

    Args:
        inputs: the size of all that is read.
        width: the size of the one hidden layer.
        event: the event shape.

    Example:
        >>> loc, scale = Gaussian(6, 8, (3,))(torch.zeros(2, 4), torch.zeros(2, 1, 2))
        >>> loc.shape, bool((scale > LEAST).all())
        (torch.Size([2, 3]), True)
    """

    def __init__(self, inputs: int, width: int, event: tuple[int, ...]) -> None:
        super().__init__()
        self.numbers = Numbers(inputs, width, (2, *event))

    def forward(self, *values: Tensor) -> tuple[Tensor, Tensor]:
        """``[batch, *shape]`` of each to twice ``[batch, *event]``."""
        loc, raw = self.numbers(*values).unbind(1)
        return loc, softplus(raw) + LEAST


@final
class Numbers(nn.Module):
    """Numbers of any sign, such as logits, from what is read side by side.

    Args:
        inputs: the size of all that is read.
        width: the size of the one hidden layer.
        event: the event shape.

    Example:
        >>> Numbers(6, 8, (2, 4))(torch.zeros(3, 4), torch.zeros(3, 1, 2)).shape
        torch.Size([3, 2, 4])
    """

    def __init__(self, inputs: int, width: int, event: tuple[int, ...]) -> None:
        super().__init__()
        self.body = network(inputs, width, outputs=prod(event))
        self.event = event

    def forward(self, *values: Tensor) -> Tensor:
        """``[batch, *shape]`` of each to ``[batch, *event]``."""
        found: Tensor = self.body(torch.cat([v.flatten(1) for v in values], -1))
        return found.reshape(-1, *self.event)
