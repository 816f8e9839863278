"""Derivatives and integrals by the value of a variable."""

from __future__ import annotations

from sympy import Basic, Expr
from sympy.core.symbol import Str

from symdgm.expressions.node import Node


class DerivativeBy(Node):
    """``grad_x f``, ``laplacian_x f``, ``div_x f``, ``∂f/∂x_i``.

    Args of the node: ``(Str kind, body, variable)``.
    """

    __slots__ = ()
    kinds = (Str, Expr, Expr)
    KINDS = ("grad", "laplacian", "div", "partial")

    @property
    def kind(self) -> str:
        """Which derivative."""
        return str(self.args[0].name)


class IntegralOver(Node):
    """``∫_a^b f dt``.

    Args of the node: ``(body, variable, lower, upper)``, or ``(body, variable)`` without bounds.
    """

    __slots__ = ()
    kinds = (Expr, Expr, [Basic])
