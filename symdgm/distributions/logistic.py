"""The logistic distribution, independent in each element."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor

from symdgm.distributions import noise as standard
from symdgm.distributions.location_scale import LocationScale


class Logistic(LocationScale):
    r"""The logistic distribution with a location and a scale for each element, on the real numbers.

    .. math::
        \log p(x) = \sum_i \log \sigma(u_i) + \log \sigma(-u_i) - \log s_i, \quad u_i = (x_i - \mu_i) / s_i

    Its distribution function is the sigmoid of u.

    Args:
        declaration: such as ``p(x|z)``.
        network: returns ``(loc, scale)``, or a dict of them or of ``loc`` and ``log_scale``.
        event_shape: the shape of one value, where all parameters are numbers.
        loc: the mean and median, any real number.
        scale: positive; the standard deviation is ``pi / sqrt(3)`` times it.
        log_scale: its log, any real number, in place of the scale.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or a scale is not positive.

    Example:
        >>> p = Logistic("p(x)", loc=0.0, scale=1.0, event_shape=())
        >>> p.prob({"x": torch.tensor([0.0, 1.0])})
        tensor([0.2500, 0.1966])
    """

    family: ClassVar[str] = "Logistic"

    @final
    def standard_noise(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None
    ) -> Tensor:
        """The logit of a uniform number."""
        return standard.logistic(parameters, shape, generator)

    @final
    def standard_log_density(self, noise: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """``log sigmoid(noise) + log sigmoid(-noise)``."""
        return F.logsigmoid(noise) + F.logsigmoid(-noise)

    @final
    def standard_entropy(self, parameters: Mapping[str, Tensor]) -> float:
        """``2``."""
        return 2.0

    @final
    def standard_mean(self, parameters: Mapping[str, Tensor]) -> float:
        """Zero."""
        return 0.0

    @final
    def standard_variance(self, parameters: Mapping[str, Tensor]) -> float:
        """``pi^2 / 3``."""
        return math.pi**2 / 3
