"""The conditional variational autoencoder."""

from __future__ import annotations

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import Beside, GaussianNetwork, network

EQUATION = """
    p(z)     = Normal(z; 0, 1)
    q(z|x,y) = Normal(z; enc(x, y))
    p(x|z,y) = Bernoulli(x; logits = dec(z, y))
    maximize E_q(z|x,y)[log p(x|z,y)] - KL[q(z|x,y) || p(z)]
"""
"""A lower bound on log p(x|y): what the label says, the latent variable need not."""


@checked
def conditional_vae(pixels: int, labels: int = 10, *, latent: int = 16, hidden: int = 256) -> Model:
    r"""A variational autoencoder of binary images whose label is known.

    .. math:: \max\; \mathbb{E}_{q(z|x,y)}[\log p(x|z,y)] - D_{\mathrm{KL}}[q(z|x,y) \| p(z)]

    Args:
        pixels: the size of an image ``x``, ``[batch, pixels]`` of zeros and ones.
        labels: the size of a label ``y``, ``[batch, labels]``, one-hot.
        latent: the size of the latent variable ``z``.
        hidden: the size of the one hidden layer of either network.

    Returns:
        A model with fresh weights; ``model.sample(y=y)`` draws images of given labels.

    Source:
        K. Sohn, H. Lee, X. Yan, "Learning Structured Output Representation using Deep Conditional Generative
        Models" (2015), eq. 4, with a prior that does not depend on the label.

    Example:
        >>> import torch
        >>> model = conditional_vae(64, latent=4, hidden=32)
        >>> list(model.terms(x=torch.ones(8, 64), y=torch.eye(10)[:8]))
        ['E_q(z|x, y)[log p(x|z, y)]', 'KL[q(z|x, y) || p(z)]']
    """
    encoder = Beside(GaussianNetwork(pixels + labels, hidden, outputs=latent))
    decoder = Beside(network(latent + labels, hidden, outputs=pixels))
    return Model(EQUATION, enc=encoder, dec=decoder, z=latent)
