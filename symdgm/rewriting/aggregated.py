"""Aggregated posteriors ``q(z)``: expectations over them, and their density by the minibatch mixture."""

from __future__ import annotations

from itertools import count

from sympy import Basic, Integer, Tuple
from sympy.core.symbol import Str

from symdgm.errors import NotSupportedError
from symdgm.expressions.applications import Apply, Density, Indicator
from symdgm.expressions.arithmetic import Plus, Quotient, Times
from symdgm.expressions.expectations import Binder, Expect
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.laws import Law
from symdgm.expressions.names import Name, Relation
from symdgm.expressions.resolved import Component, EntryOf, OwnRow, RowOf
from symdgm.expressions.scope import free_names
from symdgm.rewriting.facts import Facts

ONE = Integer(1)


def aggregated_expectation(node: Basic, facts: Facts) -> Basic | None:
    """``E_q(z)[f(z)] = E_data(x) E_q(z|x)[f(z)]``, over other rows than the example's if f depends on it.

    Raises:
        NotSupportedError: a third independent row.
    """
    if not isinstance(node, Expect):
        return None
    laws = [_aggregated(b.law, facts) for b in node.binders]
    if not any(laws):
        return None
    if len(node.binders) > 1:
        first, *others = node.binders
        return Expect(Expect(node.body, *others), first)
    (law,) = laws
    assert law is not None
    drawn = node.binders[0].variables or law.values
    if not _depends_on_example(node.body, drawn, facts):
        return _over_data(node, law, drawn, facts)
    if node.has(OwnRow):
        raise NotSupportedError(
            f"`{node}` wants a third row that is independent of two others, which is not drawn",
            hint="write two expectations over an aggregated law at most, or `E_data(x) E_q(z|x)[...]`",
        )
    return _over_other_rows(node, law, drawn, facts)


def _over_data(node: Expect, law: Law, drawn: tuple[Basic, ...], facts: Facts) -> Basic:
    rows, data = facts.rows(law)
    variables = () if drawn == law.values else drawn
    return Expect(node.body, Binder(Tuple(), data), Binder(Tuple(*variables), rows))


def _over_other_rows(node: Expect, law: Law, drawn: tuple[Basic, ...], facts: Facts) -> Basic:
    """The mean over all rows but the example's own, which are independent of it."""
    index = fresh_index(node)
    row = at_row(facts.rows(law)[0], index)
    variables = () if drawn == law.values else drawn
    inner = Expect(node.body, Binder(Tuple(*variables), row))
    condition = Relation(Str("!="), index, OwnRow())
    return Aggregate(Str("mean"), inner, Index(index, ONE, facts.batch_size(), condition))


def aggregated_density(node: Basic, facts: Facts) -> Basic | None:
    """``q(z)`` by the mixture over the batch, ``1/B sum_{j=1}^B q(z|x_j)``."""
    law = _aggregated(node, facts)
    if law is None:
        return None
    index = fresh_index(node)
    row = at_row(facts.rows(law)[0], index)
    return Aggregate(Str("mean"), row, Index(index, ONE, facts.batch_size()))


def stratified_density(node: Basic, facts: Facts) -> Basic | None:
    """``log q(z)`` at a draw from the example's own row, where the number N of all rows is known.

    The own row stands for 1/N of the data, the B - 1 others for the rest: the weighted sum is an unbiased
    estimate of q(z).
    """
    if not isinstance(node, Expect):
        return None
    body = node.body
    for binder in node.binders:
        body = _stratified(body, binder, facts)
    return None if body == node.body else Expect(body, *node.binders)


def _stratified(body: Basic, binder: Binder, facts: Facts) -> Basic:
    """The body with the densities of the aggregated law of a binder's draw."""
    law = facts.law(binder.law)
    if law is None or law.kind != "density":
        return body
    for node in sorted(body.atoms(Apply, Density), key=str):
        own = _aggregated(node, facts)
        size = facts.data_size(own) if own is not None else None
        if own is None or size is None:
            continue
        drawn = binder.variables or law.values
        rows = facts.law(facts.rows(own)[0])
        at = tuple(v.args[0] if isinstance(v, Component) else v for v in own.values)
        if rows is not None and rows.identity == law.identity and at == drawn:
            body = _with(body, node, _weighted_mixture(node, law, own, size, facts))
    return body


def _weighted_mixture(node: Basic, law: Law, own: Law, size: int, facts: Facts) -> Basic:
    index = fresh_index(node)
    given = law.givens[0]
    row = given.args[1] if isinstance(given, RowOf) else OwnRow()
    others = Quotient(Integer(size - 1), Plus(facts.batch_size(), Integer(-1)))
    is_own, is_other = (Indicator(Relation(Str(s), index, row)) for s in ("==", "!="))
    weight = Quotient(Plus(is_own, Times(others, is_other)), Integer(size))
    density = at_row(facts.rows(own)[0], index)
    return Aggregate(Str("sum"), Times(weight, density), Index(index, ONE, facts.batch_size()))


def _with(node: Basic, old: Basic, new: Basic) -> Basic:
    """A formula with another density in place of one; laws are left alone."""
    if node == old:
        return new
    if not node.args or isinstance(node, Str | Binder | Apply | Density):
        return node
    return node.func(*(_with(a, old, new) for a in node.args))


def _aggregated(node: Basic, facts: Facts) -> Law | None:
    law = facts.law(node) if isinstance(node, Apply | Density) else None
    return law if law is not None and law.kind == "aggregated" else None


def at_row(law: Basic, index: Basic) -> Basic:
    """``q(z|x_j)`` for ``q(z|x)``."""
    assert isinstance(law, Density)
    givens = tuple(RowOf(g, index) for g in law.givens)
    return Density(law.head, Tuple(*law.values), Tuple(*givens), Tuple(*law.parameters))


def fresh_index(node: Basic) -> Name:
    """A name that stands nowhere in a formula."""
    taken = node.atoms(Name)
    names = (Name(letter + "'" * primes) for primes in count() for letter in "jil")
    return next(n for n in names if n not in taken)


def _depends_on_example(body: Basic, drawn: tuple[Basic, ...], facts: Facts) -> bool:
    """Whether a body depends on the example beside what is drawn."""
    names = free_names(_without_rows(body))
    read = {v for n in names for given in facts.reads(n) for v in free_names(_without_rows(given))}
    return any(not facts.is_scalar(n) for n in read - set(drawn))


def _without_rows(node: Basic) -> Basic:
    """An expression in which other examples, tables and the indices on components are numbers."""
    if isinstance(node, RowOf | EntryOf):
        return ONE
    if isinstance(node, Component):
        return _without_rows(node.args[0])
    if not node.args or isinstance(node, Str):
        return node
    parts = tuple(_without_rows(a) for a in node.args)
    return node if parts == node.args else node.func(*parts)
