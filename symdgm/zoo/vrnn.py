"""The variational recurrent network."""

from __future__ import annotations

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import Beside, GatedCell, GaussianNetwork, network

EQUATION = """
    h_t                 = rnn(x_t, z_t, h_{t-1})
    p(z_t|h_{t-1})      = Normal(z_t; prior(h_{t-1}))
    p(x_t|z_t, h_{t-1}) = Bernoulli(x_t; logits = decode(z_t, h_{t-1}))
    q(z_t|x_t, h_{t-1}) = Normal(z_t; encode(x_t, h_{t-1}))
    maximize E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - beta KL[q(z_{1:T}|x_{1:T}) || p(z_{1:T})]
"""
"""An autoencoder of each step, given a state that has read all steps and latent variables before."""


@checked
def vrnn(
    features: int,
    *,
    latent: int = 16,
    hidden: int = 64,
    recurrent: int = 64,
    beta: float = 1.0,
) -> Model:
    r"""A variational recurrent network of binary sequences of different lengths.

    .. math:: \max\; \mathbb{E}_{q(z_{1:T}|x_{1:T})}\Big[\sum_{t=1}^T \log p(x_t|z_t, h_{t-1})
        - \beta D_{\mathrm{KL}}[q(z_t|x_t, h_{t-1}) \| p(z_t|h_{t-1})]\Big], \quad h_t = f(x_t, z_t, h_{t-1})

    The paper's features of ``x`` and ``z`` are the first layers of the networks here.

    Args:
        features: the size of a step of ``x``, ``[batch, time, features]`` of zeros and ones; the lengths are
            data under the name ``T``.
        latent: the size of the latent variable ``z`` of a step.
        hidden: the size of the hidden layers.
        recurrent: the size of the state ``h`` of the gated recurrent unit; it begins with zeros.
        beta: the weight of the divergence, which is raised to 1 in the first epochs.

    Source:
        J. Chung, K. Kastner, L. Dinh, K. Goel, A. Courville, Y. Bengio, "A Recurrent Latent Variable Model
        for Sequential Data" (2015), eqs. 5, 6, 7, 9 and 11.

    Example:
        >>> import torch
        >>> model = vrnn(8, latent=2, hidden=4, recurrent=4)
        >>> model.loss(x=torch.ones(3, 5, 8), T=torch.tensor([5, 2, 4])).isfinite()
        tensor(True)
        >>> model.sample(x=torch.ones(2, 3, 8), T=6)["x"].shape  # three given steps, and three more
        torch.Size([2, 6, 8])
    """
    return Model(
        EQUATION,
        rnn=GatedCell(features + latent, hidden, recurrent),
        prior=GaussianNetwork(recurrent, hidden, outputs=latent),
        decode=Beside(network(latent + recurrent, hidden, outputs=features)),
        encode=Beside(GaussianNetwork(features + recurrent, hidden, outputs=latent)),
        beta=beta,
    )
