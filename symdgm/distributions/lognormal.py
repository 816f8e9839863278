"""The log-normal distribution, independent in each element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions import noise
from symdgm.distributions.family import Family
from symdgm.distributions.location_scale import log_scale_of, scale_of
from symdgm.distributions.normal import HALF_LOG_TAU
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.support import check_positive, check_real
from symdgm.distributions.supports import POSITIVE, Support


class LogNormal(Family):
    r"""A positive variable whose log is normal, independent in each element.

    .. math::
        \log p(x) = \sum_i -\tfrac12 ((\log x_i - \mu_i) / \sigma_i)^2 - \log \sigma_i - \log x_i
        - \tfrac12 \log 2\pi, \quad x_i > 0

    Args:
        declaration: such as ``p(x|z)``.
        network: returns ``(loc, scale)``, or a dict of them or of an alternative.
        event_shape: the shape of one value, where both parameters are numbers.
        loc: the mean of the log, any real number.
        scale: the standard deviation of the log, positive.
        log_scale: the log of the scale, any real number, in its place.
        variance: the variance of the log, positive, in place of the scale.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or a scale is not positive.

    Example:
        >>> p = LogNormal("p(x)", loc=0.0, scale=1.0, event_shape=())
        >>> p.prob({"x": torch.tensor([1.0, 2.0])}), p.mean()["x"]
        (tensor([0.3989, 0.1569]), tensor([1.6487]))
    """

    family: ClassVar[str] = "LogNormal"
    parameter_names: ClassVar[tuple[str, ...]] = ("loc", "scale")
    alternatives: ClassVar[Alternatives] = (("loc", "scale"), ("loc", "log_scale"), ("loc", "variance"))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"loc": 0, "scale": 0, "log_scale": 0, "variance": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = POSITIVE
    constraints: ClassVar[Mapping[str, Check]] = {
        "loc": check_real,
        "scale": check_positive,
        "log_scale": check_real,
        "variance": check_positive,
    }

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """``exp(loc + scale * eps)`` with ``eps ~ N(0, 1)``, differentiable by both."""
        return (parameters["loc"] + scale_of(parameters) * noise.normal(parameters, shape, generator)).exp()

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each element."""
        log_value = value.log()
        standard = (log_value - parameters["loc"]) / scale_of(parameters)
        return -0.5 * standard.square() - log_scale_of(parameters) - log_value - HALF_LOG_TAU

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``loc + log scale + (1 + log 2 pi) / 2``."""
        return parameters["loc"] + log_scale_of(parameters) + (0.5 + HALF_LOG_TAU)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``exp(loc + scale^2 / 2)``."""
        return (parameters["loc"] + 0.5 * scale_of(parameters).square()).exp()

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``(exp(scale^2) - 1) exp(2 loc + scale^2)``."""
        squared = scale_of(parameters).square()
        return squared.expm1() * (2 * parameters["loc"] + squared).exp()
