"""Canonical expectations: one for each product of factors that depend on each other, over nothing more."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from sympy import Basic, Tuple

from symdgm.caches import remembered
from symdgm.expressions.expectations import Binder, Expect
from symdgm.expressions.laws import Law
from symdgm.expressions.names import Labelled, Name, Subscripted, base
from symdgm.expressions.places import bound_variables, looked_up, patterns
from symdgm.expressions.resolved import Component
from symdgm.expressions.scope import free_names, replace
from symdgm.expressions.signature import canonical
from symdgm.rewriting.polynomials import Monomial, Polynomial, atom, monomial, total
from symdgm.rewriting.samples import is_range

if TYPE_CHECKING:
    from symdgm.rewriting.canonical import Canonical

MAX_ORDERS = 24
"""Orders of independent draws among which the canonical one is chosen."""


@dataclass(frozen=True)
class Average:
    """An expectation of a product.

    Args:
        binders: the laws, each with the variable that is drawn from it; ancestors first.
        factors: the factors of the product.
    """

    binders: tuple[Binder, ...]
    factors: Monomial


class Fresh:
    """Names for drawn variables that nothing else has: the formal name with ever more primes."""

    def __init__(self) -> None:
        self._primes: dict[Basic, int] = {}

    def name(self, variable: Basic) -> Basic:
        """A name that was never given before."""
        root = base(variable) if isinstance(variable, Name) else variable
        self._primes[root] = self._primes.get(root, 0) + 1
        return _primed(root, self._primes[root])


def _primed(variable: Basic, primes: int) -> Basic:
    if isinstance(variable, Subscripted | Labelled):
        return variable.func(_primed(variable.args[0], primes), *variable.args[1:])
    return Name(variable.text + "'" * primes)


def average(form: Canonical, node: Basic) -> Polynomial:
    """The canonical form of an expectation: linear, without draws that do not matter."""
    laws = [(b.variables, single) for b in node.binders for single in _singles(form, b)]
    if any(not _is_whole(form.facts.law(law)) for _, law in laws):
        return form.opaque(node)
    if any(is_range(v) for variables, _ in laws for v in variables):
        return _over_samples(form, node)
    binders: list[Binder] = []
    names: dict[Basic, Basic] = {}
    for written, node_of_law in laws:
        law = form.facts.law(node_of_law)
        assert law is not None
        placed = replace(node_of_law, {k: v for k, v in names.items() if k not in law.values})
        fresh = tuple(form.fresh.name(v) for v in law.values)
        binders.append(Binder(Tuple(*fresh), placed))
        names |= dict(zip(written or law.values, fresh, strict=True))
    body = form.of(replace(form.by_factors(node.body), names))
    return total(averaged(form, binders, m).scaled(c) for m, c in body)


def _is_whole(law: Law | None) -> bool:
    """Whether a law is bound, and over whole variables: a component stays inside of its sum."""
    return law is not None and not any(isinstance(v, Component) for v in law.values)


def _over_samples(form: Canonical, node: Expect) -> Polynomial:
    """An expectation over several samples: linear, and no more is known of it."""
    bound = patterns(v for binder in node.binders for v in bound_variables(binder))
    result = []
    for factors, c in form.of(form.by_factors(node.body)):
        drawn = {k for k, _ in factors if any(looked_up(n, bound) for n in form.free(form.nodes[k]))}
        inside = tuple(pair for pair in factors if pair[0] in drawn)
        term = monomial((pair for pair in factors if pair[0] not in drawn), c)
        result.append(term * form.opaque(Expect(form.product(inside), *node.binders)) if inside else term)
    return total(result)


def _singles(form: Canonical, binder: Binder) -> tuple[Basic, ...]:
    """The law of a binder; of a joint, its factors, ancestors first."""
    if form.facts.law(binder.law) is not None or binder.variables:
        return (binder.law,)
    factors = form.facts.factorise(binder.law)
    return tuple(reversed(factors)) if factors else (binder.law,)


def averaged(form: Canonical, binders: Sequence[Binder], factors: Monomial) -> Polynomial:
    """The expectation of one product, as a product of expectations of what is not independent."""
    laws, inside = _merged(form, list(binders), dict(factors))
    kept = _needed(form, laws, inside)
    groups = _connected(form, kept, inside)
    used = {key for _, keys in groups for key in keys}
    result = monomial((k, e) for k, e in inside.items() if k not in used)
    for own, keys in groups:
        result = result * _atom(form, own, tuple(sorted((k, inside[k]) for k in keys)))
    return result


def _merged(
    form: Canonical, binders: list[Binder], factors: dict[str, Fraction]
) -> tuple[list[Binder], dict[str, Fraction]]:
    """With expectations inside of the product made part of it, their variables under new names."""
    while True:
        drawn = {v for b in binders for v in b.variables}
        found = next(
            (
                k
                for k, e in factors.items()
                if e == 1 and k in form.averages and form.free(form.nodes[k]) & drawn
            ),
            None,
        )
        if found is None:
            return binders, factors
        del factors[found]
        more, parts = _renamed(form, form.averages[found])
        binders = [*binders, *more]
        for key, exponent in parts:
            factors[key] = factors.get(key, Fraction(0)) + exponent
        factors = {k: e for k, e in factors.items() if e}


def _renamed(form: Canonical, inner: Average) -> tuple[list[Binder], Monomial]:
    names: dict[Basic, Basic] = {}
    binders = []
    for binder in inner.binders:
        law = _placed(binder, names)
        fresh = tuple(form.fresh.name(v) for v in binder.variables)
        binders.append(Binder(Tuple(*fresh), law))
        names |= dict(zip(binder.variables, fresh, strict=True))
    factors = []
    for key, exponent in inner.factors:
        node = replace(form.nodes[key], names)
        renamed = next(iter(form.opaque(node).terms))[0][0]
        if key in form.averages:
            form.averages.setdefault(renamed, _moved(form.averages[key], names))
        factors.append((renamed, exponent))
    return binders, tuple(factors)


def _placed(binder: Binder, names: dict[Basic, Basic]) -> Basic:
    law = replace(Expect(Name("_"), binder), names).binders[0]
    placed: Basic = law.law
    return placed


def _moved(inner: Average, names: dict[Basic, Basic]) -> Average:
    """An expectation in which names that are free in it are others."""
    return Average(tuple(Binder(b.args[0], _placed(b, names)) for b in inner.binders), inner.factors)


def _needed(form: Canonical, binders: Sequence[Binder], factors: dict[str, Fraction]) -> list[Binder]:
    """The draws on which the product depends, near or far."""
    needed = {name for key in factors for name in form.free(form.nodes[key])}
    kept: list[Binder] = []
    for binder in reversed(binders):
        if needed & set(binder.variables):
            kept.insert(0, binder)
            needed |= _givens(binder)
    return kept


@remembered(1024)
def _givens(binder: Binder) -> frozenset[Basic]:
    return free_names(Expect(Name("_"), binder))


def _connected(
    form: Canonical, binders: Sequence[Binder], factors: dict[str, Fraction]
) -> list[tuple[list[Binder], list[str]]]:
    """Draws and factors by what they depend on together; factors of no draw are left out."""
    groups: list[tuple[list[Binder], list[str], set[Basic]]] = []
    parts: list[tuple[Binder | None, str, set[Basic]]] = [
        (b, "", {*b.variables, *_givens(b)}) for b in binders
    ]
    parts += [(None, key, set(form.free(form.nodes[key]))) for key in factors]
    drawn = {v for b in binders for v in b.variables}
    for binder, key, names in parts:
        mine = names & drawn
        if not mine:
            continue
        touched = [g for g in groups if g[2] & mine]
        groups = [g for g in groups if g not in touched]
        groups.append(
            (
                [b for g in touched for b in g[0]] + ([binder] if binder is not None else []),
                [k for g in touched for k in g[1]] + ([key] if binder is None else []),
                set(mine).union(*(g[2] for g in touched)),
            )
        )
    return [(own, keys) for own, keys, _ in groups]


def _atom(form: Canonical, binders: list[Binder], factors: Monomial) -> Polynomial:
    """One expectation, with its draws in the canonical order."""
    if form.integral is not None and all(form.is_density(form.nodes[key]) for key, _ in factors):
        whole = form.integral(form, binders, dict(factors))
        if whole is not None:
            return form.of(whole)
    body = form.product(factors)
    orders = list(itertools.islice(_orders(binders), MAX_ORDERS))
    keyed = [(canonical(Expect(body, *order)), order) for order in orders]
    key, order = min(keyed, key=lambda pair: pair[0])
    if key not in form.nodes:
        form.nodes[key] = Expect(body, *order)
        form.averages[key] = Average(tuple(order), factors)
    return atom(key)


def _orders(binders: list[Binder]) -> Iterator[list[Binder]]:
    """The orders in which each draw comes after those that its law is given."""
    if not binders:
        yield []
    for binder in binders:
        others = [b for b in binders if b is not binder]
        if _givens(binder) & {v for b in others for v in b.variables}:
            continue
        for rest in _orders(others):
            yield [binder, *rest]


def named_outright(binders: Sequence[Binder], form: Canonical) -> dict[Basic, Basic] | None:
    """Drawn variables under the names of their laws; None where one is drawn twice."""
    names: dict[Basic, Basic] = {}
    for binder in binders:
        law = form.facts.law(binder.law)
        assert law is not None
        names |= dict(zip(binder.variables, law.values, strict=True))
    return names if len(set(names.values())) == len(names) else None


def plain(form: Canonical, key: str) -> Basic:
    """An expectation with its draws under the names of their laws, where that is possible."""
    inner, node = form.averages[key], form.nodes[key]
    names = named_outright(inner.binders, form)
    if names is None or set(names.values()) & set(form.free(node)):
        return node
    laws = [_placed(b, names) for b in inner.binders]
    body = replace(form.product(inner.factors), names)
    return Expect(body, *(Binder(Tuple(), law) for law in laws))
