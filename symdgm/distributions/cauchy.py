"""The Cauchy distribution, independent in each element."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions import noise as standard
from symdgm.distributions.location_scale import LocationScale


class Cauchy(LocationScale):
    r"""The Cauchy distribution with a location and a scale for each element, on the real numbers.

    .. math:: \log p(x) = \sum_i -\log(1 + ((x_i - \mu_i) / s_i)^2) - \log \pi s_i

    It has neither a mean nor a variance.

    Args:
        declaration: such as ``p(x|z)``.
        network: returns ``(loc, scale)``, or a dict of them or of ``loc`` and ``log_scale``.
        event_shape: the shape of one value, where all parameters are numbers.
        loc: the median, any real number.
        scale: half of the interquartile range, positive.
        log_scale: its log, any real number, in place of the scale.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or a scale is not positive.

    Example:
        >>> p = Cauchy("p(x)", loc=0.0, scale=1.0, event_shape=())
        >>> p.prob({"x": torch.tensor([0.0, 1.0])})
        tensor([0.3183, 0.1592])
    """

    family: ClassVar[str] = "Cauchy"

    @final
    def standard_noise(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None
    ) -> Tensor:
        """The tangent of a uniform angle."""
        return (math.pi * (standard.uniform(parameters, shape, generator) - 0.5)).tan()

    @final
    def standard_log_density(self, noise: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """``-log(1 + noise^2) - log pi``."""
        return -noise.square().log1p() - math.log(math.pi)

    @final
    def standard_entropy(self, parameters: Mapping[str, Tensor]) -> float:
        """``log 4 pi``."""
        return math.log(4 * math.pi)

    @final
    def standard_mean(self, parameters: Mapping[str, Tensor]) -> float:
        """Refused: the integral does not converge."""
        raise self._refuse("mean", "its median is `loc`; StudentT with df above 1 has a mean")

    @final
    def standard_variance(self, parameters: Mapping[str, Tensor]) -> float:
        """Refused: the integral does not converge."""
        raise self._refuse("variance", "StudentT with df above 2 has a variance")
