"""One look at all gradients: is there a number among them that is none?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

HALF_TOO = frozenset({torch.float32, torch.float64, torch.float16})
ONE_CALL = {"cpu": HALF_TOO | {torch.bfloat16}, "cuda": HALF_TOO}
"""Where torch's gradient scaler looks at all tensors of a dtype in one call, and no sum can overflow."""


@final
class Finiteness:
    """Says whether gradients are finite, by a flag that stays on their device.

    The kernel of gradient scaling is used with the scale 1: it takes one call for all tensors, which is a
    fifth of the price of their sums where they are small, and as much where they are large. What it
    multiplies by 1 stays as it is.

    Args:
        device: where the gradients are.

    Example:
        >>> look = Finiteness(torch.device("cpu"))
        >>> look([torch.ones(2), torch.tensor([1.0, float("nan")])])
        tensor(1.)
    """

    def __init__(self, device: torch.device) -> None:
        # The kernel wants single precision, whatever torch's default is.
        self._found = torch.zeros((), dtype=torch.float32, device=device)
        self._device, self._kinds = self._found.device, ONE_CALL.get(device.type, frozenset())
        self._one = torch.ones_like(self._found)

    def __call__(self, gradients: Sequence[Tensor]) -> Tensor:
        """1 if an entry of the gradients is not finite, else 0, ``[]``; the next call overwrites it."""
        self._found.zero_()
        together: dict[torch.dtype, list[Tensor]] = {}
        for gradient in gradients:
            # Complex and sparse ones, and those elsewhere, are not taken in one call.
            if gradient.device != self._device or not (
                gradient.dtype in self._kinds and gradient.layout is torch.strided
            ):
                self._found.logical_or_(~torch.isfinite(gradient.sum()).to(self._found.device))
            else:
                together.setdefault(gradient.dtype, []).append(gradient)
        for kind in together.values():
            torch._amp_foreach_non_finite_check_and_unscale_(kind, self._found, self._one)
        return self._found
