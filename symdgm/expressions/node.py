"""The root of all nodes: an immutable SymPy expression whose whole identity is in its arguments.

Operators build nodes in written order; nothing is evaluated, sorted or simplified.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import wraps
from math import isfinite
from numbers import Integral, Real
from typing import Any, ClassVar

from sympy import Basic, Expr, Integer, Rational
from sympy.core.symbol import Str


class Operand:
    """What carries a node and more; a node leaves the operator to it."""

    __array_ufunc__ = None
    """NumPy leaves operators to it, where an array would make one formula for each entry."""


def _yielding(operator: Callable[[Node, Any], Node]) -> Callable[[Node, Any], Node]:
    """An operator that lets an `Operand` on its right do the work."""

    @wraps(operator)
    def operate(self: Node, other: Any) -> Node:
        return NotImplemented if isinstance(other, Operand) else operator(self, other)

    return operate


class Node(Expr):  # type: ignore[misc]
    """A node of the language.

    Subclasses state what their arguments are in `kinds`, one entry an argument; a last entry that is a
    one-element list stands for any number of arguments of that kind.
    """

    __slots__ = ()
    is_commutative = True
    is_number = False
    __array_ufunc__ = None
    _op_priority = 20.0
    kinds: ClassVar[tuple[Any, ...]] = ([Basic],)

    def __new__(cls, *args: Any) -> Node:
        """The node of these arguments; numbers become exact SymPy numbers."""
        nodes = tuple(map(to_node, args))
        _check(cls, nodes)
        node: Node = Basic.__new__(cls, *nodes)
        return node

    def __eq__(self, other: object) -> bool:
        """Whether the other is the same tree; trees whose hashes are known to differ are not looked into."""
        if self is other:
            return True
        if not isinstance(other, Basic):
            answer: bool = super().__eq__(other)
            return answer
        if type(self) is not type(other) or _differ(self._mhash, other._mhash):
            return False
        return bool(self._args == other._args)

    __hash__ = Basic.__hash__

    @_yielding
    def __add__(self, other: Any) -> Node:
        from symdgm.expressions.arithmetic import plus

        return plus(self, to_node(other))

    def __radd__(self, other: Any) -> Node:
        return Node.__add__(to_node(other), self)

    @_yielding
    def __sub__(self, other: Any) -> Node:
        from symdgm.expressions.arithmetic import Minus

        return self + Minus(to_node(other))

    def __rsub__(self, other: Any) -> Node:
        return Node.__sub__(to_node(other), self)

    @_yielding
    def __mul__(self, other: Any) -> Node:
        from symdgm.expressions.arithmetic import times

        return times(self, to_node(other))

    def __rmul__(self, other: Any) -> Node:
        return Node.__mul__(to_node(other), self)

    @_yielding
    def __truediv__(self, other: Any) -> Node:
        from symdgm.expressions.arithmetic import quotient

        result: Node = quotient(self, to_node(other))
        return result

    def __rtruediv__(self, other: Any) -> Node:
        return Node.__truediv__(to_node(other), self)

    @_yielding
    def __pow__(self, other: Any) -> Node:
        from symdgm.expressions.arithmetic import Power

        return Power(self, to_node(other))

    def __rpow__(self, other: Any) -> Node:
        from symdgm.expressions.arithmetic import Power

        return Power(to_node(other), self)

    def __neg__(self) -> Node:
        from symdgm.expressions.arithmetic import Minus

        return Minus(self)

    def __pos__(self) -> Node:
        return self

    def _latex(self, printer: Any) -> str:
        from symdgm.expressions.notation import latex

        return latex(self)

    def _sympystr(self, printer: Any) -> str:
        return str(self)

    def _sympyrepr(self, printer: Any) -> str:
        return f"{type(self).__name__}({', '.join(printer._print(a) for a in self.args)})"

    def _pretty(self, printer: Any) -> Any:
        from sympy.printing.pretty.stringpict import prettyForm

        from symdgm.expressions.notation import unicode

        return prettyForm(unicode(self))

    def __copy__(self) -> Node:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Node:
        return self  # immutable, and trees may be deeper than Python's stack

    def __str__(self) -> str:
        from symdgm.expressions.notation import ascii

        return ascii(self)

    def _repr_latex_(self) -> str:
        from symdgm.expressions.notation import latex

        return f"$\\displaystyle {latex(self)}$"


def to_node(value: Any) -> Basic:
    """A SymPy object for a node, a number or a name; a float becomes the decimal fraction that it prints as.

    Raises:
        TypeError: for anything else; text is never evaluated.
    """
    if isinstance(value, Basic):
        return value
    if isinstance(value, bool):
        raise TypeError("a truth value is no part of a formula")
    if isinstance(value, Integral):
        return Integer(int(value))
    if isinstance(value, Real):  # Python's and NumPy's; the latter's `repr` names the type.
        exact = Fraction(str(value)) if isfinite(value) else None
        if exact is None:
            raise TypeError(f"{value} is no number of a formula")
        return Rational(exact.numerator, exact.denominator)
    raise TypeError(f"{type(value).__name__} is no part of a formula: use a node or a number")


def _differ(a: int | None, b: int | None) -> bool:
    return a is not None and b is not None and a != b


def _check(cls: type[Node], args: tuple[Basic, ...]) -> None:
    kinds = cls.kinds
    if kinds and isinstance(kinds[-1], list):
        kinds = (*kinds[:-1], *kinds[-1] * (len(args) - len(kinds) + 1))
    if len(kinds) == len(args) and all(map(isinstance, args, kinds)):
        return
    if len(kinds) != len(args):
        raise TypeError(f"{cls.__name__} takes {len(kinds)} arguments, not {len(args)}")
    for arg, kind in zip(args, kinds, strict=True):
        if not isinstance(arg, kind):
            raise TypeError(f"{cls.__name__} does not take {type(arg).__name__} here")


def text(value: str) -> Str:
    """An inert piece of text as an argument of a node."""
    return Str(value)


def walk(expression: Basic, visit: Callable[[Basic], None]) -> None:
    """Call ``visit`` on every node below ``expression``, parents first, in written order."""
    stack = [expression]
    while stack:
        node = stack.pop()
        visit(node)
        stack.extend(reversed(node.args))
