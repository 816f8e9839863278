"""Networks that belong to an estimator: baselines and control variates."""

from __future__ import annotations

from sympy import Basic

from symdgm.distributions.networks import Network
from symdgm.expressions.applications import Apply
from symdgm.expressions.names import Name
from symdgm.lowering.estimation.estimator import Binding
from symdgm.lowering.estimation.operations import stopped
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.sources import function_source


def network_of_givens(binding: Binding, what: str, network: Network) -> PlanNode:
    """A network of what the law is given, one number per example; no gradient reaches what it is given."""
    place = binding.place
    if not place.law.givens:
        why = f"`{place.law.node}` is given nothing that it could be a function of"
        raise place.refuse(f"a learned {what}", why, "take `running mean`")
    lowering = place.lowering
    inputs = [lowering.lower(g, place.scope.nonlinear()) for g in place.law.givens]
    inputs = [i if i.kind is Kind.OBSERVE else stopped(lowering.plan, i) for i in inputs]
    return _called(binding, what, network, place.law.givens, inputs)


def network_of_draw(binding: Binding, what: str, network: Network, draw: PlanNode) -> PlanNode:
    """A network of a draw, one number per draw."""
    return _called(binding, what, network, binding.place.drawn, [draw])


def _called(
    binding: Binding, what: str, network: Network, arguments: tuple[Basic, ...], inputs: list[PlanNode]
) -> PlanNode:
    lowering, node = binding.place.lowering, binding.place.node
    name = f"{binding.place.name}_{what}"
    lowering.choices.networks[name] = network
    source = function_source(name, network, len(inputs))
    called = lowering.call_network(source, inputs, Apply(Name(name), *arguments))
    output = lowering.plan.node(Kind.OUTPUT, called, detail=(name,), origin=node)
    return lowering.plan.node(Kind.REDUCE, output, detail=("scalar", "event"), origin=node)
