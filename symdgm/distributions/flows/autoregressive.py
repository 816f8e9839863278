"""Autoregression: every feature is moved by a map whose coefficients come from the features before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from symdgm.distributions.flows.axes import check_features, read_count, sum_event
from symdgm.distributions.flows.elements import Affine, Element
from symdgm.distributions.flows.flow import Flow, Pushed
from symdgm.distributions.flows.made import MADE
from symdgm.errors import ParameterError


@final
class Autoregressive(Flow):
    r"""``z_i = g(x_i; c_i(x_{<i}))`` for all features at once, by one masked network.

    .. math:: \log|\det| = \sum_i \log g'(x_i; c_i(x_{<i}))

    Forward takes one call of the network, the inverse one call for each feature. So it is a MAF (fast
    density) where it leads from data to noise, ``Transformed(..., flow=f.inv)``, and an IAF (fast draws)
    where it leads from noise to data, ``Transformed(..., flow=f)``.

    Args:
        features: length of the vectors.
        element: the map ``g``, such as ``Affine()`` or ``Spline()``.
        hidden: width of each hidden layer of the `MADE`.
        context_features: how many features of context the network takes.

    Raises:
        ParameterError: there is no feature, or no hidden layer.

    References:
        Kingma et al. (2016), Improved variational inference with inverse autoregressive flow, equations 9,
        10; Papamakarios et al. (2017), Masked autoregressive flow for density estimation, section 3.

    Example:
        >>> from symdgm.distributions.flows import Reverse, Spline
        >>> f = Autoregressive(3, Spline(bins=4)) >> Reverse(3) >> Autoregressive(3)
        >>> z, log_det = f(torch.randn(5, 3))
        >>> z.shape, log_det.shape
        (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(
        self,
        features: int,
        element: Element | None = None,
        *,
        hidden: Sequence[int] = (64, 64),
        context_features: int = 0,
    ) -> None:
        super().__init__()
        self.features = read_count(features, "features", "Autoregressive")
        self.context_features = read_count(context_features, "context_features", "Autoregressive", least=0)
        self.element = element or Affine()
        self.rank_in = self.rank_out = 1
        if not hidden:
            raise ParameterError(
                "Autoregressive has no hidden layer", hint="write widths, such as `hidden=(64,)`"
            )
        self.network = MADE(features, self.element.count, hidden, context_features)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """All features at once."""
        check_features(x, self.features, "Autoregressive")
        z, log_slope = self.element.apply(x, self.network(x, context))
        return z, sum_event(log_slope)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """Feature by feature: each needs the ones before it."""
        check_features(z, self.features, "Autoregressive")
        x, total = z, z.new_zeros(len(z))
        for i in range(self.features):
            coefficients = self.network(x, context)[:, i]
            value, log_slope = self.element.invert(z[:, i], coefficients)
            x = torch.cat([x[:, :i], value.unsqueeze(1), x[:, i + 1 :]], 1)
            total = total + log_slope
        return x, total

    def extra_repr(self) -> str:
        """The number of features and the map."""
        return f"{self.features}, {self.element}"
