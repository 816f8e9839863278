"""Which values beyond the ends of sequences nobody gave, so that zeros stand there."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Basic, Integer

from symdgm.binding import Environment
from symdgm.binding.timeline import Timeline
from symdgm.expressions.names import Subscripted
from symdgm.expressions.steps import at_offset
from symdgm.lowering.freeze import Frozen
from symdgm.lowering.plan import Kind, PlanNode, ordered
from symdgm.lowering.time.loops import Body
from symdgm.lowering.time.networks import can_begin, names_its_state
from symdgm.lowering.time.sequences import UNREAD
from symdgm.rewriting import Change, Step
from symdgm.rewriting import Kind as Relation

WHY = "what is read beyond the ends of a sequence, and is given no value, is zeros"


def initial_values(frozen: Frozen) -> list[Step]:
    """The step of a derivation that tells of these zeros, if there are any."""
    environment = frozen.bound.environment
    if environment.time is None:
        return []
    nodes = ordered([root.value for root in frozen.roots])
    found = (c for node in nodes for c in _zeros(frozen, environment, environment.time, node))
    changes = tuple(dict.fromkeys(found))
    if not changes:
        return []
    return [Step("initial value", Relation.ASSUMPTION, WHY, changes, frozen.bound.expression)]


def _zeros(frozen: Frozen, environment: Environment, time: Timeline, node: PlanNode) -> Iterator[Change]:
    """The zeros that a node reads."""
    if node.kind is Kind.LAG and UNREAD not in node.detail:
        yield from _before(time, node.detail[0], _lag(node))
    elif node.kind is Kind.LOOP:
        (body,) = node.detail
        assert isinstance(body, Body)
        for step in body.steps:
            if step.first is None and body.carries(step.sequence):
                yield from _before(time, step.sequence)
    elif node.kind is Kind.SEQUENCE and names_its_state(environment, node):
        _, direction, sequence = node.detail
        assert isinstance(sequence, Basic)
        if can_begin(frozen.readings[node].call, direction):
            yield from _before(time, sequence)
        else:
            index = at_offset(time.length, 1) if direction == "backward" else Integer(0)
            state = Subscripted(sequence, index)
            yield Change(state, state, "is 0: the recurrent module begins with zeros")


def _lag(node: PlanNode) -> int:
    """How many steps before the first one a sequence is read."""
    (inner,) = node.args
    return 1 + (_lag(inner) if inner.kind is Kind.LAG else 0)


def _before(time: Timeline, sequence: object, lag: int = 1) -> Iterator[Change]:
    """What stands before the first step of a sequence that nothing begins."""
    assert isinstance(sequence, Basic)
    if sequence in time.initial:
        return
    first = Subscripted(sequence, Integer(0))
    note = "is 0, as nothing is bound to it; bind {0} to a number or a tensor for another beginning"
    yield Change(first, first, note, (first,))
    for number in range(1, lag):
        earlier = Subscripted(sequence, Integer(-number))
        yield Change(earlier, earlier, "is {0}", (first,))
