"""Student's t distribution, independent in each element."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions import noise as standard
from symdgm.distributions.location_scale import LocationScale
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.stable import log_gamma_half_step


class StudentT(LocationScale):
    r"""Student's t distribution with degrees of freedom, a location and a scale for each element.

    .. math::
        \log p(x) = \sum_i \log\Gamma(\tfrac{\nu_i + 1}{2}) - \log\Gamma(\tfrac{\nu_i}{2})
        - \tfrac12 \log \pi \nu_i - \log s_i - \tfrac{\nu_i + 1}{2} \log(1 + u_i^2 / \nu_i), \;
        u_i = (x_i - \mu_i) / s_i

    On the real numbers. The mean is NaN for ``df <= 1``; the variance is infinite for ``1 < df <= 2`` and NaN
    below.

    Args:
        declaration: such as ``p(x|z)``.
        network: returns ``(df, loc, scale)``, or a dict of them or of ``df``, ``loc`` and ``log_scale``.
        event_shape: the shape of one value, where all parameters are numbers.
        df: the degrees of freedom, positive; 1 is a Cauchy, infinitely many are a Normal.
        loc: the median, any real number.
        scale: positive.
        log_scale: its log, any real number, in place of the scale.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or not positive.

    Example:
        >>> p = StudentT("p(x)", df=3.0, loc=0.0, scale=1.0, event_shape=())
        >>> p.prob({"x": torch.tensor([0.0, 1.0])}), p.variance()["x"]
        (tensor([0.3676, 0.2067]), tensor([3.]))
    """

    family: ClassVar[str] = "StudentT"
    parameter_names: ClassVar[tuple[str, ...]] = ("df", "loc", "scale")
    alternatives: ClassVar[Alternatives] = (("df", "loc", "scale"), ("df", "loc", "log_scale"))

    @final
    def standard_noise(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None
    ) -> Tensor:
        """A normal number over the root of a gamma number, differentiable by the degrees of freedom."""
        half = 0.5 * parameters["df"]
        log_gamma = standard.log_gamma(half, shape, generator)
        return standard.normal(parameters, shape, generator) * (0.5 * (half.log() - log_gamma)).exp()

    @final
    def standard_log_density(self, noise: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density at location 0 and scale 1."""
        df = parameters["df"]
        return -self._log_normaliser(df) - 0.5 * (df + 1) * (noise.square() / df).log1p()

    @final
    def standard_entropy(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``(df + 1) / 2 (psi((df + 1) / 2) - psi(df / 2))`` plus the log of the normaliser."""
        df = parameters["df"]
        step = torch.digamma(0.5 * (df + 1)) - torch.digamma(0.5 * df)
        return 0.5 * (df + 1) * step + self._log_normaliser(df)

    @final
    def standard_mean(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Zero; NaN for ``df <= 1``."""
        df = parameters["df"]
        return torch.where(df > 1, 0.0, torch.nan)

    @final
    def standard_variance(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``df / (df - 2)``; infinite for ``1 < df <= 2``, NaN for ``df <= 1``."""
        df = parameters["df"]
        finite = df / torch.where(df > 2, df - 2, 1)
        return torch.where(df > 2, finite, torch.where(df > 1, torch.inf, torch.nan))

    @staticmethod
    def _log_normaliser(df: Tensor) -> Tensor:
        return 0.5 * (math.pi * df).log() - log_gamma_half_step(0.5 * df)
