"""KL divergences and entropies in the terms of a sum, where they have closed forms."""

from __future__ import annotations

from sympy import Basic

from symdgm.expressions.applications import Apply, Call, Density
from symdgm.expressions.arithmetic import Minus, Plus
from symdgm.expressions.expectations import Entropy
from symdgm.expressions.laws import Law
from symdgm.expressions.scope import free_names
from symdgm.rewriting.algebra import join_coefficient, split_coefficient
from symdgm.rewriting.binders import Binders, movable, needed_by, outside, reads, unnested
from symdgm.rewriting.divergences import closed_entropy, closed_kl, kl
from symdgm.rewriting.facts import Facts

Term = tuple[int, tuple[Basic, ...], Basic]
"""Sign, scalar factors and core."""
_Key = tuple[int, tuple[Basic, ...], Basic]
"""Sign, scalar factors and one binder of an expectation."""


def recognise_kl(node: Basic, facts: Facts) -> Basic | None:
    """``E_q[log q - log p] = KL[q || p]`` inside a sum, where the divergence has a closed form."""
    if not isinstance(node, Plus):
        return None
    split = [split_coefficient(t, facts) for t in node.args]
    partners = _partners(split)
    terms: dict[int, Basic | None] = dict(enumerate(node.args))
    taken: set[int] = set()
    for i, (sign, scalars, core) in enumerate(split):
        q = _log_of_own_law(core, facts) if i not in taken else None
        if q is None:
            continue
        own = unnested(core)[0]
        candidates = (j for j in partners.get((-sign, scalars, own[-1]), ()) if j not in taken)
        found = next(((j, d) for j in candidates if (d := _divergence(q, own, split[j][2], facts))), None)
        if found is not None:
            j, divergence = found
            terms[max(i, j)], terms[min(i, j)] = None, join_coefficient(sign, scalars, divergence)
            taken |= {i, j}
    if not taken:
        return None
    left = [term for term in terms.values() if term is not None]
    return Plus(*left) if len(left) > 1 else left[0]


def _partners(split: list[Term]) -> dict[_Key, list[int]]:
    """The expectations of log-densities, by the binders that they have."""
    partners: dict[_Key, list[int]] = {}
    for j, (sign, scalars, core) in enumerate(split):
        binders, body = unnested(core)
        for binder in binders if _is_log_density(body) else ():
            partners.setdefault((sign, scalars, binder), []).append(j)
    return partners


def _divergence(q: Law, own: Binders, expected_log: Basic, facts: Facts) -> Basic | None:
    """The divergence of q from the law whose log-density is expected, under the binders that it depends on.

    The binder of q may stand anywhere among the binders, if no later one depends on it.
    """
    binders, body = unnested(expected_log)
    p = facts.law(body.args[1])
    if p is None or not _comparable(q, p) or closed_kl(q, p, facts) is None:
        return None
    place = binders.index(own[-1])
    rest = (*binders[:place], *binders[place + 1 :])
    if (
        movable(binders, place, facts) is None
        or needed_by(reads(own[-1].law, facts), rest, facts) != own[:-1]
    ):
        return None
    return outside(kl(q.node, p.node), rest, facts)


def recognise_entropy(node: Basic, facts: Facts) -> Basic | None:
    """``E_q[log q] = -H[q]`` where the entropy has a closed form."""
    q = _log_of_own_law(node, facts)
    if q is None or closed_entropy(q, facts) is None:
        return None
    return Minus(outside(Entropy(q.node), unnested(node)[0][:-1], facts))


def _log_of_own_law(node: Basic, facts: Facts) -> Law | None:
    """The law of an expectation ``E_q[log q(z|x)]`` whose body is its own log-density."""
    binders, body = unnested(node)
    if not binders or not _is_log_density(body):
        return None
    q, logged = facts.law(binders[-1].law), facts.law(body.args[1])
    if q is None or logged is None or q.kind != "density" or q.identity != logged.identity:
        return None
    drawn = binders[-1].variables or q.values
    same = logged.values == drawn and logged.givens == q.givens and drawn == q.values
    return q if same and not facts.is_drawn(drawn) else None


def _is_log_density(node: Basic) -> bool:
    return isinstance(node, Call) and node.function == "log" and isinstance(node.args[1], Apply | Density)


def _comparable(q: Law, p: Law) -> bool:
    """Whether p is a density over the very variables of q, given nothing that q draws."""
    return p.values == q.values and not set(q.values) & {name for g in p.givens for name in free_names(g)}
