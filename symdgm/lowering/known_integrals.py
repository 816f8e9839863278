"""Integrals that distributions know by a method of their own, in generated code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from sympy import Basic

from symdgm.lowering.family_objects import law_object
from symdgm.lowering.laws import LawValues
from symdgm.lowering.operands import ATOM, Axis, Operand, with_axes
from symdgm.lowering.parameters import known_event, spread
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.torch_laws import TorchLaw, constructor, torch_law

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope
    from symdgm.lowering.writer import Writer

BETWEEN = {
    "KL": "torch.distributions.kl_divergence",
    "W_2": "gaussian_transport",
    "Renyi": "gaussian_renyi",
}
"""The function of two distributions of torch for each integral between two laws."""


def lower_known(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """An integral of laws at their givens."""
    laws = {part: lowering.facts.law(part) for part in node.args[1:]}
    nodes = [lowering.law(law, scope) if law else lowering.lower(part, scope) for part, law in laws.items()]
    return lowering.plan.node(Kind.KNOWN, *nodes, detail=(node.what,), origin=node)


def lower_row_sum(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """The sum over the classes of each row."""
    value = lowering.lower(node.args[1], scope)
    return lowering.plan.node(Kind.REDUCE, value, detail=("sum", "classes"), origin=node)


def emit_known(writer: Writer, node: PlanNode) -> Operand:
    """The integral of each element, over the full event: by the distribution, or by torch."""
    laws, what = [writer.laws[part] for part in node.args if part in writer.laws], node.word()
    axes = tuple(a for a in writer.axes if any(a in law.axes for law in laws))
    parameters = [_parameters(writer, law, axes) for law in laws]
    first, event = laws[0], known_event(writer, laws[0])
    rank = len(event) - (0 if what in ("mean", "variance") else first.family.event_rank)
    if what in BETWEEN:
        texts = [_made(law, p) for law, p in zip(laws, parameters, strict=True)]
        texts += [writer.operands[part].text for part in node.args if part not in writer.laws]
        return Operand(f"{BETWEEN[what]}({', '.join(texts)})", ATOM, axes, rank)
    given = ", ".join(f'"{name}": {text}' for name, text in parameters[0].items())
    text = f"{law_object(writer, first)}.{what}_at({{{given}}})"
    return writer.named(what, Operand(text, ATOM, axes, rank), node.origin)


def _parameters(writer: Writer, law: LawValues, axes: tuple[Axis, ...]) -> dict[str, str]:
    """The parameters over the full event, so that they broadcast over axes."""
    event = known_event(writer, law)
    return {name: with_axes(_spread(writer, law, name, event), axes) for name in law.parameters}


def _spread(writer: Writer, law: LawValues, name: str, event: torch.Size) -> Operand:
    """A parameter over the event; a number of a whole row, such as a count, has no axis for the classes."""
    operand = law.parameters[name]
    if not operand.number or law.family.parameter_ranks[name] == law.family.event_rank:
        return spread(writer, law, name, event)
    elements = event[: len(event) - law.family.event_rank]
    like = f"dtype={writer.argument('dtype')}, device={writer.argument('device')}"
    return Operand(f"torch.full({tuple(elements)}, {operand.text}, {like})", ATOM, (), len(elements))


def _made(law: LawValues, parameters: dict[str, str]) -> str:
    """The text of torch's distribution."""
    name = law.family.family
    return constructor(torch_law(name, parameters) or TorchLaw(name), parameters)
