"""What the mean of a ratio of densities is: ``E_q(z|x)[p(x,z)/q(z|x)] = p(x)``, by importance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from sympy import Basic, Tuple

from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.calculus import IntegralOver
from symdgm.expressions.expectations import Binder
from symdgm.expressions.laws import Law
from symdgm.expressions.scope import free_names, replace
from symdgm.rewriting.averages import Average, named_outright
from symdgm.rewriting.canonical import Canonical
from symdgm.rewriting.polynomials import Polynomial


def own_density(binder: Binder, law: Law) -> Basic:
    """The density of a draw under its own law, ``q(z'|x)``."""
    node: Basic = replace(law.node, dict(zip(law.values, binder.variables, strict=True)))
    return node


def marginal(form: Canonical, binders: Sequence[Binder], ratio: Mapping[str, Fraction]) -> Basic | None:
    """The density that is the mean of a product of powers of densities, or None where it is none.

    Args:
        form: where the keys of densities are known.
        binders: the laws that are averaged over.
        ratio: key of a density → its exponent.
    """
    left = dict(ratio)
    for binder in binders:
        law = form.facts.law(binder.law)
        if law is None or law.kind != "density":
            return None
        key = next(iter(form.opaque(own_density(binder, law)).terms))[0][0]
        left[key] = left.get(key, Fraction(0)) + 1
    factors = {key: e for key, e in left.items() if e}
    if any(e != 1 for e in factors.values()):
        return None
    return _integral(form, list(factors), {v for b in binders for v in b.variables}, binders)


def _integral(
    form: Canonical, keys: Sequence[str], drawn: set[Basic], binders: Sequence[Binder]
) -> Basic | None:
    """A product of densities, integrated over what is drawn."""
    laws = [form.facts.law(form.nodes[key]) for key in keys]
    if any(law is None for law in laws):
        return None
    known = [law for law in laws if law is not None]
    generated = [v for law in known for v in law.values]
    in_use = {n for key in keys for n in form.free(form.nodes[key])}
    if len(set(generated)) < len(generated) or not (drawn & in_use) <= set(generated):
        return None
    if not _without_circle(known):
        return None
    names = named_outright(binders, form)
    values = tuple(v for v in generated if v not in drawn)
    givens = tuple(dict.fromkeys(g for law in known for g in law.givens if g not in set(generated)))
    if not values or any(free_names(g) & drawn for g in givens):
        return None
    heads = {law.node.args[0] for law in known}
    if len(heads) == 1:
        return _reference(heads.pop(), values, givens)
    body = Times(*(form.nodes[key] for key in keys))
    inside = [v for v in generated if v in drawn]
    body = replace(body, {v: names[v] for v in inside}) if names else body
    for variable in inside:
        body = IntegralOver(body, names[variable] if names else variable)
    return body


def _reference(head: Basic, values: Sequence[Basic], givens: Sequence[Basic]) -> Basic:
    if not givens:
        return Apply(head, *values)
    return Density(head, Tuple(*values), Tuple(*givens), Tuple())


def _without_circle(laws: Sequence[Law]) -> bool:
    """Whether densities can be ordered so that each is given only what comes before it."""
    left = list(laws)
    while left:
        waiting = {v for law in left for v in law.values}
        ready = [law for law in left if not waiting & {n for g in law.givens for n in free_names(g)}]
        if not ready:
            return False
        left = [law for law in left if law not in ready]
    return True


def of_ratio(form: Canonical, inner: Average) -> tuple[tuple[Binder, ...], dict[str, Fraction]] | None:
    """The laws and densities of an expectation of a ratio, if that is all it is."""
    if not all(form.is_density(form.nodes[key]) for key, _ in inner.factors):
        return None
    return inner.binders, dict(inner.factors)


def total_of(form: Canonical, mean: Polynomial) -> tuple[Fraction, Basic] | None:
    """The multiple of one density that a sum of means of ratios is: ``sum_k E[p/q]`` is ``K p(x)``."""
    found: dict[Basic, Fraction] = {}
    for factors, coefficient in mean:
        if len(factors) != 1 or factors[0][1] != 1:
            return None
        key = factors[0][0]
        inner = form.averages.get(key)
        if inner is not None:
            pair = of_ratio(form, inner)
            node = marginal(form, *pair) if pair is not None else None
        else:
            node = form.nodes[key] if form.is_density(form.nodes[key]) else None
        if node is None:
            return None
        found[node] = found.get(node, Fraction(0)) + coefficient
    ((node, number),) = found.items() if len(found) == 1 else ((None, Fraction(0)),)
    return (number, node) if node is not None and number > 0 else None
