"""Equalities of sums over finite variables, of products over an index, and of single components."""

from __future__ import annotations

from sympy import Basic, Integer, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.applications import Apply, Call, Density, call
from symdgm.expressions.arithmetic import Minus, Plus, Quotient, Times
from symdgm.expressions.expectations import Binder, DivergenceBetween, Entropy, Expect
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.laws import Law
from symdgm.expressions.resolved import Component
from symdgm.expressions.scope import free_names
from symdgm.rewriting.divergences import closed_form
from symdgm.rewriting.facts import Facts


def finite_sum(node: Basic, facts: Facts) -> Basic | None:
    """``sum_y q(y|x) f(y) = E_q(y|x)[f(y)]``, term by term."""
    if not isinstance(node, Aggregate) or node.kind != "sum" or len(node.index.args) > 1:
        return None
    variable, body = node.index.variable, node.body
    if not any(_weight(n, variable, facts) for n in body.atoms(Apply, Density)):
        return None
    if isinstance(body, Plus):
        return Plus(*(node.func(node.args[0], term, node.index) for term in body.args))
    if isinstance(body, Minus):
        return Minus(node.func(node.args[0], body.args[0], node.index))
    return _expectation(body, variable, facts)


def _expectation(body: Basic, variable: Basic, facts: Facts) -> Basic | None:
    factors = _factors(body, 1)
    place = next((i for i, (s, f) in enumerate(factors) if s > 0 and _weight(f, variable, facts)), None)
    if place is None:
        return None
    rest = [pair for i, pair in enumerate(factors) if i != place]
    return Expect(_product(rest), Binder(Tuple(), factors[place][1])) if rest else Integer(1)


def _weight(node: Basic, variable: Basic, facts: Facts) -> Law | None:
    """The law of the summed variable, where a factor is one."""
    law = facts.law(node) if isinstance(node, Apply | Density) else None
    if law is None or not law.finite or law.values != (variable,):
        return None
    return None if any(variable in free_names(g) for g in law.givens) else law


def _factors(node: Basic, sign: int) -> list[tuple[int, Basic]]:
    if isinstance(node, Times):
        return [pair for factor in node.args for pair in _factors(factor, sign)]
    if isinstance(node, Quotient):
        return [*_factors(node.args[0], sign), *_factors(node.args[1], -sign)]
    return [(sign, node)]


def _product(factors: list[tuple[int, Basic]]) -> Basic:
    above = [f for s, f in factors if s > 0] or [Integer(1)]
    below = [f for s, f in factors if s < 0]
    top = Times(*above) if len(above) > 1 else above[0]
    if not below:
        return top
    return Quotient(top, Times(*below) if len(below) > 1 else below[0])


def log_of_indexed_product(node: Basic, facts: Facts) -> Basic | None:
    """``log prod_j p(z_j) = sum_j log p(z_j)`` of densities."""
    if not (isinstance(node, Call) and node.function == "log" and isinstance(node.args[1], Aggregate)):
        return None
    product = node.args[1]
    density = product.kind == "prod" and isinstance(product.body, Apply | Density)
    if not density or facts.law(product.body) is None:
        return None
    return Aggregate(Str("sum"), call("log", product.body), product.index)


def component_form(node: Basic, facts: Facts) -> Basic | None:
    """The closed form of the divergence, or entropy, of one component: that component of the whole's."""
    index = _index(node, facts)
    whole = closed_form(_whole(node), facts) if index is not None else None
    if index is None or not (isinstance(whole, Call) and whole.function == "sum"):
        return None
    return Component(whole.args[1], index)


def whole_law(node: Basic, facts: Facts) -> Basic | None:
    """An expectation over a component is one over the whole law, of which it is a marginal."""
    if not isinstance(node, Expect):
        return None
    binders = [Binder(b.args[0], _whole(b.law)) if _is_component(b.law, facts) else b for b in node.binders]
    return None if tuple(binders) == node.binders else Expect(node.body, *binders)


def _index(node: Basic, facts: Facts) -> Basic | None:
    """The index of the component that a divergence or an entropy is over."""
    laws = node.args[1:3] if isinstance(node, DivergenceBetween) else node.args
    if not isinstance(node, DivergenceBetween | Entropy) or not all(_is_component(n, facts) for n in laws):
        return None
    law = facts.law(laws[0])
    assert law is not None
    index: Basic = law.values[0].args[1]
    return index


def _is_component(node: Basic, facts: Facts) -> bool:
    law = facts.law(node)
    return law is not None and len(law.values) == 1 and isinstance(law.values[0], Component)


def _whole(node: Basic) -> Basic:
    """A law, or a divergence of laws, over the whole variable."""
    if isinstance(node, Component):
        return node.args[0]
    if not node.args or isinstance(node, Str):
        return node
    return node.func(*(_whole(a) for a in node.args))
