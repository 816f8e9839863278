"""Variational inference with two layers of latent variables."""

from __future__ import annotations

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import GaussianNetwork, network

EQUATION = """
    p(z)   = Normal(z; 0, 1)
    p(a|z) = Normal(a; mid(z))
    p(x|a) = Bernoulli(x; logits = dec(a))
    q(a|x) = Normal(a; enc(x))
    q(z|a) = Normal(z; top(a))
    maximize E_q(a|x) E_q(z|a)[log p(x|a) + log p(a|z) + log p(z) - log q(a|x) - log q(z|a)]
"""
"""The joint log-density of model and inference; the closed forms in it are found by the derivation."""


@checked
def hierarchical(pixels: int, *, latents: tuple[int, int] = (32, 16), hidden: int = 256) -> Model:
    r"""A variational autoencoder of binary images with a second latent layer.

    .. math:: \max\; \mathbb{E}_{q(a|x)} \mathbb{E}_{q(z|a)}[\log p(x|a) p(a|z) p(z) - \log q(a|x) q(z|a)]

    Args:
        pixels: the size of an image ``x``, ``[batch, pixels]`` of zeros and ones.
        latents: the sizes of ``a``, next to the image, and of ``z`` above it.
        hidden: the size of the one hidden layer of every network.

    Source:
        D. J. Rezende, S. Mohamed, D. Wierstra, "Stochastic Backpropagation and Approximate Inference in Deep
        Generative Models" (2014), section 2, with inference from below to above.

    Example:
        >>> import torch
        >>> model = hierarchical(64, latents=(4, 2), hidden=8)
        >>> for term in model.terms(x=torch.ones(3, 64)):
        ...     print(term)
        E_q(a|x)[log p(x|a)]
        E_q(a|x)[E_q(z|a)[log p(a|z)]]
        E_q(a|x)[KL[q(z|a) || p(z)]]
        H[q(a|x)]
    """
    lower, upper = latents
    return Model(
        EQUATION,
        enc=GaussianNetwork(pixels, hidden, outputs=lower),
        top=GaussianNetwork(lower, hidden, outputs=upper),
        mid=GaussianNetwork(upper, hidden, outputs=lower),
        dec=network(lower, hidden, outputs=pixels),
        a=lower,
        z=upper,
    )
