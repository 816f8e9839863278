"""Lowering a path: one step of what is carried from step to step becomes the body of a loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sympy import Basic

from symdgm.binding.factors import Factor
from symdgm.binding.paths import Path, first_factor
from symdgm.distributions import Deterministic
from symdgm.errors import NotSupportedError
from symdgm.expressions.laws import Law
from symdgm.expressions.names import base, spelled
from symdgm.lowering.estimation.drawing import draw_detail
from symdgm.lowering.plan import Kind, PlanNode, ordered
from symdgm.lowering.sources import is_opaque
from symdgm.lowering.time.drawing import Drawing
from symdgm.lowering.time.parallel import is_parallel, lower_parallel

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope


@dataclass(frozen=True, eq=False)
class Step:
    """What a step of a loop does for one sequence.

    Args:
        sequence: the sequence.
        factor: its factor.
        value: its value at this step, in the body.
        before: its value at the step before, in the body.
        law: its law, in the body; None for what is computed.
        first: its value at the first step, outside of the body, where that has a factor of its own.
        first_law: the law of that.
    """

    sequence: Basic
    factor: Factor
    value: PlanNode
    before: PlanNode
    law: PlanNode | None
    first: PlanNode | None = None
    first_law: PlanNode | None = None


@dataclass(frozen=True, eq=False)
class Body:
    """One step of a loop.

    Args:
        steps: what it does, in order.
        count: how many paths are drawn.
    """

    steps: tuple[Step, ...]
    count: int

    @property
    def roots(self) -> list[PlanNode]:
        """What the body must compute."""
        return [s.value for s in self.steps]

    def carries(self, sequence: Basic) -> bool:
        """Whether a step reads the step before of a sequence."""
        nodes = ordered([*self.roots, *(s.law for s in self.steps if s.law is not None)])
        return any(s.before in nodes for s in self.steps if s.sequence == sequence)


def lower_loop(
    lowering: Lowering,
    factors: Sequence[Factor],
    scope: Scope,
    drawing: Drawing | None = None,
    origin: Basic | None = None,
) -> PlanNode:
    """The loop over the steps of some factors, each given the step before.

    Args:
        lowering: the plan while it is built.
        factors: the factors of one step, ancestors first.
        scope: where the loop stands.
        drawing: how its steps are drawn, if they are.
        origin: the law of the path, if it has one.

    Raises:
        NotSupportedError: a step that depends on more than the step before it.
    """
    drawing = drawing or Drawing()
    key = (tuple(f.index for f in factors), *drawing.key, tuple(scope.traces.values()))
    if key not in lowering.loops:
        body = _body(lowering, factors, scope, drawing)
        same = (body.count, *((s.value, s.before, s.law, s.first, s.first_law) for s in body.steps))
        if same not in lowering.loops:
            outside = dict.fromkeys(_outside(body))
            firsts = [n for s in body.steps for n in (s.first, s.first_law) if n is not None]
            lowering.loops[same] = lowering.plan.node(
                Kind.LOOP,
                *outside,
                *firsts,
                detail=(body,),
                origin=factors[0].node if origin is None else origin,
            )
        lowering.loops[key] = lowering.loops[same]
    return lowering.loops[key]


def _outside(body: Body) -> Iterator[PlanNode]:
    """What the body reads step by step, and is computed before."""
    for node in ordered(body.roots):
        if node.kind is Kind.LEAF and node.word() == "slice":
            assert isinstance(node.detail[1], PlanNode)
            yield node.detail[1]


def _body(lowering: Lowering, factors: Sequence[Factor], scope: Scope, drawing: Drawing) -> Body:
    time = lowering.bound.environment.time
    assert time is not None
    sequences = [base(v) for f in factors for v in f.variables]
    carried = {
        s: lowering.plan.node(Kind.LEAF, detail=("carry", s, drawing.stream), origin=time.step(s, -1))
        for s in sequences
    }
    outer = replace(scope, rows="steps", outer=None)
    inside = replace(scope, rows="active", outer=outer, values={}, laws={}, traces={})
    inside = replace(inside, values={time.step(s, -1): node for s, node in carried.items()})
    steps: list[Step] = []
    begun = replace(scope, rows="batch", outer=None)
    for factor in factors:
        _refuse_far(lowering, factor, set(sequences))
        law = lowering.facts.law(factor.node)
        assert law is not None
        parameters = lowering.law(law, inside)
        for variable in factor.variables:
            value = _value(lowering, factor, parameters, variable, drawing)
            first, first_law = _first(lowering, factor, begun, drawing)
            steps.append(
                Step(
                    base(variable),
                    factor,
                    value,
                    carried[base(variable)],
                    _drawn(factor, parameters),
                    first,
                    first_law,
                )
            )
            if first is not None:
                begun = replace(begun, values={**begun.values, time.first(base(variable)): first})
            inside = replace(inside, values={**inside.values, variable: value})
    return Body(tuple(steps), drawing.count)


def _first(
    lowering: Lowering, factor: Factor, scope: Scope, drawing: Drawing
) -> tuple[PlanNode | None, PlanNode | None]:
    """The value of the first step and its law, where it has a factor of its own."""
    first = first_factor(lowering.bound.environment, factor)
    if first is None:
        return None, None
    law = lowering.facts.law(first.node)
    assert law is not None
    parameters = lowering.law(law, scope)
    (variable,) = first.variables
    if law.kind == "deterministic":
        value = lowering.plan.node(Kind.PARAMETER, parameters, detail=(spelled(variable),), origin=variable)
        return value, parameters
    if is_opaque(first.distribution):
        raise NotSupportedError(
            f"`{first.node}` is computed as a whole, which a first step cannot be yet",
            hint="use a family with parameters",
        )
    return drawing.draw(lowering, factor, parameters, variable, many=True), parameters


def _drawn(factor: Factor, parameters: PlanNode) -> PlanNode | None:
    return None if isinstance(factor.distribution, Deterministic) else parameters


def _value(
    lowering: Lowering, factor: Factor, parameters: PlanNode, variable: Basic, drawing: Drawing
) -> PlanNode:
    plan, name = lowering.plan, spelled(variable)
    if isinstance(factor.distribution, Deterministic):
        return plan.node(Kind.PARAMETER, parameters, detail=(name,), origin=variable)
    if is_opaque(factor.distribution):
        detail = draw_detail(name, (drawing.stream, 0), rows="active")
        sample = plan.node(Kind.SAMPLE, parameters, detail=detail, origin=variable)
        return plan.node(Kind.ENTRY, sample, detail=(name,), origin=variable)
    now = f"{spelled(base(variable))}_now"
    return drawing.draw(lowering, factor, parameters, variable, name=now, rows="active")


def _refuse_far(lowering: Lowering, factor: Factor, sequences: set[Basic]) -> None:
    time = lowering.bound.environment.time
    assert time is not None
    for given in factor.givens:
        past = time.past(given)
        offset = time.offset(given) if past is None else -past
        if base(given) in sequences and offset not in (0, -1):
            raise NotSupportedError(
                f"`{factor.node}` depends on `{given}`, but only the step before is carried by this version",
                hint="carry a state that holds what is needed of earlier steps",
            )


def lower_path(lowering: Lowering, law: Law, scope: Scope, drawing: Drawing) -> tuple[Scope, PlanNode]:
    """The scope in which the steps of a path have values, and the loop that draws them."""
    path = lowering.bound.environment.factors[law.identity]
    assert isinstance(path, Path)
    scope = replace(scope, first=1)
    if is_parallel(lowering, path, drawing):
        return lower_parallel(lowering, path, scope, drawing)
    text, written = lowering.bound.text, lowering.bound.written.get(law.node, law.node)
    origin = law.node if text is not None and written in text.spans else None
    loop = lower_loop(lowering, path.steps, scope, drawing, origin)
    traces = dict(scope.traces)
    laws = dict(scope.laws)
    (body,) = loop.detail
    assert isinstance(body, Body)
    for step in body.steps:
        traces[step.sequence] = loop
        if step.law is not None:
            kept = lowering.plan.node(
                Kind.TRACE, loop, detail=("law", step.sequence), origin=step.factor.node
            )
            laws[(step.factor.index, step.factor.givens)] = kept
    return replace(scope, traces=traces, laws=laws), loop
