"""Draws from each component: finite variables are listed with their probabilities, others drawn given them.

The average over such draws, weighted by the probabilities, estimates an expectation without the noise of
drawing a component, and with the gradient of its probability.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from symdgm.distributions.distribution import Distribution
from symdgm.distributions.elimination import Elimination
from symdgm.distributions.exactness import is_finite


class Strata(NamedTuple):
    """Values of every variable at each component, and the probability of each.

    Args:
        values: by name ``[S, *samples, batch, *event]``.
        weights: ``[S, *samples, batch]``, which sum to one over the first axis.
    """

    values: dict[str, Tensor]
    weights: Tensor


def divided(factors: Sequence[Distribution]) -> tuple[tuple[Distribution, ...], tuple[Distribution, ...]]:
    """Factors, causes first, as those whose variables can be listed before any is drawn, and all others.

    Example:
        >>> from symdgm.distributions import Categorical, Normal
        >>> prior = Categorical("p(k)", logits=torch.zeros(3))
        >>> likelihood = Normal("p(x|k)", lambda k: (k.float(), 1.0))
        >>> [[str(f) for f in part] for part in divided([prior, likelihood])]
        [['p(k)'], ['p(x|k)']]
    """
    listed: list[Distribution] = []
    drawn: set[str] = set()
    for factor in factors:
        if is_finite(factor) and drawn.isdisjoint(factor.given):
            listed.append(factor)
        else:
            drawn.update(factor.variables)
    return tuple(listed), tuple(f for f in factors if f not in listed)


def listed(sums: Elimination, names: Sequence[str]) -> Strata:
    """All combinations of the values of finite variables, and their probabilities.

    Args:
        sums: the sums in which they are hidden.
        names: the variables.
    """
    order = [name for name in sums.order if name in names]
    table = sums.cast(sums.table(order))
    sizes = [len(sums.domains[name]) for name in order]
    places = torch.arange(math.prod(sizes), device=table.device).reshape(sizes)
    index = dict(zip(order, torch.unravel_index(places.flatten(), sizes), strict=True))
    values = {name: sums.domains[name][index[name]] for name in names}
    return Strata(values, table.flatten(0, len(order) - 1))


def over(strata: Strata, leading: torch.Size, count: int) -> Strata:
    """The same at all leading axes, each component ``count`` times, with its part of the probability."""
    values = {
        name: value.reshape(len(value), *(1,) * len(leading), *value.shape[1:])
        .expand(len(value), *leading, *value.shape[1:])
        .repeat_interleave(count, 0)
        for name, value in strata.values.items()
    }
    weights = strata.weights
    weights = weights.reshape(len(weights), *(1,) * (len(leading) + 1 - weights.ndim), *weights.shape[1:])
    return Strata(values, weights.expand(-1, *leading).repeat_interleave(count, 0) / count)
