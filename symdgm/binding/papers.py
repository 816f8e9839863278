"""What papers write but the grammar reads in another way: ``sigma^2(x)``, ``I`` of a normal, ``x_{<=T}``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set

from sympy import Basic, Integer, Tuple

from symdgm.binding.classify import is_number, named
from symdgm.binding.written import Excerpt, Written
from symdgm.caches import remembered
from symdgm.expressions.applications import Apply, Call, Density
from symdgm.expressions.arithmetic import Power, Times
from symdgm.expressions.depth import hashed
from symdgm.expressions.names import IndexRange, Labelled, Name, Relation, Subscripted, spelled
from symdgm.expressions.statements import Definition
from symdgm.expressions.steps import at_offset, is_size

ATOMS = (Name, Subscripted, Labelled)
IDENTITY = Name("I")
"""The identity matrix, where the name is not bound."""
NORMALS = ("N", "Normal")
"""The families whose second parameter may be written as a diagonal matrix."""
SCALES = ("scale", "variance")


def as_papers_mean(text: Written, names: Mapping[str, object], read: Callable[[str], Basic]) -> Written:
    r"""A text with three notations of papers written out.

    ``\sigma^2(x)`` of a network is ``\sigma(x)^2``, not a product; in the last place of a normal,
    ``\sigma^2 I`` and ``\mathrm{diag}(\sigma^2)`` are the variances on the diagonal, since the family is
    diagonal. ``x_{<=T}`` is the whole sequence, ``x_{1:T}``, and ``x_{<T}`` all but its last step.

    Args:
        text: what was read.
        names: keyword → what it is bound to.
        read: text → name node.
    """
    bound = {spelled(named(keyword, read)): value for keyword, value in names.items()}
    networks = {name for name, value in bound.items() if callable(value) and not is_number(value)}
    expression = _rewritten(hashed(text.expression), frozenset(networks), IDENTITY.text not in bound)
    return text if expression == text.expression else Excerpt(expression, text)


@remembered(256)
def _rewritten(expression: Basic, networks: frozenset[str], diagonal: bool) -> Basic:
    return _written_out(expression, networks, diagonal)


def _written_out(node: Basic, networks: Set[str], diagonal: bool) -> Basic:
    arguments = tuple(_written_out(a, networks, diagonal) for a in node.args)
    changed = node if arguments == node.args else node.func(*arguments)
    if isinstance(changed, Subscripted):
        return _whole_sequence(changed)
    if isinstance(changed, Times):
        factors = tuple(_applied(changed.args, networks))
        return changed if factors == changed.args else _product(*factors)
    if diagonal and isinstance(changed, Density) and spelled(changed.args[0]) in NORMALS:
        return Density(*changed.args[:3], Tuple(*_scaled(changed.parameters)))
    return changed


def _whole_sequence(name: Subscripted) -> Basic:
    """``x_{1:T}`` of ``x_{<=T}`` and ``x_{1:T-1}`` of ``x_{<T}``.

    A size is a capital letter, so that ``x_{<=t}`` is the past of a step.
    """
    index = name.indices[0]
    if len(name.indices) > 1 or not isinstance(index, Relation) or str(index.args[0]) not in ("<", "<="):
        return name
    end, operator = index.args[2], str(index.args[0])
    if not is_size(end):
        return name
    return Subscripted(name.head, IndexRange(Integer(1), at_offset(end, -int(operator == "<"))))


def _product(*factors: Basic) -> Basic:
    return Times(*factors) if len(factors) > 1 else factors[0]


def _applied(factors: Sequence[Basic], networks: Set[str]) -> Iterator[Basic]:
    """The factors of a product, with a power of a network applied to the variable behind it."""
    left = list(factors)
    while left:
        first = left.pop(0)
        if (
            left
            and isinstance(left[0], ATOMS)
            and isinstance(first, Power)
            and _is_in(first.args[0], networks)
        ):
            yield Power(Apply(first.args[0], left.pop(0)), first.args[1])
        else:
            yield first


def _is_in(head: Basic, networks: Set[str]) -> bool:
    """Whether a name is that of a network, with or without its parameter subscript."""
    short = head.head if isinstance(head, Subscripted) else head
    return isinstance(head, ATOMS) and not networks.isdisjoint((spelled(head), spelled(short)))


def _scaled(parameters: Sequence[Basic]) -> Iterator[Basic]:
    for place, parameter in enumerate(parameters):
        if isinstance(parameter, Definition):
            key, value = parameter.args
            yield Definition(key, diagonal(value)) if spelled(key) in SCALES else parameter
        else:
            yield diagonal(parameter) if place else parameter


def diagonal(matrix: Basic) -> Basic:
    """The entries on the diagonal of ``I``, ``s I`` and ``diag(s)``."""
    if matrix == IDENTITY:
        return Integer(1)
    if isinstance(matrix, Call) and matrix.function == "diag":
        return matrix.args[1]
    if isinstance(matrix, Times) and IDENTITY in matrix.args:
        return _product(*(diagonal(f) for f in matrix.args if f != IDENTITY))
    return matrix
