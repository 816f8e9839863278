"""From rules to nodes: names, applications, norms, expectations, divergences, big operators, derivatives."""

from __future__ import annotations

from typing import Any

from sympy import Basic, Integer, Tuple
from sympy.core.symbol import Str

from symdgm.caches import remembered
from symdgm.expressions.applications import Apply, Density, Indicator, Inner, Norm, call
from symdgm.expressions.calculus import DerivativeBy, IntegralOver
from symdgm.expressions.expectations import (
    CrossEntropy,
    DivergenceBetween,
    Entropy,
    Expect,
    MutualInformation,
)
from symdgm.expressions.names import Labelled, Name, Subscripted
from symdgm.parsing.binders import binders
from symdgm.parsing.indices import aggregate
from symdgm.parsing.pieces import Piece, piece, pieces
from symdgm.parsing.refusals import refusal

_SEVERAL = frozenset({"max", "min", "logsumexp", "softmax"})


@remembered(1024)
def _plain(text: str) -> Name:
    """Names come often; one node serves them all."""
    return Name(text)


def name(c: list[Any]) -> Piece:
    """A name with its labels inside and its subscripts outside, in whatever order they were written."""
    head: Basic = _plain(c[0].text)
    labels: list[Piece] = []
    indices: list[Piece] = []
    for script in c[1:]:
        if isinstance(script, list):
            indices += script
        else:
            head = Labelled(head, script.node)
            labels.append(script)
    if indices:
        head = Subscripted(head, *(p.node for p in indices))
    return piece(c, head, [*labels, *indices])


def application(c: list[Any]) -> Piece:
    """``f(x)``, ``p(x|z)``, ``Uniform{1..T}``."""
    head, values, givens, parameters = c[0], [c[1]], [], []
    if not isinstance(c[1], Piece):
        values, givens, parameters = c[2]
    every = [head, *values, *givens, *parameters]
    if not givens and not parameters:
        return piece(c, Apply(head.node, *(p.node for p in values)), every)
    groups = (_tuple(group) for group in (values, givens, parameters))
    return piece(c, Density(head.node, *groups), every)


def _tuple(held: list[Piece]) -> Tuple:
    return Tuple(*(p.node for p in held))


def function(c: list[Any]) -> Piece:
    """``log(a)``, ``max(a, b)``."""
    arguments, name = c[2], c[0].text
    if len(arguments) > 1 and name not in _SEVERAL:
        raise refusal("one-argument", arguments[1].span, function=name)
    return piece(c, call(name, *(a.node for a in arguments)), arguments)


def absolute(c: list[Any]) -> Piece:
    r"""``\lvert a \rvert``."""
    return piece(c, call("abs", c[1].node), [c[1]])


def norm(c: list[Any]) -> Piece:
    """``||a||_1``."""
    held = pieces(c)
    order = held[1].node if len(held) > 1 else Integer(2)
    return piece(c, Norm(held[0].node, order), held)


def inner(c: list[Any]) -> Piece:
    """``<a, b>``."""
    held = pieces(c)
    return piece(c, Inner(*(p.node for p in held)), held)


def average(c: list[Any]) -> Piece:
    """``<f>_q``."""
    return _expect(c, c[1], binders(c[4]))


def expectation(c: list[Any]) -> Piece:
    """``E_q[f]``."""
    return _expect(c, c[5], binders(c[2]))


def _expect(c: list[Any], body: Piece, laws: list[Piece]) -> Piece:
    node = Expect(body.node, *(p.node for p in laws))
    return piece(c, node, sorted([body, *laws], key=lambda p: p.start))


def indicator(c: list[Any]) -> Piece:
    """``1[k != i]``."""
    return piece(c, Indicator(c[2].node), [c[2]])


def divergence(c: list[Any]) -> Piece:
    """``KL[q || p]``, ``Renyi_{alpha}[q || p]``."""
    *order, left, right = pieces(c)
    nodes = (p.node for p in (left, right, *order))
    return piece(c, DivergenceBetween(Str(c[0].text), *nodes), [*order, left, right])


def entropy(c: list[Any]) -> Piece:
    """``H[q]``."""
    return piece(c, Entropy(c[2].node), [c[2]])


def cross_entropy(c: list[Any]) -> Piece:
    """``H[q, p]``."""
    held = pieces(c)
    return piece(c, CrossEntropy(*(p.node for p in held)), held)


def information(c: list[Any]) -> Piece:
    """``I[x; z]``."""
    left, right = c[2], c[4]
    return piece(c, MutualInformation(_tuple(left), _tuple(right)), [*left, *right])


def big(c: list[Any]) -> Piece:
    """``sum_{k=1}^K f``."""
    upper = c[4] if isinstance(c[4], Piece) else None
    return aggregate(c, c[2], upper, c[-2])


def derivative(c: list[Any]) -> Piece:
    """``grad_x f``."""
    variable, body = c[1], c[3]
    return piece(c, DerivativeBy(Str(c[0].text), body.node, variable.node), [variable, body])


def integral(c: list[Any]) -> Piece:
    """``int_0^1 f dt``."""
    *bounds, body, variable = pieces(c)
    node = IntegralOver(body.node, variable.node, *(p.node for p in bounds))
    return piece(c, node, [*bounds, body, variable])


RULES = {
    "name": name,
    "application": application,
    "function": function,
    "absolute": absolute,
    "norm": norm,
    "inner": inner,
    "average": average,
    "expectation": expectation,
    "indicator": indicator,
    "divergence": divergence,
    "entropy": entropy,
    "cross_entropy": cross_entropy,
    "information": information,
    "aggregate": big,
    "derivative": derivative,
    "integral": integral,
}
