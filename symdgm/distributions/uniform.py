"""The uniform distribution on an interval, independent in each element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions import noise
from symdgm.distributions.family import Family
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.support import check_real
from symdgm.distributions.supports import Interval, Support


class Uniform(Family):
    r"""The uniform distribution on the interval from low to high, for each element.

    .. math:: \log p(x) = \sum_i -\log(b_i - a_i), \quad a_i \le x_i \le b_i

    Args:
        declaration: such as ``p(t)``.
        network: returns ``(low, high)``, or a dict of them.
        event_shape: the shape of one value, where both parameters are numbers.
        low: the lower end, any real number.
        high: the upper end, greater than low.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or low is not less than high.

    Example:
        >>> p = Uniform("p(t)", low=0.0, high=4.0, event_shape=())
        >>> p.prob({"t": torch.tensor([1.0, 4.0])}), p.mean()["t"]
        (tensor([0.2500, 0.2500]), tensor([2.]))
    """

    family: ClassVar[str] = "Uniform"
    parameter_names: ClassVar[tuple[str, ...]] = ("low", "high")
    alternatives: ClassVar[Alternatives] = (("low", "high"),)
    parameter_ranks: ClassVar[Mapping[str, int]] = {"low": 0, "high": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = Interval("low", "high")
    constraints: ClassVar[Mapping[str, Check]] = {"low": check_real, "high": check_real}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("low", "high"),)

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """``low + (high - low) * u``, differentiable by both ends."""
        low, high = parameters["low"], parameters["high"]
        return low + (high - low) * noise.uniform(parameters, shape, generator)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each element, minus infinity outside the interval."""
        low, high = parameters["low"], parameters["high"]
        return torch.where((value >= low) & (value <= high), -(high - low).log(), -torch.inf)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``log(high - low)``."""
        return (parameters["high"] - parameters["low"]).log()

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The middle."""
        return 0.5 * (parameters["low"] + parameters["high"])

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``(high - low)^2 / 12``."""
        return (parameters["high"] - parameters["low"]).square() / 12
