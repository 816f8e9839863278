"""Integrals that a distribution knows by a method of its own: means, entropies, divergences."""

from __future__ import annotations

from sympy import Basic
from sympy.core.symbol import Str

from symdgm.expressions.node import Node


class KnownIntegral(Node):
    """``mean[q(z|x)]``, ``variance[q(z|x)]``, ``entropy[q(z|x)]``, ``KL[q(z|x) || p(z)]``, by each element.

    Args of the node: ``(Str what, law, …)``. It is made by rewriting, never read.
    """

    __slots__ = ()
    kinds = (Str, Basic, [Basic])

    @property
    def what(self) -> str:
        """Which integral."""
        return str(self.args[0].name)


def known(what: str, *laws: Basic) -> KnownIntegral:
    """An integral that distributions know."""
    return KnownIntegral(Str(what), *laws)
