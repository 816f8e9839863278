"""The integral of a density over one scalar, where it is known: from nodes to SymPy and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sympy
from sympy import Basic, Dummy, Expr, Integer, Number, Rational, Symbol, oo

from symdgm.expressions.applications import Apply, Call, Inner, Norm, call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times, plus, times
from symdgm.expressions.families import PI
from symdgm.expressions.integrals import MAX_DEGREE, UnknownError, integral, is_infinite
from symdgm.expressions.logarithms import Side
from symdgm.expressions.names import Labelled, Name, Subscripted

MAX_SIZE = 200
"""The nodes that a formula may have."""
MAX_BITS = 512
"""The length of an exact number."""
ATOMS = (Name, Subscripted, Labelled)


@dataclass(frozen=True)
class Normalised:
    """A density over each element of an event, with its integral.

    Args:
        log_density: the logarithm for one element, up to the constant.
        log_integral: the logarithm of the integral over one element.
        conditions: what must be positive for the integral to exist, where that is not known.
    """

    log_density: Basic
    log_integral: Basic
    conditions: tuple[Basic, ...]


def normalised(
    terms: Sequence[Basic], variable: Basic, sides: Sequence[Side], scalars: Collection[Basic]
) -> Normalised | None:
    """The integral of a density, where it is in the table of `symdgm.expressions.integrals`.

    Args:
        terms: the sum of them is its logarithm.
        variable: what is integrated over; every element of its event alone.
        sides: the region; all numbers, if none is stated.
        scalars: the names that are one number each, also where an event has many elements.

    Returns:
        None if the integral is not known, or not finite.

    Example:
        >>> from symdgm.expressions.logarithms import log_terms
        >>> x = Name("x")
        >>> print(normalised(log_terms(call("exp", -(x**2) / 2)), x, [], []).log_integral)
        log(2)/2 + (log pi)/2
    """
    algebra = _Algebra(variable, frozenset(scalars))
    own = [term for term in terms if term.has(variable)]
    if not own and len(sides) < 2:
        return None
    try:
        read = [algebra.term(term) for term in own]
        found = integral(sympy.Add(*(value for _, value in read)), algebra.x, *_interval(sides))
        if found is None:
            return None
        log_z, conditions = found
        element = [term for term, _ in read] or [times(Integer(0), variable)]
        return Normalised(
            plus(*element) if len(element) > 1 else element[0],
            algebra.node(sympy.expand_log(log_z)),
            tuple(algebra.node(c) for c in conditions),
        )
    except UnknownError:
        return None


def is_improper(
    terms: Sequence[Basic], variable: Basic, sides: Sequence[Side], scalars: Collection[Basic]
) -> bool:
    """Whether a density is known to have an infinite integral, such as ``e^x`` on the line.

    Example:
        >>> x = Name("x")
        >>> is_improper([x], x, [], []), is_improper([], x, [], []), is_improper([-(x**2)], x, [], [])
        (True, True, False)
    """
    algebra = _Algebra(variable, frozenset(scalars))
    try:
        read = [algebra.term(term)[1] for term in terms if term.has(variable)]
        return is_infinite(sympy.Add(*read), algebra.x, *_interval(sides))
    except UnknownError:
        return False


@dataclass
class _Algebra:
    """Between nodes and SymPy's own expressions; what is free of the variable is made of symbols."""

    variable: Basic
    scalars: frozenset[Basic]
    x: Symbol = field(default_factory=lambda: Dummy("x", real=True))
    symbols: dict[Basic, Symbol] = field(default_factory=dict)

    def term(self, term: Basic) -> tuple[Basic, Expr]:
        """A term of the logarithm for one element of the event, as a node and for SymPy."""
        if sum(1 for _ in sympy.preorder_traversal(term)) > MAX_SIZE:
            raise UnknownError
        sums = [n for n in _outermost_sums(term) if n.has(self.variable)]
        if not sums:
            return term, self.read(term)
        (whole,) = sums if len(sums) == 1 else (None,)
        if whole is None:
            raise UnknownError
        mark = Dummy("norm", real=True)
        self.symbols[whole] = mark
        coefficient = sympy.diff(self.read(term), mark)
        known = {v: k for k, v in self.symbols.items()}
        free = [known[s] for s in coefficient.free_symbols if s in known and s != mark]
        if coefficient.has(mark) or coefficient.has(self.x) or not all(map(self._is_scalar, free)):
            raise UnknownError
        element = term.xreplace({whole: _element(whole)})
        return element, self.read(element)

    def _is_scalar(self, node: Basic) -> bool:
        names = [n for n in sympy.preorder_traversal(node) if isinstance(n, ATOMS)]
        return not node.has(Apply) and all(n in self.scalars for n in names)

    def read(self, node: Basic) -> Expr:
        """A node for SymPy.

        Raises:
            UnknownError: a function that the table does not have.
        """
        if isinstance(node, Number):
            return node
        if node == self.variable:
            return self.x
        if node in self.symbols:
            return self.symbols[node]
        if type(node) not in _ARITHMETIC and not node.has(self.variable):
            return self.symbols.setdefault(node, Dummy("a", real=True))
        if isinstance(node, Call):
            if node.function not in _FUNCTIONS or len(node.args) != 2:
                raise UnknownError
            return _FUNCTIONS[node.function](self.read(node.args[1]))
        if type(node) not in _ARITHMETIC or _degree(node) > MAX_DEGREE:
            raise UnknownError
        return _ARITHMETIC[type(node)](*map(self.read, node.args))

    def node(self, value: Expr) -> Basic:
        """A result of SymPy as a node."""
        known: dict[Basic, Basic] = {symbol: node for node, symbol in self.symbols.items()}
        return _node(value, {**known, sympy.pi: PI})


_ARITHMETIC: dict[type, Callable[..., Expr]] = {
    Plus: sympy.Add,
    Minus: lambda a: -a,
    Times: sympy.Mul,
    Quotient: lambda a, b: a / b,
    Power: lambda a, b: _power(a, b),
}
_FUNCTIONS: dict[str, Callable[[Expr], Expr]] = {
    "log": sympy.log, "abs": sympy.Abs, "cosh": sympy.cosh, "sqrt": sympy.sqrt,
}  # fmt: skip


def _power(a: Expr, b: Expr) -> Expr:
    """A power of a moderate size: numbers are exact, and may not fill the memory."""
    bits = max(a.p.bit_length(), a.q.bit_length()) if isinstance(a, Rational) else 1
    if b.is_number and bits * abs(b) > MAX_BITS:
        raise UnknownError
    return a**b


def _outermost_sums(node: Basic) -> Iterator[Basic]:
    """Squared norms, 1-norms, inner products and sums over an event: they are sums over elements."""
    squared = isinstance(node, Power) and isinstance(node.args[0], Norm) and node.args[1] == 2
    if squared or isinstance(node, Inner | Norm) or (isinstance(node, Call) and node.function == "sum"):
        yield node
    else:
        for part in node.args:
            yield from _outermost_sums(part)


def _element(whole: Basic) -> Basic:
    """What a sum over an event adds up."""
    if isinstance(whole, Power) and whole.args[0].args[1] == 2:
        return Power(whole.args[0].args[0], Integer(2))
    if isinstance(whole, Norm) and whole.args[1] == 1:
        return call("abs", whole.args[0])
    if isinstance(whole, Inner):
        return times(*whole.args)
    if isinstance(whole, Call):
        return whole.args[1]
    raise UnknownError


def _degree(node: Basic) -> int:
    """The degree of a formula in all of its names."""
    if isinstance(node, Number):
        return 0
    if isinstance(node, Plus | Minus):
        return max(map(_degree, node.args))
    if isinstance(node, Times | Quotient):
        return sum(map(_degree, node.args))
    if isinstance(node, Power) and isinstance(node.args[1], Integer):
        return max(1, _degree(node.args[0])) * abs(int(node.args[1]))
    return 1


def _interval(sides: Sequence[Side]) -> tuple[Expr, Expr]:
    low = [s.bound for s in sides if s.operator in (">", ">=")]
    high = [s.bound for s in sides if s.operator in ("<", "<=")]
    return max(low, default=-oo), min(high, default=oo)


def _node(value: Expr, known: Mapping[Basic, Basic]) -> Basic:
    """An expression of SymPy as a node."""
    if value in known:
        return known[value]
    if isinstance(value, Rational):
        return value
    if isinstance(value, sympy.Add):
        return plus(*(_node(a, known) for a in value.args))
    if isinstance(value, sympy.exp) or value is sympy.E:
        return call("exp", _node(value.args[0] if value.args else Integer(1), known))
    if isinstance(value, sympy.Pow | sympy.Mul):
        return _product_node(value, known)
    names = {sympy.log: "log", sympy.loggamma: "lgamma", sympy.erf: "erf", sympy.Abs: "abs"}
    if type(value) not in names:
        raise UnknownError
    return call(names[type(value)], _node(value.args[0], known))


def _product_node(value: Expr, known: Mapping[Basic, Basic]) -> Basic:
    above, below = sympy.fraction(value)
    if below != 1:
        return Quotient(_node(above, known), _node(below, known))
    if isinstance(value, sympy.Pow):
        if value.args[1] == Rational(1, 2):
            return call("sqrt", _node(value.args[0], known))
        return Power(_node(value.args[0], known), _node(value.args[1], known))
    coefficient, rest = value.as_coeff_Mul()
    if coefficient < 0:
        return Minus(_node(-value, known))
    return times(*(_node(a, known) for a in value.args)) if rest != 1 else coefficient
