"""Draws of a base that fit the conditions of what is made of it, and draws with their log-density."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from symdgm.distributions.distribution import Distribution
from symdgm.distributions.family import Family
from symdgm.distributions.flows.axes import sum_event
from symdgm.distributions.shapes import Shape, leading_of, read_batch, read_shape

Scored = tuple[dict[str, Tensor], Tensor]
"""Draws by variable ``[*shape, batch, *event]`` and their log-density ``[*shape, batch]``."""


@dataclass(frozen=True)
class Request:
    """What a distribution is asked to draw.

    Args:
        given: its conditions.
        n: the batch size, where it is given nothing.
        shape: the sample axes to put in front.
        sample_axes: those that its conditions have.
        axes: the number of leading axes of what will be drawn.
        generator: the source of random numbers.
        check: whether parameters are checked.
    """

    given: dict[str, Tensor]
    n: int | None
    shape: torch.Size
    sample_axes: dict[str, int]
    axes: int
    generator: torch.Generator | None
    check: bool

    def draw(self, base: Distribution) -> dict[str, Tensor]:
        """The draws."""
        return base.sample(
            self.given,
            n=self.n,
            shape=self.shape,
            generator=self.generator,
            sample_axes=self.sample_axes,
            check=self.check,
        )

    def draw_with_log_prob(self, base: Distribution) -> Scored:
        """The draws and their log-density; a family's networks run once, those of others twice."""
        if isinstance(base, Family):
            return self._of_family(base)
        drawn = self.draw(base)
        axes = {**self.sample_axes, **dict.fromkeys(drawn, self.axes - 1)}
        return drawn, base.log_prob({**self.given, **drawn}, sample_axes=axes, check=self.check)

    def _of_family(self, family: Family) -> Scored:
        parameters, leading, elements = family.evaluate(self.given, sample_axes=self.sample_axes)
        if self.check:
            family.check_parameters(parameters)
        outer = self.shape + (leading or read_batch(self.n, family.given, family.described))
        value = family.draw(parameters, outer + family.event_at(elements, parameters), self.generator)
        return {family.variable: value}, sum_event(family.log_density(value, parameters), len(outer))


def ask(
    base: Distribution,
    given: Mapping[str, Tensor],
    axes: Mapping[str, int],
    *,
    n: int | None,
    shape: Shape,
    generator: torch.Generator | None,
    check: bool,
    owner: str,
) -> Request:
    """What to ask a base for, so that each example of all conditions has a draw of its own.

    Args:
        base: which may be given fewer variables than its owner.
        given: what the owner is given.
        axes: the leading axes of each.
        n: the batch size, where the owner is given nothing.
        shape: the sample axes to put in front.
        generator: the source of random numbers.
        check: whether parameters are checked.
        owner: for errors.
    """
    batch = read_batch(n, tuple(given), owner)
    leading = leading_of(given, axes) or batch
    own = {name: given[name] for name in base.given}
    own_axes = {name: axes[name] for name in base.given}
    outer = read_shape(shape, "shape")
    total = len(outer) + len(leading)
    if not own:
        return Request({}, leading[-1], outer + leading[:-1], {}, total, generator, check)
    extra = leading[: len(leading) - len(leading_of(own, own_axes))]
    if extra + leading_of(own, own_axes) != leading:  # an axis of one, to be repeated by another condition
        own = {name: t.expand(leading + t.shape[own_axes[name] :]) for name, t in own.items()}
        own_axes, extra = dict.fromkeys(own, len(leading)), torch.Size()
    sample_axes = {name: count - 1 for name, count in own_axes.items()}
    return Request(own, None, outer + extra, sample_axes, total, generator, check)
