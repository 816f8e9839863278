"""The gamma distribution and the distribution of its reciprocal, independent in each element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions import noise
from symdgm.distributions.exponential import rate_of
from symdgm.distributions.family import Family
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.stable import log_poisson
from symdgm.distributions.support import check_positive
from symdgm.distributions.supports import NONNEGATIVE, POSITIVE, Support


class Gamma(Family):
    r"""The gamma distribution with a concentration and a rate for each element.

    .. math::
        \log p(x) = \sum_i a_i \log b_i + (a_i - 1) \log x_i - b_i x_i - \log\Gamma(a_i), \quad x_i \ge 0

    Draws are pathwise by the implicit gradient of torch's sampler. They are made by rejection, so that a seed
    repeats them for the same concentration, while a nearby concentration may get unrelated ones.

    Args:
        declaration: such as ``p(x|z)``.
        network: returns ``(concentration, rate)``, or a dict of them or of ``concentration`` and ``scale``.
        event_shape: the shape of one value, where both parameters are numbers.
        concentration: the shape a, positive.
        rate: b, positive; the mean is a / b.
        scale: 1 / b, positive, in place of the rate.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or not positive.

    Source: Figurnov et al., Implicit reparameterization gradients, 2018.

    Example:
        >>> p = Gamma("p(x)", concentration=2.0, rate=1.0, event_shape=())
        >>> p.prob({"x": torch.tensor([0.0, 1.0])}), p.mean()["x"]
        (tensor([0.0000, 0.3679]), tensor([2.]))
    """

    family: ClassVar[str] = "Gamma"
    parameter_names: ClassVar[tuple[str, ...]] = ("concentration", "rate")
    alternatives: ClassVar[Alternatives] = (("concentration", "rate"), ("concentration", "scale"))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"concentration": 0, "rate": 0, "scale": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = NONNEGATIVE
    constraints: ClassVar[Mapping[str, Check]] = {
        "concentration": check_positive,
        "rate": check_positive,
        "scale": check_positive,
    }

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """A gamma number over the rate, differentiable by both parameters."""
        return noise.gamma(parameters["concentration"], shape, generator) / rate_of(parameters)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each element."""
        rate = rate_of(parameters)
        return log_poisson(parameters["concentration"] - 1, rate * value) + rate.log()

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``a - log b + log Gamma(a) + (1 - a) psi(a)``."""
        a = parameters["concentration"]
        return a - rate_of(parameters).log() + a.lgamma() + (1 - a) * a.digamma()

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``a / b``."""
        return parameters["concentration"] / rate_of(parameters)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``a / b^2``."""
        return parameters["concentration"] / rate_of(parameters).square()


class InverseGamma(Family):
    r"""The distribution of ``1 / g`` where g is Gamma distributed, for each element.

    .. math:: \log p(x) = \sum_i a_i \log b_i - (a_i + 1) \log x_i - b_i / x_i - \log\Gamma(a_i), \; x_i > 0

    The mean is infinite for a concentration up to 1, the variance for one up to 2.

    Args:
        declaration: such as ``p(x|z)``.
        network: returns ``(concentration, rate)``, or a dict of them.
        event_shape: the shape of one value, where both parameters are numbers.
        concentration: the shape a, positive.
        rate: b, the rate of g (which is a scale of x), positive.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or not positive.

    Example:
        >>> p = InverseGamma("p(x)", concentration=3.0, rate=2.0, event_shape=())
        >>> p.prob({"x": torch.tensor([1.0])}), p.mean()["x"]
        (tensor([0.5413]), tensor([1.]))
    """

    family: ClassVar[str] = "InverseGamma"
    parameter_names: ClassVar[tuple[str, ...]] = ("concentration", "rate")
    alternatives: ClassVar[Alternatives] = (("concentration", "rate"),)
    parameter_ranks: ClassVar[Mapping[str, int]] = {"concentration": 0, "rate": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = POSITIVE
    constraints: ClassVar[Mapping[str, Check]] = {"concentration": check_positive, "rate": check_positive}

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """The rate over a gamma number, differentiable by both parameters; see `Gamma`."""
        log_gamma = noise.log_gamma(parameters["concentration"], shape, generator)
        return (parameters["rate"].log() - log_gamma).exp()

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each element."""
        rate = parameters["rate"]
        return log_poisson(parameters["concentration"] - 1, rate / value) + rate.log() - 2 * value.log()

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``a + log b + log Gamma(a) - (1 + a) psi(a)``."""
        a = parameters["concentration"]
        return a + parameters["rate"].log() + a.lgamma() - (1 + a) * a.digamma()

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``b / (a - 1)``, infinite up to a = 1."""
        a, b = parameters["concentration"], parameters["rate"]
        return torch.where(a > 1, b / torch.where(a > 1, a - 1, 1), torch.inf)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``b^2 / ((a - 1)^2 (a - 2))``, infinite up to a = 2."""
        a, b = parameters["concentration"], parameters["rate"]
        finite = (b / (a - 1)).square() / torch.where(a > 2, a - 2, 1)
        return torch.where(a > 2, finite, torch.inf)
