"""The uniform distribution on whole numbers from one to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions import noise
from symdgm.distributions.family import Family
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.support import check_real, outside
from symdgm.distributions.supports import Support
from symdgm.errors import SupportError


@final
@dataclass(frozen=True)
class Wholes(Support):
    """The whole numbers between the parameters low and high."""

    @property
    def text(self) -> str:
        """The numbers."""
        return "{low, …, high}"

    def check(self, value: Tensor, variable: str, owner: str, parameters: Mapping[str, Tensor]) -> None:
        """Refuse fractions, and numbers beyond the ends."""
        if bool((value != value.floor()).any()):
            raise SupportError(f"{variable} has fractions under {owner}", hint="round the values")
        if bool(((value < parameters["low"]) | (value > parameters["high"])).any()):
            raise outside(value, variable, self.text, owner, "count from the lowest number on")


class Integers(Family):
    r"""The uniform distribution on the whole numbers from low to high, as `torch.long`.

    .. math:: p(t) = \frac{1}{b - a + 1}, \quad t = a, a + 1, \dots, b

    Args:
        declaration: such as ``p(t)``.
        event_shape: the shape of one value.
        low: the lowest number.
        high: the highest number, greater than the lowest.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or low is not less than high.

    Example:
        >>> p = Integers("p(t)", low=1.0, high=4.0, event_shape=())
        >>> p.prob({"t": torch.tensor([1, 4])}), p.mean()["t"]
        (tensor([0.2500, 0.2500]), tensor([2.5000]))
    """

    family: ClassVar[str] = "Integers"
    parameter_names: ClassVar[tuple[str, ...]] = ("low", "high")
    alternatives: ClassVar[Alternatives] = (("low", "high"),)
    parameter_ranks: ClassVar[Mapping[str, int]] = {"low": 0, "high": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = True
    pathwise: ClassVar[bool] = False
    support: Support = Wholes()
    constraints: ClassVar[Mapping[str, Check]] = {"low": check_real, "high": check_real}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("low", "high"),)

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """A uniform number, rounded down."""
        low, high = parameters["low"], parameters["high"]
        place = ((high - low + 1) * noise.uniform(parameters, shape, generator)).floor()
        return (low + place.minimum(high - low)).long()

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-probability of each element, minus infinity outside."""
        low, high = parameters["low"], parameters["high"]
        return torch.where((value >= low) & (value <= high), -(high - low + 1).log(), -torch.inf)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``log(high - low + 1)``."""
        return (parameters["high"] - parameters["low"] + 1).log()

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The middle."""
        return 0.5 * (parameters["low"] + parameters["high"])

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``((high - low + 1)^2 - 1) / 12``."""
        return ((parameters["high"] - parameters["low"] + 1).square() - 1) / 12
