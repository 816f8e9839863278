"""Where the values of a family lie, as data: a name for displays, and a check that refuses all others."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from symdgm.distributions.support import (
    bounds,
    check_finite,
    check_floating,
    check_interval,
    check_sums_to_one,
    check_unit_length,
    check_whole,
    outside,
)
from symdgm.errors import SupportError

Bound = float | str
"""The end of an interval: a number, or the parameter that gives it."""


GRID_SLACK = 0.01
"""How far from a level a value may be, in steps of the grid: float32 is nearer on a grid of 65536 levels."""


class Support(ABC):
    """The set of values that have a density."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The set as a reader writes it, such as ``(0, ∞)``."""

    @abstractmethod
    def check(self, value: Tensor, variable: str, owner: str, parameters: Mapping[str, Tensor]) -> None:
        """Refuse values outside the set.

        Args:
            value: values of the variable.
            variable: how it is called in errors.
            owner: the distribution, for errors.
            parameters: those by which the set is bounded; an end whose parameter is absent is not looked at.

        Raises:
            ShapeError: the dtype is not one that the set holds.
            SupportError: values lie outside, or are NaN.
        """


@final
@dataclass(frozen=True)
class Interval(Support):
    """Real numbers between two ends.

    Args:
        low: the lower end, a number or the name of a parameter.
        high: the upper end.
        open_low: whether the lower end is outside.
        open_high: whether the upper end is outside.
        hint: what to write instead; ``{variable}`` stands for the variable.

    Example:
        >>> Interval(0, open_low=True).text, Interval("low", "high").text, REAL.text
        ('(0, ∞)', '[low, high]', 'ℝ')
    """

    low: Bound = -math.inf
    high: Bound = math.inf
    open_low: bool = False
    open_high: bool = False
    hint: str = "scale or transform the data into the support, or choose another family"

    @property
    def text(self) -> str:
        """Such as ``(0, ∞)``."""
        if (self.low, self.high) == (-math.inf, math.inf):
            return "ℝ"
        left = "(" if self.open_low or self.low == -math.inf else "["
        right = ")" if self.open_high or self.high == math.inf else "]"
        return f"{left}{_end(self.low)}, {_end(self.high)}{right}"

    def check(self, value: Tensor, variable: str, owner: str, parameters: Mapping[str, Tensor]) -> None:
        """Refuse values beyond an end, on an open end, infinite ones and NaN."""
        check_floating(value, variable, owner)
        if value.numel() == 0:
            return
        least, most = bounds(value)
        if not math.isnan(least) and self._is_left(value, least, most, parameters):
            raise outside(value, variable, self.text, owner, self.hint.format(variable=variable))
        if not (math.isfinite(least) and math.isfinite(most)):
            check_finite(value, variable, owner)

    def _is_left(self, value: Tensor, least: float, most: float, parameters: Mapping[str, Tensor]) -> bool:
        low, high = _known(self.low, parameters, -math.inf), _known(self.high, parameters, math.inf)
        above = bounds(value - low)[0] if isinstance(low, Tensor) else least - low
        below = bounds(high - value)[0] if isinstance(high, Tensor) else high - most
        return (above <= 0 if self.open_low else above < 0) or (below <= 0 if self.open_high else below < 0)


@final
@dataclass(frozen=True)
class Counts(Support):
    """The whole numbers 0, 1, 2, …, as floating values.

    Args:
        most: the parameter that bounds them, if one does.

    Example:
        >>> Counts().text, Counts("total_count").text
        ('{0, 1, 2, …}', '{0, …, total_count}')
    """

    most: str | None = None

    @property
    def text(self) -> str:
        """Such as ``{0, 1, 2, …}``."""
        return "{0, 1, 2, …}" if self.most is None else f"{{0, …, {self.most}}}"

    def check(self, value: Tensor, variable: str, owner: str, parameters: Mapping[str, Tensor]) -> None:
        """Refuse negative numbers, fractions and more than there can be."""
        check_floating(value, variable, owner)
        check_finite(value, variable, owner)
        most = parameters.get(self.most) if self.most is not None else None
        above = most is not None and bool((value > most).any())
        if bounds(value)[0] < 0 or above:
            raise outside(
                value, variable, self.text, owner, f"`{variable}` counts how often something happened"
            )
        check_whole(value, variable, owner)


@final
@dataclass(frozen=True)
class CountRows(Support):
    """Rows of counts, one of each class on the last axis, with a given sum.

    Args:
        total: the parameter that is their sum.
    """

    total: str

    @property
    def text(self) -> str:
        """The set of rows."""
        return f"rows of counts that sum to {self.total}"

    def check(self, value: Tensor, variable: str, owner: str, parameters: Mapping[str, Tensor]) -> None:
        """Refuse rows that are no counts or have another sum."""
        Counts().check(value, variable, owner, parameters)
        if self.total not in parameters:
            return
        sums, total = value.sum(-1), parameters[self.total]
        wrong = sums != total
        if bool(wrong.any()):
            found = float(sums[wrong].flatten()[0])
            wanted = float(total.expand_as(sums)[wrong].flatten()[0])
            raise SupportError(
                f"{variable} has rows that sum to {found:g}, but {self.total} of {owner} is {wanted:g}",
                hint=f"give `{self.total}={variable}.sum(-1)` where the sum differs from row to row",
            )


@final
@dataclass(frozen=True)
class Indices(Support):
    """The index 0 … K-1 of a class, as `torch.long`; K is the length of the parameters' last axis."""

    @property
    def text(self) -> str:
        """The set of indices."""
        return "{0, …, K-1}"

    def check(self, value: Tensor, variable: str, owner: str, parameters: Mapping[str, Tensor]) -> None:
        """Refuse what is no index of a class."""
        if value.dtype != torch.long:
            raise SupportError(
                f"{variable} has dtype {value.dtype}, but {owner} takes class indices (torch.long)",
                hint=f"write `{variable}.long()`, or use OneHotCategorical for one-hot rows",
            )
        last = next((t.shape[-1] - 1 for t in parameters.values()), torch.iinfo(torch.long).max)
        hint = "classes are counted from 0" if last else "there is one class only"
        check_interval(value, variable, owner, 0, last, hint)


@final
@dataclass(frozen=True)
class Simplex(Support):
    """Rows that are positive and sum to one over the last axis.

    Args:
        hint: what to write instead; ``{variable}`` stands for the variable.
        is_open: whether an entry of zero is outside.
    """

    hint: str
    is_open: bool = False

    @property
    def text(self) -> str:
        """The set of rows."""
        return "the open simplex" if self.is_open else "the simplex"

    def check(self, value: Tensor, variable: str, owner: str, parameters: Mapping[str, Tensor]) -> None:
        """Refuse entries outside the unit interval and rows with another sum."""
        check_floating(value, variable, owner)
        hint = self.hint.format(variable=variable)
        check_interval(value, variable, owner, 0, 1, hint)
        if self.is_open and value.numel() and bounds(value)[0] == 0:
            raise outside(value, variable, self.text, owner, hint)
        check_sums_to_one(value, variable, owner, hint)


@final
@dataclass(frozen=True)
class Sphere(Support):
    """Vectors of length one on the last axis."""

    @property
    def text(self) -> str:
        """The set of vectors."""
        return "the unit sphere"

    def check(self, value: Tensor, variable: str, owner: str, parameters: Mapping[str, Tensor]) -> None:
        """Refuse vectors of another length."""
        check_floating(value, variable, owner)
        check_finite(value, variable, owner)
        check_unit_length(value, variable, owner)


@final
@dataclass(frozen=True)
class Grid(Support):
    """Equally spaced levels.

    Args:
        low: the lowest level.
        high: the highest level.
        levels: how many there are.

    Example:
        >>> Grid(0.0, 1.0, 256).text
        '256 levels from 0 to 1'
    """

    low: float
    high: float
    levels: int

    @property
    def step(self) -> float:
        """The distance of two levels."""
        return (self.high - self.low) / (self.levels - 1)

    @property
    def text(self) -> str:
        """The levels."""
        return f"{self.levels} levels from {self.low:g} to {self.high:g}"

    def check(self, value: Tensor, variable: str, owner: str, parameters: Mapping[str, Tensor]) -> None:
        """Refuse values beyond the ends or between two levels."""
        check_floating(value, variable, owner)
        check_finite(value, variable, owner)
        least, most = bounds(value)
        slack = GRID_SLACK * self.step
        if value.numel() and (least < self.low - slack or most > self.high + slack):
            raise outside(
                value, variable, self.text, owner, "scale the data onto the grid, or give `low` and `high`"
            )
        index = (value - self.low) / self.step
        between = (index - index.round()).abs() > GRID_SLACK
        if bool(between.any()):
            raise SupportError(
                f"{variable} has values such as {float(value[between][0]):.4g}, "
                f"between the {self.text} of {owner}",
                hint=f"images of 0 to {self.levels - 1} want `{variable} / {self.levels - 1}`",
            )


REAL = Interval()
"""All real numbers."""
POSITIVE = Interval(0, open_low=True)
"""The positive numbers."""
NONNEGATIVE = Interval(0)
"""The positive numbers and zero."""


def _known(bound: Bound, parameters: Mapping[str, Tensor], beyond: float) -> float | Tensor:
    """An end as a number or a tensor; beyond all values where its parameter is absent."""
    return parameters.get(bound, beyond) if isinstance(bound, str) else bound


def _end(bound: Bound) -> str:
    if isinstance(bound, str):
        return bound
    return {-math.inf: "-∞", math.inf: "∞"}.get(bound, f"{bound:g}")
