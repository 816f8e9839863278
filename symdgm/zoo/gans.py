"""Generative adversarial networks: non-saturating, Wasserstein with a gradient penalty, least-squares."""

from __future__ import annotations

from typing import Any

from torch import nn

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import critic

PRIOR = """
    p(z) = Normal(z; 0, 1)
"""
"""The noise of which the generator makes an image."""

NON_SATURATING = """
    loss_d: maximize E_data(x)[log sigmoid(D(x))] + E_p(z)[log sigmoid(-D(G(z)))] over D
    loss_g: maximize E_p(z)[log sigmoid(D(G(z)))] over G
"""
"""D is the logit of "real", so log sigmoid(-D) is log(1 - sigmoid(D)), and keeps its digits."""

WASSERSTEIN = """
    where y = eps x + (1 - eps) G(z)
    loss_d: maximize E_data(x)[D(x)] - E_p(z)[D(G(z))]
        - lambda E_data(x) E_p(z) E_{eps ~ U(0, 1)}[(||grad_y D(y)||_2 - 1)^2] over D
    loss_g: maximize E_p(z)[D(G(z))] over G
"""
"""The dual of the Wasserstein distance; the penalty holds the slope of D between both laws at 1."""

LEAST_SQUARES = """
    loss_d: minimize 1/2 E_data(x)[(D(x) - 1)^2] + 1/2 E_p(z)[D(G(z))^2] over D
    loss_g: minimize 1/2 E_p(z)[(D(G(z)) - 1)^2] over G
"""
"""Real is 1, made is 0, and the generator wants 1."""


@checked
def gan(pixels: int, *, latent: int = 16, hidden: int = 128) -> Model:
    r"""A generative adversarial network of grey images, with the non-saturating loss.

    .. math:: \max_D\; \mathbb{E}_{data(x)}[\log \sigma(D(x))] + \mathbb{E}_{p(z)}[\log \sigma(-D(G(z)))],
        \qquad \max_G\; \mathbb{E}_{p(z)}[\log \sigma(D(G(z)))]

    Args:
        pixels: the size of an image ``x``, ``[batch, pixels]`` in [0, 1].
        latent: the size of the noise ``z``.
        hidden: the width of both hidden layers of either network.

    Source:
        I. Goodfellow et al., "Generative Adversarial Nets" (2014), algorithm 1, with the generator's
        objective of section 3.

    Example:
        >>> import torch
        >>> model = gan(64, latent=4, hidden=8)
        >>> {name: list(move.terms) for name, move in model.train_step(x=torch.ones(3, 64)).items()}["G"]
        ['E_p(z)[log(sigmoid(D(G(z))))]']
    """
    return Model(PRIOR + NON_SATURATING, z=latent, **_players(pixels, latent, hidden))


@checked
def wgan_gp(pixels: int, *, latent: int = 16, hidden: int = 128, penalty: float = 1.0) -> Model:
    r"""A Wasserstein GAN of grey images, whose critic is held to slope 1 by a penalty.

    .. math:: \max_D\; \mathbb{E}_{data(x)}[D(x)] - \mathbb{E}_{p(z)}[D(G(z))]
        - \lambda \mathbb{E}[(\|\nabla_y D(y)\|_2 - 1)^2], \quad y = \epsilon x + (1 - \epsilon) G(z)

    Its paper makes five steps of the critic for one of the generator: ``model.fit(x, steps={"D": 5})``.

    Args:
        pixels: see `gan`, as all others.
        latent: the size of the noise.
        hidden: the width of both hidden layers of either network.
        penalty: the weight λ of the penalty; the paper's 10 is for deeper critics.

    Source:
        I. Gulrajani et al., "Improved Training of Wasserstein GANs" (2017), eq. 3.

    Example:
        >>> wgan_gp(64, latent=4, hidden=8).player("G").objective
        loss_g: maximize 𝔼_p(z)[D(G(z))]
    """
    weights: dict[str, Any] = {"lambda": penalty}
    return Model(PRIOR + WASSERSTEIN, z=latent, **weights, **_players(pixels, latent, hidden))


@checked
def lsgan(pixels: int, *, latent: int = 16, hidden: int = 128) -> Model:
    r"""A least-squares GAN of grey images.

    .. math:: \min_D\; \tfrac12 \mathbb{E}_{data(x)}[(D(x) - 1)^2] + \tfrac12 \mathbb{E}_{p(z)}[D(G(z))^2],
        \qquad \min_G\; \tfrac12 \mathbb{E}_{p(z)}[(D(G(z)) - 1)^2]

    Args:
        pixels: see `gan`, as all others.
        latent: the size of the noise.
        hidden: the width of both hidden layers of either network.

    Source:
        X. Mao et al., "Least Squares Generative Adversarial Networks" (2017), eq. 9.

    Example:
        >>> lsgan(64, latent=4, hidden=8).player("loss_g").name
        'G'
    """
    return Model(PRIOR + LEAST_SQUARES, z=latent, **_players(pixels, latent, hidden))


def _players(pixels: int, latent: int, hidden: int) -> dict[str, Any]:
    return {"G": _generator(pixels, latent, hidden), "D": critic(pixels, hidden, hidden)}


def _generator(pixels: int, latent: int, hidden: int) -> nn.Sequential:
    """Noise to images; without the batch norms it ends with a few images that it makes again and again."""
    return nn.Sequential(
        nn.Linear(latent, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, pixels),
        nn.Sigmoid(),
    )
