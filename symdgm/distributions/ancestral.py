"""Sampling from causes to effects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from symdgm.distributions.distribution import Distribution, SampleAxes, batch_axes, read_values
from symdgm.distributions.shapes import Shape, join_leading, leading_of, read_batch, read_shape


def draw_in_order(
    owner: Distribution,
    factors: Iterable[Distribution],
    given: Mapping[str, Tensor] | None,
    *,
    n: int | None,
    shape: Shape,
    generator: torch.Generator | None,
    sample_axes: SampleAxes | None,
    check: bool,
) -> dict[str, Tensor]:
    """Draw the variables of factors, which stand causes first, each ``[*shape, *samples, batch, *event]``.

    The sample axes are put once, by the first factor on each path; later ones follow their conditions.

    Args:
        owner: whose conditions `given` holds.
        factors: the factors, causes first.
        given: the conditions of the owner.
        n: see `Distribution.sample`; so are the others.
        shape: sample axes.
        generator: the source of random numbers.
        sample_axes: the sample axes that conditions already have.
        check: whether ranges are checked.
    """
    described = f"{type(owner).__name__} {owner}"
    batch = read_batch(n, owner.given, described)
    values = read_values(given or {}, owner.given, described)
    axes = batch_axes(owner.given, sample_axes, described)
    inner = leading_of(values, axes)
    full = read_shape(shape, "shape") + (inner or batch)
    return draw_on(factors, values, axes, full, generator=generator, check=check)


def draw_on(
    factors: Iterable[Distribution],
    values: Mapping[str, Tensor],
    axes: Mapping[str, int],
    full: torch.Size,
    *,
    generator: torch.Generator | None,
    check: bool,
) -> dict[str, Tensor]:
    """Draw the variables of factors from values that are there; the result holds both.

    Args:
        factors: causes first.
        values: conditions, and variables that were drawn before.
        axes: the number of leading axes of each.
        full: the leading axes of what is drawn.
        generator: the source of random numbers.
        check: whether ranges are checked.
    """
    values, axes = dict(values), dict(axes)
    for factor in factors:
        own = {name: values[name] for name in factor.given}
        told = {name: axes[name] - 1 for name in factor.given}
        leading = join_leading([value.shape[: axes[name]] for name, value in own.items()])
        drawn = factor.sample(
            own,
            n=None if own else full[-1],
            shape=full[: len(full) - max(1, len(leading))],
            generator=generator,
            sample_axes=told,
            check=check,
        )
        values |= drawn
        axes |= dict.fromkeys(drawn, len(full))
    return values
