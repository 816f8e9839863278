"""The state of a baseline: an exponential moving average that training steps update."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class RunningMean(nn.Module):
    r"""The moving average of the values that it was shown, before this one.

    .. math:: m_t = \frac{\sum_{s < t} \rho^{t-1-s} (1 - \rho) \bar f_s}{1 - \rho^{t-1}}

    It is updated in training mode, where gradients are on, as batch normalisation is; it is 0 before the
    first update. Its buffers are saved with the model.

    Args:
        momentum: ρ, the share of the past, from 0 to 1.

    Example:
        >>> mean = RunningMean(0.9)
        >>> mean(torch.tensor([1.0, 3.0])), mean(torch.tensor([0.0]))
        (tensor(0.), tensor(2.))
    """

    total: Tensor
    weight: Tensor

    def __init__(self, momentum: float = 0.99) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("total", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))

    def forward(self, value: Tensor) -> Tensor:
        """The average until now, ``[]``."""
        mean = (self.total / self.weight.clamp_min(torch.finfo(self.weight.dtype).tiny)).to(value.dtype)
        if self.training and torch.is_grad_enabled():
            with torch.no_grad():
                self.total.mul_(self.momentum).add_((1 - self.momentum) * value.detach().mean())
                self.weight.mul_(self.momentum).add_(1 - self.momentum)
        return mean
