"""The normal distribution, independent in each element."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions import noise as standard
from symdgm.distributions.location_scale import LocationScale
from symdgm.distributions.outputs import Alternatives

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


class Normal(LocationScale):
    r"""The normal distribution with a location and a scale for each element.

    .. math:: \log p(x) = \sum_i -\tfrac12 ((x_i - \mu_i) / \sigma_i)^2 - \log \sigma_i - \tfrac12 \log 2\pi

    Args:
        declaration: such as ``q(z|x)``.
        network: returns ``(loc, scale)``, or a dict of them or of an alternative.
        event_shape: the shape of one value, where both parameters are numbers.
        loc: the mean, any real number.
        scale: the standard deviation, positive.
        log_scale: its log, any real number, in place of the scale.
        variance: its square, positive, in place of the scale.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or a scale is not positive.

    Example:
        >>> p = Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
        >>> p.log_prob({"z": torch.zeros(3, 2)})
        tensor([-1.8379, -1.8379, -1.8379])
        >>> Normal("p(z)", loc=0.0, variance=4.0, event_shape=()).variance()["z"]
        tensor([4.])
    """

    family: ClassVar[str] = "Normal"
    alternatives: ClassVar[Alternatives] = (("loc", "scale"), ("loc", "log_scale"), ("loc", "variance"))

    @final
    def standard_noise(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None
    ) -> Tensor:
        """Standard normal noise."""
        return standard.normal(parameters, shape, generator)

    @final
    def standard_log_density(self, noise: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """``-noise^2 / 2 - log(2 pi) / 2``."""
        return -0.5 * noise.square() - HALF_LOG_TAU

    @final
    def standard_entropy(self, parameters: Mapping[str, Tensor]) -> float:
        """``(1 + log 2 pi) / 2``."""
        return 0.5 + HALF_LOG_TAU

    @final
    def standard_mean(self, parameters: Mapping[str, Tensor]) -> float:
        """Zero."""
        return 0.0

    @final
    def standard_variance(self, parameters: Mapping[str, Tensor]) -> float:
        """One."""
        return 1.0
