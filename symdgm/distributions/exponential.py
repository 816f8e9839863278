"""The exponential distribution, independent in each element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions import noise
from symdgm.distributions.family import Family
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.support import check_positive
from symdgm.distributions.supports import NONNEGATIVE, Support


class Exponential(Family):
    r"""The waiting time for an event that comes at a constant rate, for each element.

    .. math:: \log p(x) = \sum_i \log \lambda_i - \lambda_i x_i, \quad x_i \ge 0

    Args:
        declaration: such as ``p(x|z)``.
        network: returns the rate, or the dict ``{"scale": ...}``.
        event_shape: the shape of one value, where the parameter is a number.
        rate: one over the mean, positive.
        scale: the mean, positive, in place of the rate.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or not positive.

    Example:
        >>> p = Exponential("p(x)", scale=2.0, event_shape=())
        >>> p.prob({"x": torch.tensor([0.0, 2.0])}), p.mean()["x"]
        (tensor([0.5000, 0.1839]), tensor([2.]))
    """

    family: ClassVar[str] = "Exponential"
    parameter_names: ClassVar[tuple[str, ...]] = ("rate",)
    alternatives: ClassVar[Alternatives] = (("rate",), ("scale",))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"rate": 0, "scale": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = NONNEGATIVE
    constraints: ClassVar[Mapping[str, Check]] = {"rate": check_positive, "scale": check_positive}

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """An exponential number over the rate, differentiable by it."""
        return noise.exponential(parameters, shape, generator) / rate_of(parameters)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each element."""
        rate = rate_of(parameters)
        return rate.log() - rate * value

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``1 - log rate``."""
        return 1 - rate_of(parameters).log()

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``1 / rate``."""
        return 1 / rate_of(parameters)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``1 / rate^2``."""
        return rate_of(parameters).square().reciprocal()


def rate_of(parameters: Mapping[str, Tensor]) -> Tensor:
    """The rate, from whichever of rate and scale is there.

    Example:
        >>> rate_of({"scale": torch.tensor(4.0)})
        tensor(0.2500)
    """
    return parameters["rate"] if "rate" in parameters else parameters["scale"].reciprocal()
