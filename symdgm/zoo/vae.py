"""The variational autoencoder."""

from __future__ import annotations

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import GaussianNetwork, network

EQUATION = """
    p(z)   = Normal(z; 0, 1)
    q(z|x) = Normal(z; enc(x))
    p(x|z) = Bernoulli(x; logits = dec(z))
    maximize E_q(z|x)[log p(x|z)] - beta KL[q(z|x) || p(z)]
"""
"""The model as its paper has it: a prior, an encoder, a decoder, and the bound."""


@checked
def vae(pixels: int, *, latent: int = 16, hidden: int = 512, beta: float = 1.0) -> Model:
    r"""A variational autoencoder of binary images.

    .. math:: \max\; \mathbb{E}_{q(z|x)}[\log p(x|z)] - \beta D_{\mathrm{KL}}[q(z|x) \| p(z)]

    Args:
        pixels: the size of an image ``x``, ``[batch, pixels]`` of zeros and ones.
        latent: the size of the latent variable ``z``.
        hidden: the size of the one hidden layer of either network.
        beta: the weight of the divergence; 1 makes the objective a lower bound on log p(x), in nats.

    Returns:
        A model with fresh weights, drawn from torch's random state.

    Source:
        D. P. Kingma, M. Welling, "Auto-Encoding Variational Bayes" (2014), eq. 10; beta as in I. Higgins et
        al., "beta-VAE" (2017), eq. 4.

    Example:
        >>> import torch
        >>> model = vae(64, latent=4, hidden=32)
        >>> list(model.terms(x=torch.ones(8, 64)))
        ['E_q(z|x)[log p(x|z)]', 'KL[q(z|x) || p(z)]']
    """
    encoder = GaussianNetwork(pixels, hidden, outputs=latent)
    decoder = network(latent, hidden, outputs=pixels)
    return Model(EQUATION, enc=encoder, dec=decoder, beta=beta, z=latent)
