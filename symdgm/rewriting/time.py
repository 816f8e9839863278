"""Rules of whole sequences: products over time, their logarithms, and divergences step by step."""

from __future__ import annotations

from sympy import Basic, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.applications import Apply, Call, Density, call
from symdgm.expressions.arithmetic import Minus, Plus, Times, plus, terms_of
from symdgm.expressions.expectations import Binder, DivergenceBetween, Expect
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.scope import free_names
from symdgm.expressions.steps import moved, offsets, shift
from symdgm.rewriting.algebra import join_coefficient, split_coefficient
from symdgm.rewriting.facts import Facts

SUM = Str("sum")


def product_over_time(node: Basic, facts: Facts) -> Basic | None:
    """``p(x_{1:T}|z_{1:T}) = prod_t p(x_t|z_t)``."""
    return facts.over_time(node) if isinstance(node, Apply | Density) else None


def log_of_product(node: Basic, facts: Facts) -> Basic | None:
    """``log prod_t a_t = sum_t log a_t``."""
    if not (isinstance(node, Call) and node.function == "log"):
        return None
    product = node.args[1]
    if not (isinstance(product, Aggregate) and product.kind == "prod" and facts.is_time(product.index)):
        return None
    return Aggregate(SUM, call("log", product.body), product.index)


def sum_of_terms(node: Basic, facts: Facts) -> Basic | None:
    """``sum_t (a_t + c b_t) = sum_t a_t + c sum_t b_t``."""
    if not (isinstance(node, Aggregate) and node.kind != "prod" and facts.is_time(node.index)):
        return None
    terms = node.body.args if isinstance(node.body, Plus) else (node.body,)
    split = [split_coefficient(t, facts) for t in terms]
    if len(terms) == 1 and split[0][0] == 1 and not split[0][1]:
        return None
    return plus(*(join_coefficient(s, c, node.func(node.args[0], core, node.index)) for s, c, core in split))


def shifted_sum(node: Basic, facts: Facts) -> Basic | None:
    """``sum_{t=1}^{T-1} a_{t+1} = sum_{t=2}^T a_t``, so that the latest step of every term is that of now.

    A parameter's name, of a closed form, stands for that of one step, and is no formula that can be shifted.
    """
    if not (isinstance(node, Aggregate) and facts.is_time(node.index)):
        return None
    if any(facts.reads(name) != (name,) for name in free_names(node.body)):
        return None
    time = node.index.variable
    latest = max(offsets(node.body, time), default=0)
    index = moved(node.index, latest) if latest else None
    return None if index is None else node.func(node.args[0], shift(node.body, time, -latest), index)


def divergence_over_time(node: Basic, facts: Facts) -> Basic | None:
    """``KL[q(z_{1:T}) || p(z_{1:T})] = E_q(z_{1:T})[sum_t KL[q(z_t|z_{t-1}) || p(z_t|z_{t-1})]]``.

    Each step of q is compared with the step of p over the same variable, where that is given nothing that q
    draws from it.
    """
    if not (isinstance(node, DivergenceBetween) and node.kind == "KL"):
        return None
    left, right = node.args[1:]
    q, p = facts.over_time(left), facts.over_time(right)
    if q is None or p is None:
        return None
    pairs = _paired(_factors(q), _factors(p), facts)
    if pairs is None:
        return None
    steps = [DivergenceBetween(node.args[0], a, b) for a, b in pairs]
    return Expect(Aggregate(SUM, plus(*steps), q.index), Binder(Tuple(), left))


def recognise_divergence(node: Basic, facts: Facts) -> Basic | None:
    """``E_q[sum_t log q_t] - E_q[sum_t log p_t] = E_q[sum_t KL[q_t || p_t]]`` along the path of q."""
    if not isinstance(node, Plus):
        return None
    flat = [Minus(t) if sign < 0 else t for sign, t in terms_of(node)]
    split = [split_coefficient(t, facts) for t in flat]
    terms: dict[int, Basic | None] = dict(enumerate(flat))
    for i, (sign, scalars, core) in enumerate(split):
        q = _logged(core, facts)
        if q is None or terms[i] is None:
            continue
        for j, (other, theirs, partner) in enumerate(split):
            p = _logged(partner, facts)
            if p is None or terms[j] is None or (other, theirs) != (-sign, scalars):
                continue
            together = (core.binders, core.body.index) == (partner.binders, partner.body.index)
            path = facts.over_time(core.binders[-1].law) if together else None
            steps = [] if path is None else _factors(path)
            if q in steps and _same_step(q, p, steps, facts):
                kl = DivergenceBetween(Str("KL"), q, p)
                found = Expect(Aggregate(SUM, kl, core.body.index), *core.binders)
                terms[max(i, j)], terms[min(i, j)] = None, join_coefficient(sign, scalars, found)
                break
    left = [t for t in terms.values() if t is not None]
    if len(left) == len(flat):
        return None
    return Plus(*left) if len(left) > 1 else left[0]


def _logged(core: Basic, facts: Facts) -> Basic | None:
    """``p_t`` of ``E[sum_t log p_t]``."""
    if not (isinstance(core, Expect) and isinstance(core.body, Aggregate) and core.body.kind == "sum"):
        return None
    body = core.body.body
    if not facts.is_time(core.body.index) or not (isinstance(body, Call) and body.function == "log"):
        return None
    return body.args[1] if isinstance(body.args[1], Apply | Density) else None


def _factors(product: Basic) -> list[Basic]:
    body = product.body
    return list(body.args) if isinstance(body, Times) else [body]


def _paired(left: list[Basic], right: list[Basic], facts: Facts) -> list[tuple[Basic, Basic]] | None:
    """Each step of q with the step of p over the same variables; None where one has none."""
    pairs = []
    left_over = list(right)
    for q in left:
        found = next((p for p in left_over if _same_step(q, p, left, facts)), None)
        if found is None:
            return None
        left_over.remove(found)
        pairs.append((q, found))
    return pairs


def _same_step(q: Basic, p: Basic, steps: list[Basic], facts: Facts) -> bool:
    """Whether two steps are over one variable, and p reads nothing that the steps of q draw from it."""
    a, b = facts.law(q), facts.law(p)
    if a is None or b is None or not (a.kind == b.kind == "density") or a.values != b.values:
        return False
    laws = [law for step in steps if (law := facts.law(step)) is not None]
    later: set[Basic] = set()
    front = set(a.values)
    while front:
        later |= front
        front = {v for law in laws if front & facts.read_now(law) for v in law.values} - later
    return not later & facts.read_now(b)
