"""Which parameters get a gradient from which terms, as the plan tells before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sympy import Basic
from torch import nn

from symdgm.binding.chains import Chain
from symdgm.distributions.reach import modules_within
from symdgm.expressions.names import spelled
from symdgm.lowering.freeze import Frozen, Root
from symdgm.lowering.plan import Kind, PlanNode, ordered
from symdgm.lowering.time.loops import Body


def reached(frozen: Frozen, roots: Iterable[Root]) -> set[nn.Parameter]:
    """The parameters on which some terms depend, but not through a stop-gradient."""
    return {p for node in _differentiable(roots) for p in _parameters(frozen, node)}


def _differentiable(roots: Iterable[Root]) -> Iterator[PlanNode]:
    """All nodes of some terms through which a gradient passes, each once."""
    stack, seen = [node for root in roots for node in (root.value, *root.scalars)], set[PlanNode]()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        if not _stops(node):
            stack.extend((*node.args, *_in_body(node)))


def _stops(node: PlanNode) -> bool:
    """Whether no gradient goes through a node."""
    stopped_law = node.kind is Kind.LAW and "stopped" in node.detail[1:]
    return stopped_law or node.kind is Kind.STOPPED or (node.kind is Kind.APPLY and node.word() == "sg")


def _in_body(node: PlanNode) -> Iterator[PlanNode]:
    """What a loop over time computes at each step."""
    for body in _bodies(node):
        for step in body.steps:
            yield from (n for n in (step.value, step.law) if n is not None)


def _bodies(node: PlanNode) -> Iterator[Body]:
    return (entry for entry in node.detail if isinstance(entry, Body))


def _parameters(frozen: Frozen, node: PlanNode) -> Iterator[nn.Parameter]:
    """The parameters that a node itself brings in."""
    environment = frozen.bound.environment
    yield from _begun(frozen, node)
    if node.kind in (Kind.NETWORK, Kind.SEQUENCE):
        yield from parameters_of(frozen.sources[node.word()].call)
    elif node.kind is Kind.LAW:
        constants = environment.factors[node.number()].constants.values()
        yield from (value for value in constants if isinstance(value, nn.Parameter))
    elif node.kind is Kind.CHAIN:
        chain = environment.factors[node.number()]
        assert isinstance(chain, Chain)
        yield from (p for factor in chain.joint for p in factor.distribution.parameters())
    elif node.kind is Kind.OPAQUE:
        yield from environment.factors[node.number()].distribution.parameters()
    elif node.kind in (Kind.TABLE, Kind.CALLS):
        yield from parameters_of(environment.tables[node.word()])
    elif node.kind is Kind.SCALAR:
        value = environment.scalars[node.word()]
        if isinstance(value, nn.Parameter):
            yield value


def _begun(frozen: Frozen, node: PlanNode) -> Iterator[nn.Parameter]:
    """The trained values before the first step that a node begins with."""
    names: list[str] = []
    if node.kind is Kind.LOOP:
        names = [spelled(step.sequence) for body in _bodies(node) for step in body.steps]
    elif node.kind in (Kind.LAG, Kind.SEQUENCE):
        names = [spelled(entry) for entry in node.detail if isinstance(entry, Basic)]
    elif node.kind is Kind.INITIAL:
        names = [node.word(1)]
    initial = frozen.bound.initial
    yield from (initial[name] for name in names if name in initial)


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
