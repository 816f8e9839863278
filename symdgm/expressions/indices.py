"""Sums, products and means over an index."""

from __future__ import annotations

from sympy import Basic, Expr
from sympy.core.symbol import Str

from symdgm.expressions.node import Node


class Index(Node):
    """An index and what it runs over: ``k``, ``k=1..K``, ``k != i``, ``k in S``.

    Args of the node: ``(variable,)``, ``(variable, lower, upper)`` or ``(variable, condition)`` with a
    `Relation`.
    """

    __slots__ = ()
    kinds = (Expr, [Basic])

    @property
    def variable(self) -> Basic:
        """The dummy."""
        return self.args[0]


class Aggregate(Node):
    """``sum_{k=1}^K body``, ``prod_…``, ``mean_…``. Args of the node: ``(Str kind, body, Index)``."""

    __slots__ = ()
    kinds = (Str, Expr, Index)
    KINDS = ("sum", "prod", "mean")

    @property
    def kind(self) -> str:
        """``sum``, ``prod`` or ``mean``."""
        return str(self.args[0].name)

    @property
    def body(self) -> Basic:
        """What is aggregated."""
        return self.args[1]

    @property
    def index(self) -> Index:
        """The index."""
        index: Index = self.args[2]
        return index
