"""Wake-sleep and reweighted wake-sleep for a sigmoid belief network."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import network

FACTORS = """
    p_theta(z)   = Bernoulli(z; logits = b)
    p_theta(x|z) = Bernoulli(x; logits = dec(z))
    q_phi(z|x)   = Bernoulli(z; logits = enc(x))
"""
"""The generative model, whose parameters are theta, and the recognition model, whose are phi."""

WAKE_SLEEP = """
    wake:  maximize E_{data(x)} E_{sg[q_phi(z|x)]}[log p_theta(x,z)] over theta
    sleep: maximize E_{sg[p_theta(z)]} E_{sg[p_theta(x|z)]}[log q_phi(z|x)] over phi
"""
"""Awake, the generative model learns what the other recognises; asleep, the other way round."""

REWEIGHTED = """
    where w_k = p_theta(x, z_k) / q_phi(z_k|x)
    wake_p: maximize E_{z_{1:K} ~ sg[q_phi(z|x)]}[log(1/K sum_{k=1}^K w_k)] over theta
    wake_q: maximize E_{z_{1:K} ~ sg[q_phi(z|x)]}[
        sum_{k=1}^K sg[w_k / sum_{j=1}^K w_j] log q_phi(z_k|x)] over phi
"""
"""Both learn from draws that are weighted by how well they explain the image."""


@checked
def wake_sleep(pixels: int, *, latent: int = 32, hidden: int = 256) -> Model:
    r"""A belief network of binary images, trained by wake-sleep.

    .. math:: \max_\theta\; \mathbb{E}_{data(x)} \mathbb{E}_{q_\phi(z|x)}[\log p_\theta(x, z)], \qquad
        \max_\phi\; \mathbb{E}_{p_\theta(x, z)}[\log q_\phi(z|x)]

    Args:
        pixels: the size of an image ``x``, ``[batch, pixels]`` of zeros and ones.
        latent: the number of binary latent variables.
        hidden: the size of the one hidden layer of either network.

    Source:
        G. E. Hinton, P. Dayan, B. J. Frey, R. M. Neal, "The Wake-Sleep Algorithm for Unsupervised Neural
        Networks" (1995).

    Example:
        >>> list(wake_sleep(64, latent=4, hidden=8).players)
        ['theta', 'phi']
    """
    return Model(FACTORS + WAKE_SLEEP, z=latent, **_networks(pixels, latent, hidden))


@checked
def reweighted_wake_sleep(pixels: int, *, samples: int = 5, latent: int = 32, hidden: int = 256) -> Model:
    r"""A belief network of binary images, trained by reweighted wake-sleep, with its wake update of q.

    .. math:: \max_\theta\; \mathbb{E}_{z_{1:K} \sim q_\phi}\Bigl[\log \frac1K \sum_k w_k\Bigr], \qquad
        \max_\phi\; \mathbb{E}_{z_{1:K} \sim q_\phi}\Bigl[
        \sum_k \frac{w_k}{\sum_j w_j} \log q_\phi(z_k|x)\Bigr], \quad
        w_k = \frac{p_\theta(x, z_k)}{q_\phi(z_k|x)}

    Nothing passes through the draws, nor through the weights in the second objective.

    Args:
        pixels: see `wake_sleep`, as all others.
        samples: the number K of draws of each image.
        latent: the number of binary latent variables.
        hidden: the size of the one hidden layer of either network.

    Source:
        J. Bornschein, Y. Bengio, "Reweighted Wake-Sleep" (2015), eq. 4 and 9.

    Example:
        >>> reweighted_wake_sleep(64, latent=4, hidden=8).player("wake_q").name
        'phi'
    """
    return Model(FACTORS + REWEIGHTED, K=samples, z=latent, **_networks(pixels, latent, hidden))


def _networks(pixels: int, latent: int, hidden: int) -> dict[str, Any]:
    return {
        "b": nn.Parameter(torch.zeros(latent)),
        "enc": network(pixels, hidden, outputs=latent),
        "dec": network(latent, hidden, outputs=pixels),
    }
