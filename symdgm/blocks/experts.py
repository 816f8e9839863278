"""A density that is proportional to a product of normal ones: ``q(z|x,y) propto q(z|x) q(z|y) p(z)``."""

from __future__ import annotations

from sympy import Basic, Number

from symdgm.binding import Environment, Factor
from symdgm.binding.factors import values_of
from symdgm.distributions import Normal, ProductOfExperts
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Minus, Power, Quotient, Times


def experts(left: Basic, right: Basic, environment: Environment) -> ProductOfExperts | None:
    """The normal product of normal factors, each with its power as a weight.

    None where a factor is no normal distribution that is bound, or its power is no number.

    Raises:
        NameResolutionError: the left side is given other variables than the factors.
    """
    weighted = _factors(right, 1.0)
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
        weights=None if all(weight == 1 for _, weight in rest) else [weight for _, weight in rest],
    )


def _factors(node: Basic, weight: float) -> list[tuple[Basic, float]] | None:
    """Densities with their powers; None for anything else."""
    if isinstance(node, Apply | Density):
        return [(node, weight)]
    if isinstance(node, Power):
        exponent = _number(node.args[1])
        return None if exponent is None else _factors(node.args[0], weight * exponent)
    parts: list[tuple[Basic, float]] = []
    if isinstance(node, Quotient):
        parts = [(node.args[0], weight), (node.args[1], -weight)]
    elif isinstance(node, Times):
        parts = [(part, weight) for part in node.args]
    found = [_factors(part, own) for part, own in parts]
    if not found or any(f is None for f in found):
        return None
    return [pair for f in found if f is not None for pair in f]


def _number(node: Basic) -> float | None:
    if isinstance(node, Minus):
        inner = _number(node.args[0])
        return None if inner is None else -inner
    return float(node) if isinstance(node, Number) else None


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
