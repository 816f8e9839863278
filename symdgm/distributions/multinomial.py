"""The multinomial distribution, over rows of counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions.binomial import count_table
from symdgm.distributions.categorical import class_entropy, class_probs, weigh
from symdgm.distributions.family import Family
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.support import check_count, check_logits, check_simplex
from symdgm.distributions.supports import CountRows, Support


class Multinomial(Family):
    r"""How often each of K classes came up in a number of trials, as a row on the last axis of the event.

    .. math:: \log p(x) = \log n! + \sum_k x_k \log \pi_k - \log x_k!, \quad \sum_k x_k = n

    Args:
        declaration: such as ``p(x|z)``.
        network: returns what is not written: the logits ``[batch, *event]``, the classes last.
        event_shape: the shape of one value, classes last, where one row of parameters is for all elements.
        total_count: the number of trials n, a whole number, 0 or more; it may differ from row to row.
        logits: unnormalised log-probabilities; minus infinity excludes a class.
        probs: probabilities, which sum to 1 over the classes, in place of the logits.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or out of range.

    Example:
        >>> p = Multinomial("p(x)", total_count=5, probs=torch.tensor([0.4, 0.6]))
        >>> p.prob({"x": torch.tensor([[2.0, 3.0]])}), p.mean()["x"]
        (tensor([0.3456]), tensor([[2., 3.]]))
    """

    family: ClassVar[str] = "Multinomial"
    parameter_names: ClassVar[tuple[str, ...]] = ("total_count", "logits")
    alternatives: ClassVar[Alternatives] = (("total_count", "logits"), ("total_count", "probs"))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"total_count": 0, "logits": 1, "probs": 1}
    event_rank: ClassVar[int] = 1
    discrete: ClassVar[bool] = True
    pathwise: ClassVar[bool] = False
    support: Support = CountRows("total_count")
    constraints: ClassVar[Mapping[str, Check]] = {
        "total_count": check_count,
        "logits": check_logits,
        "probs": check_simplex,
    }

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """Rows of counts, class after class: each is binomial among the trials that are left."""
        probs = class_probs(parameters).detach().expand(shape)
        left = parameters["total_count"].detach().to(probs.dtype).expand(shape[:-1]).contiguous()
        tails = probs.flip(-1).cumsum(-1).flip(-1)
        shares = torch.where(tails > 0, probs / tails, 1.0).clamp(max=1)
        counts = []
        for share in shares[..., :-1].unbind(-1):
            counts.append(torch.binomial(left, share.contiguous(), generator))
            left = left - counts[-1]
        return torch.stack([*counts, left], -1)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-probability of each row."""
        ways = (parameters["total_count"] + 1).lgamma() - (value + 1).lgamma().sum(-1)
        return ways + weigh(value, _classes(parameters))

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``n H(probs) - log n! + sum_k E[log x_k!]``, where each count is binomial."""
        total = parameters["total_count"]
        states, log_probs = count_table(
            {"total_count": total.unsqueeze(-1), "probs": class_probs(parameters)}
        )
        factorials = (log_probs.exp() * (states + 1).lgamma()).sum(0).sum(-1)
        return total * class_entropy(_classes(parameters)) - (total + 1).lgamma() + factorials

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``n p``."""
        return parameters["total_count"].unsqueeze(-1) * class_probs(parameters)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``n p (1 - p)`` of each count."""
        return self.mean_at(parameters) * (1 - class_probs(parameters))


def _classes(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: t for name, t in parameters.items() if name != "total_count"}
