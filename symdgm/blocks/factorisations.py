"""Joints as products of factors, ``p(x, z) = p(x|z) p(z)``, checked against what is bound."""

from __future__ import annotations

from sympy import Basic, Integer

from symdgm.binding import Environment
from symdgm.binding.environment import listing
from symdgm.binding.paths import first_factor, product_over_time
from symdgm.binding.timeline import ONE, Timeline
from symdgm.blocks.statements import is_product_over_index
from symdgm.errors import NameResolutionError
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.indices import Aggregate


def check_factorisation(statement: Basic, environment: Environment) -> None:
    """Refuse a product that is not that of the factors that are bound.

    Raises:
        NameResolutionError: it leaves a factor out, or has another one.
    """
    check = _check_product if is_product_over_index(statement.args[1]) else _check_chain_rule
    check(statement, environment)


def _check_chain_rule(statement: Basic, environment: Environment) -> None:
    """Refuse a factorisation that is not the chain rule of the factors that are bound."""
    joint, product = statement.args
    matches = [environment.match(f) for f in product.args if isinstance(f, Apply | Density)]
    written = sorted(m.factor.index for m in matches if m is not None)
    bound = sorted(f.index for f in environment.joint(joint) or ())
    if written != bound or len(written) != len(product.args):
        listed = ", ".join(f"`{f.node}`" for f in environment.named(joint.args[0])) or "none"
        raise NameResolutionError(
            f"`{joint}` is not the product of the factors that are bound: {listed}",
            hint="bind every factor of the product, and no other of that name over these variables",
        )


def _check_product(statement: Basic, environment: Environment) -> None:
    """Refuse a product over time that is not the product of the factors that are bound.

    Raises:
        NameResolutionError: it leaves a factor out, has another one, or begins at another step.
    """
    left, right = statement.args
    parts = right.args if isinstance(right, Times) else (right,)
    products = [p for p in parts if isinstance(p, Aggregate)]
    time = environment.time
    assert time is not None
    steps = {(number, _start(p, time)) for p in products for number in _factors(p.body, environment)}
    singles = {n for p in parts if not isinstance(p, Aggregate) for n in _factors(p, environment)}
    wanted_steps: set[tuple[int | None, Basic]] = set()
    wanted: set[int | None] = set()
    for node in product_over_time(environment, left) or ():
        match = environment.match(node)
        assert match is not None
        first = first_factor(environment, match.factor)
        wanted_steps.add((match.factor.index, ONE if first is None else Integer(2)))
        wanted |= set() if first is None else {first.index}
    if (steps, singles) != (wanted_steps, wanted) or not wanted_steps:
        raise NameResolutionError(
            f"`{left}` is not the product over time of the factors that are bound: "
            f"{listing(environment.named(left.args[0]))}",
            hint="write each factor of a step once, from 1 on; where the first step has a factor of its own, "
            "that factor, and the others from 2 on",
        )


def _start(product: Aggregate, time: Timeline) -> Basic:
    """The step with which a product begins; 0 if it does not end with the sequences."""
    bounds = product.index.args[1:]
    if not bounds:
        return ONE
    ends = len(bounds) == 2 and bounds[1] == time.length
    return bounds[0] if ends else Integer(0)


def _factors(node: Basic, environment: Environment) -> list[int | None]:
    """The numbers of the factors of a product; None for what is no bound factor."""
    parts = node.args if isinstance(node, Times) else (node,)
    matches = [environment.match(p) if isinstance(p, Apply | Density) else None for p in parts]
    return [None if m is None else m.factor.index for m in matches]
