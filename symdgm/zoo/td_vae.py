"""The temporal difference variational autoencoder."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import Beside, GaussianNetwork, network

EQUATION = """
    b_t                              = rnn(x_t, b_{t-1})
    p_b(z_{t1}|b_{t1})               = Normal(z_{t1}; belief(b_{t1}))
    p_b(z_{t2}|b_{t2})               = Normal(z_{t2}; belief(b_{t2}))
    q(z_{t1}|z_{t2}, b_{t1}, b_{t2}) = Normal(z_{t1}; smooth(z_{t2}, b_{t1}, b_{t2}))
    p(z_{t2}|z_{t1}, t1, t2)         = Normal(z_{t2}; jump(z_{t1}, t2 - t1))
    p(x_{t2}|z_{t2})                 = Bernoulli(x_{t2}; logits = decode(z_{t2}))
    maximize E_p_b(z_{t2}|b_{t2})[
        E_q(z_{t1}|z_{t2}, b_{t1}, b_{t2})[log p(x_{t2}|z_{t2}) + log p(z_{t2}|z_{t1}, t1, t2)]
        - log p_b(z_{t2}|b_{t2}) - KL[q(z_{t1}|z_{t2}, b_{t1}, b_{t2}) || p_b(z_{t1}|b_{t1})]]
"""
"""What is believed at a later step must agree with a jump from what was believed at an earlier one."""


@checked
def td_vae(features: int, *, latent: int = 8, hidden: int = 64, recurrent: int = 64) -> Model:
    r"""A model of binary sequences that jumps from a step to a later one, without those between.

    .. math:: \max\; \mathbb{E}\big[\log p(x_{t_2}|z_{t_2}) + \log p(z_{t_2}|z_{t_1})
        - \log p_b(z_{t_2}|b_{t_2})\big] - D_{\mathrm{KL}}[q(z_{t_1}|z_{t_2}, b_{t_1}, b_{t_2})
        \| p_b(z_{t_1}|b_{t_1})], \quad b_t = f(x_t, b_{t-1})

    ``sample(x=prefix, t2=9)`` draws ``z_t1``, ``z_t2`` and ``x_t2`` by one jump from the last step of the
    prefix (``t1=...`` names another one), and ``sample(x=prefix, T=9)`` goes on by jumps of one step.

    Args:
        features: the size of a step of ``x``, ``[batch, time, features]`` of zeros and ones; the steps
            ``t1 < t2`` of each sequence, counted from 1, are data ``[batch]``, as the lengths ``T`` may be.
        latent: the size of the latent state ``z``.
        hidden: the size of the hidden layers.
        recurrent: the size of the belief ``b``, the state of a gated recurrent unit.

    Source:
        K. Gregor, G. Papamakarios, F. Besse, L. Buesing, T. Weber, "Temporal Difference Variational
        Auto-Encoder" (2019), eqs. 6 to 8 and section 4, with the size of the jump as an input.

    Example:
        >>> import torch
        >>> model = td_vae(8, latent=2, hidden=4, recurrent=4)
        >>> model.loss(x=torch.ones(2, 5, 8), t1=torch.tensor([1, 2]), t2=torch.tensor([5, 3])).isfinite()
        tensor(True)
        >>> model.sample(x=torch.ones(2, 3, 8), t2=9)["x_t2"].shape
        torch.Size([2, 8])
        >>> model.sample(x=torch.ones(2, 3, 8), T=5)["x"].shape
        torch.Size([2, 5, 8])
    """
    return Model(
        EQUATION,
        rnn=nn.GRU(features, recurrent),
        belief=GaussianNetwork(recurrent, hidden, outputs=latent),
        smooth=Beside(GaussianNetwork(latent + 2 * recurrent, hidden, outputs=latent)),
        jump=Jump(latent, hidden),
        decode=network(latent, hidden, outputs=features),
    )


@final
class Jump(nn.Module):
    """The law of a later state from an earlier one and the number of steps between them.

    Args:
        latent: the size of a state.
        hidden: the size of the two hidden layers.

    Example:
        >>> loc, scale = Jump(2, 4)(torch.zeros(3, 2), torch.tensor([1, 2, 5]))
        >>> loc.shape, bool((scale > 0).all())
        (torch.Size([3, 2]), True)
    """

    @checked
    def __init__(self, latent: int, hidden: int) -> None:
        super().__init__()
        self.body = GaussianNetwork(latent + 1, hidden, hidden, outputs=latent)

    def forward(self, z: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """States ``[batch, latent]`` and numbers ``[batch]`` to means and standard deviations."""
        found: tuple[Tensor, Tensor] = self.body(torch.cat([z, steps[:, None].to(z.dtype)], -1))
        return found
