"""The binomial distribution, independent in each element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions.family import Family
from symdgm.distributions.odds import failure_of, log_failures, log_successes, success_of
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.stable import weighted_logs
from symdgm.distributions.support import check_count, check_real, check_unit
from symdgm.distributions.supports import Counts, Support


class Binomial(Family):
    r"""The number of successes in a number of trials, for each element, as a floating whole number.

    .. math:: \log p(x) = \sum_i \log \binom{n_i}{x_i} + x_i \log \pi_i + (n_i - x_i) \log(1 - \pi_i)

    Args:
        declaration: such as ``p(x|z)``.
        network: returns what is not written: the logits, where ``total_count`` is a number.
        event_shape: the shape of one value, where all parameters are numbers.
        total_count: the number of trials n, a whole number, 0 or more; it may differ from element to element.
        logits: the log-odds of success, any real number.
        probs: the probability of success, in [0, 1], in place of the logits.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or out of range.

    Example:
        >>> p = Binomial("p(x)", total_count=2, probs=0.5, event_shape=())
        >>> p.prob({"x": torch.tensor([0.0, 1.0, 2.0])})
        tensor([0.2500, 0.5000, 0.2500])
    """

    family: ClassVar[str] = "Binomial"
    parameter_names: ClassVar[tuple[str, ...]] = ("total_count", "logits")
    alternatives: ClassVar[Alternatives] = (("total_count", "logits"), ("total_count", "probs"))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"total_count": 0, "logits": 0, "probs": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = True
    pathwise: ClassVar[bool] = False
    support: Support = Counts("total_count")
    constraints: ClassVar[Mapping[str, Check]] = {
        "total_count": check_count,
        "logits": check_real,
        "probs": check_unit,
    }

    @property
    @final
    def finite(self) -> bool:
        """Where the number of trials is known, and the same for all elements."""
        total = self.constants.get("total_count")
        return isinstance(total, float) or (total is not None and bool((total == total.flatten()[:1]).all()))

    @final
    def element_values(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The counts up to the number of trials."""
        if not self.finite:
            return super().element_values(parameters)
        probs = success_of(parameters)
        total = parameters["total_count"]
        most = int(total.max()) if total.numel() else 0
        return torch.arange(most + 1, dtype=probs.dtype, device=probs.device)

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """Counts in the dtype of the parameter, without a gradient."""
        probs = success_of(parameters).detach()
        total = parameters["total_count"].detach().to(probs.dtype)
        return torch.binomial(total.expand(shape).contiguous(), probs.expand(shape).contiguous(), generator)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-probability of each element."""
        return _log_prob(value, parameters)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The sum over all counts."""
        log_probs = count_table(parameters)[1]
        return -weighted_logs(log_probs.exp(), log_probs).sum(0)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``n p``."""
        return parameters["total_count"] * success_of(parameters)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``n p (1 - p)``."""
        return parameters["total_count"] * success_of(parameters) * failure_of(parameters)


def count_table(parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """All counts along a new first axis, and their log-probabilities; it reads the largest total back.

    Example:
        >>> states, log_probs = count_table({"total_count": torch.tensor(2.0), "probs": torch.tensor([0.5])})
        >>> states.flatten(), log_probs.exp().flatten()
        (tensor([0., 1., 2.]), tensor([0.2500, 0.5000, 0.2500]))
    """
    total, probs = parameters["total_count"], success_of(parameters)
    most = int(total.max()) if total.numel() else 0
    axes = [1] * max(total.ndim, probs.ndim)
    states = torch.arange(most + 1, dtype=probs.dtype, device=probs.device).reshape(-1, *axes)
    log_probs = _log_prob(torch.minimum(states, total), parameters)
    return states, torch.where(states <= total, log_probs, -torch.inf)


def _log_prob(value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    total = parameters["total_count"]
    ways = (total + 1).lgamma() - (value + 1).lgamma() - (total - value + 1).lgamma()
    return ways + log_successes(value, parameters) + log_failures(total - value, parameters)
