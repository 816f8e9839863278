"""Closed forms of other divergences than KL between normal laws, independent in each element."""

from __future__ import annotations

from collections.abc import Callable

from sympy import Basic, Integer

from symdgm.expressions.applications import call
from symdgm.expressions.arithmetic import Minus, Plus, Quotient, Times
from symdgm.expressions.expectations import DivergenceBetween
from symdgm.expressions.families import HALF, MU, MU_P, SIGMA, SIGMA_P
from symdgm.expressions.families.family import squared
from symdgm.expressions.laws import Law
from symdgm.expressions.node import Node
from symdgm.rewriting.divergences import kl, own, summed
from symdgm.rewriting.facts import Facts

ONE, TWO = Integer(1), Integer(2)
APART, WIDER = Plus(MU, Minus(MU_P)), Plus(SIGMA, Minus(SIGMA_P))
TRANSPORT = Plus(squared(APART), squared(WIDER))
"""The squared Wasserstein distance of an element."""
OVERLAP = Plus(
    Quotient(squared(APART), Times(Integer(4), Plus(squared(SIGMA), squared(SIGMA_P)))),
    Times(HALF, call("log1p", Quotient(squared(WIDER), Times(TWO, SIGMA, SIGMA_P)))),
)
"""The Bhattacharyya distance of an element, ``-log int sqrt(q p)``."""


def closed_normal(node: Basic, facts: Facts) -> Basic | None:
    """The closed form of a divergence between normal laws; `known_forms` says which."""
    if not isinstance(node, DivergenceBetween) or node.kind not in FORMS:
        return None
    q, p = facts.law(node.args[1]), facts.law(node.args[2])
    if q is None or p is None or q.values != p.values or not (_is_normal(q) and _is_normal(p)):
        return None
    return FORMS[node.kind](node, q, p, facts)


def _is_normal(law: Law) -> bool:
    return law.kind == "density" and law.family is not None and law.family.name == "Normal"


def _summed(formula: Node, q: Law, p: Law, facts: Facts) -> Basic:
    assert q.family is not None and p.family is not None
    theirs = {p.family.others[k]: v for k, v in facts.parameters(p, specialise=True).items()}
    return summed(formula, *own(q, q.family, facts), theirs)


def _wasserstein(node: Basic, q: Law, p: Law, facts: Facts) -> Basic:
    """``sqrt(sum (mu - mu_0)^2 + (sigma - sigma_0)^2)``, the distance itself."""
    return call("root", _summed(TRANSPORT, q, p, facts))


def _bhattacharyya(node: Basic, q: Law, p: Law, facts: Facts) -> Basic:
    return _summed(OVERLAP, q, p, facts)


def _hellinger(node: Basic, q: Law, p: Law, facts: Facts) -> Basic:
    """``sqrt(1 - int sqrt(q p))``."""
    return call("root", Minus(call("expm1", Minus(_summed(OVERLAP, q, p, facts)))))


def _renyi(node: Basic, q: Law, p: Law, facts: Facts) -> Basic:
    order = node.args[3]
    return kl(q.node, p.node) if order == ONE else _renyi_of(order, q, p, facts)


def _renyi_of(order: Basic, q: Law, p: Law, facts: Facts) -> Basic:
    named = [facts.parameters(law, specialise=False) for law in (q, p)]
    return call("sum", call("normal_renyi", *(n[k] for n in named for k in ("loc", "scale")), order))


def _chi2(node: Basic, q: Law, p: Law, facts: Facts) -> Basic:
    """``int q^2 / p - 1``, by the Rényi divergence of order 2."""
    return call("expm1", _renyi_of(TWO, q, p, facts))


FORMS: dict[str, Callable[[Basic, Law, Law, Facts], Basic]] = {
    "W_2": _wasserstein,
    "Bhattacharyya": _bhattacharyya,
    "Hellinger": _hellinger,
    "Renyi": _renyi,
    "chi2": _chi2,
}
"""Divergence → its closed form between normal laws."""
