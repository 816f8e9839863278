"""Draws of the laws that a divergence of samples compares, as plan nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sympy import Basic

from symdgm.binding.factors import Match
from symdgm.binding.sample_laws import Sampled
from symdgm.errors import EstimatorError
from symdgm.expressions.laws import Law
from symdgm.expressions.names import base, spelled
from symdgm.lowering.estimation.estimator import Estimator, Place, Recipe
from symdgm.lowering.estimation.relaxations import GumbelSoftmax, StraightThrough
from symdgm.lowering.plan import Kind, PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope


@dataclass
class Side:
    """A law with its draws.

    Args:
        law: the law.
        count: how many draws an example has.
        scope: where it stands; draws that are made are noted in it, so that what follows draws afresh.
        values: variable → its draws.
        points: the axis of several draws, where there are several.
        relaxed: factor → the estimator that gives its discrete draws a gradient.
    """

    law: Sampled
    count: int
    scope: Scope
    values: dict[Basic, PlanNode] = field(default_factory=dict)
    points: list[PlanNode] = field(default_factory=list)
    relaxed: dict[Basic, Estimator] = field(default_factory=dict)


def draw_side(lowering: Lowering, node: Basic, law: Sampled, scope: Scope) -> Side:
    """Draws of a law, ancestors first: one for each row that it reads, or as many as are asked for.

    Args:
        lowering: the plan while it is built.
        node: the divergence.
        law: one of its laws.
        scope: where it stands.

    Raises:
        EstimatorError: draws that carry no gradient.
    """
    plan = lowering.plan
    rows = {v: plan.node(Kind.OBSERVE, detail=(spelled(v),), origin=v) for v in law.rows}
    side = Side(law, 1 if law.rows else count_of(lowering, law), scope, rows)
    if side.count > 1:
        roots = [lowering.law(_law(lowering, m), scope) for m in law.roots]
        detail = (spelled(law.values[0]), _stream(roots[0], law.roots[0], scope), side.count)
        side.points = [plan.node(Kind.POINTS, *roots, detail=detail)]
    for match in law.matches:
        side.values |= _draw(lowering, node, side, match)
    return side


def count_of(lowering: Lowering, law: Sampled) -> int:
    """How many draws: as asked for a variable of the law, for one that it is drawn by, or for all."""
    variables = [*law.values, *(v for match in law.matches for v in match.values)]
    names = [*map(spelled, variables), *(spelled(base(v)) for v in variables), ""]
    return next((lowering.counts[name] for name in names if name in lowering.counts), 1)


def _law(lowering: Lowering, match: Match) -> Law:
    law = lowering.facts.law(match.node)
    assert law is not None
    return law


def _draw(lowering: Lowering, node: Basic, side: Side, match: Match) -> Mapping[Basic, PlanNode]:
    """The variables of one factor."""
    plan, formal, law = lowering.plan, match.factor.variables, _law(lowering, match)
    inner = replace(side.scope, values={**side.scope.values, **side.values})
    parameters = lowering.law(law, inner)
    if law.kind == "deterministic":
        return {v: plan.node(Kind.PARAMETER, parameters, detail=(spelled(v),), origin=v) for v in formal}
    stream = _stream(parameters, match, inner)
    key = (parameters, formal[0], *stream)
    side.scope = replace(side.scope, active=side.scope.active | {key})
    points = side.points if match in side.law.roots else []
    recipe = None if law.pathwise or law.fixed else _recipe(lowering, formal[0])
    if recipe is not None:
        return _relaxed(Place(lowering, node, law, formal, inner), recipe, side, points)
    _check_gradient(law, side.law)
    opaque = parameters.kind is Kind.OPAQUE
    kind, detail = Kind.SAMPLE if opaque else Kind.DRAW, (spelled(formal[0]), stream, 1)
    drawn = plan.node(kind, parameters, *points, detail=detail, origin=formal[0])
    if not opaque:
        return {formal[0]: drawn}
    return {v: plan.node(Kind.ENTRY, drawn, detail=(spelled(v),), origin=v) for v in formal}


def _stream(parameters: PlanNode, match: Match, scope: Scope) -> tuple[int, int]:
    """A stream of draws that nothing around uses, so that the two laws are drawn independently."""
    depth = 0
    while (parameters, match.factor.variables[0], scope.stream, depth) in scope.active:
        depth += 1
    return scope.stream, depth


def _recipe(lowering: Lowering, variable: Basic) -> Recipe | None:
    """What the user asked for, where it gives draws a gradient; other estimators average, and do not."""
    asked = lowering.choices.recipes.get(spelled(variable))
    return asked if isinstance(asked, GumbelSoftmax | StraightThrough) else None


def _relaxed(place: Place, recipe: Recipe, side: Side, points: list[PlanNode]) -> Mapping[Basic, PlanNode]:
    """A draw with a gradient that is not quite its own, for each place of an axis of points."""
    estimator = recipe.at(place)
    draw = estimator.bind(place).draw
    assert draw is not None
    side.relaxed[place.law.node] = estimator
    plan = place.lowering.plan
    drawn = plan.node(draw.kind, *draw.args, *points, detail=draw.detail, origin=draw.origin)
    return {place.drawn[0]: drawn}


def _check_gradient(factor: Law, law: Sampled) -> None:
    """Refuse draws that carry no gradient by what they depend on."""
    if factor.pathwise or factor.fixed or law.stopped:
        return
    hint = "use a family with pathwise draws"
    if factor.finite:
        hint = f'relax them by `estimators={{"{factor.values[0]}": "Gumbel-softmax"}}`, or by `sd.Relaxed...`'
    raise EstimatorError(
        f"the draws of `{factor.node}`, a {factor.family_name}, carry no gradient, so that none would reach "
        f"what `{law.node}` is trained by",
        hint=f"{hint}; `sg[{law.node}]` compares without a gradient",
    )
