"""Names: inert atoms of the language, with subscripts and labels.

Whether an index is part of a name, a sample, a time step or a component is decided when the name is bound.
"""

from __future__ import annotations

from sympy import Basic, Expr
from sympy.core.symbol import Str

from symdgm.caches import remembered
from symdgm.expressions.depth import hashed
from symdgm.expressions.node import Node


class Name(Node):
    """A name in its canonical ASCII spelling: ``x``, ``theta``, ``x_hat``, ``a_bar``, ``x'``, ``x_star``.

    Args of the node: ``(Str,)``. Decorations belong to the text (a suffix `symdgm.names.DECORATIONS`, or
    primes).
    """

    __slots__ = ()
    kinds = (Str,)

    def __new__(cls, name: str | Str) -> Name:
        """The name with this spelling."""
        return super().__new__(cls, Str(name) if isinstance(name, str) else name)

    def __eq__(self, other: object) -> bool:
        """Whether the other is a name with the same spelling."""
        if isinstance(other, Name):
            return bool(self._args[0].name == other._args[0].name)
        return super().__eq__(other)

    __hash__ = Node.__hash__

    @property
    def text(self) -> str:
        """The canonical spelling."""
        return str(self.args[0].name)


class Subscripted(Node):
    """A name with subscripts: ``z_1``, ``z_{t-1}``, ``z_{1:T}``, ``q_phi``, ``x_{i,j}``, ``x_{<=t}``.

    Args of the node: ``(head, index, …)``, the head a `Name` or a `Labelled`; an index is any expression, a
    `IndexRange` or a `Relation`
    with `Placeholder` on its left.
    """

    __slots__ = ()
    kinds = (Expr, [Basic])

    @property
    def head(self) -> Node:
        """The name without its subscripts."""
        head: Node = self.args[0]
        return head

    @property
    def indices(self) -> tuple[Basic, ...]:
        """The subscripts."""
        return tuple(self.args[1:])


class Labelled(Node):
    r"""A name with a superscript label: ``x^{(i)}``, ``D^{(k)}``, ``x^{\text{o}}``.

    Args of the node: ``(head, label)``; the label is an expression (``(i)``) or a `Str` (upright text).
    """

    __slots__ = ()
    kinds = (Expr, Basic)


class IndexRange(Node):
    """A range of an index, ``1:T`` or ``1..T``; an open end is a `Placeholder`."""

    __slots__ = ()
    kinds = (Expr, Expr)


class Placeholder(Node):
    """An argument that is left open, ``·``."""

    __slots__ = ()
    kinds = ()


class Relation(Node):
    """A condition ``a < b``.

    Args of the node: ``(Str operator, left, right)``; operators as in `OPERATORS`.
    """

    __slots__ = ()
    kinds = (Str, Basic, Basic)
    OPERATORS = ("<", "<=", ">", ">=", "!=", "==", "in")


class Listing(Node):
    """A set or a list written out: ``{1, …, T}``; the ellipsis is a `Placeholder`."""

    __slots__ = ()
    kinds = ([Basic],)


def spelled(node: Basic) -> str:
    """The key under which a name is bound: its canonical ASCII text, ``q_phi``, ``z_{t-1}``."""
    return _text(hashed(node))


@remembered(4096)
def _text(node: Basic) -> str:
    return str(node)


def base(node: Basic) -> Basic:
    """The name without subscripts, labels and primes: ``z`` for ``z_k``, ``z'`` and ``z^{(i)}``."""
    while isinstance(node, Subscripted | Labelled):
        node = node.args[0]
    if isinstance(node, Name) and node.text.endswith("'"):
        return Name(node.text.rstrip("'"))
    return node
