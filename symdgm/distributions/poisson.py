"""The Poisson distribution, independent in each element."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions.family import Family
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.stable import log_poisson, weighted_logs
from symdgm.distributions.support import check_nonnegative, check_real
from symdgm.distributions.supports import Counts, Support

SUMMED = 100.0
"""Up to this rate the entropy is a sum over 300 counts, above it a series; both are exact to 1e-9."""


class Poisson(Family):
    r"""The number of events that come at a constant rate, for each element, as a floating whole number.

    .. math:: \log p(x) = \sum_i x_i \log \lambda_i - \lambda_i - \log x_i!, \quad x_i = 0, 1, 2, \dots

    Args:
        declaration: such as ``p(x|z)``.
        network: returns the rate, or the dict ``{"log_rate": ...}``.
        event_shape: the shape of one value, where the parameter is a number.
        rate: the mean, zero or positive.
        log_rate: its log, any real number, in place of the rate.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or negative.

    Example:
        >>> p = Poisson("p(x)", rate=2.0, event_shape=())
        >>> p.prob({"x": torch.tensor([0.0, 1.0, 2.0])})
        tensor([0.1353, 0.2707, 0.2707])
    """

    family: ClassVar[str] = "Poisson"
    parameter_names: ClassVar[tuple[str, ...]] = ("rate",)
    alternatives: ClassVar[Alternatives] = (("rate",), ("log_rate",))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"rate": 0, "log_rate": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = True
    pathwise: ClassVar[bool] = False
    support: Support = Counts()
    constraints: ClassVar[Mapping[str, Check]] = {"rate": check_nonnegative, "log_rate": check_real}

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """Counts in the dtype of the parameter, without a gradient."""
        return torch.poisson(self.mean_at(parameters).detach().expand(shape), generator)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-probability of each element."""
        return log_poisson(value, self.mean_at(parameters), parameters.get("log_rate"))

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The sum over all counts that matter; for a large rate ``log(2 pi e rate) / 2``, corrected."""
        rate = self.mean_at(parameters)
        small, large = rate.clamp(max=SUMMED), rate.clamp(min=SUMMED)
        states = torch.arange(300, dtype=rate.dtype, device=rate.device).reshape(-1, *[1] * rate.ndim)
        log_probs = log_poisson(states, small)
        summed = -weighted_logs(log_probs.exp(), log_probs).sum(0)
        series = 1 / 12 + (1 / 24 + 19 / (360 * large)) / large
        return torch.where(rate > SUMMED, 0.5 * (2 * math.pi * math.e * large).log() - series / large, summed)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The rate."""
        return parameters["rate"] if "rate" in parameters else parameters["log_rate"].exp()

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The rate."""
        return self.mean_at(parameters)
