"""A density that is proportional to a product of normal ones: ``q(z|x,y) propto q(z|x) q(z|y) p(z)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from sympy import Basic, Integer, Number
from torch import Tensor, nn

from symdgm.binding import Environment, Factor, Written
from symdgm.binding.factors import values_of
from symdgm.distributions import Normal, ProductOfExperts
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times, times
from symdgm.formula import Formula


@final
class Powers(nn.Module):
    """The powers of experts, some of which are scalars by name.

    Args:
        powers: one for each expert.
        environment: the scalars.
        reading: the block.
    """

    def __init__(self, powers: Sequence[Basic], environment: Environment, reading: Written) -> None:
        super().__init__()
        numbered = {f"power {i + 1}": power for i, power in enumerate(powers)}
        self.formula = Formula(numbered, (), environment, reading, "a power depends")

    def forward(self) -> Tensor:
        """The powers ``[E]`` as they are now."""
        return torch.stack(list(self.formula().values()))


def experts(left: Basic, right: Basic, environment: Environment, reading: Written) -> ProductOfExperts | None:
    """The normal product of normal factors, each with its power as a weight.

    None where a factor is no normal distribution that is bound, or its power is neither a number nor made of
    scalars.

    Raises:
        NameResolutionError: the left side is given other variables than the factors.
    """
    weighted = _factors(right, Integer(1), environment)
    if weighted is None or len(weighted) < 2:
        return None
    found = [(_expert(node, left, environment), weight) for node, weight in weighted]
    known = [(factor, weight) for factor, weight in found if factor is not None]
    if len(known) < len(found) or not any(f.givens for f, _ in known):
        return None
    prior = next((f for f, weight in known if not f.givens and weight == 1), None)
    rest = [(f, weight) for f, weight in known if f is not prior]
    return ProductOfExperts(
        str(left),
        [_normal(f) for f, _ in rest],
        prior=None if prior is None else _normal(prior),
        weights=_weights([weight for _, weight in rest], environment, reading),
    )


def _weights(
    powers: Sequence[Basic], environment: Environment, reading: Written
) -> Sequence[float] | Powers | None:
    if all(power == 1 for power in powers):
        return None
    if all(isinstance(power, Number) for power in powers):
        return [float(power) for power in powers]
    return Powers(powers, environment, reading)


def _factors(node: Basic, weight: Basic, environment: Environment) -> list[tuple[Basic, Basic]] | None:
    """Densities with their powers; None for anything else."""
    if isinstance(node, Apply | Density):
        return [(node, weight)]
    if isinstance(node, Power):
        exponent = _power(node.args[1], environment)
        return None if exponent is None else _factors(node.args[0], _times(weight, exponent), environment)
    parts: list[tuple[Basic, Basic]] = []
    if isinstance(node, Quotient):
        parts = [(node.args[0], weight), (node.args[1], _times(Integer(-1), weight))]
    elif isinstance(node, Times):
        parts = [(part, weight) for part in node.args]
    found = [_factors(part, own, environment) for part, own in parts]
    if not found or any(f is None for f in found):
        return None
    return [pair for f in found if f is not None for pair in f]


def _power(node: Basic, environment: Environment) -> Basic | None:
    """An exponent that is one number for all examples; None for any other."""
    if isinstance(node, Minus):
        inner = _power(node.args[0], environment)
        return None if inner is None else _times(Integer(-1), inner)
    return node if _is_scalar(node, environment) else None


def _is_scalar(node: Basic, environment: Environment) -> bool:
    if isinstance(node, Number) or environment.scalar(node) is not None:
        return True
    arithmetic = isinstance(node, Plus | Minus | Times | Quotient | Power)
    return arithmetic and all(_is_scalar(part, environment) for part in node.args)


def _times(one: Basic, other: Basic) -> Basic:
    if isinstance(one, Number) and isinstance(other, Number):
        return one * other
    return other if one == 1 else one if other == 1 else times(one, other)


def _expert(node: Basic, left: Basic, environment: Environment) -> Factor | None:
    """The normal factor that a reference names, over the variable of the left side."""
    if not environment.named(node.args[0]):
        return None
    match = environment.match(node)
    if match is None or values_of(left) != match.values or match.values != match.factor.variables:
        return None
    plain = match.givens == match.factor.givens
    return match.factor if plain and isinstance(match.factor.distribution, Normal) else None


def _normal(factor: Factor) -> Normal:
    assert isinstance(factor.distribution, Normal)
    return factor.distribution
