"""A plan without memoisation of networks: each occurrence of a distribution or function calls its own."""

from __future__ import annotations

from dataclasses import replace

from symdgm.lowering.freeze import Frozen
from symdgm.lowering.plan import Kind, PlanNode, ordered

OWNED = frozenset({Kind.PARAMETER, Kind.LOG_DENSITY})
"""What takes a law at one occurrence, of which nobody else asks whether it is the same law."""

OF_A_TERM = frozenset({Kind.APPLY, Kind.REDUCE, Kind.PARAMETER, Kind.LOG_DENSITY})
"""What every term computes for itself; anything else, draws above all, stays one node for all of them."""


def unshare(frozen: Frozen) -> Frozen:
    """The same plan in which networks are called for every occurrence; the draws stay the same draws.

    It is the ablation of memoisation: the same values at a higher cost. An occurrence is a log-density, the
    parameters that one term takes of a law, or one use of a function. A draw keeps the call from which it
    was made, so that the noise is that of the shared plan.

    Args:
        frozen: the plan with shared calls.
    """
    copier = _Copier(frozen)
    roots = tuple(replace(root, value=copier.of_term(root.value)) for root in frozen.roots)
    return replace(frozen, roots=roots, readings=copier.readings)


class _Copier:
    """Copies nodes; all but the readers of networks stay one node where they were one."""

    def __init__(self, frozen: Frozen) -> None:
        self._old = frozen.readings
        self.readings = dict(frozen.readings)
        self._copies: dict[PlanNode, PlanNode] = {}
        self._laws: dict[PlanNode, PlanNode] = {}

    def of_term(self, root: PlanNode) -> PlanNode:
        """The copy of a term's value."""
        self._laws = {}
        self._copies = {node: copy for node, copy in self._copies.items() if node.kind not in OF_A_TERM}
        for node in ordered([root]):
            if node not in self._copies:
                self._copies[node] = self._rebuilt(node, [self._argument(node, a) for a in node.args])
        return self._copies[root]

    def _argument(self, node: PlanNode, argument: PlanNode) -> PlanNode:
        """What a node reads in the new plan: its own copy, where it is an occurrence."""
        if argument.kind is Kind.OUTPUT:
            return self._own(argument)
        if argument.kind is Kind.LOG_DENSITY and argument.args[0].kind is Kind.LAW:
            return self._rebuilt(argument, [self._argument(argument, a) for a in argument.args])
        if argument.kind is not Kind.LAW or node.kind not in OWNED:
            return self._copies[argument]
        if node.kind is Kind.LOG_DENSITY and node.detail != ("elements",):
            return self._own(argument)
        if argument not in self._laws:
            self._laws[argument] = self._own(argument)
        return self._laws[argument]

    def _own(self, reader: PlanNode) -> PlanNode:
        """A reader with calls of its own, at the same inputs."""
        calls = [self._call(a) if a.kind is Kind.NETWORK else self._copies[a] for a in reader.args]
        return PlanNode(reader.kind, tuple(calls), reader.detail, reader.origin)

    def _call(self, network: PlanNode) -> PlanNode:
        inputs = self._copies[network].args
        copy = PlanNode(network.kind, inputs, network.detail, network.origin)
        self.readings[copy] = self._old[network]
        return copy

    def _rebuilt(self, node: PlanNode, arguments: list[PlanNode]) -> PlanNode:
        if all(new is old for new, old in zip(arguments, node.args, strict=True)):
            return node
        copy = PlanNode(node.kind, tuple(arguments), node.detail, node.origin)
        if node in self._old:
            self.readings[copy] = self._old[node]
        return copy
