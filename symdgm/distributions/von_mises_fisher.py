"""The von Mises-Fisher distribution of a direction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor

from symdgm.distributions import noise
from symdgm.distributions.family import Family
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.polar_angles import draw_angles, log_normaliser, mean_versine
from symdgm.distributions.support import check_direction, check_nonnegative
from symdgm.distributions.supports import Sphere, Support


class VonMisesFisher(Family):
    r"""A unit vector around a mean direction, with a concentration; the vector is the last axis of the event.

    .. math::
        \log p(x) = \kappa \mu^\top x + (\tfrac{d}{2} - 1) \log \kappa - \tfrac{d}{2} \log 2\pi
        - \log I_{d/2 - 1}(\kappa), \quad \|x\| = 1

    The normaliser is integrated by 64-point quadrature to float64's precision, for any dimension from 2 and
    any concentration. Draws are made by rejection and are pathwise as those of `VonMises` are.

    Args:
        declaration: such as ``q(z|x)``.
        network: returns ``(loc, concentration)``, ``[batch, *event]`` and ``[batch, *event[:-1]]``.
        event_shape: the shape of one value, where one direction is for all elements.
        loc: the mean direction, a vector of length one on the last axis.
        concentration: κ, zero (the uniform distribution) or positive; one for each vector.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or out of range.

    Source: Davidson et al., Hyperspherical variational auto-encoders, 2018.

    Example:
        >>> p = VonMisesFisher("p(z)", loc=torch.tensor([1.0, 0.0, 0.0]), concentration=2.0)
        >>> p.prob({"z": torch.eye(3)[:2]}), p.mean()["z"]
        (tensor([0.3242, 0.0439]), tensor([[0.5373, 0.0000, 0.0000]]))
    """

    family: ClassVar[str] = "VonMisesFisher"
    parameter_names: ClassVar[tuple[str, ...]] = ("loc", "concentration")
    alternatives: ClassVar[Alternatives] = (("loc", "concentration"),)
    parameter_ranks: ClassVar[Mapping[str, int]] = {"loc": 1, "concentration": 0}
    event_rank: ClassVar[int] = 1
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = Sphere()
    constraints: ClassVar[Mapping[str, Check]] = {"loc": check_direction, "concentration": check_nonnegative}

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """The mean direction, turned by an angle towards a random side; differentiable by both parameters."""
        loc = parameters["loc"]
        angle = draw_angles(parameters["concentration"], loc.shape[-1], shape[:-1], generator).unsqueeze(-1)
        raw = noise.normal(parameters, shape, generator)
        tangent = raw - (raw * loc).sum(-1, keepdim=True) * loc
        side = F.normalize(tangent, dim=-1)
        return angle.cos() * loc + angle.sin() * side

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each vector, by its squared distance from the mean direction."""
        loc, concentration = parameters["loc"], parameters["concentration"]
        distance = (value - loc).square().sum(-1)
        return -0.5 * concentration * distance - _log_constant(concentration, loc.shape[-1])

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Minus the expected log-density."""
        dim, concentration = parameters["loc"].shape[-1], parameters["concentration"]
        return _log_constant(concentration, dim) + concentration * mean_versine(concentration, dim)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The mean direction, shortened to ``I_{d/2}(κ) / I_{d/2-1}(κ)``."""
        loc = parameters["loc"]
        return (1 - mean_versine(parameters["concentration"], loc.shape[-1])).unsqueeze(-1) * loc

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The variance of each coordinate: that along the mean direction, and that across it."""
        loc, concentration = parameters["loc"], parameters["concentration"]
        dim = loc.shape[-1]
        first, second = (mean_versine(concentration, dim, power).unsqueeze(-1) for power in (1, 2))
        along = second - first.square()
        across = (2 * first - second) / (dim - 1)
        return along * loc.square() + across * (1 - loc.square())


def _log_constant(concentration: Tensor, dim: int) -> Tensor:
    """The log of the integral of ``exp(κ (loc . x - 1))`` over the sphere."""
    area = math.log(2) + (dim - 1) / 2 * math.log(math.pi) - math.lgamma((dim - 1) / 2)
    return log_normaliser(concentration, dim) + area
