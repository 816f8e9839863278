"""The continuous Bernoulli distribution, independent in each element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions import noise
from symdgm.distributions.family import Family
from symdgm.distributions.odds import logits_of
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.support import check_open_unit, check_real
from symdgm.distributions.supports import Interval, Support

SERIES = 0.2
"""Logits nearer to zero than this go by a power series, since the closed forms cancel there."""


class ContinuousBernoulli(Family):
    r"""A density on the unit interval that is proportional to a Bernoulli's cross-entropy form.

    .. math:: \log p(x) = \sum_i \eta_i x_i + \log \frac{\eta_i}{e^{\eta_i} - 1}, \quad 0 \le x_i \le 1

    where the logits η are the log-odds of ``probs``; so it is an exponential density cut off at 1.

    Args:
        declaration: such as ``p(x|z)``.
        network: returns the logits, or the dict ``{"probs": ...}``.
        event_shape: the shape of one value, where the parameter is a number.
        logits: any real number.
        probs: in (0, 1); it is not the mean, except at one half.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or out of range.

    Source: Loaiza-Ganem and Cunningham, The continuous Bernoulli, 2019.

    Example:
        >>> p = ContinuousBernoulli("p(x)", probs=0.25, event_shape=())
        >>> p.prob({"x": torch.tensor([0.0, 1.0])}), p.mean()["x"]
        (tensor([1.6479, 0.5493]), tensor([0.4102]))
    """

    family: ClassVar[str] = "ContinuousBernoulli"
    parameter_names: ClassVar[tuple[str, ...]] = ("logits",)
    alternatives: ClassVar[Alternatives] = (("logits",), ("probs",))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"logits": 0, "probs": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = Interval(0, 1, hint="scale the data into [0, 1], or bind `{variable}` to a Normal")
    constraints: ClassVar[Mapping[str, Check]] = {"logits": check_real, "probs": check_open_unit}

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """The quantile of a uniform number, differentiable by the parameter."""
        logits = logits_of(parameters).expand(shape)
        return _quantile(noise.uniform(parameters, shape, generator), logits)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each element."""
        logits = logits_of(parameters)
        return logits * (value - 0.5) - _log_sinhc(logits)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Minus the expected log-density."""
        logits = logits_of(parameters)
        return _log_sinhc(logits) - logits * (self.mean_at(parameters) - 0.5)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``1 / (1 - exp(-η)) - 1 / η``."""
        near, far, is_near = _split(logits_of(parameters))
        square = near.square()
        series = near * (1 / 12 - square * (1 / 720 - square * (1 / 30240 - square / 1209600)))
        return 0.5 + torch.where(is_near, series, 0.5 / (0.5 * far).tanh() - 1 / far)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``1 / η^2 - 1 / (4 sinh(η / 2)^2)``."""
        near, far, is_near = _split(logits_of(parameters))
        square = near.square()
        series = 1 / 12 - square * (1 / 240 - square * (1 / 6048 - square / 172800))
        decay = (-far.abs()).exp()
        return torch.where(is_near, series, far.square().reciprocal() - decay / (1 - decay).square())


def _split(logits: Tensor, bound: float = SERIES) -> tuple[Tensor, Tensor, Tensor]:
    """Logits for the series and for the closed form, each harmless where it is not used; and which is."""
    is_near = logits.abs() < bound
    return torch.where(is_near, logits, 0.0), torch.where(is_near, 1.0, logits), is_near


def _log_sinhc(logits: Tensor) -> Tensor:
    """``log(sinh(η / 2) / (η / 2))``."""
    near, far, is_near = _split(logits)
    square = near.square()
    series = square * (1 / 24 - square * (1 / 2880 - square * (1 / 181440 - square / 9676800)))
    size = far.abs()
    return torch.where(is_near, series, 0.5 * size + (-(-size).expm1()).log() - size.log())


def _quantile(u: Tensor, logits: Tensor) -> Tensor:
    """``log(1 + u (e^η - 1)) / η``, by the half of it that does not overflow."""
    near, far, is_near = _split(logits, 0.01)
    rest = u * (1 - u) * near
    series = u + rest * (0.5 + near * ((1 - 2 * u) / 6 + near * (1 - 6 * u * (1 - u)) / 24))
    size = far.abs()
    low = torch.where(far > 0, 1 - u, u)
    falling = -(low * (-size).expm1()).log1p() / size
    return torch.where(is_near, series, torch.where(far > 0, 1 - falling, falling))
