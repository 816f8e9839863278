"""The importance weighted autoencoder."""

from __future__ import annotations

from symdgm.estimators import Recipe
from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import GaussianNetwork, network

EQUATION = """
    p(z)   = Normal(z; 0, 1)
    q(z|x) = Normal(z; enc(x))
    p(x|z) = Bernoulli(x; logits = dec(z))
    maximize E_{z_{1:K} ~ q(z|x)}[log(1/K sum_{k=1}^K p(x, z_k)/q(z_k|x))]
"""
"""The logarithm of a mean of K weights: a bound on log p(x), the tighter the larger K."""


@checked
def iwae(
    pixels: int,
    *,
    samples: int = 5,
    latent: int = 16,
    hidden: int = 256,
    estimator: str | Recipe = "pathwise",
) -> Model:
    r"""An importance weighted autoencoder of binary images.

    .. math:: \max\; \mathbb{E}_{z_{1:K} \sim q(z|x)}\Bigl[
        \log \frac1K \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k|x)} \Bigr]

    Args:
        pixels: the size of an image ``x``, ``[batch, pixels]`` of zeros and ones.
        samples: the number K of draws of each example.
        latent: the size of the latent variable ``z``.
        hidden: the size of the one hidden layer of either network.
        estimator: of the gradient, ``"pathwise"`` or ``"doubly reparameterised"``; see `symdgm.estimators`.

    Source:
        Y. Burda, R. Grosse, R. Salakhutdinov, "Importance Weighted Autoencoders" (2016), eq. 8.

    Example:
        >>> import torch
        >>> iwae(64, latent=4, hidden=8)(x=torch.ones(3, 64)).shape
        torch.Size([])
    """
    return Model(
        EQUATION,
        enc=GaussianNetwork(pixels, hidden, outputs=latent),
        dec=network(latent, hidden, outputs=pixels),
        K=samples,
        z=latent,
        estimators={"z": estimator},
    )
