"""Steps of sequences as expressions: how far ``z_{t-1}`` is from now, and the same some steps later."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Basic, Integer

from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Minus, Plus
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.names import IndexRange, Labelled, Name, Relation, Subscripted
from symdgm.expressions.statements import Definition

ONE = Integer(1)
NAMES = (Name, Subscripted, Labelled)


def offset_of(index: Basic, time: Basic) -> int | None:
    """``c`` of ``t + c``, or None."""
    if index == time:
        return 0
    if isinstance(index, Plus) and len(index.args) == 2 and index.args[0] == time:
        step = index.args[1]
        if isinstance(step, Integer):
            return int(step)
        if isinstance(step, Minus) and isinstance(step.args[0], Integer):
            return -int(step.args[0])
    return None


def counted_from(index: Basic) -> Basic:
    """``t`` of ``t - 1``; the index itself where it counts from nothing."""
    counts = isinstance(index, Plus) and offset_of(index, index.args[0]) is not None
    return index.args[0] if counts else index


def at_offset(time: Basic, offset: int) -> Basic:
    """``t + c``."""
    if not offset:
        return time
    number = Integer(abs(offset))
    return Plus(time, Minus(number) if offset < 0 else number)


def past_of(index: Basic, time: Basic) -> int | None:
    """``c`` of the slices ``1:t-c``, ``<=t-c`` and, one step more, ``<t-c``; None for anything else."""
    if isinstance(index, IndexRange) and index.args[0] == ONE:
        end, more = index.args[1], 0
    elif isinstance(index, Relation) and str(index.args[0]) in ("<", "<="):
        end, more = index.args[2], int(str(index.args[0]) == "<")
    else:
        return None
    offset = offset_of(end, time)
    return None if offset is None else more - offset


def is_size(name: Basic) -> bool:
    """Whether a name is that of a size, such as the last step: a capital letter."""
    return isinstance(name, Name) and name.text[0].isupper()


def shift(node: Basic, time: Basic, by: int) -> Basic:
    """The same with ``t + by`` in place of ``t``; the variables that arguments are named for stay."""
    offset = offset_of(node, time)
    if offset is not None:
        return at_offset(time, offset + by)
    if isinstance(node, Aggregate) and node.index.variable == time:
        return node
    kept, rest = _parts(node)
    arguments = (*kept, *(shift(a, time, by) for a in rest))
    return node if arguments == node.args else node.func(*arguments)


def offsets(node: Basic, time: Basic) -> Iterator[int]:
    """How far from now the steps are that an expression names; of a slice of the past, its end."""
    if isinstance(node, Aggregate) and node.index.variable == time:
        return
    if isinstance(node, Subscripted) and len(node.indices) == 1:
        index = node.indices[0]
        past, own = past_of(index, time), offset_of(index, time)
        yield from () if own is None else (own,)
        yield from () if past is None else (-past,)
        return
    for argument in _parts(node)[1]:
        yield from offsets(argument, time)


def _parts(node: Basic) -> tuple[tuple[Basic, ...], tuple[Basic, ...]]:
    """The name of a law or of a formal variable, whose index is part of it (``p_t``), and all other parts."""
    named = isinstance(node, Definition | Apply | Density) and isinstance(node.args[0], NAMES)
    return (node.args[:1], node.args[1:]) if named else ((), node.args)


def span(index: Index) -> tuple[int, Basic | None, int] | None:
    """The first step of an index over time, the name of the last, and how many steps before that it ends.

    ``t=2..T-1`` gives 2, ``T`` and 1; no bounds at all are ``1..T``, whose name is left open. None is for
    bounds of another form.
    """
    variable, *bounds = index.args
    if not bounds:
        return 1, None, 0
    if len(bounds) == 1:
        operator, left, right = bounds[0].args
        if left != variable or not isinstance(right, Integer) or str(operator) not in (">", ">="):
            return None
        return int(right) + int(str(operator) == ">"), None, 0
    lower, last = bounds[0], counted_from(bounds[1])
    dropped = offset_of(bounds[1], last)
    if len(bounds) > 2 or not isinstance(lower, Integer) or not isinstance(last, Name):
        return None
    return (int(lower), last, -dropped) if dropped is not None else None


def moved(index: Index, by: int) -> Index | None:
    """The index of a sum whose terms are written for ``t + by``; None where it would begin before step 1.

    ``t=1..T-1`` one step later is ``t=2..T``; so that all stays the same, the terms are shifted by ``-by``.
    """
    found = span(index)
    if found is None or found[1] is None:
        return None
    first, last, dropped = found
    if first + by < 1 or dropped < by:
        return None
    return Index(index.variable, Integer(first + by), at_offset(last, by - dropped))
