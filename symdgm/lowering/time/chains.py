"""Lowering the law of observed sequences whose latent chain is summed or integrated out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sympy import Basic

from symdgm.binding.chains import Chain, Sort
from symdgm.binding.factors import Factor
from symdgm.binding.paths import first_factor
from symdgm.errors import NameResolutionError, NotSupportedError
from symdgm.expressions.laws import Law
from symdgm.expressions.names import base, spelled
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.time.sequences import in_rows

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope


def lower_chain(lowering: Lowering, law: Law, chain: Chain, scope: Scope) -> PlanNode:
    """The log-density of the observed sequences.

    Args:
        lowering: the plan while it is built.
        law: the reference.
        chain: what it refers to.
        scope: where it stands.

    Raises:
        NotSupportedError: the density at something else than the sequences themselves.
    """
    if law.values != chain.variables:
        raise NotSupportedError(
            f"`{law.node}` cannot be computed at other values than those of `{chain.node}` yet",
            hint="call the sequences as the factors do",
        )
    steps = replace(scope, rows="steps", outer=None)
    lower = _finite if chain.sort is Sort.FINITE else _linear
    found = lowering.plan.node(
        Kind.CHAIN, *lower(lowering, chain, steps), detail=(chain.index, chain.sort.value), origin=law.node
    )
    return in_rows(lowering, found, scope)


def _finite(lowering: Lowering, chain: Chain, steps: Scope) -> list[PlanNode]:
    """Log-probabilities of the first state, of transitions and of observations, and the axes of states."""
    time, latent = lowering.bound.environment.time, chain.latent
    assert time is not None
    now, before = time.step(chain.sequence), time.step(chain.sequence, -1)
    start_law, started = _start(lowering, chain, steps)
    states, earlier = (
        lowering.plan.node(Kind.EVERY_STATE, start_law, detail=(spelled(chain.sequence), at), origin=v)
        for at, v in (("now", now), ("before", before))
    )
    start = lowering.plan.node(Kind.LOG_DENSITY, start_law, states, origin=started)
    inside = replace(steps, values={**steps.values, now: states, before: earlier})
    moved = lowering.law(_law(lowering, latent), inside, joined=False)
    transition = lowering.plan.node(Kind.LOG_DENSITY, moved, states, origin=latent.node)
    emissions = [lowering.log(e.node, inside) for e in chain.emissions]
    return [start, transition, states, earlier, *emissions]


def _start(lowering: Lowering, chain: Chain, steps: Scope) -> tuple[PlanNode, Basic]:
    """The law of the first state: one of its own, or that of a step given the value before the first."""
    time, environment = lowering.bound.environment.time, lowering.bound.environment
    assert time is not None
    first = first_factor(environment, chain.latent)
    batch = replace(steps, rows="batch")
    if first is not None:
        return lowering.law(_law(lowering, first), batch), first.node
    values = dict(steps.values)
    for given in chain.latent.givens:
        if base(given) == chain.sequence:
            values[given] = _initial(lowering, chain)
        elif time.covers(given):
            here = lowering.lower(given, steps)
            values[given] = lowering.plan.node(Kind.FIRST, here, origin=given)
    own = lowering.law(_law(lowering, chain.latent), replace(batch, values=values))
    return own, chain.latent.node


def _initial(lowering: Lowering, chain: Chain) -> PlanNode:
    time, name = lowering.bound.environment.time, spelled(chain.sequence)
    assert time is not None
    if chain.sequence not in time.initial:
        raise NameResolutionError(
            f"the sequence `{name}` has no beginning: `{chain.latent.node}` is given the step before the "
            "first",
            hint=f"bind a law of the first step, `{chain.latent.head}({name}_1)`, or `{name}_0`, the value "
            "before it",
        )
    detail = (chain.latent.index, name)
    return lowering.plan.node(Kind.INITIAL, detail=detail, origin=chain.sequence)


def _linear(lowering: Lowering, chain: Chain, steps: Scope) -> list[PlanNode]:
    """The beginning, what is added at each step, and each observation with what is added to it."""
    first = first_factor(lowering.bound.environment, chain.latent)
    if first is None:
        start = _initial(lowering, chain)
    else:
        start = lowering.law(_law(lowering, first), replace(steps, rows="batch"))
    observed = [
        node
        for e in chain.emissions
        for node in (lowering.lower(e.variables[0], steps), _offset(lowering, chain, e, steps))
    ]
    return [start, _offset(lowering, chain, chain.latent, steps), *observed]


def _offset(lowering: Lowering, chain: Chain, factor: Factor, steps: Scope) -> PlanNode:
    """The mean of a linear factor where the state is zero."""
    others = [(i, g) for i, g in enumerate(factor.givens) if base(g) != chain.sequence]
    nodes = [lowering.lower(g, steps) for _, g in others]
    detail = (factor.index, *(i for i, _ in others))
    return lowering.plan.node(Kind.OFFSET, *nodes, detail=detail, origin=factor.node)


def _law(lowering: Lowering, factor: Factor) -> Law:
    law = lowering.facts.law(factor.node)
    assert law is not None
    return law
