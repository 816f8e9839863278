"""The beta distribution, independent in each element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions import noise
from symdgm.distributions.family import Family
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.stable import times_log, times_log1p
from symdgm.distributions.support import check_positive
from symdgm.distributions.supports import Interval, Support


class Beta(Family):
    r"""The beta distribution with two concentrations for each element.

    .. math::
        \log p(x) = \sum_i (a_i - 1) \log x_i + (b_i - 1) \log(1 - x_i) - \log B(a_i, b_i),
        \quad 0 \le x_i \le 1

    On an end of the interval the density is infinite where the concentration of that end is below 1. Draws
    are kept off the ends, and pathwise as those of `Gamma` are.

    Args:
        declaration: such as ``p(x|z)``.
        network: returns ``(concentration1, concentration0)``, or a dict of them.
        event_shape: the shape of one value, where both parameters are numbers.
        concentration1: a, positive; the mean is a / (a + b).
        concentration0: b, positive.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or not positive.

    Example:
        >>> p = Beta("p(x)", concentration1=2.0, concentration0=1.0, event_shape=())
        >>> p.prob({"x": torch.tensor([0.5, 1.0])}), p.mean()["x"]
        (tensor([1., 2.]), tensor([0.6667]))
    """

    family: ClassVar[str] = "Beta"
    parameter_names: ClassVar[tuple[str, ...]] = ("concentration1", "concentration0")
    alternatives: ClassVar[Alternatives] = (("concentration1", "concentration0"),)
    parameter_ranks: ClassVar[Mapping[str, int]] = {"concentration1": 0, "concentration0": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = Interval(0, 1)
    constraints: ClassVar[Mapping[str, Check]] = {
        "concentration1": check_positive,
        "concentration0": check_positive,
    }

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """The share of one of two gamma numbers, differentiable by both parameters."""
        a, b = _concentrations(parameters)
        log_odds = noise.log_gamma(a, shape, generator) - noise.log_gamma(b, shape, generator)
        info = torch.finfo(log_odds.dtype)
        return noise.kept(log_odds.sigmoid(), info.tiny, 1 - info.eps / 2)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each element."""
        a, b = _concentrations(parameters)
        return times_log(a - 1, value) + times_log1p(b - 1, -value) - _log_beta(a, b)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``log B(a, b) - (a - 1) psi(a) - (b - 1) psi(b) + (a + b - 2) psi(a + b)``."""
        a, b = _concentrations(parameters)
        both = (a + b - 2) * (a + b).digamma()
        return _log_beta(a, b) - (a - 1) * a.digamma() - (b - 1) * b.digamma() + both

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``a / (a + b)``."""
        a, b = _concentrations(parameters)
        return a / (a + b)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``a b / ((a + b)^2 (a + b + 1))``."""
        a, b = _concentrations(parameters)
        return a * b / ((a + b).square() * (a + b + 1))


def _concentrations(parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    return parameters["concentration1"], parameters["concentration0"]


def _log_beta(a: Tensor, b: Tensor) -> Tensor:
    return a.lgamma() + b.lgamma() - (a + b).lgamma()
