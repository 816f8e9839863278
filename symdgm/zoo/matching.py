"""Autoencoders whose codes together have the law of the prior: InfoVAE, WAE, adversarial autoencoder."""

from __future__ import annotations

import math
from typing import Any

from symdgm.divergences import MMD
from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import GaussianNetwork, critic, network

CODES = """
    p(z)   = Normal(z; 0, 1)
    q(z|x) = Normal(z; enc(x))
"""
"""The law that codes are to have, and the law of the code of one image."""

INFORMATION = """
    p(x|z) = Bernoulli(x; logits = dec(z))
    maximize E_q(z|x)[log p(x|z)] - (1 - alpha) KL[q(z|x) || p(z)]
        - (alpha + lambda - 1) MMD[q(z) || p(z)]
"""
"""The codes of all images together are held to the prior, those of one image less so."""

TRANSPORT = """
    minimize E_data(x) E_q(z|x)[||x - G(z)||^2] + lambda MMD[q(z) || p(z)]
"""
"""What it costs to carry each image to what is made of its code."""

ADVERSARIAL = """
    p(x|z) = Bernoulli(x; logits = dec(z))
    model: maximize E_data(x) E_q(z|x)[log p(x|z) + lambda log sigmoid(D(z))] over enc, dec
    critic: maximize E_p(z)[log sigmoid(D(z))] + E_data(x) E_q(z|x)[log sigmoid(-D(z))] over D
"""
"""The critic tells codes from draws of the prior, and the encoder wants them to be taken for such."""


@checked
def info_vae(
    pixels: int, *, latent: int = 8, hidden: int = 256, alpha: float = 1.0, divergence: float = 50.0
) -> Model:
    r"""An InfoVAE of binary images, by default without the divergence of single codes: an MMD-VAE.

    .. math:: \max\; \mathbb{E}_{q(z|x)}[\log p(x|z)] - (1 - \alpha) D_{\mathrm{KL}}[q(z|x) \| p(z)]
        - (\alpha + \lambda - 1) \mathrm{MMD}[q(z) \| p(z)]

    Args:
        pixels: the size of an image ``x``, ``[batch, pixels]`` of zeros and ones.
        latent: the size of the latent variable ``z``.
        hidden: the size of the one hidden layer of either network.
        alpha: what the information that z has of x is worth; 0 with λ = 1 is the evidence lower bound.
        divergence: the weight λ of the divergence of all codes together.

    Source:
        S. Zhao, J. Song, S. Ermon, "InfoVAE" (2019), eq. 6.

    Example:
        >>> import torch
        >>> list(info_vae(64, latent=4, hidden=8).terms(x=torch.ones(3, 64)))[-1]
        'MMD[q(z) || p(z)]'
    """
    encoder = GaussianNetwork(pixels, hidden, outputs=latent)
    weights: dict[str, Any] = {"alpha": alpha, "lambda": divergence}
    return Model(
        CODES + INFORMATION, enc=encoder, dec=network(latent, hidden, outputs=pixels), z=latent, **weights
    )


@checked
def wae(pixels: int, *, latent: int = 8, hidden: int = 256, divergence: float = 10.0) -> Model:
    r"""A Wasserstein autoencoder of grey images, with an inverse multiquadratic kernel: WAE-MMD.

    .. math:: \min\; \mathbb{E}_{data(x)} \mathbb{E}_{q(z|x)}\|x - G(z)\|^2
        + \lambda\, \mathrm{MMD}[q(z) \| p(z)]

    Args:
        pixels: the size of an image ``x``, ``[batch, pixels]``.
        latent: the size of the code ``z``.
        hidden: the size of the one hidden layer of either network.
        divergence: the weight λ of the divergence of codes from the prior.

    Source:
        I. Tolstikhin, O. Bousquet, S. Gelly, B. Schölkopf, "Wasserstein Auto-Encoders" (2018), eq. 4 and
        algorithm 2.

    Example:
        >>> import torch
        >>> list(wae(64, latent=4, hidden=8).terms(x=torch.ones(3, 64)))
        ['E_data(x)[E_q(z|x)[||x - G(z)||^2]]', 'MMD[q(z) || p(z)]']
    """
    weights: dict[str, Any] = {"lambda": divergence}
    return Model(
        CODES + TRANSPORT,
        enc=GaussianNetwork(pixels, hidden, outputs=latent),
        G=network(latent, hidden, outputs=pixels),
        z=latent,
        divergences={"MMD": MMD(kernel="imq", bandwidth=math.sqrt(2 * latent))},
        **weights,
    )


@checked
def adversarial_autoencoder(
    pixels: int, *, latent: int = 8, hidden: int = 256, divergence: float = 1.0
) -> Model:
    r"""An adversarial autoencoder of binary images.

    .. math:: \max_{enc, dec}\; \mathbb{E}_{q(z|x)}[\log p(x|z) + \lambda \log \sigma(D(z))], \qquad
        \max_D\; \mathbb{E}_{p(z)}[\log \sigma(D(z))]
        + \mathbb{E}_{data(x)} \mathbb{E}_{q(z|x)}[\log \sigma(-D(z))]

    Args:
        pixels: the size of an image ``x``, ``[batch, pixels]`` of zeros and ones.
        latent: the size of the code ``z``.
        hidden: the size of the one hidden layer of either network, and of both of the critic.
        divergence: the weight λ of what the critic says.

    Source:
        A. Makhzani et al., "Adversarial Autoencoders" (2015), section 2, both phases at once.

    Example:
        >>> list(adversarial_autoencoder(64, latent=4, hidden=8).players)
        ['enc,dec', 'D']
    """
    weights: dict[str, Any] = {"lambda": divergence}
    return Model(
        CODES + ADVERSARIAL,
        enc=GaussianNetwork(pixels, hidden, outputs=latent),
        dec=network(latent, hidden, outputs=pixels),
        D=critic(latent, hidden, hidden),
        z=latent,
        **weights,
    )
