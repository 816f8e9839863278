"""Applications of functions and networks, and the values of densities."""

from __future__ import annotations

from sympy import Basic, Expr, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.node import Node

FUNCTIONS = (
    "log", "exp", "sqrt", "abs", "tanh", "sinh", "cosh", "sigmoid", "softplus", "relu", "sin", "cos", "tan",
    "lgamma", "digamma", "erf", "logsumexp", "softmax", "sign", "floor", "ceil", "max", "min", "tr", "det",
    "logdet", "diag", "sg",
)  # fmt: skip
"""The functions of the language by canonical name; ``ln`` is ``log``, ``stop_grad`` is ``sg``."""


class Call(Node):
    """A known function of `FUNCTIONS` at its arguments. Args of the node: ``(Str name, argument, …)``."""

    __slots__ = ()
    kinds = (Str, [Basic])

    @property
    def function(self) -> str:
        """The function's name."""
        return str(self.args[0].name)


def call(name: str, *arguments: Basic) -> Call:
    """A known function at its arguments."""
    return Call(Str(name), *arguments)


class Apply(Node):
    """``name(a, b)``: a network, a density without a given, or a scalar times a bracket: binding decides.

    Args of the node: ``(head, argument, …)``; the head is a name with its subscripts. An argument is an
    expression, a `Definition` ``x = G(z)`` (the factor's variable, and where it is evaluated), an
    `IndexRange`, a `Listing` or a `Placeholder`.
    """

    __slots__ = ()
    kinds = (Expr, [Basic])


class Density(Node):
    """``p(x | z)``, ``N(z; mu, s)``: a density at a value, given others.

    Args of the node: ``(head, Tuple(values), Tuple(givens), Tuple(parameters))``. Without givens and
    parameters
    an `Apply` is written instead, so that one text has one tree. A parameter may be a `Definition`
    (``logits = dec(z)``).
    """

    __slots__ = ()
    kinds = (Expr, Tuple, Tuple, Tuple)

    @property
    def head(self) -> Basic:
        """The name of the density."""
        return self.args[0]

    @property
    def values(self) -> tuple[Basic, ...]:
        """Where it is evaluated."""
        return tuple(self.args[1].args)

    @property
    def givens(self) -> tuple[Basic, ...]:
        """What stands behind the bar."""
        return tuple(self.args[2].args)

    @property
    def parameters(self) -> tuple[Basic, ...]:
        """What stands behind the semicolon."""
        return tuple(self.args[3].args)


class Norm(Node):
    """``||a||_p``. Args of the node: ``(a, order)``; the order is 2 if it is not written."""

    __slots__ = ()
    kinds = (Expr, Expr)


class Inner(Node):
    """The inner product ``<a, b>``."""

    __slots__ = ()
    kinds = (Expr, Expr)


class Transposed(Node):
    """``a^T`` of a vector or a matrix."""

    __slots__ = ()
    kinds = (Expr,)


class Indicator(Node):
    """``1[k != i]``."""

    __slots__ = ()
    kinds = (Basic,)
