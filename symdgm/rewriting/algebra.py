"""Equalities of logs, sums and expectations."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Basic, Integer, Number, Rational

from symdgm.expressions.applications import Apply, Call, Density, call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times, plus
from symdgm.expressions.expectations import CrossEntropy, DivergenceBetween, Entropy, Expect
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.places import looked_up, patterns
from symdgm.expressions.scope import bound_variables, free_names
from symdgm.rewriting.facts import Facts

INTEGRALS = (Expect, DivergenceBetween, Entropy, CrossEntropy)
"""What a sum is taken apart for."""


def chain_rule(node: Basic, facts: Facts) -> Basic | None:
    """``p(x, z)`` is the product of its factors."""
    if not isinstance(node, Apply | Density):
        return None
    factors = facts.factorise(node)
    if not factors or len(factors) < 2:
        return None
    return Times(*factors)


def log_of_product(node: Basic, facts: Facts) -> Basic | None:
    """``log(a b / c) = log a + log b - log c`` where densities are among the factors.

    Only factors that cannot be negative are split off; the log of a product of two negative numbers is real.
    """
    if not (isinstance(node, Call) and node.function == "log"):
        return None
    factors = _signed_factors(node.args[1], 1, facts)
    positive = [(sign, f) for sign, f in factors if _is_positive(f, facts)]
    if len(factors) < 2 or not any(_is_density(f, facts) for _, f in positive):
        return None
    terms = [call("log", f) if sign > 0 else Minus(call("log", f)) for sign, f in positive]
    rest = [(sign, f) for sign, f in factors if (sign, f) not in positive]
    if rest:
        terms.append(call("log", _product(rest)))
    return Plus(*terms) if len(terms) > 1 else terms[0]


def _is_positive(node: Basic, facts: Facts) -> bool:
    if isinstance(node, Call) and node.function in ("exp", "sigmoid", "softplus", "softmax"):
        return True
    return _is_density(node, facts) or (isinstance(node, Number) and bool(node > 0))


def _product(factors: Sequence[tuple[int, Basic]]) -> Basic:
    """The product of factors, those of negative sign below the line."""
    above = [f for sign, f in factors if sign > 0] or [Integer(1)]
    below = [f for sign, f in factors if sign < 0]
    top = Times(*above) if len(above) > 1 else above[0]
    if not below:
        return top
    return Quotient(top, Times(*below) if len(below) > 1 else below[0])


def log_of_power(node: Basic, facts: Facts) -> Basic | None:
    """``log(p^n) = n log p`` of a density."""
    if not (isinstance(node, Call) and node.function == "log" and isinstance(node.args[1], Power)):
        return None
    base, exponent = node.args[1].args
    return Times(exponent, call("log", base)) if _is_density(base, facts) else None


def linearity(node: Basic, facts: Facts) -> Basic | None:
    """``E[a + c b] = E[a] + c E[b]`` for a scalar c."""
    if not isinstance(node, Expect):
        return None
    body, binders = node.body, node.binders
    if isinstance(body, Plus):
        return plus(*(_expect(t, binders, facts) for t in body.args))
    if isinstance(body, Minus | Times | Quotient):
        moved = _expect(body, binders, facts)
        return None if moved == node else moved
    return None


def _expect(body: Basic, binders: tuple[Basic, ...], facts: Facts) -> Basic:
    """The expectation of a term with its sign and its scalar factors before it."""
    if isinstance(body, Minus):
        return Minus(_expect(body.args[0], binders, facts))
    if isinstance(body, Times):
        scalars = [f for f in body.args if facts.is_scalar(f)]
        rest = [f for f in body.args if not facts.is_scalar(f)]
        if scalars and rest:
            return Times(*scalars, _expect(Times(*rest) if len(rest) > 1 else rest[0], binders, facts))
    if isinstance(body, Quotient) and facts.is_scalar(body.args[1]):
        return Quotient(_expect(body.args[0], binders, facts), body.args[1])
    return Expect(body, *binders)


def distribute(node: Basic, facts: Facts) -> Basic | None:
    """``c (a + b) = c a + c b`` for a scalar c, and ``a - (b + c) = a - b - c``, of expectations and such."""
    if not node.has(*INTEGRALS):
        return None
    if isinstance(node, Plus) and any(_sum_of(t) for t in node.args):
        return Plus(*(part for t in node.args for part in _sum_of(t) or (t,)))
    sign, scalars, core = split_coefficient(node, facts)
    if core is node or not scalars or not isinstance(core, Plus):
        return None
    return Plus(*(join_coefficient(sign, scalars, term) for term in core.args))


def _sum_of(term: Basic) -> tuple[Basic, ...]:
    """The terms of a sum that stands in a sum, negated after a minus; none of what is no sum."""
    if isinstance(term, Minus) and isinstance(term.args[0], Plus):
        return tuple(t.args[0] if isinstance(t, Minus) else Minus(t) for t in term.args[0].args)
    return tuple(term.args) if isinstance(term, Plus) else ()


def constant(node: Basic, facts: Facts) -> Basic | None:
    """``E[c] = c``: a variable that the body does not depend on need not be drawn."""
    if not isinstance(node, Expect):
        return None
    kept: list[Basic] = []
    needed = set(free_names(node.body))
    for binder in reversed(node.binders):
        drawn = patterns(bound_variables(binder))
        used = {name for name in needed if looked_up(name, drawn) is not None}
        law = facts.law(binder.law)
        if used or (law is not None and law.kind == "path"):
            kept.insert(0, binder)
            needed = (needed - used).union(*map(free_names, law.givens if law else ()))
    if len(kept) == len(node.binders):
        return None
    return Expect(node.body, *kept) if kept else node.body


def _signed_factors(node: Basic, sign: int, facts: Facts) -> list[tuple[int, Basic]]:
    if isinstance(node, Times):
        return [pair for f in node.args for pair in _signed_factors(f, sign, facts)]
    if isinstance(node, Quotient):
        a, b = node.args
        return _signed_factors(a, sign, facts) + _signed_factors(b, -sign, facts)
    return [(sign, node)]


def _is_density(node: Basic, facts: Facts) -> bool:
    if isinstance(node, Power):
        return _is_density(node.args[0], facts)
    if isinstance(node, Aggregate):
        return node.kind == "prod" and facts.is_time(node.index)
    return isinstance(node, Apply | Density) and (
        facts.law(node) is not None or facts.factorise(node) is not None
    )


def split_coefficient(term: Basic, facts: Facts) -> tuple[int, tuple[Basic, ...], Basic]:
    """A term as its sign, its scalar factors and what remains: ``-2 beta f`` gives ``(-1, (2, beta), f)``."""
    if isinstance(term, Minus):
        sign, scalars, core = split_coefficient(term.args[0], facts)
        return -sign, scalars, core
    if isinstance(term, Quotient) and facts.is_scalar(term.args[1]):
        sign, scalars, core = split_coefficient(term.args[0], facts)
        return sign, (*scalars, _reciprocal(term.args[1])), core
    if isinstance(term, Times):
        sign = -1 if sum(isinstance(f, Minus) for f in term.args) % 2 else 1
        factors = [f.args[0] if isinstance(f, Minus) else f for f in term.args]
        rest = [f for f in factors if not facts.is_scalar(f)]
        if len(rest) == 1:
            inner_sign, inner, core = split_coefficient(rest[0], facts)
            return sign * inner_sign, (*(f for f in factors if facts.is_scalar(f)), *inner), core
    return 1, (), term


def _reciprocal(node: Basic) -> Basic:
    if isinstance(node, Number) and node != 0:
        return Rational(1, node)
    return Quotient(Integer(1), node)


def join_coefficient(sign: int, scalars: tuple[Basic, ...], core: Basic) -> Basic:
    """The term of a sign, scalar factors and a core."""
    term = Times(*scalars, core) if scalars else core
    return Minus(term) if sign < 0 else term
