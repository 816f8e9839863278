"""Semi-supervised learning with a deep generative model, M2."""

from __future__ import annotations

import torch

from symdgm.distributions import Data
from symdgm.estimators import Recipe
from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import Beside, GaussianNetwork, network

EQUATION = """
    p(z)     = Normal(z; 0, 1)
    p(y)     = OneHotCategorical(y; logits = even)
    p(x|y,z) = Bernoulli(x; logits = dec(y, z))
    q(y|x)   = OneHotCategorical(y; logits = cls(x))
    q(z|x,y) = Normal(z; enc(x, y))
    maximize E_{data_l(x,y)}[E_q(z|x,y)[log p(x,y|z)] - KL[q(z|x,y) || p(z)] + alpha log q(y|x)]
        + E_{data_u(x_u)}[E_{q(y_u|x_u)}[
            E_q(z|x_u,y_u)[log p(x_u,y_u|z)] - KL[q(z|x_u,y_u) || p(z)]
        ] + H[q(y|x_u)]]
"""
"""Bounds on log p(x, y) where the label is known and on log p(x) where not, and the likelihood of labels."""


@checked
def m2(
    pixels: int,
    labels: int = 10,
    *,
    latent: int = 4,
    hidden: int = 128,
    alpha: float = 1.0,
    estimator: str | Recipe = "enumeration",
) -> Model:
    r"""M2: a classifier that learns from few labels and many images without.

    .. math:: \max\; \mathbb{E}_{l(x, y)}[\mathcal{L}(x, y) + \alpha \log q(y|x)]
        + \mathbb{E}_{u(x)}\Bigl[\sum_y q(y|x) \mathcal{L}(x, y) + \mathcal{H}[q(y|x)]\Bigr],
        \quad \mathcal{L}(x, y) = \mathbb{E}_{q(z|x,y)}[\log p(x, y|z)] - D_{\mathrm{KL}}[q(z|x,y) \| p(z)]

    A batch has as many labelled rows as others: ``model.fit({"x": ..., "y": ..., "x_u": ...})`` with the
    labelled ones repeated.

    Args:
        pixels: the size of an image, ``x`` with its label and ``x_u`` without one, ``[batch, pixels]`` of
            zeros and ones.
        labels: the size of the label ``y``, ``[batch, labels]``, one-hot.
        latent: the size of the latent variable ``z``, what the label does not say.
        hidden: the size of the one hidden layer of every network.
        alpha: the weight of the likelihood of the known labels.
        estimator: of the expectation over the unknown labels: their sum, or for instance
            ``"Gumbel-softmax"``; see `symdgm.estimators`.

    Source:
        D. P. Kingma, D. J. Rezende, S. Mohamed, M. Welling, "Semi-Supervised Learning with Deep Generative
        Models" (2014), eq. 9; Gumbel-softmax in it: E. Jang, S. Gu, B. Poole (2017), section 4.3.

    Example:
        >>> model = m2(64, latent=4, hidden=8)
        >>> terms = model.terms(x=torch.ones(3, 64), y=torch.eye(10)[:3], x_u=torch.zeros(3, 64))
        >>> list(terms)[-1], "all 10 states" in model.code
        ('E_{data_u(x_u)}[H[q(y|x_u)]]', True)
    """
    return Model(
        EQUATION,
        Data("data_l(x, y)"),
        Data("data_u(x_u)"),
        cls=network(pixels, hidden, outputs=labels),
        enc=Beside(GaussianNetwork(pixels + labels, hidden, outputs=latent)),
        dec=Beside(network(labels + latent, hidden, outputs=pixels)),
        even=torch.zeros(labels),
        alpha=alpha,
        y=labels,
        z=latent,
        estimators={"y": estimator},
    )
