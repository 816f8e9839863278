"""Draws of the variables of an expectation, as plan nodes."""

from __future__ import annotations

from collections.abc import Hashable

from sympy import Basic

from symdgm.expressions.arithmetic import Minus, Plus, Quotient, Times
from symdgm.expressions.expectations import Expect
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import spelled
from symdgm.expressions.places import pattern
from symdgm.expressions.resolved import RowOf
from symdgm.lowering.estimation.estimator import Binding, Place
from symdgm.lowering.plan import Kind, PlanNode

DETACHED = "detached"
"""Marks a draw without a gradient."""
LINEAR = (Plus, Minus, Times, Quotient, Expect)
ONCE = "once"
"""Stands where the rows of a draw would, which all examples have in common."""
EXAMPLES = "batch"
"""The rows of a draw, unless something else is told: each example has its own."""


def pathwise_draw(place: Place) -> Binding:
    """Draws that carry the gradient by the parameters."""
    return drawn(place, place.asked)


def detached_draw(place: Place) -> Binding:
    """Draws that carry no gradient."""
    return drawn(place, place.asked, DETACHED if place.law.pathwise else "", opaque=DETACHED)


def drawn(place: Place, count: int, how: str = "", *extra: PlanNode, opaque: str = "") -> Binding:
    """Draws along an axis of their own, where there are several.

    Args:
        place: the binder.
        count: how many.
        how: what is special about them, for a family; a word that the emission knows.
        extra: what else they are made from, besides the law.
        opaque: what is special about them, where an object draws.
    """
    plan, law = place.lowering.plan, place.lowering.law(place.law, place.scope)
    kind = Kind.SAMPLE if law.kind is Kind.OPAQUE else Kind.DRAW
    special = opaque if kind is Kind.SAMPLE else how
    stream, key = fresh(place, law)
    rows = ONCE if once(place) else place.scope.rows
    detail = draw_detail(place.name, stream, count, special, rows)
    node = plan.node(kind, law, *extra, *_indices(place), detail=detail, origin=place.drawn[0])
    values = _entries(place, node) if kind is Kind.SAMPLE else {place.drawn[0]: node}
    values |= {pattern(v): value for v, value in values.items()}
    return Binding(place, values, node if count > 1 else None, node, key)


def draw_detail(
    name: str, stream: Hashable, count: int = 1, special: str = "", rows: str = EXAMPLES
) -> tuple[Hashable, ...]:
    """What tells a draw from others: `special_of` and `rows_of` read the last two.

    Args:
        name: the variable.
        stream: which of several independent draws.
        count: how many, along an axis of their own.
        special: what is special about it; a word that the emission knows.
        rows: what has draws of its own: each example, each of all ``steps``, each sequence that is ``active``
            in a loop, or nothing, where they are drawn `ONCE`.
    """
    last = (special, rows) if rows != EXAMPLES else (special,) if special else ()
    return (name, stream, count, *last)


def special_of(node: PlanNode) -> str:
    """What is special about a draw."""
    return node.word(3) if node.detail[3:] else ""


def rows_of(node: PlanNode) -> str:
    """What has draws of its own."""
    return node.word(4) if node.detail[4:] else EXAMPLES


def _indices(place: Place) -> list[PlanNode]:
    """The axis of draws under an index, ``z_{1:K}``."""
    if not place.several:
        return []
    lowering = place.lowering
    ends = [lowering.lower(b, place.scope) for b in place.drawn[0].args[1].args]
    return [lowering.plan.node(Kind.INDEX, *ends, detail=("range", 0, ""))]


def once(place: Place) -> bool:
    """Whether a variable is drawn once for all examples: a sum over the rows stands inside (8.26)."""
    return not place.law.givens and _sums_rows(place.node)


def _sums_rows(node: Basic) -> bool:
    """Whether a sum over the rows is a term, or a factor of one; inside of a function it is no plate."""
    if isinstance(node, Aggregate):
        return bool(node.has(RowOf))
    parts = node.args[:1] if isinstance(node, Expect) else node.args
    return isinstance(node, LINEAR) and any(_sums_rows(part) for part in parts)


def fresh(place: Place, law: PlanNode) -> tuple[tuple[int, int], tuple[object, ...]]:
    """The stream of a draw; an inner expectation over the same law draws afresh."""
    depth = 0
    while (key := (law, place.drawn[0], place.scope.stream, depth)) in place.scope.active:
        depth += 1
    return (place.scope.stream, depth), key


def log_prob_of(binding: Binding) -> PlanNode:
    """The log-density of a draw under its own law."""
    if binding.log_prob is not None:
        return binding.log_prob
    assert binding.draw is not None
    place, law = binding.place, binding.draw.args[0]
    values = [binding.values[v] for v in place.drawn]
    return place.lowering.plan.node(Kind.LOG_DENSITY, law, *values, origin=place.law.node)


def _entries(place: Place, sample: PlanNode) -> dict[Basic, PlanNode]:
    """The variables of one draw of an opaque law."""
    formal = place.lowering.bound.environment.factors[place.law.identity].variables
    return {
        v: place.lowering.plan.node(Kind.ENTRY, sample, detail=(spelled(f),), origin=v)
        for v, f in zip(place.drawn, formal, strict=True)
    }
