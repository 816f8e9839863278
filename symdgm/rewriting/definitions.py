r"""Divergences and entropies as the expectations that define them, in terms of log-densities.

With ``d = log p - log q``:

| divergence | definition |
| --- | --- |
| ``KL[q \|\| p]`` | ``E_q[log q - log p]`` |
| ``JS[q \|\| p]`` | ``log 2 - 1/2 E_q[softplus(d)] - 1/2 E_p[softplus(-d)]``, in nats |
| ``TV[q \|\| p]`` | ``E_q[1 - exp(min(d, 0))]``, half of the L1 distance |
| ``Hellinger[q \|\| p]`` | ``sqrt(1 - int sqrt(q p))``; the integral is ``E_{(q+p)/2}[1 / cosh(d/2)]`` |
| ``Bhattacharyya[q \|\| p]`` | ``-log E_q[exp(d/2)]`` |
| ``chi2[q \|\| p]`` | ``E_q[exp(-d)] - 1`` |
| ``Renyi_{a}[q \|\| p]`` | ``log E_q[exp((1 - a) d)] / (a - 1)`` |

The definitions of KL, JS, TV and chi2 are linear in expectations, so that their estimates are unbiased; the
square root and the logarithms make a biased estimate, which the derivation says.
"""

from __future__ import annotations

from collections.abc import Callable

from sympy import Basic, Integer

from symdgm.errors import NotSupportedError
from symdgm.expressions.applications import call
from symdgm.expressions.arithmetic import Minus, Plus, Quotient, Times
from symdgm.expressions.expectations import CrossEntropy, DivergenceBetween, Entropy, Expect
from symdgm.expressions.families import HALF
from symdgm.expressions.node import Node
from symdgm.rewriting.divergences import kl
from symdgm.rewriting.facts import Facts
from symdgm.rewriting.joint_divergences import binders_of
from symdgm.rewriting.normal_divergences import closed_normal

ONE, TWO = Integer(1), Integer(2)


def definition(node: Basic, facts: Facts) -> Basic | None:
    """A divergence or an entropy as the expectation that defines it.

    Raises:
        NotSupportedError: a distance that has no definition by densities.
    """
    if isinstance(node, DivergenceBetween) and node.kind in DEFINITIONS:
        return DEFINITIONS[node.kind](node, facts)
    if isinstance(node, Entropy):
        return Minus(_mean(call("log", node.args[0]), node.args[0], facts))
    if isinstance(node, CrossEntropy):
        return Minus(_mean(call("log", node.args[1]), node.args[0], facts))
    return None


def _mean(body: Basic, law: Basic, facts: Facts) -> Node:
    return Expect(body, *binders_of(law, facts))


def _log_ratio(above: Basic, below: Basic) -> Node:
    return Plus(call("log", above), Minus(call("log", below)))


def _kl(node: Basic, facts: Facts) -> Basic:
    q, p = node.args[1:3]
    return _mean(_log_ratio(q, p), q, facts)


def _js(node: Basic, facts: Facts) -> Basic:
    q, p = node.args[1:3]
    means = [_mean(call("softplus", _log_ratio(b, a)), a, facts) for a, b in ((q, p), (p, q))]
    return Plus(call("log", TWO), *(Minus(Times(HALF, mean)) for mean in means))


def _tv(node: Basic, facts: Facts) -> Basic:
    q, p = node.args[1:3]
    smaller = call("min", _log_ratio(p, q), Integer(0))
    return _mean(Plus(ONE, Minus(call("exp", smaller))), q, facts)


def _hellinger(node: Basic, facts: Facts) -> Basic:
    """By the average of both laws, under which the integrand lies between 0 and 1 whatever the supports."""
    q, p = node.args[1:3]
    d = _log_ratio(p, q)
    softplus = Plus(call("softplus", d), call("softplus", Minus(d)))
    outside = Plus(ONE, Minus(Times(TWO, call("exp", Minus(Times(HALF, softplus))))))
    halves = [Times(HALF, _mean(outside, law, facts)) for law in (q, p)]
    return call("root", Plus(*halves))


def _bhattacharyya(node: Basic, facts: Facts) -> Basic:
    q, p = node.args[1:3]
    return Minus(call("log", _mean(call("exp", Times(HALF, _log_ratio(p, q))), q, facts)))


def _chi2(node: Basic, facts: Facts) -> Basic:
    q, p = node.args[1:3]
    return Plus(_mean(call("exp", _log_ratio(q, p)), q, facts), Minus(ONE))


def _renyi(node: Basic, facts: Facts) -> Basic:
    q, p, order = node.args[1:4]
    if order == ONE:
        return kl(q, p)
    power = Plus(order, Minus(ONE))
    mean = _mean(call("exp", Times(power, _log_ratio(q, p))), q, facts)
    return Quotient(call("log", mean), power)


def _wasserstein(node: Basic, facts: Facts) -> Basic:
    """The closed form, which is all there is."""
    closed = closed_normal(node, facts)
    if closed is not None:
        return closed
    raise NotSupportedError(
        f"`{node}` has a closed form between `Normal` laws over the same variable only",
        hint="write `SW[q || p]` or `Sinkhorn[q || p]`, which are estimated from samples",
    )


DEFINITIONS: dict[str, Callable[[Basic, Facts], Basic]] = {
    "KL": _kl,
    "JS": _js,
    "TV": _tv,
    "Hellinger": _hellinger,
    "Bhattacharyya": _bhattacharyya,
    "chi2": _chi2,
    "Renyi": _renyi,
    "W_2": _wasserstein,
}
"""Divergence → what defines it."""
