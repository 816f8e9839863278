"""Statements of a model block."""

from __future__ import annotations

from sympy import Basic, Expr, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.node import Node


class Optimize(Node):
    """``maximize f``, ``min_{G,E} f``. Args of the node: ``(Str direction, body, Tuple(players))``.

    The direction is ``maximize``, ``minimize``, ``argmax`` or ``argmin``; ``min_G max_D f`` nests.
    """

    __slots__ = ()
    kinds = (Str, Basic, Tuple)

    @property
    def direction(self) -> str:
        """``maximize`` or ``minimize`` (or their ``arg`` forms)."""
        return str(self.args[0].name)


class Definition(Node):
    r"""``left = right``: a factor, a factorisation, a deterministic value, a named objective or argument.

    Args of the node: ``(left, right)``. ``:=``, ``≔`` and ``\triangleq`` are the same.
    """

    __slots__ = ()
    kinds = (Basic, Basic)


class Proportional(Node):
    """``p(x) propto exp(-U(x))``."""

    __slots__ = ()
    kinds = (Expr, Expr)


class Abbreviation(Node):
    """``where name = expression``."""

    __slots__ = ()
    kinds = (Expr, Basic)


class Labeled(Node):
    """``loss_d: minimize f over D``.

    Args of the node: ``(name, Optimize)``; what stands after ``over`` are its players.
    """

    __slots__ = ()
    kinds = (Expr, Optimize)


class Block(Node):
    """Two or more statements, one a line."""

    __slots__ = ()
    kinds = (Expr, Expr, [Expr])
