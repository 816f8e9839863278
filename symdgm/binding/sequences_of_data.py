"""Sequences over which no factor is declared: ``sum_{t=1}^T ||x_t - f(x_{t-1})||^2`` of data."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from sympy import Basic

from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.depth import nodes
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import Name, Subscripted, base, spelled
from symdgm.expressions.steps import counted_from, offset_of

STEP, LAST = Name("t"), Name("T")
"""The letters of time, by which alone a sum over it is told from one over components."""


def steps_of_data(formulas: Iterable[Basic], declared: Sequence[Basic], bound: Collection[str]) -> set[Basic]:
    """The indices of sums that run over the steps of data.

    They are told by their letters, ``t=1..T``, or by a term that names the step before. A variable that is
    named as a whole too, or bound to a value, has components or entries, no steps.

    Args:
        formulas: the formulas.
        declared: the notation of the factors.
        bound: the names of all that is bound.
    """
    formulas = list(formulas)
    others = {spelled(n) for e in (*formulas, *declared) for n in _whole(e)} | set(bound)
    found = set()
    for aggregate in (n for e in formulas for n in nodes(e, Aggregate)):
        index = aggregate.index
        if len(index.args) != 3 or not isinstance(index.variable, Name):
            continue
        last = counted_from(index.args[2])
        if not isinstance(last, Name) or spelled(last) in bound:
            continue
        steps = [o for v, o in _steps(aggregate.body, index.variable) if spelled(v) not in others]
        if any(steps) or (steps and (index.variable, last) == (STEP, LAST)):
            found.add(index.variable)
    return found


def _steps(node: Basic, time: Basic) -> Iterator[tuple[Basic, int]]:
    """The variables with an index that counts from some letter, and how far."""
    for name in nodes(node, Subscripted):
        for index in name.indices[:2]:
            offset = offset_of(index, time)
            if offset is not None:
                yield base(name), offset


def _whole(node: Basic) -> Iterator[Basic]:
    """The names without an index; those of laws and networks are left out."""
    if isinstance(node, Name):
        yield node
    elif not isinstance(node, Subscripted):
        named = isinstance(node, Apply | Density)
        for argument in node.args[1:] if named else node.args:
            yield from _whole(argument)
