"""One look at all gradients: is there a number among them that is none?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

ONE_CALL = frozenset({"cpu", "cuda"})
"""Where torch's gradient scaler looks at all tensors in one call, and no sum of them can overflow."""


@final
class Finiteness:
    """Says whether gradients are finite, by a flag that stays on their device.

    The kernel of gradient scaling is used with the scale 1: it takes one call for all tensors, which is a
    fifth of the price of their sums where they are small and half of it where they are large. What it
    multiplies by 1 stays as it is.

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
        together = [g for g in gradients if self._in_one_call(g)]
        if together:
            torch._amp_foreach_non_finite_check_and_unscale_(together, self._found, self._one)
        if len(together) < len(gradients):
            alone = [g.sum() for g in gradients if not self._in_one_call(g)]
            for total in alone:
                self._found.logical_or_(~torch.isfinite(total).to(self._found.device))
        return self._found

    def _in_one_call(self, gradient: Tensor) -> bool:
        plain = gradient.layout is torch.strided and gradient.is_floating_point()
        return plain and gradient.device == self._found.device and gradient.device.type in ONE_CALL
