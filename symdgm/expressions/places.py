"""What a node binds, and what each of its arguments is to it: the table that scope and sameness share.

| node | binds | where |
| --- | --- | --- |
| `Expect` | the variables of its binders, or the value names of a law without | the body, later laws |
| `Aggregate` | its index | the body and the condition, not the bounds |
| `IntegralOver` | its variable | the body, not the bounds |
| `DivergenceBetween`, `Entropy`, `CrossEntropy`, `MutualInformation` | the value names inside | inside |

The value names of a law (``z`` in ``q(z|x)``) are formal: they tell which factor is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from sympy import Basic, Tuple

from symdgm.expressions.applications import Apply, Call, Density
from symdgm.expressions.arithmetic import Minus, Plus, Quotient, Times
from symdgm.expressions.calculus import IntegralOver
from symdgm.expressions.expectations import (
    Binder,
    CrossEntropy,
    DivergenceBetween,
    Entropy,
    Expect,
    MutualInformation,
)
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.known import KnownIntegral
from symdgm.expressions.names import IndexRange, Labelled, Name, Placeholder, Subscripted, base
from symdgm.expressions.resolved import Component, StoppedLaw
from symdgm.expressions.statements import Definition, Optimize

NAMES = (Name, Subscripted, Labelled)
"""The nodes that are names."""

Names = frozenset[Basic]
NONE: Names = frozenset()


class Role(Enum):
    """What an argument is to its node."""

    TERM = auto()
    """An expression."""
    ARGUMENT = auto()
    """An argument of an application."""
    VALUE = auto()
    """A value or a given of a density: its name tells which factor is meant."""
    HEAD = auto()
    """The name of a function or a distribution."""
    LAW = auto()
    """A distribution: its value names are its own."""
    VARIABLE = auto()
    """A name that is bound or formal; its indices are expressions."""
    FIXED = auto()
    """Nothing that has a scope."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands: its role, and for a law the variables that are written before it."""

    role: Role
    variables: tuple[Basic, ...] = ()


TERM, ARGUMENT, VALUE, HEAD, LAW, VARIABLE, FIXED = (Place(role) for role in Role)

Part = tuple[Basic, Place, Names]
"""An argument, its place, and the names that its node binds in it."""


def bound_variables(node: Basic) -> tuple[Basic, ...]:
    """The variables that a node itself binds, in written order.

    Example:
        >>> q, x, z = Name("q"), Name("x"), Name("z")
        >>> bound_variables(Entropy(Density(q, Tuple(z), Tuple(x), Tuple())))
        (z,)
    """
    if isinstance(node, Binder):
        return node.variables or value_names(node.law)
    if isinstance(node, Aggregate):
        return (node.index.variable,)
    if isinstance(node, IntegralOver):
        return (node.args[1],)
    if isinstance(node, MutualInformation):
        return _once([*node.args[0], *node.args[1]])
    if isinstance(node, Expect):
        return _once(v for law in node.binders for v in bound_variables(law))
    sides = {DivergenceBetween: node.args[1:3], Entropy: node.args, CrossEntropy: node.args}.get(
        type(node), ()
    )
    return _once(v for side in sides for v in value_names(side))


def value_names(law: Basic) -> tuple[Basic, ...]:
    """The value names of a law: ``(z,)`` for ``q(z|x)``, ``(x, y)`` for ``p(x) q(y|x)``."""
    found: list[Basic] = []
    waiting = [law]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Density | Apply):
            found += [name for value in _values(node) for name in _formal(value)]
        elif is_made_of_laws(node):
            waiting += reversed(node.args)
    return _once(found)


def _values(node: Density | Apply) -> tuple[Basic, ...]:
    return node.values if isinstance(node, Density) else tuple(node.args[1:])


def _formal(value: Basic) -> tuple[Basic, ...]:
    """The formal name of a value: ``x`` of ``x`` and of ``x = G(z)``."""
    name = value.args[0] if isinstance(value, Definition | Component) else value
    return (name,) if isinstance(name, NAMES) else ()


def is_made_of_laws(node: Basic) -> bool:
    """Whether a node below which laws stand is a product or a mixture of them."""
    return isinstance(node, Times | Plus | Minus | Quotient | Aggregate) or _is_stopped(node)


def _is_stopped(node: Basic) -> bool:
    return isinstance(node, StoppedLaw) or (isinstance(node, Call) and node.function == "sg")


def _once(names: Iterable[Basic]) -> tuple[Basic, ...]:
    return tuple(dict.fromkeys(names))


def places(node: Basic, place: Place) -> list[Part]:
    """The arguments of a node that stands at a place, in order."""
    return _PLACES.get(type(node), _of_any)(node, place)


def _alike(nodes: Collection[Basic], place: Place) -> list[Part]:
    return [(node, place, NONE) for node in nodes]


def _of_expectation(node: Expect, place: Place) -> list[Part]:
    bound, laws = NONE, []
    for law in node.binders:
        laws.append((law, TERM, bound))
        bound |= patterns(bound_variables(law))
    return [(node.body, TERM, bound), *laws]


def _of_binder(node: Binder, place: Place) -> list[Part]:
    return [(node.args[0], VARIABLE, NONE), (node.law, Place(Role.LAW, node.variables), NONE)]


def _of_density(node: Density, place: Place) -> list[Part]:
    head, values, givens, parameters = node.args
    formal = VARIABLE if place.role is Role.LAW else VALUE
    return [(head, HEAD, NONE), (values, formal, NONE), (givens, VALUE, NONE), (parameters, ARGUMENT, NONE)]


def _of_divergence(node: DivergenceBetween, place: Place) -> list[Part]:
    return [*_alike(node.args[:1], FIXED), *_alike(node.args[1:3], LAW), *_alike(node.args[3:], TERM)]


def _of_index(node: Aggregate | IntegralOver | Index, place: Place) -> list[Part]:
    if isinstance(node, Aggregate):
        inside = place if place.role is Role.LAW else TERM
        kind, body, index = node.args
        return [(kind, FIXED, NONE), (body, inside, patterns([node.index.variable])), (index, TERM, NONE)]
    if isinstance(node, IntegralOver):
        bound = patterns([node.args[1]])
        return [(node.args[0], TERM, bound), (node.args[1], FIXED, NONE), *_alike(node.args[2:], TERM)]
    bound = patterns([node.variable])
    conditions = node.args[1:] if len(node.args) == 2 else node.args[3:]
    return [
        (node.variable, FIXED, NONE),
        *[(part, TERM, bound if part in conditions else NONE) for part in node.args[1:]],
    ]


def _of_application(node: Apply, place: Place) -> list[Part]:
    head, arguments = node.args[0], node.args[1:]
    if place.role is not Role.LAW:
        return [(head, HEAD, NONE), *_alike(arguments, ARGUMENT)]
    bases = {base(v) for v in place.variables}
    free = bool(bases) and is_family(head)
    return [(head, HEAD, NONE), *((a, _formal_place(a, bases, free), NONE) for a in arguments)]


def _formal_place(argument: Basic, bases: Collection[Basic], free: bool) -> Place:
    """In ``z ~ p(z)`` the argument is formal, in ``eps ~ N(0, s)`` it is a parameter."""
    formal = isinstance(argument, (*NAMES, Definition)) and (not free or base(argument) in bases)
    return VARIABLE if formal else ARGUMENT


def is_family(head: Basic) -> bool:
    """Whether a law's name is a family's, whose arguments are parameters: families are capitalised."""
    name = base(head)
    return isinstance(name, Name) and name.text[:1].isupper()


def _of_any(node: Basic, place: Place) -> list[Part]:
    if isinstance(node, Definition) and place.role in (Role.ARGUMENT, Role.VALUE, Role.VARIABLE):
        return [(node.args[0], VARIABLE, NONE), (node.args[1], TERM, NONE)]
    if isinstance(node, Tuple):
        return _alike(node.args, place)
    if place.role is not Role.LAW or not is_made_of_laws(node):
        return _alike(node.args, TERM)
    own = [patterns(value_names(part)) for part in node.args]
    return [
        (part, _weight_or_law(node, part, place), NONE.union(*own[:i], *own[i + 1 :]))
        for i, part in enumerate(node.args)
    ]


def _weight_or_law(node: Basic, part: Basic, place: Place) -> Place:
    """Below an operator a bare name is a weight; below a stop-gradient it is a law."""
    return TERM if isinstance(part, NAMES) and not _is_stopped(node) else place


_PLACES: dict[type[Basic], Callable[[Any, Place], list[Part]]] = {
    Expect: _of_expectation,
    Binder: _of_binder,
    Apply: _of_application,
    Density: _of_density,
    **dict.fromkeys((Aggregate, IntegralOver, Index), _of_index),
    Optimize: lambda node, _: [*zip(node.args, (FIXED, TERM, FIXED), (NONE,) * 3, strict=True)],
    KnownIntegral: lambda node, _: [*_alike(node.args[:1], FIXED), *_alike(node.args[1:], LAW)],
    DivergenceBetween: _of_divergence,
    MutualInformation: lambda node, _: _alike(node.args, VARIABLE),
    **dict.fromkeys((Entropy, CrossEntropy), lambda node, _: _alike(node.args, LAW)),
    **dict.fromkeys(
        (Subscripted, Labelled), lambda node, _: [*_alike(node.args[:1], FIXED), *_alike(node.args[1:], TERM)]
    ),
}
"""What finds the arguments of each kind of node; those of all others are expressions."""


def patterns(variables: Iterable[Basic]) -> Names:
    """Variables as they are looked up: ``z_{1:K}`` binds ``z`` at any index."""
    return frozenset(pattern(v) for v in variables)


def pattern(variable: Basic) -> Basic:
    """A variable as it is looked up."""
    if isinstance(variable, Subscripted) and isinstance(variable.indices[0], IndexRange):
        return Subscripted(variable.head, Placeholder())
    return variable


def looked_up(name: Basic, known: Collection[Basic]) -> Basic | None:
    """The entry of ``known`` under which a name falls: itself, or its head at any index."""
    if name in known:
        return name
    if isinstance(name, Subscripted):
        anywhere = Subscripted(name.head, Placeholder())
        return anywhere if anywhere in known else None
    return None


def is_closed(node: Basic, place: Place) -> bool:
    """Whether nothing below a node has a scope of its own."""
    return place.role is Role.FIXED or not node.args or isinstance(node, Name)
