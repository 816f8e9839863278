"""The same distribution over other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Never, TypeVar, final

import torch
from torch import Tensor

from symdgm.distributions.declaration import Declaration
from symdgm.distributions.distribution import Distribution, SampleAxes, batch_axes, read_values
from symdgm.distributions.networks import NetworkSource
from symdgm.distributions.shapes import Shape
from symdgm.distributions.spelling import spell
from symdgm.errors import NameResolutionError, refuse_unknown, suggest

T = TypeVar("T")


def rename(p: Distribution, names: Mapping[str, str], name: str | None = None) -> Distribution:
    """A distribution over other names; weights are shared.

    Args:
        p: the distribution.
        names: the new name of each old one; all are replaced at once, so that two can be swapped.
        name: the new name in front of the bracket.

    Raises:
        NameResolutionError: a name is unknown, or two variables would have one name.
        GrammarError: a new name is no name.
    """
    new = {spell(old): written for old, written in names.items()}
    known = p.variables + p.given
    for old in new:
        if old not in known:
            raise NameResolutionError(f"{p} has no variable `{old}` to rename", hint=suggest(old, known))
    lists = [",".join(new.get(variable, variable) for variable in side) for side in (p.variables, p.given)]
    declaration = Declaration.parse(f"{name or p.name}({'|'.join(side for side in lists if side)})")
    return p if declaration == p.declaration else p.renamed(declaration)


@final
class Renamed(Distribution):
    """A distribution whose own names stand behind other names; it holds the distribution, not a copy.

    Args:
        base: the distribution.
        declaration: as many variables and conditions as it has, in the same order.

    Example:
        >>> from symdgm.distributions import Deterministic
        >>> g = Deterministic("g(x|z)", lambda z: 2 * z).rename(z="w")
        >>> g.sample({"w": torch.ones(1, 2)})
        {'x': tensor([[2., 2.]])}
    """

    def __init__(self, base: Distribution, declaration: Declaration) -> None:
        super().__init__(declaration)
        self.base = base

    @property
    def sources(self) -> tuple[NetworkSource, ...]:
        """The networks of the base, under its own names."""
        return self.base.sources

    @property
    def described(self) -> str:
        """How it is called in errors."""
        return f"{type(self.base).__name__} {self.declaration.text}"

    def sample(
        self,
        given: Mapping[str, Tensor] | None = None,
        *,
        n: int | None = None,
        shape: Shape = (),
        generator: torch.Generator | None = None,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> dict[str, Tensor]:
        """See `Distribution.sample`."""
        refuse_unknown(unknown, ("given", "n", "shape", "generator", "sample_axes", "check"))
        axes = self._axes(sample_axes)
        inner = self._conditions(given)
        drawn = self.base.sample(inner, n=n, shape=shape, generator=generator, sample_axes=axes, check=check)
        return self._outward(drawn)

    def log_prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """See `Distribution.log_prob`."""
        refuse_unknown(unknown, ("values", "sample_axes", "check"))
        return self.score(values, sample_axes=sample_axes, check=check)[0]

    def score(
        self, values: Mapping[str, Tensor], *, sample_axes: SampleAxes | None = None, check: bool = True
    ) -> tuple[Tensor, dict[str, int]]:
        """See `Distribution.score`."""
        inner = self._inward(read_values(values, self.variables + self.given, self.described))
        log_prob, axes = self.base.score(inner, sample_axes=self._axes(sample_axes), check=check)
        return log_prob, self._outward(axes)

    def entropy(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> Tensor:
        """See `Distribution.entropy`."""
        return self.base.entropy(self._conditions(given), sample_axes=self._axes(sample_axes))

    def mean(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """See `Distribution.mean`."""
        return self._outward(self.base.mean(self._conditions(given), sample_axes=self._axes(sample_axes)))

    def variance(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """See `Distribution.variance`."""
        return self._outward(self.base.variance(self._conditions(given), sample_axes=self._axes(sample_axes)))

    def renamed(self, declaration: Declaration) -> Distribution:
        """Under a third declaration: the base is held directly."""
        return Renamed(self.base, declaration)

    def __repr__(self) -> str:
        return f"{self.described}, which is {self.base!r}"

    def _conditions(self, given: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        return self._inward(read_values(given or {}, self.given, self.described))

    def _axes(self, sample_axes: SampleAxes | None) -> dict[str, int]:
        batch_axes(self.variables + self.given, sample_axes, self.described)  # refuses unknown names
        return self._inward(sample_axes or {})

    def _inward(self, named: Mapping[str, T]) -> dict[str, T]:
        """Values by the names of the base."""
        base = dict(zip(self.variables + self.given, self.base.variables + self.base.given, strict=True))
        return {base[name]: value for name, value in named.items()}

    def _outward(self, named: Mapping[str, T]) -> dict[str, T]:
        own = dict(zip(self.base.variables, self.variables, strict=True))
        return {own[name]: value for name, value in named.items()}
