"""The unit interval stretched to the real line."""

from __future__ import annotations

import math
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from symdgm.distributions.flows.axes import sum_event
from symdgm.distributions.flows.flow import Flow, Pushed
from symdgm.errors import ParameterError


@final
class Logit(Flow):
    r"""The log-odds of a value that is first drawn in from the ends of the unit interval.

    .. math:: z = \log \frac{p}{1 - p}, \quad p = m + (1 - 2m) x

    Args:
        margin: how far ``m`` the ends are drawn in, at least 0 and below one half; 0 needs values inside (0,
            1).

    Raises:
        ParameterError: the margin is out of range.

    References:
        Dinh et al. (2017), Density estimation using Real NVP, section 4.1; Papamakarios et al. (2017),
        appendix D.

    Example:
        >>> f = Logit()
        >>> x = torch.tensor([[0.0, 0.5, 1.0]])
        >>> z, _ = f(x)
        >>> z, f.inverse(z)[0].abs()
        (tensor([[-2.9444,  0.0000,  2.9444]]), tensor([[0.0000, 0.5000, 1.0000]]))
    """

    def __init__(self, margin: float = 0.05) -> None:
        super().__init__()
        if not 0 <= margin < 0.5:
            raise ParameterError(
                f"`margin` of Logit is {margin!r}", hint="write a share below one half, such as 0.05"
            )
        self.margin = margin

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """The log-odds."""
        z = torch.logit(self.margin + (1 - 2 * self.margin) * x)
        return z, -self._log_slope(z)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """The sigmoid, and the ends given back."""
        x = (z.sigmoid() - self.margin) / (1 - 2 * self.margin)
        return x, self._log_slope(z)

    def extra_repr(self) -> str:
        """The margin."""
        return f"margin={self.margin}"

    def _log_slope(self, z: Tensor) -> Tensor:
        """The logarithm of the derivative of the inverse, summed: ``p (1 - p) / (1 - 2 m)``."""
        return sum_event(F.logsigmoid(z) + F.logsigmoid(-z) - math.log(1 - 2 * self.margin))
