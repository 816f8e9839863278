"""The von Mises distribution of an angle, independent in each element."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions.family import Family
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.polar_angles import draw_angles
from symdgm.distributions.support import check_nonnegative, check_real
from symdgm.distributions.supports import REAL, Support


class VonMises(Family):
    r"""An angle around a mean direction, with a concentration, for each element.

    .. math:: \log p(x) = \sum_i \kappa_i \cos(x_i - \mu_i) - \log 2 \pi I_0(\kappa_i)

    Angles are in radians and count modulo 2π: any real number is accepted, and draws lie in [-π, π). The mean
    is the mean direction, the variance the circular variance ``1 - I_1(κ) / I_0(κ)``.

    Draws are made by rejection and are pathwise: exactly so by the location, and by the concentration through
    the implicit gradient, which has the first order only (`torch.distributions.VonMises` has none).

    Args:
        declaration: such as ``p(x|z)``.
        network: returns ``(loc, concentration)``, or a dict of them.
        event_shape: the shape of one value, where both parameters are numbers.
        loc: the mean direction, any real number.
        concentration: κ, zero (the uniform distribution) or positive.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or a concentration is negative.

    Example:
        >>> p = VonMises("p(x)", loc=0.0, concentration=2.0, event_shape=())
        >>> p.prob({"x": torch.tensor([0.0, 2 * torch.pi])})
        tensor([0.5159, 0.5159])
    """

    family: ClassVar[str] = "VonMises"
    parameter_names: ClassVar[tuple[str, ...]] = ("loc", "concentration")
    alternatives: ClassVar[Alternatives] = (("loc", "concentration"),)
    parameter_ranks: ClassVar[Mapping[str, int]] = {"loc": 0, "concentration": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = REAL
    constraints: ClassVar[Mapping[str, Check]] = {"loc": check_real, "concentration": check_nonnegative}

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """The location plus an angle to either side, differentiable by both parameters."""
        angle = draw_angles(parameters["concentration"], 2, shape, generator)
        side = torch.randint(0, 2, shape, generator=generator, dtype=angle.dtype, device=angle.device) * 2 - 1
        turned = parameters["loc"] + side * angle
        return turned - 2 * math.pi * ((turned + math.pi) / (2 * math.pi)).floor().detach()

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each element, in which ``κ`` is cancelled by hand."""
        half = 0.5 * (value - parameters["loc"])
        concentration = parameters["concentration"]
        return -2 * concentration * half.sin().square() - _log_scaled_bessel(concentration)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``log 2 pi I_0(κ) - κ I_1(κ) / I_0(κ)``."""
        concentration = parameters["concentration"]
        return _log_scaled_bessel(concentration) + concentration * self.variance_at(parameters)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The mean direction."""
        return parameters["loc"]

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The circular variance ``1 - I_1(κ) / I_0(κ)``."""
        concentration = parameters["concentration"].double()
        ratio: Tensor = torch.special.i1e(concentration) / torch.special.i0e(concentration)
        return (1 - ratio).to(parameters["concentration"].dtype)


def _log_scaled_bessel(concentration: Tensor) -> Tensor:
    """``log(2 pi exp(-κ) I_0(κ))``."""
    scaled: Tensor = torch.special.i0e(concentration)
    return scaled.log() + math.log(2 * math.pi)
