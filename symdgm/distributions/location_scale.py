"""Families of a standard noise that is stretched and moved: ``x = loc + scale * noise``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions.family import Family
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.support import check_positive, check_real
from symdgm.distributions.supports import REAL, Support


def scale_of(parameters: Mapping[str, Tensor]) -> Tensor:
    """The scale, from whichever of scale, log_scale and variance is there.

    Example:
        >>> scale_of({"variance": torch.tensor(4.0)})
        tensor(2.)
    """
    if "scale" in parameters:
        return parameters["scale"]
    return parameters["log_scale"].exp() if "log_scale" in parameters else parameters["variance"].sqrt()


def log_scale_of(parameters: Mapping[str, Tensor]) -> Tensor:
    """The log of the scale, without a detour over the scale where its log is there."""
    if "log_scale" in parameters:
        return parameters["log_scale"]
    return parameters["scale"].log() if "scale" in parameters else 0.5 * parameters["variance"].log()


class LocationScale(Family):
    """A real variable for each element, by a location and a scale.

    A family states its standard noise: how it is drawn, its log-density, entropy, mean and variance.
    """

    parameter_names: ClassVar[tuple[str, ...]] = ("loc", "scale")
    alternatives: ClassVar[Alternatives] = (("loc", "scale"), ("loc", "log_scale"))
    parameter_ranks: ClassVar[Mapping[str, int]] = {
        "loc": 0,
        "scale": 0,
        "log_scale": 0,
        "variance": 0,
        "df": 0,
    }
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = REAL
    constraints: ClassVar[Mapping[str, Check]] = {
        "df": check_positive,
        "loc": check_real,
        "scale": check_positive,
        "log_scale": check_real,
        "variance": check_positive,
    }

    @abstractmethod
    def standard_noise(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None
    ) -> Tensor:
        """Noise of location 0 and scale 1."""

    @abstractmethod
    def standard_log_density(self, noise: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of the noise."""

    @abstractmethod
    def standard_entropy(self, parameters: Mapping[str, Tensor]) -> Tensor | float:
        """The entropy of the noise."""

    @abstractmethod
    def standard_mean(self, parameters: Mapping[str, Tensor]) -> Tensor | float:
        """The mean of the noise."""

    @abstractmethod
    def standard_variance(self, parameters: Mapping[str, Tensor]) -> Tensor | float:
        """The variance of the noise."""

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """``loc + scale * noise``, differentiable by every parameter."""
        return parameters["loc"] + scale_of(parameters) * self.standard_noise(parameters, shape, generator)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each element."""
        noise = (value - parameters["loc"]) / scale_of(parameters)
        return self.standard_log_density(noise, parameters) - log_scale_of(parameters)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The entropy of the noise plus the log of the scale."""
        return log_scale_of(parameters) + self.standard_entropy(parameters)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The location, moved by the mean of the noise."""
        return parameters["loc"] + self.standard_mean(parameters)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The squared scale times the variance of the noise."""
        squared = parameters["variance"] if "variance" in parameters else scale_of(parameters).square()
        return squared * self.standard_variance(parameters)
