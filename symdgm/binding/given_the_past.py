"""Factors of a step named as papers do, by all that they may depend on: ``q(z_t|z_{t-1}, x_{1:T})``."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from sympy import Basic

from symdgm.binding.environment import Environment
from symdgm.binding.factors import Factor, Match, ancestral, givens_of, values_of
from symdgm.binding.paths import sequence_factor, step_factor
from symdgm.binding.timeline import Timeline
from symdgm.expressions.names import base
from symdgm.expressions.steps import shift


def given_the_past(environment: Environment, node: Basic) -> list[Match]:
    """The factors over the steps of a reference that depend on nothing but what it is given, ancestors first.

    ``p(x_t|x_{<t}, z_{<=t})`` is ``p(x_t|z_t, h_{t-1})`` where ``h_t`` is computed from ``x_t``, ``z_t`` and
    ``h_{t-1}``: what a law is given beyond that, it does not depend on. Whole sequences may be given as well
    as their past. None are found where neither is, where a value itself is given, or where some factor needs
    more.
    """
    time, values = environment.time, values_of(node)
    if time is None or not any(time.past(g) is not None or time.is_range(g) for g in givens_of(node)):
        return []
    steps = {time.offset(v) if time.covers(v) else 0 for v in values}
    by = steps.pop() if len(steps) == 1 else None
    if by is None or (by < 0 and all(time.is_range(g) for g in givens_of(node))):
        return []  # the law of an earlier step is that of the path, which knows what stands before the first
    now = shift(node, time.index, -by)
    wanted = set(values_of(now))
    factors = [f for f in environment.named(now.args[0]) if wanted.issuperset(f.variables)]
    over = [v for f in factors for v in f.variables]
    if len(over) != len(wanted) or set(over) != wanted:
        return []
    given = _known(time, givens_of(now))
    if any(_is_known(time, given, base(v), time.offset(v) or 0) for v in values_of(now)):
        return []
    known = _known(time, (*values_of(now), *givens_of(now)))
    if not all(_follows(environment, time, f, known) for f in factors):
        return []
    return [
        Match(f, *(tuple(shift(v, time.index, by) for v in names) for names in (f.variables, f.givens)))
        for f in ancestral(factors)
    ]


Known = dict[Basic, tuple[float, set[float]]]
"""Variable → up to which step it is known, counted from now, and which steps are known besides."""


def _known(time: Timeline, names: Sequence[Basic]) -> Known:
    """What some names, slices and whole sequences say."""
    found: Known = {}
    for name in names:
        lag, offset = time.past(name), time.offset(name)
        until, single = found.get(base(name), (-inf, set()))
        if offset is not None:
            single = {*single, float(offset)}
        else:
            until = max(until, -float(lag) if lag is not None else inf)
        found[base(name)] = until, single
    return found


def _is_known(time: Timeline, known: Known, variable: Basic, offset: float) -> bool:
    until, single = known.get(variable, (-inf, set()))
    return offset <= until or offset in single or variable == time.index


def _follows(environment: Environment, time: Timeline, factor: Factor, known: Known) -> bool:
    """Whether all that a factor depends on is known, or computed from what is known."""
    seen: dict[Basic, float] = {}
    waiting = [(given, 0.0) for given in factor.givens]
    while waiting:
        given, from_now = waiting.pop()
        variable, lag, offset = base(given), time.past(given), time.offset(given)
        at = from_now + offset if offset is not None else from_now - lag if lag is not None else inf
        if seen.get(variable, -inf) >= at or _is_known(time, known, variable, at):
            continue
        seen[variable] = at
        maker = step_factor(environment, variable) if time.covers(given) else None
        maker = maker or (sequence_factor(environment, variable) if time.covers(given) else None)
        if maker is None:
            return False
        later = any(base(g) == variable and (time.offset(g) or 0) > 0 for g in maker.givens)
        waiting += [(g, inf if later else at) for g in maker.givens if base(g) != variable]
    return True
