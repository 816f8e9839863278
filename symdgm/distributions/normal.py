"""The normal distribution, independent in each element."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions.family import Family
from symdgm.distributions.support import check_finite, check_floating, check_positive, check_real

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


class Normal(Family):
    r"""The normal distribution with a location and a scale for each element.

    .. math:: \log p(x) = \sum_i -\tfrac12 ((x_i - \mu_i) / \sigma_i)^2 - \log \sigma_i - \tfrac12 \log 2\pi

    Args:
        declaration: such as ``q(z|x)``.
        network: returns ``(loc, scale)``, or a dict of them.
        event_shape: the shape of one value, where both parameters are numbers.
        loc: the mean, any real number.
        scale: the standard deviation, positive.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or a scale is not positive.

    Example:
        >>> p = Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
        >>> p.log_prob({"z": torch.zeros(3, 2)})
        tensor([-1.8379, -1.8379, -1.8379])
    """

    family: ClassVar[str] = "Normal"
    parameter_names: ClassVar[tuple[str, ...]] = ("loc", "scale")
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("loc", "scale"),)
    parameter_ranks: ClassVar[Mapping[str, int]] = {"loc": 0, "scale": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = False

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """``loc + scale * eps`` with ``eps ~ N(0, 1)``, differentiable by both."""
        loc, scale = parameters["loc"], parameters["scale"]
        dtype = torch.promote_types(loc.dtype, scale.dtype)
        noise = torch.randn(shape, generator=generator, dtype=dtype, device=loc.device)
        return loc + scale * noise

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each element."""
        loc, scale = parameters["loc"], parameters["scale"]
        return -0.5 * ((value - loc) / scale).square() - scale.log() - HALF_LOG_TAU

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``log scale + (1 + log 2 pi) / 2``."""
        return parameters["scale"].log() + (0.5 + HALF_LOG_TAU)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The location."""
        return parameters["loc"]

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The squared scale."""
        return parameters["scale"].square()

    @final
    def check_support(
        self, value: Tensor, variable: str, parameters: Mapping[str, Tensor] | None = None
    ) -> None:
        """Refuse values that are not finite floating numbers."""
        check_floating(value, variable, self.described)
        check_finite(value, variable, self.described)

    @final
    def check_parameters(self, parameters: Mapping[str, Tensor]) -> None:
        """Refuse a location that is not finite and a scale that is not positive."""
        if "loc" in parameters:
            check_real(parameters["loc"], "loc", self.described)
        if "scale" in parameters:
            check_positive(parameters["scale"], "scale", self.described)
