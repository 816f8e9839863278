"""Means over independent samples inside of a logarithm: their expectation is that of one sample."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Basic, Integer, Tuple

from symdgm.expressions.applications import Call, call
from symdgm.expressions.arithmetic import Plus, Quotient, Times
from symdgm.expressions.expectations import Binder, Expect
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.names import IndexRange, Name, Subscripted
from symdgm.expressions.scope import free_names, replace


def is_range(variable: Basic) -> bool:
    """Whether a variable stands for several samples, ``z_{1:K}``."""
    return isinstance(variable, Subscripted) and isinstance(variable.indices[0], IndexRange)


def one_sample(node: Expect) -> Expect | None:
    """``E_{z_{1:K}}[log 1/K sum_k f(z_k)]`` with K equal terms, whose mean is that of one.

    None where the body is no log, or where a sample is used in another way than by a sum over all.
    """
    if not (isinstance(node.body, Call) and node.body.function == "log"):
        return None
    inside: Basic = node.body.args[1]
    binders = []
    for binder in node.binders:
        if not any(is_range(v) for v in binder.variables):
            binders.append(binder)
            continue
        singles = {v.head: v.indices[0] for v in binder.variables if is_range(v)}
        inside = _summed(inside, singles)
        if any(isinstance(n, Subscripted) and n.head in singles for n in free_names(inside)):
            return None
        names = [v.head if is_range(v) else v for v in binder.variables]
        binders.append(Binder(Tuple(*names), binder.law))
    return Expect(call("log", inside), *binders)


def _summed(node: Basic, samples: dict[Basic, IndexRange]) -> Basic:
    """The formula with each sum over all samples as K times the term of one of them."""
    if isinstance(node, Aggregate):
        bounds = node.index.args[1:]
        if len(bounds) == 2 and any(bounds == r.args for r in samples.values()) and bounds[0] == 1:
            k = node.index.variable
            body = replace(node.body, {Subscripted(head, k): head for head in samples})
            if node.kind == "sum":
                return Times(bounds[1], body)
            return body if node.kind == "mean" else node
        return node
    if isinstance(node, Quotient):
        return Quotient(_summed(node.args[0], samples), node.args[1])
    if isinstance(node, Times) and len([a for a in node.args if a.has(Aggregate)]) == 1:
        return Times(*(_summed(a, samples) for a in node.args))
    return node  # a product of two sums has another mean than that of one sample


def unrolled(node: Basic, most: int) -> Basic:
    """The formula with its sums, products and samples over whole numbers written out.

    Args:
        node: any formula.
        most: the most terms that a sum is written out to.
    """
    arguments = [unrolled(a, most) for a in node.args]
    same = all(a is b for a, b in zip(arguments, node.args, strict=True))
    node = node if same else node.func(*arguments)
    if isinstance(node, Aggregate) and (count := _count(node.index, most)):
        return _written_out(node, count)
    if isinstance(node, Expect):
        return _drawn_one_by_one(node, most)
    return node


def _count(index: Index, most: int) -> int | None:
    bounds = index.args[1:]
    if len(bounds) != 2 or bounds[0] != 1 or not isinstance(bounds[1], Integer):
        return None
    return int(bounds[1]) if 1 <= bounds[1] <= most else None


def _written_out(node: Aggregate, count: int) -> Basic:
    parts = [replace(node.body, {node.index.variable: Integer(k)}) for k in range(1, count + 1)]
    if len(parts) == 1:
        return parts[0]
    whole = Times(*parts) if node.kind == "prod" else Plus(*parts)
    return Quotient(whole, Integer(count)) if node.kind == "mean" else whole


def _drawn_one_by_one(node: Expect, most: int) -> Basic:
    binders: list[Binder] = []
    for binder in node.binders:
        (variable, *others) = binder.variables or (None,)
        bounds = variable.indices[0].args if variable is not None and is_range(variable) else ()
        if others or not bounds or bounds[0] != 1 or not isinstance(bounds[1], Integer) or bounds[1] > most:
            binders.append(binder)
            continue
        for k in range(1, int(bounds[1]) + 1):
            binders.append(Binder(Tuple(Subscripted(variable.head, Integer(k))), binder.law))
    return node if tuple(binders) == node.binders else Expect(node.body, *binders)


def with_numbers(node: Basic, numbers: Mapping[Basic, Basic]) -> Basic:
    """The formula with numbers for names everywhere, in the bounds of samples too."""
    if node in numbers:
        return numbers[node]
    if not node.args or isinstance(node, Name):
        return node
    arguments = [with_numbers(a, numbers) for a in node.args]
    return node if all(a is b for a, b in zip(arguments, node.args, strict=True)) else node.func(*arguments)


def bounds_of(expression: Basic) -> set[Basic]:
    """The names in the bounds of sums and of samples."""
    nodes = [*expression.atoms(IndexRange), *(i for i in expression.atoms(Index) if len(i.args) == 3)]
    return {name for node in nodes for name in Tuple(*node.args[-2:]).atoms(Name)}
