"""The deep Markov model of what actions lead to."""

from __future__ import annotations

import torch
from torch import nn

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import Beside, GaussianNetwork, network

EQUATION = """
    p(z_t|z_{t-1}, a_{t-1})      = Normal(z_t; trans(z_{t-1}, a_{t-1}))
    p(x_t|z_t)                   = Normal(x_t; loc = emit(z_t), log_scale = w)
    h_t                          = rnn(x_t, a_t, h_{t+1})
    q(z_t|z_{t-1}, a_{t-1}, h_t) = Normal(z_t; comb(z_{t-1}, a_{t-1}, h_t))
    maximize E_q(z_{1:T}|x_{1:T}, a_{1:T})[log p(x_{1:T}|z_{1:T})]
        - beta KL[q(z_{1:T}|x_{1:T}, a_{1:T}) || p(z_{1:T}|a_{1:T})]
"""
"""A chain of states that actions move; inference reads what is still to be seen and done."""


@checked
def action_markov(
    features: int, actions: int, *, latent: int = 16, hidden: int = 64, beta: float = 1.0
) -> Model:
    r"""A deep Markov model of observations under actions.

    .. math:: \max\; \mathbb{E}_{q(z_{1:T}|x_{1:T}, a_{1:T})}[\log p(x_{1:T}|z_{1:T})]
        - \beta D_{\mathrm{KL}}[q(z_{1:T}|x_{1:T}, a_{1:T}) \| p(z_{1:T}|a_{1:T})]

    An action ``a_t`` is what is done once ``x_t`` is seen. What actions lead to is drawn from the first
    observations and all actions, ``model.sample(x=seen, a=actions)``.

    Args:
        features: the size of an observation ``x``, ``[batch, time, features]``; the lengths are data under
            the name ``T``.
        actions: the size of an action ``a``, ``[batch, time, actions]``.
        latent: the size of a state ``z``; its beginning, ``z_0``, is trained.
        hidden: the size of the hidden layers and of the state of the recurrent network, which reads backwards
            in time.
        beta: the weight of the divergence.

    Source:
        R. G. Krishnan, U. Shalit, D. Sontag, "Deep Kalman Filters" (2015), eq. 3 and 4.

    Example:
        >>> import torch
        >>> model = action_markov(3, 1, latent=2, hidden=4)
        >>> len(model.terms(x=torch.zeros(2, 5, 3), a=torch.zeros(2, 5, 1), T=torch.tensor([5, 2])))
        2
        >>> model.sample(x=torch.zeros(2, 3, 3), a=torch.zeros(2, 5, 1))["x"].shape
        torch.Size([2, 5, 3])
    """
    return Model(
        EQUATION,
        trans=Beside(GaussianNetwork(latent + actions, hidden, outputs=latent)),
        emit=network(latent, hidden, outputs=features),
        w=nn.Parameter(torch.full((features,), -1.0)),
        rnn=nn.GRU(features + actions, hidden, batch_first=True),
        comb=Beside(GaussianNetwork(latent + actions + hidden, hidden, outputs=latent)),
        beta=beta,
        z_0=nn.Parameter(torch.zeros(latent)),
    )
