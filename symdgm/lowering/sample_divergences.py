"""Lowering divergences of samples: draws of both laws become two sets of points, which are compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sympy import Basic

from symdgm.binding.factors import Match, reference
from symdgm.binding.sample_laws import Sampled, sampled
from symdgm.errors import EstimatorError, NotSupportedError
from symdgm.expressions.expectations import SAMPLED, DivergenceBetween
from symdgm.expressions.laws import Law
from symdgm.expressions.names import base, spelled
from symdgm.lowering.comparison_steps import step
from symdgm.lowering.divergence_options import MMD, Option, Sinkhorn
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.sources import function_source

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope

KERNEL = "kernel"
"""What a kernel of the user is called in the generated code."""


@dataclass(frozen=True)
class Comparison:
    """Two sets of points and how they are compared; what a node of the plan carries.

    Args:
        option: how.
        kernel: the name of the user's kernel, if it is one.
        split: how many variables the points of the first law have.
        axes: the number of axes of points of each side that stand first among what the node reads.
        by_example: whether each example has points of its own.
        stopped: whether the points of each law carry no gradient.
    """

    option: Option
    kernel: str | None
    split: int
    axes: tuple[int, int]
    by_example: bool
    stopped: tuple[bool, bool]


def lower_divergence(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """The divergence of draws from both laws: one number for the batch, or one for each example.

    Raises:
        NotSupportedError: a divergence not of samples, or one by example without draws by example.
        EstimatorError: draws that carry no gradient.
    """
    if not isinstance(node, DivergenceBetween) or node.kind not in SAMPLED:
        raise NotSupportedError(f"`{node}` cannot be computed as a number yet")
    option = lowering.comparisons.option(node, lowering.bound.written.get(node, node))
    laws = [sampled(lowering.bound.environment, law) for law in node.args[1:3]]
    by_example = any(law.givens for law in laws)
    if by_example:
        _check_examples(lowering, node, laws)
    if isinstance(option, Sinkhorn):
        require_geomloss()
    inner = scope if by_example else replace(scope, values={})
    plates, points = [], []
    for law in laws:
        values, plate, inner = _drawn(lowering, law, inner, by_example)
        plates.append(plate)
        points.append([values[v] for v in laws[0].values])
    counts = [plate[0].number(2) if plate else 1 for plate in plates]
    sides = list(zip(laws, counts, strict=True))
    lowering.comparisons.steps.setdefault(
        node, step(node, option, sides, by_example=by_example, linear=scope.linear)
    )
    if not by_example:
        lowering.comparisons.of_batch.add(node)
    comparison = Comparison(
        option,
        _kernel(lowering, option),
        len(points[0]),
        (len(plates[0]), len(plates[1])),
        by_example,
        (laws[0].stopped, laws[1].stopped),
    )
    arguments = [*plates[0], *plates[1], *points[0], *points[1]]
    return lowering.plan.node(Kind.COMPARE, *arguments, detail=(comparison,), origin=node)


def _check_examples(lowering: Lowering, node: Basic, laws: list[Sampled]) -> None:
    """Refuse a divergence by example without several draws for each, or against rows of the batch."""
    conditional = next(law for law in laws if law.givens)
    given = ", ".join(f"`{g}`" for g in conditional.givens)
    rows = next((law for law in laws if law.rows), None)
    if rows is not None:
        raise NotSupportedError(
            f"`{node}` compares `{conditional.node}`, which is another law for each {given}, "
            f"with `{rows.node}`, of which the batch holds one draw a row",
            hint="compare two laws of one kind: both given the same, or both of the whole batch",
        )
    for law in laws:
        if _count(lowering, law) < 2:
            plain = node.func(node.args[0], *(_without_givens(side) for side in laws))
            raise NotSupportedError(
                f"`{conditional.node}` is another law for each {given}, of which one draw an example says "
                "nothing about a divergence",
                hint=f'ask for several, `samples={{"{law.values[0]}": 64}}`; or write `{plain}` for one '
                "number of the whole batch",
            )


def _without_givens(law: Sampled) -> Basic:
    """``q(z)`` for ``q(z|x)``."""
    return reference(law.matches[0].factor.head, law.values, ())


def _count(lowering: Lowering, law: Sampled) -> int:
    """How many draws: as asked for a variable of the law, for one that it is drawn by, or for all."""
    variables = [*law.values, *(v for match in law.matches for v in match.values)]
    names = [*map(spelled, variables), *(spelled(base(v)) for v in variables), ""]
    return next((lowering.counts[name] for name in names if name in lowering.counts), 1)


def _drawn(
    lowering: Lowering, law: Sampled, scope: Scope, by_example: bool
) -> tuple[dict[Basic, PlanNode], list[PlanNode], Scope]:
    """The variables of a law with their draws, the axis of its points if it has one, and what is drawn."""
    plan, active = lowering.plan, scope.active
    values = {v: plan.node(Kind.OBSERVE, detail=(spelled(v),), origin=v) for v in law.rows}
    count = 1 if law.rows else _count(lowering, law)
    plates: list[PlanNode] = []
    for match in law.matches:
        described = lowering.facts.law(match.node)
        assert described is not None
        _check_gradient(described, law)
        inner = replace(scope, values={**scope.values, **values}, active=active)
        parameters = lowering.law(described, inner)
        formal = match.factor.variables
        if described.kind == "deterministic":
            values |= {
                v: plan.node(Kind.PARAMETER, parameters, detail=(spelled(v),), origin=v) for v in formal
            }
            continue
        key, stream = _stream(parameters, formal[0], scope, active)
        active |= {key}
        if count > 1 and match in law.roots and not plates:
            roots = [lowering.law(_law(lowering, root), inner) for root in law.roots]
            plates = [plan.node(Kind.POINTS, *roots, detail=(spelled(formal[0]), stream, count))]
        own = plates if match in law.roots else []
        values |= _draw(lowering, match, parameters, own, stream)
    return values, plates, replace(scope, active=active)


def _law(lowering: Lowering, match: Match) -> Law:
    law = lowering.facts.law(match.node)
    assert law is not None
    return law


def _stream(
    parameters: PlanNode, variable: Basic, scope: Scope, active: frozenset[tuple[object, ...]]
) -> tuple[tuple[object, ...], tuple[int, int]]:
    """A stream of draws that nothing around uses, so that the two laws are drawn independently."""
    depth = 0
    while (key := (parameters, variable, scope.stream, depth)) in active:
        depth += 1
    return key, (scope.stream, depth)


def _draw(
    lowering: Lowering, match: Match, parameters: PlanNode, plates: list[PlanNode], stream: tuple[int, int]
) -> dict[Basic, PlanNode]:
    """One draw of a factor for each place of an axis of points, or for each example."""
    plan, formal = lowering.plan, match.factor.variables
    opaque = parameters.kind is Kind.OPAQUE
    kind, detail = Kind.SAMPLE if opaque else Kind.DRAW, (spelled(formal[0]), stream, 1)
    drawn = plan.node(kind, parameters, *plates, detail=detail, origin=formal[0])
    if not opaque:
        return {formal[0]: drawn}
    return {v: plan.node(Kind.ENTRY, drawn, detail=(spelled(v),), origin=v) for v in formal}


def _check_gradient(factor: Law, law: Sampled) -> None:
    """Refuse draws that carry no gradient by what they depend on."""
    if factor.pathwise or factor.fixed or factor.kind == "deterministic" or law.stopped:
        return
    relaxed = {
        "Bernoulli": "`sd.RelaxedBernoulli`",
        "Categorical": "`sd.RelaxedOneHotCategorical`",
        "OneHotCategorical": "`sd.RelaxedOneHotCategorical`",
    }.get(factor.family_name, "a family with pathwise draws")
    raise EstimatorError(
        f"the draws of `{factor.node}`, a {factor.family_name}, carry no gradient, so that none would reach "
        f"what `{law.node}` is trained by",
        hint=f"use {relaxed}, or compare values, as by `sd.Deterministic`; `sg[{law.node}]` compares without "
        "gradients",
    )


def _kernel(lowering: Lowering, option: Option) -> str | None:
    """The name under which the user's kernel is an argument of the generated code."""
    if not isinstance(option, MMD) or isinstance(option.kernel, str):
        return None
    named = lowering.bound.environment.networks
    name = next((n for n, call in named.items() if call is option.kernel), KERNEL)
    while name in lowering.sources and lowering.sources[name].call is not option.kernel:
        name += "_"
    lowering.sources.setdefault(name, function_source(name, option.kernel, 2))
    return name


def require_geomloss() -> None:
    """Refuse what geomloss computes where it is not installed.

    Raises:
        NotSupportedError: it is not.
    """
    if find_spec("geomloss") is None:
        raise NotSupportedError(
            "the Sinkhorn divergence is computed by geomloss, which is not installed",
            hint="`pip install 'symdgm[transport]'`; or write `SW[q || p]`, which needs nothing else",
        )
