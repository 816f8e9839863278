"""The negative binomial distribution, independent in each element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions import noise
from symdgm.distributions.family import Family
from symdgm.distributions.odds import failure_of, log_failures, log_successes, odds_of
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.support import check_open_unit, check_positive, check_real
from symdgm.distributions.supports import Counts, Support


class NegativeBinomial(Family):
    r"""The number of successes before a number of failures, for each element, as a floating whole number.

    .. math::
        \log p(x) = \sum_i \log \frac{\Gamma(x_i + r_i)}{\Gamma(r_i) \, x_i!}
        + x_i \log \pi_i + r_i \log(1 - \pi_i), \quad x_i = 0, 1, 2, \dots

    It is a Poisson whose rate is Gamma distributed: counts that vary more than a Poisson's.

    Args:
        declaration: such as ``p(x|z)``.
        network: returns ``(total_count, logits)``, or a dict of them or of ``total_count`` and ``probs``.
        event_shape: the shape of one value, where both parameters are numbers.
        total_count: the number of failures r, positive, whole or not; the smaller, the more the counts vary.
        logits: the log-odds of success, any real number; the mean is ``total_count * exp(logits)``.
        probs: the probability of success, in (0, 1), in place of the logits.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or out of range.

    Example:
        >>> p = NegativeBinomial("p(x)", total_count=2, probs=0.5, event_shape=())
        >>> p.prob({"x": torch.tensor([0.0, 1.0, 2.0])})
        tensor([0.2500, 0.2500, 0.1875])
    """

    family: ClassVar[str] = "NegativeBinomial"
    parameter_names: ClassVar[tuple[str, ...]] = ("total_count", "logits")
    alternatives: ClassVar[Alternatives] = (("total_count", "logits"), ("total_count", "probs"))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"total_count": 0, "logits": 0, "probs": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = True
    pathwise: ClassVar[bool] = False
    support: Support = Counts()
    constraints: ClassVar[Mapping[str, Check]] = {
        "total_count": check_positive,
        "logits": check_real,
        "probs": check_open_unit,
    }

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """Poisson numbers at gamma distributed rates, without a gradient."""
        rate = (
            noise.gamma(parameters["total_count"].detach(), shape, generator) * odds_of(parameters).detach()
        )
        return torch.poisson(rate, generator)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-probability of each element."""
        total = parameters["total_count"]
        ways = (value + total).lgamma() - total.lgamma() - (value + 1).lgamma()
        return ways + log_successes(value, parameters) + log_failures(total, parameters)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Refused: there is no closed form."""
        raise self._refuse(
            "entropy in closed form", "average `-log_prob` over draws: it is an unbiased estimate"
        )

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``r p / (1 - p)``."""
        return parameters["total_count"] * odds_of(parameters)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``r p / (1 - p)^2``."""
        return self.mean_at(parameters) / failure_of(parameters)
