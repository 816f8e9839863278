"""Values with axes for the finite variables that they depend on, beside sample axes and the batch axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Known:
    """A value that the potentials are evaluated at: ``[*finite, *samples, batch, *event]``.

    Args:
        value: the tensor.
        finite: the finite variables that it depends on, one axis each; itself, for one that is enumerated.
        axes: the number of sample axes and the batch axis.
    """

    value: Tensor
    finite: tuple[str, ...]
    axes: int


def aligned(known: Known, finite: Sequence[str], lead: int, batch: int) -> Tensor:
    """A value with an axis for each finite variable, all sample axes, and the whole batch."""
    own = len(known.finite)
    sizes = iter(known.value.shape[:own])
    axes = tuple(next(sizes) if name in known.finite else 1 for name in finite)
    rest = known.value.shape[own:]
    value = known.value.reshape(axes + (1,) * (lead - known.axes) + rest)
    at = len(finite) + lead - 1
    return value.expand(*value.shape[:at], batch if value.shape[at] == 1 else -1, *value.shape[at + 1 :])


def inserted(tensor: Tensor, at: int, number: int) -> Tensor:
    """A tensor with axes of length one put in."""
    return tensor.reshape(tensor.shape[:at] + (1,) * number + tensor.shape[at:])


def leads(parameter: Tensor, leading: torch.Size) -> bool:
    """Whether a parameter carries the leading axes, which a constant does not."""
    return parameter.ndim >= len(leading) and parameter.shape[: len(leading)] == leading
