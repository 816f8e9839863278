"""The variational information bottleneck."""

from __future__ import annotations

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import GaussianNetwork, network

EQUATION = """
    r(z)   = Normal(z; 0, 1)
    p(z|x) = Normal(z; enc(x))
    q(y|z) = Categorical(y; logits = dec(z))
    maximize E_p(z|x)[log q(y|z)] - beta KL[p(z|x) || r(z)]
"""
"""What z says of y, a lower bound on I[z; y], less what it keeps of x, an upper bound on I[z; x]."""


@checked
def vib(features: int, classes: int = 10, *, latent: int = 8, hidden: int = 128, beta: float = 0.01) -> Model:
    r"""A classifier through a bottleneck that keeps little of its input.

    .. math:: \max\; \mathbb{E}_{p(z|x)}[\log q(y|z)] - \beta D_{\mathrm{KL}}[p(z|x) \| r(z)]

    Args:
        features: the size of an input ``x``, ``[batch, features]``.
        classes: how many values the label ``y`` has, ``[batch]`` of 0 … classes - 1.
        latent: the size of the bottleneck ``z``.
        hidden: the size of the encoder's one hidden layer; the classifier of z is linear.
        beta: what a nat of x is worth in nats of y.

    Source:
        A. A. Alemi, I. Fischer, J. V. Dillon, K. Murphy, "Deep Variational Information Bottleneck" (2017),
        eq. 17.

    Example:
        >>> import torch
        >>> list(vib(64, latent=4, hidden=8).terms(x=torch.ones(3, 64), y=torch.tensor([0, 1, 9])))
        ['E_p(z|x)[log q(y|z)]', 'KL[p(z|x) || r(z)]']
    """
    encoder = GaussianNetwork(features, hidden, outputs=latent)
    return Model(EQUATION, enc=encoder, dec=network(latent, outputs=classes), beta=beta, z=latent)
