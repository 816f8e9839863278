"""Lowering sums, products and means over an index, and names with one.

An index is an axis of its own: `INDEX`. The draws ``z_{1:K}`` have the first axis of their range, so that
``z_k`` is ``z`` itself; an index that would meet itself, as ``j`` in ``sum_k sum_j <z_k, z_j>``, takes the
next axis of the range, and `ALONG` reads the draws along that one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sympy import Basic, Integer

from symdgm.errors import NotSupportedError
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.laws import Law
from symdgm.expressions.names import IndexRange, Name, Placeholder, Subscripted, spelled
from symdgm.expressions.places import pattern
from symdgm.expressions.resolved import Component, EntryOf, RowOf
from symdgm.expressions.scope import free_names
from symdgm.lowering.estimation.exact import MINIBATCH
from symdgm.lowering.expectations import Estimate
from symdgm.lowering.plan import Kind, PlanNode, ordered
from symdgm.lowering.positive import is_positive

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope

ONE = Integer(1)
BATCH_INDEX = "batch"


def lower_over_index(lowering: Lowering, node: Basic, scope: Scope, *, log: bool = False) -> PlanNode:
    """A sum, product or mean over an index, or its logarithm.

    Args:
        lowering: the plan while it is built.
        node: the aggregate.
        scope: where it stands.
        log: whether its logarithm is wanted, of a body that is positive.
    """
    assert isinstance(node, Aggregate)
    variable = node.index.variable
    axis, value = _values(lowering, node, scope)
    inside = scope.at(variable, value)
    if node.kind == "prod" and not log:
        inside = inside.nonlinear()
    _record(lowering, node, scope)
    body = lowering.log(node.body, inside) if log else lowering.lower(node.body, inside)
    body = lowering.plan.node(Kind.REDUCE, body, detail=("scalar", "event"), origin=node)
    condition = [lowering.lower(c, inside.nonlinear()) for c in node.index.args[3:]]
    operation = LOGARITHMS[node.kind] if log else node.kind
    return lowering.plan.node(Kind.AGGREGATE, body, axis, *condition, detail=(operation,), origin=node)


def lower_weighted(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """``log sum_k pi_k p(x|u_k)``: the logarithms of the densities meet the weights in one stable sum."""
    assert isinstance(node, Aggregate)
    axis, value = _values(lowering, node, scope)
    inside = scope.at(node.index.variable, value)
    factors = node.body.args
    logs = [lowering.log(f, inside) for f in factors if is_positive(lowering, f)]
    weights = [lowering.lower(f, inside.nonlinear()) for f in factors if not is_positive(lowering, f)]
    parts = [
        lowering.plan.node(Kind.REDUCE, part, detail=("scalar", "event"), origin=node)
        for part in (_joined(lowering, "add", node, logs), _joined(lowering, "mul", node, weights))
    ]
    detail = (f"log weighted {node.kind}",)
    return lowering.plan.node(Kind.AGGREGATE, parts[0], axis, parts[1], detail=detail, origin=node)


def _joined(lowering: Lowering, operation: str, node: Basic, parts: list[PlanNode]) -> PlanNode:
    return lowering.apply(operation, node, parts) if len(parts) > 1 else parts[0]


LOGARITHMS = {"sum": "logsumexp", "mean": "logmeanexp", "prod": "sum"}
"""What the logarithm of each aggregate is to the logarithms of its body."""


def _values(lowering: Lowering, node: Aggregate, scope: Scope) -> tuple[PlanNode, PlanNode]:
    """The axis of an index, and what the index stands for."""
    states = _states(lowering, node, scope)
    if states is not None:
        return states, states
    axis = _axis(lowering, node, scope)
    return axis, lowering.plan.node(Kind.POSITION, axis, origin=node.index.variable)


def _axis(lowering: Lowering, node: Aggregate, scope: Scope) -> PlanNode:
    """The first axis of the range that nothing else in the body has."""
    taken = set(_taken(lowering, node, scope))
    slot = 0
    while (axis := _index(lowering, node, scope, slot)) in taken:
        slot += 1
    return axis


def _index(lowering: Lowering, node: Aggregate, scope: Scope, slot: int) -> PlanNode:
    bounds = node.index.args[1:3]
    if len(bounds) == 2 and isinstance(bounds[1], Name) and spelled(bounds[1]) in _batch_sizes(lowering):
        return lowering.plan.node(Kind.INDEX, detail=(BATCH_INDEX, slot, ""), origin=node.index.variable)
    of_event = next((n for n in _indexed(node) if isinstance(n, Component)), None)
    where = "last" if of_event is not None else ""
    if len(bounds) < 2 or isinstance(bounds[1], Placeholder):
        lower = bounds[0] if bounds else ONE
        source = of_event.args[0] if of_event is not None else node
        key = ("components", str(source), int(lower))
        return lowering.plan.node(Kind.INDEX, detail=(key, slot, where), origin=node.index.variable)
    return range_axis(lowering, bounds, scope, slot, where)


def range_axis(
    lowering: Lowering, bounds: Sequence[Basic], scope: Scope, slot: int = 0, where: str = ""
) -> PlanNode:
    """An axis over a range of whole numbers.

    Args:
        lowering: the plan while it is built.
        bounds: the first and the last number.
        scope: where the bounds stand.
        slot: which of several axes over this range.
        where: ``last`` for the components of an event, which stand behind the examples.
    """
    ends = [lowering.lower(b, scope) for b in bounds]
    return lowering.plan.node(Kind.INDEX, *ends, detail=("range", slot, where))


def _batch_sizes(lowering: Lowering) -> dict[str, None]:
    return lowering.bound.environment.batch_sizes


def _indexed(node: Aggregate) -> Iterator[Basic]:
    """The nodes in the body that stand with the index itself, in written order."""
    stack: list[Basic] = [node.body]
    while stack:
        part = stack.pop()
        if isinstance(part, Component | RowOf | EntryOf) and node.index.variable in part.args[1:]:
            yield part
        stack.extend(reversed(part.args))


def _taken(lowering: Lowering, node: Aggregate, scope: Scope) -> Iterator[PlanNode]:
    """The axes of indices that the body has besides its own."""
    for name in names_read(lowering, node.body):
        if name == node.index.variable:
            continue
        family = _family_key(name, scope)
        if family is not None:
            yield from _axes_below(_law_of(scope.values[family]))
        elif name in scope.values:
            yield from _axes_below([scope.values[name]])


def names_read(lowering: Lowering, node: Basic) -> set[Basic]:
    """The free names of an expression; a parameter of a law stands for what the law is given."""
    found: set[Basic] = set()
    waiting = list(free_names(node))
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += [n for read in lowering.facts.reads(name) if read != name for n in free_names(read)]
    return found


def _axes_below(nodes: Sequence[PlanNode]) -> Iterator[PlanNode]:
    return (n for n in ordered(list(nodes)) if n.kind is Kind.INDEX)


def _law_of(value: PlanNode) -> list[PlanNode]:
    """What several draws depend on, besides the axis that they have as a family."""
    while value.kind not in (Kind.DRAW, Kind.SAMPLE):
        value = value.args[0]
    return [a for a in value.args if a.kind is not Kind.INDEX]


def _family_key(name: Basic, scope: Scope) -> Basic | None:
    """How the draws are looked up of which a name is one."""
    if not isinstance(name, Subscripted) or name in scope.values:
        return None
    key = Subscripted(name.head, Placeholder())
    return key if key in scope.values else None


def lower_indexed(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """A name with an index: one of several draws, or a name like any other."""
    key = _family_key(node, scope)
    if key is None:
        return lowering.name(node, scope)
    assert isinstance(node, Subscripted)
    family, (index,) = scope.values[key], node.indices
    variable = next(v for v in scope.values if v != key and pattern(v) == key)
    bounds = variable.args[1].args
    own = range_axis(lowering, bounds, scope)
    if isinstance(index, IndexRange):
        return family
    if index in scope.values and scope.values[index].kind is Kind.POSITION:
        return along(lowering, family, own, scope.values[index].args[0], node)
    place = lowering.lower(index, scope)
    return lowering.plan.node(Kind.PICK, family, own, place, origin=node)


def along(lowering: Lowering, value: PlanNode, own: PlanNode | str, axis: PlanNode, node: Basic) -> PlanNode:
    """A value with one of its axes read as another: the same numbers under another name."""
    if own is axis:
        return value
    source = [own] if isinstance(own, PlanNode) else []
    kind = "axis" if isinstance(own, PlanNode) else own
    return lowering.plan.node(Kind.ALONG, value, axis, *source, detail=(kind,), origin=node)


def lower_component(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """A component of an event."""
    value, index = node.args
    return along(lowering, lowering.lower(value, scope), "event", scope.values[index].args[0], node)


def lower_entry(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """An entry of a table, or of a function of the index."""
    name, *indices = node.args
    nodes = [_place(lowering, i, scope) for i in indices]
    return lowering.plan.node(Kind.TABLE, *nodes, detail=(spelled(name),), origin=node)


def _place(lowering: Lowering, index: Basic, scope: Scope) -> PlanNode:
    """An axis for an index that runs, a number for one that is fixed."""
    value = lowering.lower(index, scope)
    return value.args[0] if value.kind is Kind.POSITION else value


def lower_applied(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """``f_k(x)`` of a list of networks, and everything else that is applied."""
    entry = node.args[0]
    if not isinstance(entry, EntryOf):
        return lowering.density(node, scope)
    name, index = entry.args
    inputs = [lowering.lower(a, scope.nonlinear()) for a in node.args[1:]]
    place = _place(lowering, index, scope)
    return lowering.plan.node(Kind.CALLS, place, *inputs, detail=(spelled(name),), origin=node)


def lower_relation(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """A condition, as a truth value."""
    operator, *sides = node.args
    return lowering.apply(f"is {operator.name}", node, [lowering.lower(s, scope.nonlinear()) for s in sides])


def lower_indicator(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """1 where a condition holds, and 0 elsewhere."""
    return lowering.plan.node(Kind.INDICATOR, lowering.lower(node.args[0], scope), origin=node)


def _states(lowering: Lowering, node: Aggregate, scope: Scope) -> PlanNode | None:
    """All states of a finite variable, where that is what the index is."""
    variable = node.index.variable
    laws = list(_laws_over(lowering, node.body, variable))
    if not any(variable in f.variables for f in lowering.bound.environment.factors):
        return None
    if not laws:
        laws = sorted(_bound_laws(lowering, variable), key=lambda law: len(law.givens))
    law = next((law for law in laws if law.finite), None)
    if law is None:
        raise NotSupportedError(
            f"`{node.kind}_{variable}` is a sum over a variable that is not finite",
            hint=f"write an expectation over `{variable}`, `E_{{{laws[0].node}}}[...]`",
        )
    parameters = lowering.law(law, scope)
    detail = (spelled(variable), (scope.stream, 0))
    return lowering.plan.node(Kind.STATES, parameters, detail=detail, origin=variable)


def _laws_over(lowering: Lowering, body: Basic, variable: Basic) -> Iterator[Law]:
    """The laws of a variable in a formula, but those that an index within the formula tells apart."""
    inner = [aggregate.index.variable for aggregate in body.atoms(Aggregate)]
    for part in sorted(body.atoms(Apply, Density), key=str):
        law = lowering.facts.law(part)
        if law is not None and law.values == (variable,) and not any(g.has(*inner) for g in law.givens):
            yield law


def _bound_laws(lowering: Lowering, variable: Basic) -> list[Law]:
    nodes = [f.node for f in lowering.bound.environment.factors if f.variables == (variable,)]
    return [law for n in nodes if (law := lowering.facts.law(n)) is not None]


def _record(lowering: Lowering, node: Aggregate, scope: Scope) -> None:
    """Note the mean over the batch by which a sum over rows is estimated."""
    bounds = node.index.args[1:3]
    if len(bounds) < 2 or spelled(bounds[1]) not in _batch_sizes(lowering):
        return
    rows = tuple(dict.fromkeys(n.args[0] for n in _indexed(node) if isinstance(n, RowOf)))
    law = Law(-1, node.index, rows, (), None, "Data", False, "data")
    estimate = Estimate(node, law, MINIBATCH, 1, not scope.linear, scope.logged)
    lowering.estimates.setdefault((node, scope.linear, scope.logged), estimate)


def component_density(lowering: Lowering, node: Basic, law: Law, scope: Scope) -> PlanNode | None:
    """The log-density of one component, of which all others are independent; None for a whole value."""
    (value,) = law.values if len(law.values) == 1 else (None,)
    if not isinstance(value, Component):
        return None
    whole, index = value.args
    operands = [lowering.law(law, scope), lowering.lower(whole, scope.nonlinear())]
    elements = lowering.plan.node(Kind.LOG_DENSITY, *operands, detail=("elements",), origin=node)
    return along(lowering, elements, "event", scope.values[index].args[0], node)


def through(call: list[PlanNode]) -> tuple[list[PlanNode], PlanNode | None]:
    """The inputs of a network without the axis that they are read along, and that reading.

    A network treats all examples alike, so it is called on the values themselves, once, and what it returns
    is read along the other axis.
    """
    readings = [n for n in call if n.kind is Kind.ALONG and n.word() != "event"]
    if not readings:
        return call, None
    first = readings[0]
    same = all((n.args[1:], n.detail) == (first.args[1:], first.detail) for n in readings)
    rest = [n for n in call if n not in readings]
    if not same or any(_varies(n, first) for n in rest):
        return call, None
    return [n.args[0] if n in readings else n for n in call], first


def _varies(node: PlanNode, reading: PlanNode) -> bool:
    """Whether a value may have the axis that others are read along."""
    below = ordered([node])
    if reading.word() == "axis":
        return reading.args[2] in below
    return any(n.kind in (Kind.OBSERVE, Kind.DRAW, Kind.SAMPLE, Kind.STATES) for n in below)


def read_along(lowering: Lowering, value: PlanNode, reading: PlanNode | None) -> PlanNode:
    """What a network returns, read as its inputs were."""
    if reading is None:
        return value
    rest = reading.args[1:]
    return lowering.plan.node(Kind.ALONG, value, *rest, detail=reading.detail, origin=value.origin)
