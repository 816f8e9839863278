"""The hidden Markov model of sequences, by its exact likelihood."""

from __future__ import annotations

import torch
from torch import nn

from symdgm.model import Model
from symdgm.zoo.checked import checked

EQUATION = """
    p(z_1)         = Categorical(z_1; logits = start)
    p(z_t|z_{t-1}) = Categorical(z_t; logits = move(z_{t-1}))
    p(x_t|z_t)     = Bernoulli(x_t; logits = emit(z_t))
    maximize log p(x_{1:T})
"""
"""A chain of states, of which each has its own Bernoulli probabilities."""


@checked
def hidden_markov(features: int, *, states: int = 16, logit: float = 0.0) -> Model:
    r"""A hidden Markov model of binary sequences of different lengths.

    .. math:: \max\; \log \sum_{z_{1:T}} p(z_1) \prod_{t=2}^T p(z_t|z_{t-1}) \prod_{t=1}^T p(x_t|z_t)

    The sum over all paths is the forward algorithm, and its gradient does what expectation-maximisation
    does. `sd.Chain` has the posterior of the states.

    Args:
        features: the size of a step of ``x``, ``[batch, time, features]`` of zeros and ones; the lengths are
            data under the name ``T``.
        states: how many states there are.
        logit: about which the logits of the emission begin, such as -2.5 where ones are rare.

    Source:
        L. R. Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition"
        (1989), eq. 17 to 21.

    Example:
        >>> import torch
        >>> model = hidden_markov(8, states=3)
        >>> model.loss(x=torch.ones(3, 5, 8), T=torch.tensor([5, 2, 4])).shape
        torch.Size([])
        >>> model.sample(x=torch.ones(2, 3, 8), T=6)["x"].shape
        torch.Size([2, 6, 8])
    """
    emission = nn.Embedding(states, features)
    nn.init.normal_(emission.weight, logit, 0.1)
    return Model(
        EQUATION, start=nn.Parameter(torch.zeros(states)), move=nn.Embedding(states, states), emit=emission
    )
