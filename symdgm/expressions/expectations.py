"""Expectations, divergences and entropies: the nodes that bind random variables."""

from __future__ import annotations

from sympy import Basic, Expr, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.node import Node


class Binder(Node):
    """``z ~ q(z|x)``: variables and the law that they are drawn from.

    Args of the node: ``(Tuple(variables), law)``. ``E_{q(z|x)}`` and ``E_q`` have no variables written;
    ``E_{t, eps}`` has no law written, an empty `Tuple`. The law is a name, an `Apply`, a `Density` or a
    product of them.
    """

    __slots__ = ()
    kinds = (Tuple, Basic)

    @property
    def variables(self) -> tuple[Basic, ...]:
        """The variables that are written before the ``~``."""
        return tuple(self.args[0])

    @property
    def law(self) -> Basic:
        """The law."""
        return self.args[1]


class Expect(Node):
    """``E_{z ~ q(z|x)}[body]``. Args of the node: ``(body, Binder, …)``, the outermost binder first.

    ``⟨f⟩_q`` is the same node.
    """

    __slots__ = ()
    kinds = (Expr, Binder, [Binder])

    @property
    def body(self) -> Basic:
        """What is averaged."""
        return self.args[0]

    @property
    def binders(self) -> tuple[Binder, ...]:
        """The laws, outermost first."""
        return tuple(self.args[1:])


class DivergenceBetween(Node):
    """``KL[q || p]``. Args of the node: ``(Str kind, left, right, order …)``.

    The kind is one of `DIVERGENCES`; ``Renyi_{alpha}`` and ``D_{alpha}`` are ``("Renyi", l, r, alpha)``,
    ``W`` is ``W_1``.
    """

    __slots__ = ()
    kinds = (Str, Basic, Basic, [Expr])

    @property
    def kind(self) -> str:
        """Which divergence."""
        return str(self.args[0].name)


DIVERGENCES = (
    "KL", "JS", "W_1", "W_2", "MMD", "TV", "Hellinger", "chi2", "Renyi", "SW", "Bhattacharyya",
    "Energy", "Sinkhorn",
)  # fmt: skip
"""The divergences of the language."""
SAMPLED = ("MMD", "SW", "W_1", "Energy", "Sinkhorn")
"""Those that need draws only, whatever the densities are."""


class Entropy(Node):
    """``H[q]``."""

    __slots__ = ()
    kinds = (Basic,)


class CrossEntropy(Node):
    """``H[q, p]``."""

    __slots__ = ()
    kinds = (Basic, Basic)


class MutualInformation(Node):
    """``I[x; z]``. Args of the node: ``(Tuple(left variables), Tuple(right variables))``."""

    __slots__ = ()
    kinds = (Tuple, Tuple)
