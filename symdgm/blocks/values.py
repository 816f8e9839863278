"""A value by its formula: ``h = f(x)`` is certain, and ``x = f(z)`` of a flow has a density."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from sympy import Basic, preorder_traversal
from torch.distributions import Transform

from symdgm.binding import Environment, Factor, Written
from symdgm.binding.factors import ATOMS, reference
from symdgm.distributions import Deterministic, Transformed
from symdgm.distributions.flows import Flow
from symdgm.distributions.flows.transform import TransformFlow
from symdgm.errors import NameResolutionError
from symdgm.expressions.applications import Apply, Density, Inner, Norm
from symdgm.expressions.expectations import (
    CrossEntropy,
    DivergenceBetween,
    Entropy,
    Expect,
    MutualInformation,
)
from symdgm.expressions.families import PI
from symdgm.expressions.names import Name, Subscripted, spelled
from symdgm.expressions.scope import free_names
from symdgm.formula import Formula

HEAD = Name("p")
"""The name of the law of a certain value, ``p(h|x)``."""
PIECES = (Expect, DivergenceBetween, Entropy, CrossEntropy, MutualInformation, Density, Norm, Inner)
"""What makes a formula a piece of an objective rather than a value that is drawn."""


def certain(
    name: Basic, formula: Basic, environment: Environment, reading: Written
) -> tuple[Basic, Deterministic] | None:
    """``p(h|x)`` of ``h = f(x)``; None for a constant, and for a piece of an objective.

    Raises:
        NameResolutionError: a name of the formula is not bound.
        NotSupportedError: a construct that cannot be computed.
    """
    nodes = list(preorder_traversal(formula))
    named = [n for n in nodes if isinstance(n, Apply) and environment.named(n.args[0])]
    given = variables_of(formula, environment)
    if named or not given or any(isinstance(n, PIECES) for n in nodes):
        return None
    node = reference(HEAD, (name,), given)
    names = tuple(map(spelled, given))
    network = Formula({spelled(name): formula}, names, environment, reading, f"`{name}` depends")
    return node, Deterministic(str(node), network)


def variables_of(formula: Basic, environment: Environment) -> tuple[Basic, ...]:
    """The variables of a formula in written order: its free names that are no scalars.

    An index belongs to its name, ``x_t``; of a table it is what the entry depends on.
    """
    free = free_names(formula)
    named = [n for n in dict.fromkeys(_names_of(formula, environment.tables)) if n in free]
    return tuple(n for n in named if environment.scalar(n) is None and n != PI)


def _names_of(node: Basic, tables: Collection[str]) -> Iterator[Basic]:
    is_table = isinstance(node, Subscripted) and spelled(node.head) in tables
    if isinstance(node, ATOMS) and not is_table:
        yield node
    else:
        for part in node.indices if isinstance(node, Subscripted) else node.args:
            yield from _names_of(part, tables)


def flow_of(formula: Basic, flows: Mapping[str, object]) -> Flow | Transform | None:
    """The flow that a formula applies, if it is one."""
    if not isinstance(formula, Apply):
        return None
    head = formula.args[0]
    heads = (head, head.head) if isinstance(head, Subscripted) else (head,)
    found = next((flows[spelled(h)] for h in heads if spelled(h) in flows), None)
    return found if isinstance(found, Flow | Transform) else None


def transformed(
    name: Basic, formula: Basic, flow: Flow | Transform, environment: Environment
) -> tuple[Basic, Transformed]:
    """``p(x)`` of ``x = f(z)`` and a law over z; or of ``z = f(x)`` and a law over z, by the inverse.

    A second argument of the flow is its context, and what the law is given is given to the result.

    Raises:
        NameResolutionError: there is no law over the variable that goes in or comes out, or several.
    """
    source, context = formula.args[1], tuple(formula.args[2:])
    _check_arguments(formula)
    base = _law(source, name, environment)
    target = name
    if base is None:
        base, target = _law(name, source, environment), source
        flow = flow.inv if isinstance(flow, Flow) else TransformFlow(flow).inv
    if base is None:
        raise NameResolutionError(
            f"`{name} = {formula}` applies a flow, but there is no law of `{source}` nor of `{name}`",
            hint=f"declare one, as in `p({source}) = Normal({source}; 0, 1)`",
        )
    givens = tuple(dict.fromkeys((*base.givens, *context)))
    node = reference(base.head, (target,), givens)
    told = spelled(context[0]) if context else None
    return node, Transformed(str(node), base.distribution, flow, context=told)


def _check_arguments(formula: Basic) -> None:
    if len(formula.args) > 3 or not all(isinstance(a, ATOMS) for a in formula.args[1:]):
        raise NameResolutionError(
            f"`{formula}` applies a flow to other things than a variable and its context",
            hint=f"write `{formula.args[0]}(z)`, or `{formula.args[0]}(z, y)` with the context `y`",
        )


def _law(variable: Basic, other: Basic, environment: Environment) -> Factor | None:
    """The one factor over a variable that is not given the other one."""
    over = [f for f in environment.factors if f.variables == (variable,) and other not in f.givens]
    if len(over) > 1:
        listed = ", ".join(f"`{f.node}`" for f in over)
        raise NameResolutionError(
            f"the flow of `{variable}` may transform more than one law: {listed}",
            hint=f"give the variables different names, or build it in Python by "
            f'`sd.Transformed("p({other})", base=..., flow=...)`',
        )
    return over[0] if over else None
