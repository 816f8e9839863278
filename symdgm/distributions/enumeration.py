"""All values of a finite variable."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from symdgm.distributions.bernoulli import Bernoulli
from symdgm.distributions.categorical import Categorical, OneHotCategorical
from symdgm.distributions.family import Family

FINITE = (Bernoulli, Categorical, OneHotCategorical)
"""The families whose values can be listed."""


def count(family: Family, parameters: Mapping[str, Tensor], event: torch.Size) -> int:
    """How many values a finite variable has.

    Example:
        >>> p = Bernoulli("p(y)", probs=0.5, event_shape=3)
        >>> count(p, p.parameters_at(), p.event_shape)
        8
    """
    elements = math.prod(event[: len(event) - family.event_rank])
    return int(_classes(family, parameters) ** elements)


def enumerate_values(family: Family, parameters: Mapping[str, Tensor], event: torch.Size) -> Tensor:
    """All values of a finite variable, ``[K, *event]``, the last element running fastest.

    Args:
        family: a member of `FINITE`.
        parameters: as they are at any values of its conditions.
        event: the shape of one value.

    Example:
        >>> p = Bernoulli("p(y)", probs=0.5, event_shape=2)
        >>> enumerate_values(p, p.parameters_at(), p.event_shape).tolist()
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    classes = _classes(family, parameters)
    elements = event[: len(event) - family.event_rank]
    like = next(iter(parameters.values()))
    number = math.prod(elements)
    digits = torch.arange(classes**number, device=like.device).unsqueeze(-1)
    powers = classes ** torch.arange(number - 1, -1, -1, device=like.device)
    index = (digits // powers % classes).reshape(-1, *elements)
    if isinstance(family, Categorical):
        return index
    return (one_hot(index, classes) if family.event_rank else index).to(like.dtype)


def _classes(family: Family, parameters: Mapping[str, Tensor]) -> int:
    return 2 if isinstance(family, Bernoulli) else next(iter(parameters.values())).shape[-1]
