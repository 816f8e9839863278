"""Divergences and entropies: recognised in sums, put in closed form, or written out by their definition."""

from __future__ import annotations

from sympy import Basic, Number, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.applications import Apply, Call, Density, call
from symdgm.expressions.arithmetic import Minus, Plus
from symdgm.expressions.expectations import Binder, CrossEntropy, DivergenceBetween, Entropy, Expect
from symdgm.expressions.families import Family, kl_formula
from symdgm.expressions.folding import fold
from symdgm.expressions.laws import Law
from symdgm.expressions.scope import free_names, replace
from symdgm.rewriting.algebra import join_coefficient, split_coefficient
from symdgm.rewriting.facts import Facts

_Key = tuple[int, tuple[Basic, ...], tuple[Basic, ...]]
"""Sign, scalar factors and binders of an expectation."""


def recognise_kl(node: Basic, facts: Facts) -> Basic | None:
    """``E_q[log q - log p] = KL[q || p]`` inside a sum, where the divergence has a closed form."""
    if not isinstance(node, Plus):
        return None
    split = [split_coefficient(t, facts) for t in node.args]
    partners: dict[_Key, list[int]] = {}
    for j, (sign, scalars, core) in enumerate(split):
        binders, body = _unnested(core)
        if binders and _is_log_density(body):
            partners.setdefault((sign, scalars, binders), []).append(j)
    terms: dict[int, Basic | None] = dict(enumerate(node.args))
    taken: set[int] = set()
    for i, (sign, scalars, core) in enumerate(split):
        q = _log_of_own_law(core, facts) if i not in taken else None
        candidates = (j for j in partners.get((-sign, scalars, _unnested(core)[0]), []) if j not in taken)
        found = next(((j, p) for j in candidates if q and (p := _prior(q, split[j][2], facts))), None)
        if q is not None and found is not None:
            j, p = found
            kl = _outside(DivergenceBetween(Str("KL"), q.node, p.node), core)
            terms[max(i, j)], terms[min(i, j)] = None, join_coefficient(sign, scalars, kl)
            taken |= {i, j}
    if not taken:
        return None
    left = [term for term in terms.values() if term is not None]
    return Plus(*left) if len(left) > 1 else left[0]


def _prior(q: Law, expected_log: Basic, facts: Facts) -> Law | None:
    """The law whose log-density is expected, where q's divergence from it has a closed form."""
    p = facts.law(_unnested(expected_log)[1].args[1])
    known = p is not None and _comparable(q, p) and closed_kl(q, p, facts) is not None
    return p if known else None


def recognise_entropy(node: Basic, facts: Facts) -> Basic | None:
    """``E_q[log q] = -H[q]`` where the entropy has a closed form."""
    q = _log_of_own_law(node, facts)
    if q is None or q.family is None:
        return None
    return Minus(_outside(Entropy(q.node), node))


def closed_form(node: Basic, facts: Facts) -> Basic | None:
    """The closed form of a KL divergence or an entropy, specialised at constants, summed over the event."""
    if isinstance(node, DivergenceBetween):
        q, p = facts.law(node.args[1]), facts.law(node.args[2])
        return closed_kl(q, p, facts) if q and p else None
    if isinstance(node, Entropy):
        q = facts.law(node.args[0])
        return _closed_entropy(q, facts) if q else None
    return None


def definition(node: Basic, facts: Facts) -> Basic | None:
    """A divergence or an entropy as the expectation that defines it."""
    if isinstance(node, DivergenceBetween):
        left, right = node.args[1], node.args[2]
        return Expect(Plus(call("log", left), Minus(call("log", right))), *_binders(left, facts))
    if isinstance(node, Entropy):
        return Minus(Expect(call("log", node.args[0]), *_binders(node.args[0], facts)))
    if isinstance(node, CrossEntropy):
        return Minus(Expect(call("log", node.args[1]), *_binders(node.args[0], facts)))
    return None


def _binders(law: Basic, facts: Facts) -> list[Binder]:
    """The draw of a law; that of a joint is one of each factor, causes first."""
    return [Binder(Tuple(), factor) for factor in reversed(facts.factorise(law) or (law,))]


def cross_entropy(node: Basic, facts: Facts) -> Basic | None:
    """``H[q, p] = H[q] + KL[q || p]`` where both have closed forms."""
    if not isinstance(node, CrossEntropy):
        return None
    q, p = facts.law(node.args[0]), facts.law(node.args[1])
    if q is None or p is None or closed_kl(q, p, facts) is None:
        return None
    return Plus(Entropy(q.node), DivergenceBetween(Str("KL"), q.node, p.node))


def closed_kl(q: Law, p: Law, facts: Facts) -> Basic | None:
    """The closed form of ``KL[q || p]``, or None.

    Both must be single factors of one family over the same variable, so that the formula
    holds for every value of what is given.
    """
    if q.family is None or p.family is None or q.values != p.values:
        return None
    formula = kl_formula(q.family, p.family)
    if formula is None:
        return None
    theirs = {p.family.others[k]: v for k, v in facts.parameters(p, specialise=True).items()}
    return _summed(formula, *_own(q, q.family, facts), theirs)


def _closed_entropy(q: Law, facts: Facts) -> Basic | None:
    if q.family is None:
        return None
    return _summed(q.family.entropy, *_own(q, q.family, facts), {})


def _own(q: Law, formulas: Family, facts: Facts) -> tuple[dict[Basic, Basic], dict[Basic, Basic]]:
    """What stands for a law's own parameters: names only, and numbers where it has them."""
    named = {formulas.symbols[k]: v for k, v in facts.parameters(q, specialise=False).items()}
    numbers = {formulas.symbols[k]: v for k, v in facts.parameters(q, specialise=True).items()}
    return named, numbers


def _summed(
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


def _log_of_own_law(node: Basic, facts: Facts) -> Law | None:
    """The law of an expectation ``E_q[log q(z|x)]`` whose body is its own log-density."""
    binders, body = _unnested(node)
    if not binders or not _is_log_density(body):
        return None
    q, logged = facts.law(binders[-1].law), facts.law(body.args[1])
    if q is None or logged is None or q.kind != "density" or q.identity != logged.identity:
        return None
    drawn = binders[-1].variables or q.values
    return q if logged.values == drawn and logged.givens == q.givens and drawn == q.values else None


def _is_log_density(node: Basic) -> bool:
    return isinstance(node, Call) and node.function == "log" and isinstance(node.args[1], Apply | Density)


def _unnested(node: Basic) -> tuple[tuple[Binder, ...], Basic]:
    """All binders of expectations that stand directly in one another, and the body of the innermost."""
    binders: tuple[Binder, ...] = ()
    while isinstance(node, Expect):
        binders, node = (*binders, *node.binders), node.body
    return binders, node


def _comparable(q: Law, p: Law) -> bool:
    """Whether p is a density over the very variables of q, given nothing that q draws."""
    return p.values == q.values and not set(q.values) & {name for g in p.givens for name in free_names(g)}


def _outside(node: Basic, expectation: Basic) -> Basic:
    """The node under the outer binders of an expectation whose innermost one it absorbs."""
    outer = _unnested(expectation)[0][:-1]
    return Expect(node, *outer) if outer else node
