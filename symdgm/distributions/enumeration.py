"""All values of a finite variable, from those of one element."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BUDGET = 2**16
"""The entries that one table of an exact sum may have for each example, unless told otherwise."""


def count(values: Tensor, elements: torch.Size) -> int:
    """How many values a variable has, where each element has the given ones.

    Example:
        >>> count(torch.tensor([0.0, 1.0]), torch.Size([3]))
        8
    """
    return int(len(values) ** math.prod(elements))


def combinations(values: Tensor, elements: torch.Size) -> Tensor:
    """All values of a variable, the last element running fastest.

    Args:
        values: those of one element, ``[K, *tail]``.
        elements: the shape of the elements, n of them in all.

    Returns:
        ``[K**n, *elements, *tail]``.

    Example:
        >>> combinations(torch.tensor([0.0, 1.0]), torch.Size([2])).tolist()
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    number = math.prod(elements)
    digits = torch.arange(len(values) ** number, device=values.device).unsqueeze(-1)
    powers = len(values) ** torch.arange(number - 1, -1, -1, device=values.device)
    return values[(digits // powers % len(values)).reshape(-1, *elements)]
