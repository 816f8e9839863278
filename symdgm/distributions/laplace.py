"""The Laplace distribution, independent in each element."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions import noise as standard
from symdgm.distributions.location_scale import LocationScale


class Laplace(LocationScale):
    r"""The Laplace distribution with a location and a scale for each element, on the real numbers.

    .. math:: \log p(x) = \sum_i -|x_i - \mu_i| / b_i - \log 2 b_i

    Args:
        declaration: such as ``p(x|z)``.
        network: returns ``(loc, scale)``, or a dict of them or of ``loc`` and ``log_scale``.
        event_shape: the shape of one value, where all parameters are numbers.
        loc: the mean and median, any real number.
        scale: the mean absolute deviation, positive.
        log_scale: its log, any real number, in place of the scale.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or a scale is not positive.

    Example:
        >>> p = Laplace("p(x)", loc=0.0, scale=1.0, event_shape=())
        >>> p.log_prob({"x": torch.tensor([0.0, 1.0])})
        tensor([-0.6931, -1.6931])
    """

    family: ClassVar[str] = "Laplace"

    @final
    def standard_noise(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None
    ) -> Tensor:
        """The difference of two exponential numbers."""
        first = standard.exponential(parameters, shape, generator)
        return first - standard.exponential(parameters, shape, generator)

    @final
    def standard_log_density(self, noise: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """``-|noise| - log 2``."""
        return -noise.abs() - math.log(2)

    @final
    def standard_entropy(self, parameters: Mapping[str, Tensor]) -> float:
        """``1 + log 2``."""
        return 1 + math.log(2)

    @final
    def standard_mean(self, parameters: Mapping[str, Tensor]) -> float:
        """Zero."""
        return 0.0

    @final
    def standard_variance(self, parameters: Mapping[str, Tensor]) -> float:
        """Two."""
        return 2.0
