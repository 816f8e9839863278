"""The stochastic recurrent network."""

from __future__ import annotations

from torch import nn

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import Beside, network

EQUATION = """
    d_t                      = forward(x_{t-1}, d_{t-1})
    a_t                      = backward(x_t, d_t, a_{t+1})
    p(z_t|z_{t-1}, d_t)      = Normal(z_t; mu(z_{t-1}, d_t), softplus(s(z_{t-1}, d_t)))
    p(x_t|z_t, d_t)          = Bernoulli(x_t; logits = decode(z_t, d_t))
    q(z_t|z_{t-1}, d_t, a_t) = Normal(z_t; mu(z_{t-1}, d_t) + r(z_{t-1}, a_t), softplus(v(z_{t-1}, a_t)))
    z_0                      = 0
    maximize E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - beta KL[q(z_{1:T}|x_{1:T}) || p(z_{1:T})]
"""
"""A chain of latent states on top of a recurrent network; inference reads what is still to come."""


@checked
def srnn(
    features: int,
    *,
    latent: int = 16,
    hidden: int = 64,
    recurrent: int = 64,
    beta: float = 1.0,
) -> Model:
    r"""A stochastic recurrent network of binary sequences of different lengths.

    .. math:: \max\; \mathbb{E}_{q(z_{1:T}|x_{1:T})}\Big[\sum_{t=1}^T \log p(x_t|z_t, d_t)
        - \beta D_{\mathrm{KL}}[q(z_t|z_{t-1}, d_t, a_t) \| p(z_t|z_{t-1}, d_t)]\Big]

    The state :math:`d_t` reads the steps before ``t`` and :math:`a_t` those from ``t`` on; both are made once
    over whole sequences, and only ``z`` step by step. The mean of the posterior is that of the prior and a
    residual.

    Args:
        features: the size of a step of ``x``, ``[batch, time, features]`` of zeros and ones; the lengths are
            data under the name ``T``.
        latent: the size of the latent state ``z``, which begins with zeros.
        hidden: the size of the hidden layers.
        recurrent: the size of the states ``d`` and ``a`` of gated recurrent units.
        beta: the weight of the divergence, which is raised to 1 in the first epochs.

    Source:
        M. Fraccaro, S. K. Sønderby, U. Paquet, O. Winther, "Sequential Neural Models with Stochastic Layers"
        (2016), sections 2 and 3 and algorithm 1, with the step before as the input.

    Example:
        >>> import torch
        >>> model = srnn(8, latent=2, hidden=4, recurrent=4)
        >>> model.loss(x=torch.ones(3, 5, 8), T=torch.tensor([5, 2, 4])).isfinite()
        tensor(True)
        >>> model.sample(x=torch.ones(2, 3, 8), T=6)["x"].shape  # three given steps, and three more
        torch.Size([2, 6, 8])
    """

    def reading(inputs: int, outputs: int) -> Beside:
        return Beside(network(inputs, hidden, outputs=outputs))

    return Model(
        EQUATION,
        forward=nn.GRU(features, recurrent),
        backward=nn.GRU(features + recurrent, recurrent),
        mu=reading(latent + recurrent, latent),
        s=reading(latent + recurrent, latent),
        r=reading(latent + recurrent, latent),
        v=reading(latent + recurrent, latent),
        decode=reading(latent + recurrent, features),
        beta=beta,
        x=features,
        z=latent,
    )
