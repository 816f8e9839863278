"""Joint multimodal variational autoencoders: JMVAE, JMVAE with a product of experts, MVAE."""

from __future__ import annotations

from typing import Any

from symdgm.distributions import Normal, ProductOfExperts
from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import Beside, GaussianNetwork, network

DECODERS = """
    p(z)   = Normal(z; 0, 1)
    p(x|z) = Bernoulli(x; logits = dec_x(z))
    p(y|z) = OneHotCategorical(y; logits = dec_y(z))
"""
"""An image and its label from one latent variable."""

ENCODERS = """
    q(z|x,y) = Normal(z; enc(x, y))
    q(z|x)   = Normal(z; enc_x(x))
    q(z|y)   = Normal(z; enc_y(y))
"""
"""One for both, and one for each alone."""

JOINT = """
    maximize E_q(z|x,y)[log p(x|z) p(y|z)] - KL[q(z|x,y) || p(z)]
        - alpha (KL[q(z|x,y) || q(z|x)] + KL[q(z|x,y) || q(z|y)])
"""
"""The bound on log p(x, y), and what pulls the encoders of one modality to that of both."""

SUM_OF_BOUNDS = """
    maximize E_q(z|x,y)[log p(x|z) + gamma log p(y|z)] - KL[q(z|x,y) || p(z)]
        + E_q(z|x)[log p(x|z)] - KL[q(z|x) || p(z)]
        + E_q(z|y)[gamma log p(y|z)] - KL[q(z|y) || p(z)]
"""
"""The bounds on log p(x, y), log p(x) and log p(y), where gamma is 1: each modality may be missing."""


@checked
def jmvae(pixels: int, labels: int = 10, *, latent: int = 16, hidden: int = 256, alpha: float = 0.1) -> Model:
    r"""A joint multimodal variational autoencoder of binary images and their labels.

    .. math:: \max\; \mathbb{E}_{q(z|x,y)}[\log p(x|z) p(y|z)] - D_{\mathrm{KL}}[q(z|x,y) \| p(z)]
        - \alpha (D_{\mathrm{KL}}[q(z|x,y) \| q(z|x)] + D_{\mathrm{KL}}[q(z|x,y) \| q(z|y)])

    Args:
        pixels: the size of an image ``x``, ``[batch, pixels]`` of zeros and ones.
        labels: the size of a label ``y``, ``[batch, labels]``, one-hot.
        latent: the size of the latent variable ``z``.
        hidden: the size of the one hidden layer of every network.
        alpha: how strongly the encoders of one modality are pulled to that of both.

    Source:
        M. Suzuki, K. Nakayama, Y. Matsuo, "Joint Multimodal Learning with Deep Generative Models" (2016),
        eq. 8.

    Example:
        >>> import torch
        >>> model = jmvae(64, latent=4, hidden=8)
        >>> len(model.terms(x=torch.ones(3, 64), y=torch.eye(10)[:3]))
        5
    """
    return Model(
        DECODERS + ENCODERS + JOINT,
        enc=Beside(GaussianNetwork(pixels + labels, hidden, outputs=latent)),
        enc_x=GaussianNetwork(pixels, hidden, outputs=latent),
        enc_y=GaussianNetwork(labels, hidden, outputs=latent),
        alpha=alpha,
        z=latent,
        **_decoders(pixels, labels, latent, hidden),
    )


@checked
def jmvae_poe(
    pixels: int, labels: int = 10, *, latent: int = 16, hidden: int = 256, alpha: float = 0.1
) -> Model:
    r"""JMVAE whose encoder of both modalities is the product of those of one and of the prior.

    .. math:: q(z|x,y) \propto p(z) \, q(z|x) \, q(z|y)

    Args:
        pixels: see `jmvae`, as all others.
        labels: the size of a label.
        latent: the size of the latent variable.
        hidden: the size of the one hidden layer of every network.
        alpha: the weight of the pull.

    Example:
        >>> jmvae_poe(64, latent=4, hidden=8).sample(3)["y"].shape
        torch.Size([3, 10])
    """
    x, y = _experts(pixels, labels, latent, hidden)
    both = ProductOfExperts("q(z|x,y)", [x, y], prior=_prior())
    return Model(
        DECODERS + JOINT, both, x, y, alpha=alpha, z=latent, **_decoders(pixels, labels, latent, hidden)
    )


@checked
def mvae(pixels: int, labels: int = 10, *, latent: int = 16, hidden: int = 256, gamma: float = 10.0) -> Model:
    r"""A multimodal variational autoencoder, trained to do without either modality.

    .. math:: \max\; \mathcal{L}(x, y) + \mathcal{L}(x) + \mathcal{L}(y), \qquad
        q(z|x,y) \propto p(z) \, \tilde q(z|x) \, \tilde q(z|y), \quad q(z|x) \propto p(z) \, \tilde q(z|x)

    Args:
        pixels: see `jmvae`, as all others.
        labels: the size of a label.
        latent: the size of the latent variable.
        hidden: the size of the one hidden layer of every network.
        gamma: the weight of the label's likelihood, which is small beside that of all pixels.

    Source:
        M. Wu, N. Goodman, "Multimodal Generative Models for Scalable Weakly-Supervised Learning" (2018),
        eq. 4, with both modalities, which are all subsets.

    Example:
        >>> import torch
        >>> model = mvae(64, latent=4, hidden=8)
        >>> len(model.terms(x=torch.ones(3, 64), y=torch.eye(10)[:3]))
        7
    """
    both = ProductOfExperts("q(z|x,y)", _experts(pixels, labels, latent, hidden), prior=_prior())
    return Model(
        DECODERS + SUM_OF_BOUNDS,
        both,
        both.only("x"),
        both.only("y"),
        gamma=gamma,
        z=latent,
        **_decoders(pixels, labels, latent, hidden),
    )


def _prior() -> Normal:
    return Normal("p(z)", loc=0.0, scale=1.0)


def _experts(pixels: int, labels: int, latent: int, hidden: int) -> tuple[Normal, Normal]:
    return (
        Normal("q(z|x)", GaussianNetwork(pixels, hidden, outputs=latent)),
        Normal("q(z|y)", GaussianNetwork(labels, hidden, outputs=latent)),
    )


def _decoders(pixels: int, labels: int, latent: int, hidden: int) -> dict[str, Any]:
    return {
        "dec_x": network(latent, hidden, outputs=pixels),
        "dec_y": network(latent, hidden, outputs=labels),
    }
