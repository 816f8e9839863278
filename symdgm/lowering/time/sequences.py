"""Lowering the steps of sequences: observed, drawn along a path, or computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sympy import Basic
from torch import nn

from symdgm.binding.factors import Factor
from symdgm.binding.paths import first_factor, sequence_factor, step_factor
from symdgm.errors import NameResolutionError, NotSupportedError
from symdgm.expressions.laws import Law
from symdgm.expressions.names import base, spelled
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.sources import sources_of

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope

FUSED = (nn.RNN, nn.GRU, nn.LSTM)
"""Modules that keep a state of their own, so that they run over whole sequences at once."""

UNREAD = "unread"
"""Marks an earlier step in a sum that begins so late that nothing reads what stands before the first."""


def in_rows(lowering: Lowering, observed: PlanNode, scope: Scope) -> PlanNode:
    """What has one value per example where every step needs it."""
    if scope.rows == "batch":
        return observed
    gathered = lowering.plan.node(Kind.GATHER, observed, origin=observed.origin)
    return gathered if scope.rows == "steps" else leaf(lowering, gathered)


def leaf(lowering: Lowering, outer: PlanNode) -> PlanNode:
    """The current step of a sequence in the body of a loop."""
    return lowering.plan.node(Kind.LEAF, detail=("slice", outer), origin=outer.origin)


def lower_step(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode | None:
    """A step of a sequence, with the steps of all sequences on one axis, its number, or how many; else None.

    Raises:
        NotSupportedError: a step that cannot be reached.
    """
    time = lowering.bound.environment.time
    if time is not None and node == time.index:
        return _step_number(lowering, node, scope)
    if time is not None and node == time.length and lowering.bound.environment.scalar(node) is None:
        return in_rows(lowering, lowering.plan.node(Kind.TIME, detail=("length",), origin=node), scope)
    if time is None or not time.covers(node):
        return None
    sequence = base(node)
    if (lag := time.past(node)) is not None:
        return lowering.name(time.step(sequence, -lag), replace(scope, first=1))
    if scope.rows == "active":
        assert scope.outer is not None
        outer = lower_step(lowering, node, scope.outer)
        assert outer is not None
        return leaf(lowering, outer)
    if (jump := time.jump(node)) is not None:
        return _jumped(lowering, node, jump, scope)
    if (which := time.number(node)) is not None:
        return _numbered(lowering, node, which, scope)
    offset = time.offset(node) or 0
    now = scope.traces.get(sequence)
    unread = scope.first + offset >= 1
    carried = now is not None and now.kind is Kind.LOOP and now.detail[0].carries(sequence)  # type: ignore[attr-defined]
    if now is not None and offset < 0 and not unread:
        refuse_no_beginning(lowering, sequence, node, carried=carried)
    if now is not None and offset == -1 and carried:
        return lowering.plan.node(Kind.TRACE, now, detail=("before", sequence), origin=node)
    made_at = replace(scope, first=max(1, scope.first + offset))
    value = _made(lowering, sequence, made_at) if now is None else now
    if value.kind is Kind.LOOP:
        value = lowering.plan.node(Kind.TRACE, value, detail=("draw", sequence), origin=time.step(sequence))
    if offset > 0:
        raise _later(node, time.index)
    if not offset:
        return value
    detail = (sequence, *((UNREAD,) if unread else ()))
    for lag in range(1, 1 - offset):
        value = lowering.plan.node(Kind.LAG, value, detail=detail, origin=time.step(sequence, -lag))
    return value


def _step_number(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """The number of the current step as a value."""
    outside = "steps" if scope.rows == "active" else scope.rows
    number = lowering.plan.node(Kind.TIME, detail=(outside,), origin=node)
    return leaf(lowering, number) if scope.rows == "active" else number


def _later(node: Basic, index: Basic) -> NotSupportedError:
    """The error for a later step."""
    return NotSupportedError(
        f"`{node}`, a later step, cannot be computed yet",
        hint="write the recurrence backwards in time with a network that is an nn.RNN, nn.GRU or "
        f"nn.LSTM, as in `h_{index} = rnn(x_{index}, h_{{{index}+1}})`",
    )


def reads_the_past(lowering: Lowering, inputs: Sequence[Basic]) -> bool:
    """Whether a network reads slices of the past, ``x_{<t}``, so that it reads whole sequences at once."""
    time = lowering.bound.environment.time
    return time is not None and any(time.past(i) is not None for i in inputs)


def refuse_no_beginning(lowering: Lowering, sequence: Basic, node: Basic, *, carried: bool) -> None:
    """Refuse a latent sequence of which something reads what stands before its first step.

    A loop that carries it says so by itself, unless its first step has a factor of its own.

    Raises:
        NameResolutionError: it says how to begin it.
    """
    environment = lowering.bound.environment
    time = environment.time
    assert time is not None
    known = time.initial.get(sequence) is not None or step_factor(environment, sequence) is not None
    begun = any(time.first(sequence) in f.variables for f in environment.factors)
    if not known and (begun or not carried):
        raise no_beginning(sequence, node)


def no_beginning(sequence: Basic, node: Basic) -> NameResolutionError:
    """The error for a latent sequence that nothing begins."""
    name = spelled(sequence)
    return NameResolutionError(
        f"the sequence `{name}` has no beginning: `{node}` is given the step before the first",
        hint=f"bind `{name}_0=0.0`, or a tensor or an nn.Parameter of its event shape",
    )


def _jumped(lowering: Lowering, node: Basic, jump: Basic, scope: Scope) -> PlanNode:
    """The step of every sequence that data say, or its last."""
    time = lowering.bound.environment.time
    assert time is not None
    steps = lower_step(lowering, time.step(base(node)), replace(scope, rows="steps", outer=None))
    assert steps is not None
    if jump == time.length:
        at = lowering.plan.node(Kind.TIME, detail=("length",), origin=jump)
    else:
        at = lowering.plan.node(Kind.OBSERVE, detail=(spelled(jump),), origin=jump)
    return in_rows(lowering, lowering.plan.node(Kind.STEP_OF, steps, at, origin=node), scope)


def _numbered(lowering: Lowering, node: Basic, number: int, scope: Scope) -> PlanNode:
    """The first step of every sequence."""
    time = lowering.bound.environment.time
    assert time is not None
    if number > 1:
        raise NotSupportedError(
            f"`{node}`, a numbered step, cannot be computed yet, since a sequence may be shorter",
            hint=f"write the first step, `{time.first(base(node))}`, or a sum over `{time.index}`",
        )
    inner = replace(scope, rows="steps", outer=None)
    steps = lower_step(lowering, time.step(base(node)), inner)
    assert steps is not None
    first = lowering.plan.node(Kind.FIRST, steps, origin=node)
    return in_rows(lowering, first, scope)


def own_first(lowering: Lowering, law: Law, scope: Scope) -> Factor | None:
    """The factor of the first step alone of a law of every step."""
    factor = lowering.bound.environment.factors[law.identity]
    return first_factor(lowering.bound.environment, factor) if scope.rows == "steps" else None


def joined_law(lowering: Lowering, law: Law, first: Factor, rest: PlanNode, scope: Scope) -> PlanNode:
    """A law of every step whose first step has a factor of its own."""
    factor = lowering.bound.environment.factors[law.identity]
    own = lowering.facts.law(first.node)
    assert own is not None
    at_first = lowering.law(own, replace(scope, rows="batch", outer=None))
    return lowering.plan.node(Kind.JOINED, at_first, rest, detail=(factor.index,), origin=law.node)


def _made(lowering: Lowering, sequence: Basic, scope: Scope) -> PlanNode:
    """An observed sequence, or one that a deterministic factor makes."""
    environment = lowering.bound.environment
    time = environment.time
    assert time is not None
    whole = sequence_factor(environment, sequence)
    if whole is not None:
        return _run(lowering, whole, scope, "forward")
    factor = step_factor(environment, sequence)
    if factor is None:
        observed = lowering.plan.node(Kind.OBSERVE, detail=(spelled(sequence),), origin=sequence)
        return lowering.plan.node(Kind.STEPS, observed, origin=time.step(sequence))
    lags = [time.offset(g) for g in factor.givens if base(g) == sequence]
    if any(time.past(g) is not None for g in factor.givens) and not lags:
        return _run(lowering, factor, scope, "forward")
    if not lags:
        return _value(lowering, factor, sequence, scope)
    call = sources_of(factor.distribution)[0].call
    if isinstance(call, FUSED) and len(lags) == 1 and lags[0] in (-1, 1):
        return _run(lowering, factor, scope, "forward" if lags == [-1] else "backward")
    if lags != [-1]:
        raise NotSupportedError(
            f"`{factor.node}` is no recurrence over one step before, which this version cannot compute yet",
            hint="a recurrence backwards in time needs a network that is an nn.RNN, nn.GRU or nn.LSTM",
        )
    from symdgm.lowering.time.loops import lower_loop

    loop = lower_loop(lowering, (factor,), replace(scope, first=1))
    return lowering.plan.node(Kind.TRACE, loop, detail=("draw", sequence), origin=time.step(sequence))


def _value(lowering: Lowering, factor: Factor, sequence: Basic, scope: Scope) -> PlanNode:
    """A deterministic value of each step, computed for all steps at once."""
    law = lowering.facts.law(factor.node)
    assert law is not None
    time = lowering.bound.environment.time
    assert time is not None
    node = time.step(sequence)
    return lowering.plan.node(Kind.PARAMETER, lowering.law(law, scope), detail=(spelled(node),), origin=node)


def _run(lowering: Lowering, factor: Factor, scope: Scope, direction: str) -> PlanNode:
    """A network that reads whole sequences."""
    (source,) = sources_of(factor.distribution)
    sequence, begun = base(factor.variables[0]), replace(scope, first=1)
    inputs = [lowering.lower(g, begun) for g in factor.givens if base(g) != sequence]
    name = lowering.network_name(source, factor.node)
    called = lowering.plan.node(
        Kind.SEQUENCE, *inputs, detail=(name, direction, sequence), origin=factor.node
    )
    lowering.readings.setdefault(called, source)
    return called
