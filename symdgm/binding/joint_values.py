"""A joint density at values other than its formal variables: ``p(x, z_k)``, ``p(x, z')``, ``p(x_n, w)``."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Basic

from symdgm.binding.environment import Environment
from symdgm.binding.factors import Factor, Match, givens_of, joint, same_base, values_of
from symdgm.expressions.statements import Definition
from symdgm.expressions.steps import shift


def joint_at(environment: Environment, node: Basic) -> list[Match] | None:
    """The factors of a joint at the values of a reference, ancestors first; None if it names no joint.

    A value belongs to the formal variable that it equals, else to the one with its base name, or to the one
    that it names outright. Steps belong to steps where all are as far from each other.
    """
    later = some_steps_later(environment, node)
    if later:
        return later
    factors = environment.named(node.args[0])
    known = list(dict.fromkeys(v for f in factors for v in (*f.variables, *f.givens)))
    values, givens = _formal(known, values_of(node)), _formal(known, givens_of(node))
    if values is None or givens is None:
        return None
    parts = joint(factors, list(values), list(givens))
    if not parts:
        return None
    actual = {**values, **givens}
    return [_match(factor, actual) for factor in parts]


def some_steps_later(environment: Environment, node: Basic) -> list[Match]:
    """The factors of a joint over another step than that of now, ``p(x_{t+1}, z_{t+1}|z_t)``."""
    time = environment.time
    steps = set() if time is None else {time.offset(v) for v in values_of(node)}
    by = steps.pop() if len(steps) == 1 else None
    if time is None or not by:
        return []
    now = shift(node, time.index, -by)
    parts = joint(environment.named(now.args[0]), values_of(now), givens_of(now)) or []
    return [
        Match(f, *(tuple(shift(v, time.index, by) for v in names) for names in (f.variables, f.givens)))
        for f in parts
    ]


def _match(factor: Factor, actual: dict[Basic, Basic]) -> Match:
    values = tuple(actual[v] for v in factor.variables)
    return Match(factor, values, tuple(actual[g] for g in factor.givens))


def _formal(known: Sequence[Basic], actuals: Sequence[Basic]) -> dict[Basic, Basic] | None:
    """Formal variable → actual value, for each of several."""
    found: dict[Basic, Basic] = {}
    for actual in actuals:
        formal = _formal_of(known, actual)
        if formal is None or formal in found:
            return None
        found[formal] = actual.args[1] if isinstance(actual, Definition) else actual
    return found


def _formal_of(known: Sequence[Basic], actual: Basic) -> Basic | None:
    if isinstance(actual, Definition):
        return actual.args[0] if actual.args[0] in known else None
    if actual in known:
        return actual
    same = [v for v in known if same_base(v, actual)]
    return same[0] if len(same) == 1 else None
