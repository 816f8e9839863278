"""The logistic distribution of a variable that is rounded to a grid, and mixtures of it, in each element."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor

from symdgm.distributions import noise
from symdgm.distributions.categorical import draw_classes
from symdgm.distributions.constants import ParameterValue
from symdgm.distributions.declaration import Declaration
from symdgm.distributions.family import Family
from symdgm.distributions.location_scale import scale_of
from symdgm.distributions.networks import Network
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.shapes import Shape
from symdgm.distributions.stable import weighted_logs
from symdgm.distributions.support import check_logits, check_positive, check_real
from symdgm.distributions.supports import Grid, Support
from symdgm.errors import OptionError


class OnGrid(Family):
    """A variable on a grid of equally spaced levels, whose moments are sums over the levels.

    Args:
        declaration: such as ``p(x|z)``.
        network: gives the parameters that are not written.
        levels: the number of grid points, at least 2.
        low: the lowest level.
        high: the highest level.
        event_shape: the shape of one value, where numbers alone leave it open.
        parameters: by name.

    Raises:
        OptionError: there are fewer than two levels, or low is not below high.
    """

    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = True
    pathwise: ClassVar[bool] = False
    support: Support = Grid(0.0, 1.0, 256)

    def __init__(
        self,
        declaration: str | Declaration,
        network: Network | None = None,
        /,
        *,
        levels: int = 256,
        low: float = 0.0,
        high: float = 1.0,
        event_shape: Shape | None = None,
        **parameters: ParameterValue,
    ) -> None:
        super().__init__(declaration, network, event_shape=event_shape, **parameters)
        if not isinstance(levels, int) or levels < 2:
            raise OptionError(
                f"`levels` of {self.described} is {levels!r}", hint="write a whole number, 2 or more"
            )
        if not low < high:
            raise OptionError(f"`low` of {self.described} is {low:g}, not below `high`, {high:g}")
        self.grid = Grid(float(low), float(high), levels)
        self.support = self.grid

    @property
    @final
    def finite(self) -> bool:
        """Each element is one of the levels."""
        return True

    @final
    def element_values(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The levels."""
        index = torch.arange(
            self.grid.levels, dtype=noise.dtype_of(parameters), device=parameters["loc"].device
        )
        return self.grid.low + index * self.grid.step

    @abstractmethod
    def element_rank(self, parameters: Mapping[str, Tensor]) -> int:
        """The number of axes of an element's log-density."""

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The sum over all levels."""
        log_probs = self.log_table(parameters)[1]
        return -weighted_logs(log_probs.exp(), log_probs).sum(0)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The sum over all levels."""
        levels, log_probs = self.log_table(parameters)
        return (log_probs.exp() * levels).sum(0)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The sum over all levels."""
        levels, log_probs = self.log_table(parameters)
        return (log_probs.exp() * (levels - self.mean_at(parameters)).square()).sum(0)

    @final
    def log_table(self, parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """All levels along a new first axis, and their log-probabilities ``[levels, *elements]``."""
        levels = self.element_values(parameters).reshape(-1, *[1] * self.element_rank(parameters))
        return levels, self.log_density(levels, parameters)

    def log_mass(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log of the logistic mass around a level; the mass at an end reaches to infinity."""
        loc, scale, half = parameters["loc"], scale_of(parameters), 0.5 * self.grid.step
        upper, lower = (value + half - loc) / scale, (value - half - loc) / scale
        inner = F.logsigmoid(upper) + F.logsigmoid(-lower) + (-(-(2 * half) / scale).expm1()).log()
        last = torch.where(value > self.grid.high - half, F.logsigmoid(-lower), inner)
        return torch.where(value < self.grid.low + half, F.logsigmoid(upper), last)

    def rounded(self, value: Tensor) -> Tensor:
        """The nearest level."""
        index = ((value - self.grid.low) / self.grid.step).round().clamp(0, self.grid.levels - 1)
        return self.grid.low + index * self.grid.step


class DiscretizedLogistic(OnGrid):
    r"""A logistic variable that is rounded to a grid, for each element, as the grey levels of an image.

    .. math:: p(x) = \prod_i \sigma(\tfrac{x_i + h - \mu_i}{s_i}) - \sigma(\tfrac{x_i - h - \mu_i}{s_i})

    where h is half of the grid's step; the lowest and the highest level take all mass beyond them.

    Args:
        declaration: such as ``p(x|z)``.
        network: returns ``(loc, scale)``, or a dict of them or of ``loc`` and ``log_scale``.
        levels: the number of grid points, 256 by default.
        low: the lowest level, 0 by default.
        high: the highest level, 1 by default.
        event_shape: the shape of one value, where both parameters are numbers.
        loc: the location before rounding, any real number.
        scale: the scale before rounding, positive, in the units of the grid.
        log_scale: its log, any real number, in place of the scale.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or a scale is not positive.
        OptionError: there are fewer than two levels, or low is not below high.

    Source: Salimans et al., PixelCNN++, 2017, equation 2; Kingma et al., Inverse autoregressive flow, 2016.

    Example:
        >>> p = DiscretizedLogistic("p(x)", levels=3, loc=0.5, scale=0.25, event_shape=())
        >>> p.prob({"x": torch.tensor([0.0, 0.5, 1.0])})
        tensor([0.2689, 0.4621, 0.2689])
    """

    family: ClassVar[str] = "DiscretizedLogistic"
    parameter_names: ClassVar[tuple[str, ...]] = ("loc", "scale")
    alternatives: ClassVar[Alternatives] = (("loc", "scale"), ("loc", "log_scale"))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"loc": 0, "scale": 0, "log_scale": 0}
    constraints: ClassVar[Mapping[str, Check]] = {
        "loc": check_real,
        "scale": check_positive,
        "log_scale": check_real,
    }

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """A logistic number, rounded to the grid; without a gradient."""
        raw = parameters["loc"] + scale_of(parameters) * noise.logistic(parameters, shape, generator)
        return self.rounded(raw.detach())

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-probability of each element."""
        return self.log_mass(value, parameters)

    @final
    def element_rank(self, parameters: Mapping[str, Tensor]) -> int:
        """That of the parameters."""
        return max(t.ndim for t in parameters.values())


class DiscretizedLogisticMixture(OnGrid):
    r"""A mixture of logistic variables that are rounded to a grid, for each element; components stand last.

    .. math:: p(x) = \prod_i \sum_m \pi_{im} \,
        \big(\sigma(\tfrac{x_i + h - \mu_{im}}{s_{im}}) - \sigma(\tfrac{x_i - h - \mu_{im}}{s_{im}})\big)

    where h is half of the grid's step; the lowest and the highest level take all mass beyond them.

    Args:
        declaration: such as ``p(x|z)``.
        network: returns ``(logits, loc, scale)``, each ``[batch, *event, components]``, or a dict of them or
            with ``log_scale``.
        levels: the number of grid points, 256 by default.
        low: the lowest level, 0 by default.
        high: the highest level, 1 by default.
        event_shape: the shape of one value, where one row of parameters is for all elements.
        logits: the unnormalised log-weights of the components.
        loc: the locations before rounding.
        scale: the scales before rounding, positive.
        log_scale: their logs, in place of the scales.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or a scale is not positive.
        OptionError: there are fewer than two levels, or low is not below high.

    Source: Salimans et al., PixelCNN++, 2017, equations 1 and 2.

    Example:
        >>> both = torch.tensor([0.0, 1.0])
        >>> p = DiscretizedLogisticMixture("p(x)", levels=3, logits=both * 0, loc=both, scale=both * 0 + 0.1)
        >>> p.prob({"x": torch.tensor([0.0, 0.5, 1.0])})
        tensor([0.4623, 0.0753, 0.4623])
    """

    family: ClassVar[str] = "DiscretizedLogisticMixture"
    parameter_names: ClassVar[tuple[str, ...]] = ("logits", "loc", "scale")
    alternatives: ClassVar[Alternatives] = (("logits", "loc", "scale"), ("logits", "loc", "log_scale"))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"logits": 1, "loc": 1, "scale": 1, "log_scale": 1}
    constraints: ClassVar[Mapping[str, Check]] = {
        "logits": check_logits,
        "loc": check_real,
        "scale": check_positive,
        "log_scale": check_real,
    }

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """A component's logistic number, rounded to the grid; without a gradient."""
        chosen = draw_classes({"logits": parameters["logits"]}, shape, generator).unsqueeze(-1)
        loc, scale = (
            t.detach().expand(*shape, t.shape[-1]).gather(-1, chosen).squeeze(-1)
            for t in (parameters["loc"], scale_of(parameters))
        )
        return self.rounded(loc + scale * noise.logistic(parameters, shape, generator))

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log of the weighted sum over the components."""
        weights = parameters["logits"].log_softmax(-1)
        return (weights + self.log_mass(value.unsqueeze(-1), parameters)).logsumexp(-1)

    @final
    def element_rank(self, parameters: Mapping[str, Tensor]) -> int:
        """That of the parameters without their components."""
        return max(t.ndim for t in parameters.values()) - 1
