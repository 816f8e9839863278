"""Nodes that binding makes: what an index means has been decided. No text is read as one of them.

| node | stands for | written |
| --- | --- | --- |
| `Component` | the j-th component of an event | ``z_j`` |
| `RowOf` | a value at another example of the batch | ``x_j`` |
| `EntryOf` | an entry of a table, or a tensor as a whole | ``u_k``, ``mu`` |
| `OwnRow` | the number of the example itself | ``i`` |
| `Permuted` | each component from a random example of its own | ``permuted(z)`` |
| `StoppedLaw` | a law whose parameters get no gradient | ``sg[q(z|x)]`` |

A factor over a `Component` is the factor of that component: ``q(z_j|x)``.
"""

from __future__ import annotations

from sympy import Basic, Expr

from symdgm.expressions.node import Node


class Component(Node):
    """The component of an event: args of the node ``(value, index)``."""

    __slots__ = ()
    kinds = (Expr, Expr)


class RowOf(Node):
    """A value that has an example axis, at the example of an index: args of the node ``(value, index)``."""

    __slots__ = ()
    kinds = (Expr, Expr)


class Permuted(Node):
    """A draw whose components come from other examples, each from one of its own. Args: ``(value,)``.

    Permuted draws of q(z) are draws of the product of its marginals, ``prod_j q(z_j)``.
    """

    __slots__ = ()
    kinds = (Expr,)


class EntryOf(Node):
    """An entry of what a name is bound to, or all of it: args of the node ``(name, index, …)``."""

    __slots__ = ()
    kinds = (Expr, [Expr])


class OwnRow(Node):
    """The number of the example itself, among the examples of the batch."""

    __slots__ = ()
    kinds = ()


class StoppedLaw(Node):
    """A law through whose parameters no gradient goes."""

    __slots__ = ()
    kinds = (Basic,)
