"""The Kalman variational autoencoder: images of a linear-Gaussian system."""

from __future__ import annotations

import torch
from torch import nn

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.linear_dynamics import chain
from symdgm.zoo.networks import GaussianNetwork, network

EQUATION = """
    p(z_1)         = Normal(z_1; loc = m, log_scale = s)
    p(z_t|z_{t-1}) = Normal(z_t; loc = A(z_{t-1}), log_scale = u)
    p(a_t|z_t)     = Normal(a_t; loc = C(z_t), log_scale = w)
    p(x_t|a_t)     = Bernoulli(x_t; logits = dec(a_t))
    q(a_t|x_t)     = Normal(a_t; enc(x_t))
    maximize E_q(a_{1:T}|x_{1:T})[log p(x_{1:T}|a_{1:T}) + log p(a_{1:T}) - log q(a_{1:T}|x_{1:T})]
"""
"""What an image shows, a, is inferred by a network; the states behind it are integrated out exactly."""


@checked
def kalman_vae(pixels: int, *, code: int = 2, latent: int = 4, hidden: int = 128) -> Model:
    r"""A Kalman variational autoencoder of sequences of binary images.

    .. math:: \max\; \mathbb{E}_{q(a_{1:T}|x_{1:T})}[\log p(x_{1:T}|a_{1:T}) + \log p(a_{1:T})
        - \log q(a_{1:T}|x_{1:T})], \quad p(a_{1:T}) = \int p(a_{1:T}|z_{1:T})\, p(z_{1:T})\, dz_{1:T}

    Its matrices are the same at all times: one mode of motion, the mixture of the paper with K = 1.

    Args:
        pixels: the size of an image ``x_t``, ``[batch, time, pixels]`` of zeros and ones; the lengths are
            data under the name ``T``.
        code: the size of what an image shows, ``a``.
        latent: the size of a state ``z``.
        hidden: the size of the one hidden layer of either network.

    Source:
        M. Fraccaro, S. Kamronn, U. Paquet, O. Winther, "A Disentangled Recognition and Nonlinear Dynamics
        Model for Unsupervised Learning" (2017), eq. 6, with the states integrated out rather than drawn.

    Example:
        >>> import torch
        >>> model = kalman_vae(9, code=2, latent=3, hidden=4)
        >>> list(model.terms(x=torch.ones(2, 4, 9), T=torch.tensor([4, 2])))[1]
        'E_q(a_{1:T}|x_{1:T})[log p(a_{1:T})]'
        >>> model.sample(x=torch.ones(2, 4, 9), T=6)["x"].shape
        torch.Size([2, 6, 9])
    """
    return Model(
        EQUATION,
        C=nn.Linear(latent, code),
        w=nn.Parameter(torch.full((code,), -1.0)),
        dec=network(code, hidden, outputs=pixels),
        enc=GaussianNetwork(pixels, hidden, outputs=code),
        **chain(latent),
    )
