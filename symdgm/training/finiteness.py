"""One look at all gradients: is there a number among them that is none?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

ONE_CALL = frozenset({"cpu", "cuda"})
"""Where torch's gradient scaler looks at all tensors in one call, and no sum of them can overflow."""


LARGE = 2**20
"""Entries from which a gradient on the CPU is read only, by its norm: what is written back costs as much."""


@final
class Finiteness:
    """Says whether gradients are finite, by a flag that stays on their device.

    The kernel of gradient scaling is used with the scale 1: it takes one call for all tensors, which is a
    fifth of the price of their sums where they are small. What it multiplies by 1 stays as it is.

    Args:
        device: where the gradients are.

    Example:
        >>> look = Finiteness(torch.device("cpu"))
        >>> look([torch.ones(2), torch.tensor([1.0, float("nan")])])
        tensor(1.)
    """

    def __init__(self, device: torch.device) -> None:
        self._found = torch.zeros((), device=device)
        self._one = torch.ones((), device=device)

    def __call__(self, gradients: Sequence[Tensor]) -> Tensor:
        """1 if an entry of the gradients is not finite, else 0, ``[]``; the next call overwrites it."""
        self._found.zero_()
        together = [g for g in gradients if self._in_one_call(g) and not _is_plainly_finite(g)]
        if together:
            torch._amp_foreach_non_finite_check_and_unscale_(together, self._found, self._one)
        for gradient in gradients:
            if not self._in_one_call(gradient):
                finite = torch.isfinite(gradient.sum())
                self._found.logical_or_(~finite.to(self._found.device))
        return self._found

    def _in_one_call(self, gradient: Tensor) -> bool:
        plain = gradient.layout is torch.strided and gradient.is_floating_point()
        return plain and gradient.device == self._found.device and gradient.device.type in ONE_CALL


def _is_plainly_finite(gradient: Tensor) -> bool:
    """Whether a large gradient is finite by its norm; one whose norm overflows may be so, too."""
    if gradient.numel() < LARGE or gradient.device.type != "cpu":
        return False
    return math.isfinite(torch.linalg.vector_norm(gradient).item())
