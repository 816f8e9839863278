"""Log-densities, and the probabilities of enumerated states, in generated code."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import TYPE_CHECKING

import torch
from sympy import Basic

from symdgm.distributions.shapes import show
from symdgm.errors import ShapeError
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.families import VALUE, family
from symdgm.expressions.folding import fold
from symdgm.expressions.names import spelled
from symdgm.expressions.scope import replace
from symdgm.lowering.family_objects import element_log_density
from symdgm.lowering.kernels import Lookup, bernoulli_logits, log_entry
from symdgm.lowering.laws import LawValues
from symdgm.lowering.opaque import opaque_log_density
from symdgm.lowering.operands import ATOM, Axis, Operand
from symdgm.lowering.parameters import full_number, spread
from symdgm.lowering.plan import Kind, PlanNode, ordered
from symdgm.lowering.ranges import LabelRange
from symdgm.lowering.time.traces import traced_log_density

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer

CLASSES = ("Bernoulli", "Categorical", "OneHotCategorical")
"""The families whose `probs` are the probabilities of their values."""


def emit_log_density(writer: Writer, node: PlanNode) -> Operand:
    """The log-density of a value, summed over its event."""
    law, *values = node.args
    if node.detail == ("elements",):
        return element_densities(writer, law, values[0], node.origin)
    if law.kind is Kind.OPAQUE:
        return _opaque(writer, law, values, node.origin)
    if law.kind is Kind.TRACE and law not in writer.laws:
        return traced_log_density(writer, law, values[0])
    return log_density(writer, law, values[0], node.origin)


def densities_by_element(roots: list[PlanNode]) -> set[tuple[PlanNode, PlanNode]]:
    """The laws and values of which the log-density of each element is wanted somewhere."""
    nodes = [n for n in ordered(roots) if n.kind is Kind.LOG_DENSITY and n.detail == ("elements",)]
    return {(n.args[0], n.args[1]) for n in nodes}


def element_densities(
    writer: Writer, law_node: PlanNode, value_node: PlanNode, origin: Basic | None
) -> Operand:
    """The log-density of each element, of which all are independent, under a name; it is written once."""
    key = (law_node, value_node)
    if key not in writer.elements:
        elements = _of_elements(writer, law_node, value_node, origin)
        writer.elements[key] = writer.named(f"{_hint(law_node, law_node.origin)}_elements", elements, origin)
    return writer.elements[key]


def _of_elements(writer: Writer, law_node: PlanNode, value_node: PlanNode, origin: Basic | None) -> Operand:
    law = writer.laws[law_node]
    value = _value(writer, law, value_node)
    event = _check_value(writer, law, value)
    if law.family.family == "Categorical":
        _check_labels(writer, law, value_node, value, origin)
    return _elements(writer, law, value, event)


def _opaque(writer: Writer, law: PlanNode, values: list[PlanNode], origin: Basic | None) -> Operand:
    """The log-density by an object; where it was found with the draw, that one."""
    drawn = values[0].args[0] if len(values) == 1 and values[0].kind is Kind.ENTRY else None
    if drawn in writer.log_probs and drawn is not None and drawn.args[0] is law:
        return writer.log_probs[drawn]
    return opaque_log_density(writer, law, values, _hint(law, origin), origin)


def emit_weight(writer: Writer, node: PlanNode) -> Operand:
    """The probability of each state; from probabilities directly, so that a zero has a gradient."""
    law_node, states = node.args
    if law_node.kind is Kind.OPAQUE:
        return writer.weights[states]
    law = writer.laws[law_node]
    if "probs" not in law.parameters or law.family.family not in CLASSES:
        log = log_density(writer, law_node, states, node.origin)
        return Operand(f"{log.text}.exp()", ATOM, log.axes)
    value = writer.operands[states]
    return _over_elements(writer, _probability(writer, law, value), value.rank - law.family.event_rank)


def log_density(writer: Writer, law_node: PlanNode, value_node: PlanNode, origin: Basic | None) -> Operand:
    """A log-density under a name of its own; it is written once.

    Raises:
        ShapeError: the value has another event than the law.
    """
    key = (law_node, value_node)
    if key not in writer.densities:
        if key in writer.by_element:
            elements = element_densities(writer, law_node, value_node, origin)
        else:
            elements = _of_elements(writer, law_node, value_node, origin)
        operand = writer.event_sum(elements)
        writer.densities[key] = writer.named(_hint(law_node, origin), operand, origin)
    return writer.densities[key]


def _hint(law_node: PlanNode, origin: Basic | None) -> str:
    """``log_p_x`` for log p(x|z)."""
    law = origin if isinstance(origin, Apply | Density) else law_node.origin
    assert isinstance(law, Apply | Density)
    values = law.values if isinstance(law, Density) else law.args[1:]
    return "_".join(["log", spelled(law.args[0]), *(s for v in values if len(s := spelled(v)) < 12)])


def _value(writer: Writer, law: LawValues, node: PlanNode) -> Operand:
    operand = writer.operands[node]
    if operand.number:
        operand = full_number(writer, law, operand)
    return writer.named("value", operand, node.origin)


def _check_value(writer: Writer, law: LawValues, value: Operand) -> torch.Size:
    """Refuse an observation whose event is not that of its parameters: nothing is broadcast silently."""
    event = torch.Size(writer.value(value).shape[len(value.axes) :])
    if law.event is not None and event != law.event:
        raise ShapeError(
            f"`{value.text}` has the event shape {show(event)}, but {law.owner} is over {show(law.event)}",
            hint=f"reshape `{value.text}`, or let the network return parameters of {show(event)}",
        )
    writer.agree(law.variable, event, law.owner)
    return event


def _elements(writer: Writer, law: LawValues, value: Operand, event: torch.Size) -> Operand:
    """The log-density of each element of the event."""
    formulas = family(law.family.family, tuple(law.parameters))
    if formulas is None or not formulas.scores:
        return element_log_density(writer, law, value, event)
    element = _element(writer, law, value)
    if element.rank < len(event):  # a constant density says nothing about the elements that it holds for
        axes = element.axes or value.axes
        element = Operand(f"torch.full_like({value.text}, {element.text})", ATOM, axes, len(event))
    return changed(element, rank=len(event))


def _check_labels(
    writer: Writer, law: LawValues, node: PlanNode, value: Operand, origin: Basic | None
) -> None:
    """Refuse a class that the parameters do not have, and remember how many classes an observation has."""
    ((name, parameter),) = law.parameters.items()
    observed = node.kind is Kind.OBSERVE
    variable = node.word() if observed else value.text
    labels = LabelRange(variable, law.family, name, int(writer.value(parameter).shape[-1]), origin)
    labels.check(writer.value(value))
    if observed:
        writer.labels.append(labels)


def _element(writer: Writer, law: LawValues, value: Operand) -> Operand:
    """The log-density of an element: by a fused kernel, or by the formula at its constants."""
    (name, *others) = law.parameters
    if law.family.family == "Categorical":
        text = log_entry(_lookup(writer, law, value, name), name)
        return Operand(text, ATOM, _joint_axes(writer, value, law.parameters[name]), value.rank)
    logits = law.parameters[name]
    fused = law.family.family == "Bernoulli" and name == "logits" and not logits.number
    if fused and logits.rank == value.rank and set(value.axes) <= set(logits.axes):
        (x, table), axes, rank = writer.aligned([value, logits])
        text, level = bernoulli_logits(x, table)
        return Operand(text, level, axes, rank)
    formulas = family(law.family.family, (name, *others))
    assert formulas is not None
    special = fold(replace(formulas.log_density, law.constants(formulas.symbols)))
    event = torch.Size(writer.value(value).shape[len(value.axes) :])
    symbols = {
        formulas.symbols[k]: p if p.number or not p.rank else spread(writer, law, k, event)
        for k, p in law.parameters.items()
    }
    return writer.formula(special, {VALUE: value, **symbols})


def _lookup(writer: Writer, law: LawValues, value: Operand, name: str) -> Lookup:
    """Numbers of classes with an axis for the classes, and the table to take from, over the same axes."""
    index = Operand(f"{value.at(ATOM)}[..., None]", ATOM, value.axes, value.rank + 1)
    axes = _joint_axes(writer, value, law.parameters[name])
    table = spread(writer, law, name, torch.Size(writer.value(value).shape[len(value.axes) :]))
    expanded = [_expansion(writer, o, axes) for o in (index, table)]
    return Lookup(writer.lead(table, axes), f"{writer.lead(index, axes).at(ATOM)}{expanded[0]}", expanded[1])


def _expansion(writer: Writer, operand: Operand, axes: tuple[Axis, ...]) -> str:
    """What gives an operand the axes that it lacks their full length: `torch.gather` does not broadcast."""
    if operand.axes == axes:
        return ""
    sizes = ["-1" if a in operand.axes else writer.size(a) for a in axes]
    return f".expand({', '.join([*sizes, *['-1'] * operand.rank])})"


def _joint_axes(writer: Writer, *operands: Operand) -> tuple[Axis, ...]:
    return tuple(a for a in writer.axes if any(a in o.axes for o in operands))


def _probability(writer: Writer, law: LawValues, value: Operand) -> Operand:
    """The probability of each element of a state."""
    probs = law.parameters["probs"]
    if law.family.family == "Categorical":
        text = _lookup(writer, law, value, "probs").entry()
        return Operand(text, ATOM, _joint_axes(writer, value, probs), value.rank)
    if not probs.number and probs.rank:
        probs = spread(writer, law, "probs", torch.Size(writer.value(value).shape[len(value.axes) :]))
    taken = writer.combine("mul", [value, probs])
    if law.family.family == "OneHotCategorical":
        return Operand(f"{taken.at(ATOM)}.sum(-1)", ATOM, taken.axes, taken.rank - 1)
    one = Operand("1", number=True)
    rest = [writer.combine("add", [one, writer.combine("neg", [o])]) for o in (value, probs)]
    return writer.combine("add", [taken, writer.combine("mul", rest)])


def _over_elements(writer: Writer, operand: Operand, rank: int) -> Operand:
    """The product over the elements of an event: they are independent."""
    if rank:
        flat = f"{operand.at(ATOM)}.flatten(-{rank})" if rank > 1 else operand.at(ATOM)
        operand = Operand(f"{flat}.prod(-1)", ATOM, operand.axes)
    return writer.named("weight", operand)
