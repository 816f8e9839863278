"""What an expectation is over: lists of variables and laws become binders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sympy import Basic, Tuple

from symdgm.expressions.applications import Apply, Call, Density
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.expectations import Binder
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import IndexRange, Labelled, Name, Subscripted
from symdgm.parsing.ellipses import DOTS, fold_ellipses
from symdgm.parsing.indices import IndexSpec
from symdgm.parsing.pieces import Piece, piece
from symdgm.parsing.refusals import refusal

_VARIABLES = (Name, Subscripted, Labelled)


@dataclass(slots=True)
class Law:
    """``variables ~ law`` as written; variables that stand before it in the list may belong to it."""

    variables: list[Piece]
    law: Piece


def binders(items: list[Any]) -> list[Piece]:
    """``x, y ~ p(x, y), t ~ U(0, 1)``: each law takes the variables that stand in front of it."""
    found: list[Piece] = []
    waiting: list[Piece] = []
    for item in items:
        if isinstance(item, Law):
            found.append(_drawn(waiting + item.variables, item.law))
            waiting = []
        elif isinstance(item, list):
            raise refusal("law-of-a-list", item[0].span)
        elif _is_variable(item.node):
            waiting.append(item)
        else:
            found += _named(waiting)
            waiting = []
            found.append(_over(item))
    if not found and len(waiting) == 1:
        return [_bare(waiting[0])]
    return found + _named(waiting)


def _is_variable(node: Basic) -> bool:
    return isinstance(node, _VARIABLES) or node == DOTS


def _drawn(variables: list[Piece], law: Piece) -> Piece:
    held = fold_ellipses(variables)
    for variable in held:
        if not isinstance(variable.node, _VARIABLES):
            raise refusal("not-a-variable", variable.span)
    _check_law(law)
    node = Binder(Tuple(*(p.node for p in held)), law.node)
    return piece([held, law], node, [*held, law])


def _over(law: Piece) -> Piece:
    """``E_{q(z|x)}``: the law names its own variables."""
    _check_law(law)
    return piece([law], Binder(Tuple(), law.node), [law])


def _bare(law: Piece) -> Piece:
    """``E_q``: one name, and binding decides whether it is a law or a variable."""
    return piece([law], Binder(Tuple(), law.node), [law])


def _named(variables: list[Piece]) -> list[Piece]:
    """``E_{t, eps}``: each variable takes the one factor that is bound over it."""
    if not variables:
        return []
    held = fold_ellipses(variables)
    return [piece([held], Binder(Tuple(*(p.node for p in held)), Tuple()), held)]


def _check_law(law: Piece) -> None:
    node = law.node
    if isinstance(node, Call) and node.function == "sg" and len(node.args) == 2:
        node = node.args[1]
    if isinstance(node, Aggregate) and node.kind == "prod":
        node = node.body
    factors = node.args if isinstance(node, Times) else (node,)
    for factor in factors:
        if not isinstance(factor, (*_VARIABLES, Apply, Density)):
            raise refusal("not-a-law", law.span)


def family(c: list[Any], member: Piece, indices: list[IndexSpec], upper: Piece | None) -> Piece:
    r"""``\{z_k\}_{k=1}^K`` is ``z_{1:K}``."""
    index = indices[0]
    top = upper or index.upper
    node = member.node
    fits = isinstance(node, Subscripted) and node.indices == (index.variable.node,) and len(indices) == 1
    if not fits or index.lower is None or top is None:
        raise refusal("family-of-what", member.span)
    assert isinstance(node, Subscripted)
    return piece(
        c, Subscripted(node.head, IndexRange(index.lower.node, top.node)), [member, index.lower, top]
    )
