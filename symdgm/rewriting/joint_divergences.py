"""Divergences and entropies of joints, factor by factor, where the dependency graph allows it."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Basic, Tuple

from symdgm.expressions.arithmetic import Plus
from symdgm.expressions.expectations import Binder, DivergenceBetween, Entropy
from symdgm.expressions.laws import Law
from symdgm.expressions.scope import free_names
from symdgm.rewriting.binders import outside
from symdgm.rewriting.divergences import kl
from symdgm.rewriting.facts import Facts


def chain_of_kl(node: Basic, facts: Facts) -> Basic | None:
    """``KL[q(z) q(w|z) || p(z) p(w|z)] = KL[q(z) || p(z)] + E_q(z)[KL[q(w|z) || p(w|z)]]``.

    Each factor of q needs a partner over the same variables, and both sides one order in which each factor
    is given only variables of earlier ones: else a term would compare two laws that are given different
    things, which is no part of the divergence.
    """
    if not (isinstance(node, DivergenceBetween) and node.kind == "KL"):
        return None
    left, right = laws_of(node.args[1], facts), laws_of(node.args[2], facts)
    pairs = _paired(left, right) if len(left) > 1 or len(right) > 1 else None
    if not pairs:
        return None
    drawn = tuple(Binder(Tuple(), q.node) for q, _ in pairs)
    terms = [outside(kl(q.node, p.node), drawn[:i], facts) for i, (q, p) in enumerate(pairs)]
    return Plus(*terms)


def chain_of_entropy(node: Basic, facts: Facts) -> Basic | None:
    """``H[q(z) q(w|z)] = H[q(z)] + E_q(z)[H[q(w|z)]]``."""
    if not isinstance(node, Entropy):
        return None
    laws = ordered(laws_of(node.args[0], facts))
    if laws is None or len(laws) < 2:
        return None
    drawn = tuple(Binder(Tuple(), q.node) for q in laws)
    return Plus(*(outside(Entropy(q.node), drawn[:i], facts) for i, q in enumerate(laws)))


def binders_of(node: Basic, facts: Facts) -> tuple[Binder, ...]:
    """The binders that draw from a law, or from the factors of a joint, ancestors first."""
    laws = ordered(laws_of(node, facts))
    return tuple(Binder(Tuple(), law.node) for law in laws) if laws else (Binder(Tuple(), node),)


def laws_of(node: Basic, facts: Facts) -> list[Law]:
    """The factors of a law or a joint; none where one of them is no single law."""
    law = facts.law(node)
    if law is not None:
        return [law]
    parts = facts.factorise(node) or ()
    found = [laws_of(part, facts) for part in parts]
    return [law for laws in found for law in laws] if all(found) else []


def ordered(laws: Sequence[Law]) -> list[Law] | None:
    """Laws, each after those whose variables it is given; None where they stand in a circle."""
    pairs = _paired(laws, laws)
    return None if pairs is None else [law for law, _ in pairs]


def _paired(left: Sequence[Law], right: Sequence[Law]) -> list[tuple[Law, Law]] | None:
    """The factors of two sides over the same variables, in an order in which both are ancestral."""
    partners = {frozenset(p.values): p for p in right}
    if {frozenset(q.values) for q in left} != set(partners) or len(left) != len(right):
        return None
    waiting = [(q, partners[frozenset(q.values)]) for q in left]
    found: list[tuple[Law, Law]] = []
    while waiting:
        open_variables = {v for q, _ in waiting for v in q.values}
        ready = [pair for pair in waiting if not any(_given(law) & open_variables for law in pair)]
        if not ready:
            return None
        found += ready
        waiting = [pair for pair in waiting if pair not in ready]
    return found


def _given(law: Law) -> set[Basic]:
    return {name for g in law.givens for name in free_names(g)}
