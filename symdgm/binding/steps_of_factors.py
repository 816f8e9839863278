"""Factors that are declared over another step than that of now: ``p(x_{t+1}|x_t)`` is ``p(x_t|x_{t-1})``."""

from __future__ import annotations

from sympy import Basic

from symdgm.binding.factors import givens_of, values_of
from symdgm.binding.timeline import Timeline
from symdgm.distributions import Deterministic, Distribution
from symdgm.expressions.names import spelled
from symdgm.expressions.steps import shift


def of_now(time: Timeline, node: Basic, distribution: Distribution) -> tuple[Basic, Distribution]:
    """A declaration and its distribution with ``t`` where its variables have their step; weights are shared.

    Args:
        time: the sequences.
        node: the declaration.
        distribution: what is declared.
    """
    steps = {time.offset(v) for v in values_of(node)}
    (by,) = steps if len(steps) == 1 else (None,)
    if not by:
        return node, distribution
    moved = shift(node, time.index, -by)
    if isinstance(distribution, Deterministic):
        return moved, Deterministic(str(moved), *(s.call for s in distribution.sources))
    before, after = ((*values_of(n), *givens_of(n)) for n in (node, moved))
    return moved, distribution.rename(dict(zip(map(spelled, before), map(spelled, after), strict=True)))
