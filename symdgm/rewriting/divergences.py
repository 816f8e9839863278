"""Closed forms of KL divergences and entropies."""

from __future__ import annotations

from sympy import Basic, Number, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.applications import Apply, Density, call
from symdgm.expressions.arithmetic import Minus, Plus
from symdgm.expressions.expectations import CrossEntropy, DivergenceBetween, Entropy
from symdgm.expressions.families import Family, kl_formula
from symdgm.expressions.folding import fold
from symdgm.expressions.known import KnownIntegral, known
from symdgm.expressions.laws import Law
from symdgm.expressions.scope import replace
from symdgm.rewriting.facts import Facts


def kl(q: Basic, p: Basic) -> DivergenceBetween:
    """``KL[q || p]``."""
    return DivergenceBetween(Str("KL"), q, p)


def closed_form(node: Basic, facts: Facts) -> Basic | None:
    """The closed form of a KL divergence or an entropy, specialised at constants, summed over the event."""
    value = _closed(node, facts)
    return None if value is None or value.has(KnownIntegral) else value


def known_integral(node: Basic, facts: Facts) -> Basic | None:
    """A KL divergence or an entropy that the distributions know, or torch knows of them."""
    value = _closed(node, facts)
    return value if value is not None and value.has(KnownIntegral) else None


def _closed(node: Basic, facts: Facts) -> Basic | None:
    if isinstance(node, DivergenceBetween) and node.kind == "KL":
        q, p = facts.law(node.args[1]), facts.law(node.args[2])
        return closed_kl(q, p, facts) if q and p else None
    if isinstance(node, Entropy):
        q = facts.law(node.args[0])
        return closed_entropy(q, facts) if q else None
    return None


def cross_entropy(node: Basic, facts: Facts) -> Basic | None:
    """``H[q, p] = H[q] + KL[q || p]`` where both have closed forms."""
    if not isinstance(node, CrossEntropy):
        return None
    q, p = facts.law(node.args[0]), facts.law(node.args[1])
    if q is None or p is None or closed_kl(q, p, facts) is None:
        return None
    return Plus(Entropy(q.node), kl(q.node, p.node))


def closed_kl(q: Law, p: Law, facts: Facts) -> Basic | None:
    """The closed form of ``KL[q || p]``, or None.

    Both must be single factors over the same variable, so that the formula holds for every value of what is
    given: of one family with formulas, of one whose log-density is linear, or of a pair that torch knows.
    """
    if q.kind != "density" or p.kind != "density" or q.values != p.values:
        return None
    formula = _formula(q, p, facts)
    if formula is not None and q.family is not None and p.family is not None:
        theirs = {p.family.others[k]: v for k, v in facts.parameters(p, specialise=True).items()}
        return summed(formula, *own(q, q.family, facts), theirs)
    if q.family_name == p.family_name and facts.is_linear(p) and isinstance(p.node, Apply | Density):
        return Minus(Plus(Entropy(q.node), call("log", at_mean(q, p))))
    return call("sum", known("KL", q.node, p.node)) if facts.knows("KL", q, p) else None


def _formula(q: Law, p: Law, facts: Facts) -> Basic | None:
    """The formula of two laws of one family, whose common parameters are the same numbers."""
    if q.family is None or p.family is None:
        return None
    ours, theirs = (facts.parameters(law, specialise=True) for law in (q, p))
    shared = q.family.equal if q.family.name == p.family.name else ()
    same = all(isinstance(ours[k], Number) and ours[k] == theirs[k] for k in shared)
    return kl_formula(q.family, p.family) if same else None


def at_mean(q: Law, p: Law) -> Basic:
    """The density p at the mean of q."""
    mean = known("mean", q.node)
    if isinstance(p.node, Density):
        return Density(p.node.head, Tuple(mean), Tuple(*p.node.givens), Tuple())
    return Apply(p.node.args[0], mean)


def closed_entropy(q: Law, facts: Facts) -> Basic | None:
    """The closed form of ``H[q]``, or None; by a method of the distribution where there is no formula."""
    if q.family is not None and q.family.entropy is not None:
        return summed(q.family.entropy, *own(q, q.family, facts), {})
    return call("sum", known("entropy", q.node)) if facts.knows("entropy", q) else None


def own(q: Law, formulas: Family, facts: Facts) -> tuple[dict[Basic, Basic], dict[Basic, Basic]]:
    """What stands for a law's own parameters: names only, and numbers where it has them."""
    named = {formulas.symbols[k]: v for k, v in facts.parameters(q, specialise=False).items()}
    numbers = {formulas.symbols[k]: v for k, v in facts.parameters(q, specialise=True).items()}
    return named, numbers


def summed(
    formula: Basic, named: dict[Basic, Basic], numbers: dict[Basic, Basic], other: dict[Basic, Basic]
) -> Basic:
    """The formula over the event. A law's constants are put in if a named parameter remains."""
    special = fold(replace(formula, {**numbers, **other}))
    shaped = {n for n in (*numbers.values(), *other.values()) if not isinstance(n, Number)}
    if not _mentions(special, shaped):
        special = fold(replace(formula, {**named, **other}))
    return call("sum", special)


def _mentions(expression: Basic, names: set[Basic]) -> bool:
    stack = [expression]
    while stack:
        node = stack.pop()
        if node in names:
            return True
        stack.extend(node.args)
    return False
