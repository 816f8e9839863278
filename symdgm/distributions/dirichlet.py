"""The Dirichlet distribution, over rows of probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions import noise
from symdgm.distributions.family import Family
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.stable import times_log
from symdgm.distributions.support import check_positive
from symdgm.distributions.supports import Simplex, Support


class Dirichlet(Family):
    r"""Rows of probabilities on the last axis of the event, with a concentration for each class.

    .. math:: \log p(x) = \sum_k (a_k - 1) \log x_k + \log\Gamma(\sum_k a_k) - \sum_k \log\Gamma(a_k)

    On the simplex, with respect to the first K - 1 entries. Draws are pathwise as those of `Gamma` are.

    Args:
        declaration: such as ``p(w|x)``.
        network: returns the concentration ``[batch, *event]``, the classes last.
        event_shape: the shape of one value, classes last, where one row of parameters is for all elements.
        concentration: positive.

    Raises:
        ParameterError: the parameter is missing or not positive.

    Example:
        >>> p = Dirichlet("p(w)", concentration=torch.tensor([1.0, 1.0, 2.0]))
        >>> p.log_prob({"w": torch.tensor([[0.2, 0.3, 0.5]])}), p.mean()["w"]
        (tensor([1.0986]), tensor([[0.2500, 0.2500, 0.5000]]))
    """

    family: ClassVar[str] = "Dirichlet"
    parameter_names: ClassVar[tuple[str, ...]] = ("concentration",)
    alternatives: ClassVar[Alternatives] = (("concentration",),)
    parameter_ranks: ClassVar[Mapping[str, int]] = {"concentration": 1}
    event_rank: ClassVar[int] = 1
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = Simplex("a row holds probabilities: `{variable}.softmax(-1)`")
    constraints: ClassVar[Mapping[str, Check]] = {"concentration": check_positive}

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """The shares of gamma numbers, differentiable by the concentration."""
        rows = noise.log_gamma(parameters["concentration"], shape, generator).softmax(-1)
        return noise.kept(rows, torch.finfo(rows.dtype).tiny)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each row."""
        a = parameters["concentration"]
        return times_log(a - 1, value).sum(-1) - _log_beta(a)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``log B(a) + (a_0 - K) psi(a_0) - sum_k (a_k - 1) psi(a_k)`` with ``a_0 = sum_k a_k``."""
        a = parameters["concentration"]
        total = a.sum(-1)
        return _log_beta(a) + (total - a.shape[-1]) * total.digamma() - ((a - 1) * a.digamma()).sum(-1)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``a / a_0``."""
        a = parameters["concentration"]
        return a / a.sum(-1, keepdim=True)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``m (1 - m) / (a_0 + 1)`` with the mean m."""
        mean = self.mean_at(parameters)
        return mean * (1 - mean) / (parameters["concentration"].sum(-1, keepdim=True) + 1)


def _log_beta(a: Tensor) -> Tensor:
    return a.lgamma().sum(-1) - a.sum(-1).lgamma()
