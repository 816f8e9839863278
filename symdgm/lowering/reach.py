"""Which parameters get a gradient from which terms, as the plan tells before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import nn

from symdgm.distributions.reach import modules_within
from symdgm.lowering.freeze import Frozen, Root
from symdgm.lowering.plan import Kind, PlanNode, ordered


def reached(frozen: Frozen, roots: Iterable[Root]) -> set[nn.Parameter]:
    """The parameters on which some terms depend, but not through a stop-gradient."""
    return {p for root in roots for node in _differentiable(root) for p in _parameters(frozen, node)}


def _differentiable(root: Root) -> Iterator[PlanNode]:
    """All nodes of a term through which a gradient passes."""
    stack, seen = [root.value, *root.scalars], set[PlanNode]()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        if not (node.kind is Kind.APPLY and node.word() == "sg"):
            stack.extend(node.args)


def _parameters(frozen: Frozen, node: PlanNode) -> Iterator[nn.Parameter]:
    """The parameters that a node itself brings in."""
    environment = frozen.bound.environment
    if node.kind is Kind.NETWORK:
        yield from parameters_of(frozen.sources[node.word()].call)
    elif node.kind is Kind.LAW:
        constants = environment.factors[node.number()].constants.values()
        yield from (value for value in constants if isinstance(value, nn.Parameter))
    elif node.kind is Kind.OPAQUE:
        yield from environment.factors[node.number()].distribution.parameters()
    elif node.kind in (Kind.TABLE, Kind.CALLS):
        yield from parameters_of(environment.tables[node.word()])
    elif node.kind is Kind.SCALAR:
        value = environment.scalars[node.word()]
        if isinstance(value, nn.Parameter):
            yield value


def is_number(root: Root) -> bool:
    """Whether a term is made of numbers and scalars alone."""
    plain = (Kind.NUMBER, Kind.SCALAR, Kind.APPLY)
    return all(node.kind in plain for node in ordered([root.value]))


def parameters_of(bound: object) -> Iterator[nn.Parameter]:
    """The parameters of what is bound: a module, a parameter, or a function with the modules that it uses."""
    if isinstance(bound, nn.Parameter):
        yield bound
    elif isinstance(bound, nn.Module):
        yield from bound.parameters()
    elif isinstance(bound, list | tuple):
        for part in bound:
            yield from parameters_of(part)
    else:
        for module in modules_within(bound).values():
            yield from module.parameters()
