"""A variational autoencoder with binary latent variables."""

from __future__ import annotations

from symdgm.estimators import Recipe
from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import network

EQUATION = """
    p(z)   = Bernoulli(z; probs = 1/2)
    q(z|x) = Bernoulli(z; logits = enc(x))
    p(x|z) = Bernoulli(x; logits = dec(z))
    maximize E_q(z|x)[log p(x|z)] - KL[q(z|x) || p(z)]
"""
"""The bound; how its gradient passes through the draws of z is the estimator's business."""


@checked
def discrete_vae(
    pixels: int,
    *,
    latent: int = 32,
    hidden: int = 256,
    estimator: str | Recipe = "score function",
    samples: int = 1,
) -> Model:
    r"""A variational autoencoder of binary images, with binary latent variables.

    .. math:: \max\; \mathbb{E}_{q(z|x)}[\log p(x|z)] - D_{\mathrm{KL}}[q(z|x) \| p(z)],
        \quad z \in \{0, 1\}^d

    Args:
        pixels: the size of an image ``x``, ``[batch, pixels]`` of zeros and ones.
        latent: the number d of latent variables.
        hidden: the size of the one hidden layer of either network.
        estimator: of the expectation; see `symdgm.estimators`.
        samples: draws of each example.

    Source:
        A. Mnih, K. Gregor, "Neural Variational Inference and Learning in Belief Networks" (2014), eq. 2; the
        estimators' papers stand in `symdgm.estimators`.

    Example:
        >>> import torch
        >>> model = discrete_vae(64, latent=4, hidden=8, estimator="DisARM")
        >>> list(model.terms(x=torch.ones(3, 64)))
        ['E_q(z|x)[log p(x|z)]', 'KL[q(z|x) || p(z)]']
    """
    return Model(
        EQUATION,
        enc=network(pixels, hidden, outputs=latent),
        dec=network(latent, hidden, outputs=pixels),
        z=latent,
        estimators={"z": estimator},
        samples={"z": samples},
    )
