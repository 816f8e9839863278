"""The deep Markov model of sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from symdgm.distributions.flows import Autoregressive, Flow, Flows, Reverse
from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import network

EQUATION = """
    p(z_t|z_{t-1})      = Normal(z_t; trans(z_{t-1}))
    p(x_t|z_t)          = Bernoulli(x_t; logits = emit(z_t))
    h_t                 = rnn(x_t, h_{t+1})
    q(z_t|z_{t-1}, h_t) = Normal(z_t; comb(z_{t-1}, h_t))
    maximize E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - beta KL[q(z_{1:T}|x_{1:T}) || p(z_{1:T})]
"""
"""A chain of latent states with a nonlinear transition; inference reads what is still to come."""

FLOW_EQUATION = """
    p(z_t|z_{t-1})      = Normal(z_t; trans(z_{t-1}))
    p(x_t|z_t)          = Bernoulli(x_t; logits = emit(z_t))
    h_t                 = rnn(x_t, h_{t+1})
    q(u_t|z_{t-1}, h_t) = Normal(u_t; comb(z_{t-1}, h_t))
    z_t                 = flow(u_t)
    maximize E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - beta KL[q(z_{1:T}|x_{1:T}) || p(z_{1:T})]
"""
"""The same with a flow behind each step of inference; the divergence is estimated from the draws."""

LEAST = 1e-3
"""The least standard deviation."""


@checked
def deep_markov(
    features: int,
    *,
    latent: int = 100,
    hidden: int = 100,
    transition: int = 200,
    recurrent: int | nn.RNNBase = 300,
    flows: int = 0,
    beta: float | Callable[[int], float] = 1.0,
) -> Model:
    r"""A deep Markov model of binary sequences of different lengths.

    .. math:: \max\; \mathbb{E}_{q(z_{1:T}|x_{1:T})}[\log p(x_{1:T}|z_{1:T})]
        - \beta D_{\mathrm{KL}}[q(z_{1:T}|x_{1:T}) \| p(z_{1:T})]

    Args:
        features: the size of a step of ``x``, ``[batch, time, features]`` of zeros and ones; the lengths are
            data under the name ``T``.
        latent: the size of the latent state ``z``; its beginning, ``z_0``, is trained.
        hidden: the size of the two hidden layers of the emission, and of that of each flow.
        transition: the size of the hidden layers of the transition.
        recurrent: the size of the state of the GRU that reads backwards in time; or another such network, as
            the rectified one of the paper, ``nn.RNN(features, 600, nonlinearity="relu", batch_first=True)``,
            which wants small steps: at 1e-3 it explodes over long sequences.
        flows: how many inverse autoregressive flows stand behind each step of the posterior; with them its
            divergence is no longer in closed form.
        beta: the weight of the divergence, which is raised to 1 in the first epochs: a number, or a function
            of the training step, ``lambda step: min(1.0, 0.2 + step / 3000)``, here or in `Model.fit`.

    Source:
        R. G. Krishnan, U. Shalit, D. Sontag, "Structured Inference Networks for Nonlinear State Space Models"
        (2017), eq. 6 and the networks of section 4 and 5; D. P. Kingma et al., "Improved Variational
        Inference with Inverse Autoregressive Flow" (2016), with the order reversed between flows.

    Example:
        >>> import torch
        >>> model = deep_markov(8, latent=2, hidden=4, transition=4, recurrent=4)
        >>> list(model.terms(x=torch.ones(3, 5, 8), T=torch.tensor([5, 2, 4])))[0]
        'E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T log p(x_t|z_t)]'
    """
    rnn = nn.GRU(features, recurrent, batch_first=True) if isinstance(recurrent, int) else recurrent
    optional: dict[str, Any] = {"flow": _autoregressive(latent, hidden, flows)} if flows else {}
    return Model(
        FLOW_EQUATION if flows else EQUATION,
        trans=GatedTransition(latent, transition),
        emit=network(latent, hidden, hidden, outputs=features),
        rnn=rnn,
        comb=Combiner(latent, rnn.hidden_size),
        beta=beta,
        z_0=nn.Parameter(torch.zeros(latent)),
        **optional,
    )


def _autoregressive(latent: int, hidden: int, count: int) -> Flows:
    """Inverse autoregressive flows, which begin as the identity up to the order of the features."""
    steps: list[Flow] = [Autoregressive(latent, hidden=(hidden,))]
    for _ in range(count - 1):
        steps += [Reverse(latent), Autoregressive(latent, hidden=(hidden,))]
    return Flows(steps)


@final
class GatedTransition(nn.Module):
    """The next state: a gate mixes a linear and a nonlinear proposal of its mean.

    Args:
        latent: the size of a state.
        hidden: the size of the hidden layers.

    Example:
        >>> loc, scale = GatedTransition(2, 4)(torch.zeros(3, 2))
        >>> loc.shape, bool((scale > 0).all())
        (torch.Size([3, 2]), True)
    """

    @checked
    def __init__(self, latent: int, hidden: int) -> None:
        super().__init__()
        self.gate = network(latent, hidden, outputs=latent)
        self.proposal = network(latent, hidden, outputs=latent)
        self.linear, self.spread = nn.Linear(latent, latent), nn.Linear(latent, latent)
        nn.init.eye_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and the standard deviation of the next state."""
        gate, proposal = self.gate(z).sigmoid(), self.proposal(z)
        return (1 - gate) * self.linear(z) + gate * proposal, softplus(self.spread(proposal.relu())) + LEAST


@final
class Combiner(nn.Module):
    """The posterior of a state from the one before and what the recurrent network says.

    Args:
        latent: the size of a state.
        recurrent: the size of the state of the recurrent network.

    Example:
        >>> loc, scale = Combiner(2, 4)(torch.zeros(3, 2), torch.zeros(3, 4))
        >>> loc.shape
        torch.Size([3, 2])
    """

    @checked
    def __init__(self, latent: int, recurrent: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(latent, recurrent)
        self.loc, self.spread = nn.Linear(recurrent, latent), nn.Linear(recurrent, latent)

    def forward(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and the standard deviation."""
        both = (self.hidden(z).tanh() + h) / 2
        return self.loc(both), softplus(self.spread(both)) + LEAST
