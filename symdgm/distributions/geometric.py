"""The geometric distribution, independent in each element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions import noise
from symdgm.distributions.family import Family
from symdgm.distributions.odds import failure_of, log_failures, log_successes, success_of
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.support import check_real, check_success
from symdgm.distributions.supports import Counts, Support


class Geometric(Family):
    r"""The number of failures before the first success, for each element, as a floating whole number.

    .. math:: \log p(x) = \sum_i x_i \log(1 - \pi_i) + \log \pi_i, \quad x_i = 0, 1, 2, \dots

    Args:
        declaration: such as ``p(x|z)``.
        network: returns the logits, or the dict ``{"probs": ...}``.
        event_shape: the shape of one value, where the parameter is a number.
        logits: the log-odds of success, any real number.
        probs: the probability of success, in (0, 1], in place of the logits.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or out of range.

    Example:
        >>> p = Geometric("p(x)", probs=0.5, event_shape=())
        >>> p.prob({"x": torch.tensor([0.0, 1.0, 2.0])})
        tensor([0.5000, 0.2500, 0.1250])
    """

    family: ClassVar[str] = "Geometric"
    parameter_names: ClassVar[tuple[str, ...]] = ("logits",)
    alternatives: ClassVar[Alternatives] = (("logits",), ("probs",))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"logits": 0, "probs": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = True
    pathwise: ClassVar[bool] = False
    support: Support = Counts()
    constraints: ClassVar[Mapping[str, Check]] = {"logits": check_real, "probs": check_success}

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """An exponential waiting time, rounded down; without a gradient."""
        one = torch.ones_like(next(iter(parameters.values())))
        rate = -log_failures(one, parameters).detach()
        return (noise.exponential(parameters, shape, generator) / rate).floor()

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-probability of each element."""
        return log_failures(value, parameters) + log_successes(torch.ones_like(value), parameters)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``-(p log p + (1 - p) log(1 - p)) / p``."""
        success, failure = success_of(parameters), failure_of(parameters)
        return -(log_successes(success, parameters) + log_failures(failure, parameters)) / success

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``(1 - p) / p``."""
        return failure_of(parameters) / success_of(parameters)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``(1 - p) / p^2``."""
        return failure_of(parameters) / success_of(parameters).square()
