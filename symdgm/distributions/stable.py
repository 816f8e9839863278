"""Products that are zero where a probability is zero, in value and in gradient."""

from __future__ import annotations

import torch
from torch import Tensor


def times_log(x: Tensor, y: Tensor) -> Tensor:
    """``x log y``, and 0 with a finite gradient where both are 0 (there `torch.xlogy` has a gradient of NaN).

    Example:
        >>> p = torch.tensor([0.0, 1.0], requires_grad=True)
        >>> times_log(torch.tensor([0.0, 1.0]), p).sum().backward()
        >>> p.grad
        tensor([0., 1.])
    """
    return x * torch.where((x == 0) & (y == 0), 1.0, y).log()


def times_log1p(x: Tensor, y: Tensor) -> Tensor:
    """``x log(1 + y)``, and 0 with a finite gradient where ``x`` is 0 and ``y`` is -1.

    Example:
        >>> times_log1p(torch.tensor([0.0, 2.0]), torch.tensor([-1.0, 0.0]))
        tensor([0., 0.])
    """
    return x * torch.where((x == 0) & (y == -1), 0.0, y).log1p()


def weighted_logs(x: Tensor, log_y: Tensor) -> Tensor:
    """``x log y`` from ``log y``, and 0 where ``x`` is 0 and ``log y`` is minus infinity.

    Example:
        >>> weighted_logs(torch.tensor([0.0, 1.0]), torch.tensor([-torch.inf, 0.0]))
        tensor([0., 0.])
    """
    return x * torch.where((x == 0) & (log_y == -torch.inf), 0.0, log_y)
