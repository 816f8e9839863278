"""Variational autoencoders whose latent elements are to be independent: beta-VAE, beta-TCVAE, FactorVAE."""

from __future__ import annotations

from typing import Any

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import GaussianNetwork, critic, network

FACTORS = """
    p(z)   = Normal(z; 0, 1)
    q(z|x) = Normal(z; enc(x))
    p(x|z) = Bernoulli(x; logits = dec(z))
"""
"""A prior, an encoder, a decoder."""

BETA = """
    maximize E_q(z|x)[log p(x|z)] - beta KL[q(z|x) || p(z)]
"""
"""The bound, with more weight on the divergence."""

TOTAL_CORRELATION = """
    maximize E_q(z|x)[log p(x|z)] - alpha I[x; z] - beta KL[q(z) || prod_j q(z_j)]
        - gamma sum_j KL[q(z_j) || p(z_j)]
"""
"""The bound with its divergence taken apart, of which the total correlation gets more weight."""

FACTOR = """
    maximize E_q(z|x)[log p(x|z)] - KL[q(z|x) || p(z)] - gamma KL[q(z) || prod_j q(z_j)]
"""
"""The bound, and once more the total correlation, which a critic estimates."""


@checked
def beta_vae(pixels: int, *, latent: int = 10, hidden: int = 256, beta: float = 4.0) -> Model:
    r"""A beta-VAE of binary images.

    .. math:: \max\; \mathbb{E}_{q(z|x)}[\log p(x|z)] - \beta D_{\mathrm{KL}}[q(z|x) \| p(z)]

    Args:
        pixels: the size of an image ``x``, ``[batch, pixels]`` of zeros and ones.
        latent: the size of the latent variable ``z``.
        hidden: the size of the one hidden layer of either network.
        beta: the weight of the divergence; from 1 on the objective is a lower bound on log p(x).

    Source:
        I. Higgins et al., "beta-VAE" (2017), eq. 4.

    Example:
        >>> beta_vae(64, latent=4, hidden=8).scalars["beta"]
        4.0
    """
    return Model(FACTORS + BETA, beta=beta, **_networks(pixels, latent, hidden))


@checked
def beta_tcvae(
    pixels: int,
    *,
    latent: int = 10,
    hidden: int = 256,
    alpha: float = 1.0,
    beta: float = 6.0,
    gamma: float = 1.0,
) -> Model:
    r"""A beta-TCVAE of binary images: the total correlation is the term that gets more weight.

    .. math:: \max\; \mathbb{E}_{q(z|x)}[\log p(x|z)] - \alpha I[x; z]
        - \beta D_{\mathrm{KL}}\Bigl[q(z) \Big\| \prod_j q(z_j)\Bigr]
        - \gamma \sum_j D_{\mathrm{KL}}[q(z_j) \| p(z_j)]

    The aggregated posterior q(z) is estimated by the mixture of the batch.

    Args:
        pixels: see `beta_vae`, as all others.
        latent: the size of the latent variable.
        hidden: the size of the one hidden layer of either network.
        alpha: the weight of the information that z has of x.
        beta: the weight of the total correlation.
        gamma: the weight of what is left, element by element; with all three 1 this is the bound.

    Source:
        R. T. Q. Chen, X. Li, R. Grosse, D. Duvenaud, "Isolating Sources of Disentanglement in Variational
        Autoencoders" (2018), eq. 4.

    Example:
        >>> import torch
        >>> model = beta_tcvae(64, latent=4, hidden=8)
        >>> len(model.terms(x=torch.ones(3, 64)))
        4
    """
    weights: dict[str, Any] = {"alpha": alpha, "beta": beta, "gamma": gamma}
    return Model(FACTORS + TOTAL_CORRELATION, **weights, **_networks(pixels, latent, hidden))


@checked
def factor_vae(pixels: int, *, latent: int = 10, hidden: int = 256, gamma: float = 6.0) -> Model:
    r"""A FactorVAE of binary images: a critic measures the total correlation, the encoder lowers it.

    .. math:: \max\; \mathbb{E}_{q(z|x)}[\log p(x|z)] - D_{\mathrm{KL}}[q(z|x) \| p(z)]
        - \gamma D_{\mathrm{KL}}\Bigl[q(z) \Big\| \prod_j q(z_j)\Bigr], \qquad
        \max_T\; \mathbb{E}_{q(z)}[\log \sigma(T(z))] + \mathbb{E}_{\prod_j q(z_j)}[\log \sigma(-T(z))]

    Args:
        pixels: see `beta_vae`, as all others.
        latent: the size of the latent variable.
        hidden: the size of the one hidden layer of either network, and of both of the critic.
        gamma: the weight of the total correlation.

    Source:
        H. Kim, A. Mnih, "Disentangling by Factorising" (2018), eq. 2 and algorithm 2.

    Example:
        >>> list(factor_vae(64, latent=4, hidden=8).players)
        ['critic', 'model']
    """
    judge = critic(latent, hidden, hidden)
    return Model(FACTORS + FACTOR, gamma=gamma, critic=judge, **_networks(pixels, latent, hidden))


def _networks(pixels: int, latent: int, hidden: int) -> dict[str, Any]:
    return {
        "enc": GaussianNetwork(pixels, hidden, outputs=latent),
        "dec": network(latent, hidden, outputs=pixels),
        "z": latent,
    }
