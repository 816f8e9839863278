"""Draws and enumerated states in generated code."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import torch

from symdgm.distributions import Bernoulli
from symdgm.errors import EstimatorError
from symdgm.expressions.families import NOISE, family
from symdgm.expressions.folding import fold
from symdgm.expressions.scope import replace
from symdgm.lowering.estimators import MAX_STATES
from symdgm.lowering.family_objects import draw_text
from symdgm.lowering.laws import LawValues
from symdgm.lowering.operands import ATOM, BATCH, Axis, Operand
from symdgm.lowering.parameters import known_event
from symdgm.lowering.plan import PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_draw(writer: Writer, node: PlanNode) -> Operand:
    """A draw, such as ``z = mu + sigma * eps``; several draws have an axis of their own before the others.

    Every example has noise of its own, even where the parameters are the same for all.
    """
    law, count = writer.laws[node.args[0]], node.number(2)
    event = known_event(writer, law)
    rows: Axis = node.detail[3] if len(node.detail) > 3 else BATCH
    axes = tuple(a for a in writer.axes if a in law.axes or a == rows)
    if count > 1:
        writer.axes.insert(0, node)
    drawn_axes: tuple[Axis, ...] = (node, *axes) if count > 1 else axes
    operand = _by_formula(writer, law, event, axes, node)
    if operand is None:
        operand = Operand(draw_text(writer, law, event, axes, count), ATOM, drawn_axes, len(event))
    comment_draw(writer, node, count, "" if not law.family.pathwise else ", differentiable by the parameters")
    return writer.named(node.word(), operand, node.origin)


def comment_draw(writer: Writer, node: PlanNode, count: int, remark: str) -> None:
    """Say how many draws the next statement makes."""
    many = "one draw an example" if count == 1 else f"{count} draws an example"
    writer.script.comment(f"{node.word()} ~ {node.args[0].origin}: {many}{remark}")


def _by_formula(
    writer: Writer, law: LawValues, event: torch.Size, axes: tuple[Axis, ...], node: PlanNode
) -> Operand | None:
    """A draw by the family's formula, if it has one."""
    formulas = family(law.family.family, tuple(law.parameters))
    if formulas is None or formulas.draw is None:
        return None
    count = node.number(2)
    text = _noise(writer, law, event, axes, count)
    noise = Operand(text, ATOM, (node, *axes) if count > 1 else axes, len(event))
    symbols = {formulas.symbols[k]: p for k, p in law.parameters.items()}
    formula = fold(replace(formulas.draw, law.constants(formulas.symbols)))
    return writer.formula(formula, {NOISE: noise, **symbols})


def _noise(writer: Writer, law: LawValues, event: torch.Size, axes: tuple[Axis, ...], count: int) -> str:
    full = law.full(len(event))
    if full is not None and law.axes == axes and full.text.isidentifier():
        if count == 1:
            return f"torch.randn_like({full.text})"
        name = full.text
        return f"torch.randn({count}, *{name}.shape, dtype={name}.dtype, device={name}.device)"
    lead = [*([str(count)] if count > 1 else []), *(writer.size(a) for a in axes)]
    sizes = ", ".join([*lead, *map(str, event)])
    return f"torch.randn({sizes}, dtype={writer.argument('dtype')}, device={writer.argument('device')})"


def emit_states(writer: Writer, node: PlanNode) -> Operand:
    """All states of a finite variable along an axis of their own.

    Raises:
        EstimatorError: there are more than `MAX_STATES`.
    """
    law = writer.laws[node.args[0]]
    event = known_event(writer, law)
    states, total = all_states(writer, law, node.word())
    writer.axes.insert(0, node)
    writer.lengths[node] = total
    writer.script.comment(f"{node.word()} ~ {node.args[0].origin}: all {total} states")
    if law.axes:
        states = writer.named(f"{node.word()}_states", Operand(states), node.origin).text
        index = ", ".join([":"] + ["None"] * len(law.axes))
        sizes = ", ".join(["-1", *(writer.size(a) for a in law.axes), *["-1"] * len(event)])
        states = f"{states}[{index}].expand({sizes})"
    return writer.named(node.word(), Operand(states, ATOM, (node, *law.axes), len(event)), node.origin)


def all_states(writer: Writer, law: LawValues, name: str) -> tuple[str, int]:
    """The text of all states of a variable, ``[states, *event]``, and how many there are.

    Raises:
        EstimatorError: there are more than `MAX_STATES`.
    """
    event = known_event(writer, law)
    classes = 2 if isinstance(law.distribution, Bernoulli) else _classes(writer, law)
    elements = event[: len(event) - law.family.event_rank]
    total = classes ** prod(elements)
    if total > MAX_STATES:
        raise EstimatorError(
            f"`{name}` has {classes}^{prod(elements)} states, more than the {MAX_STATES} that are enumerated",
            hint="use fewer elements; no other estimator of a discrete variable is known to this version",
        )
    return _states(writer, law, elements, classes, total), total


def _classes(writer: Writer, law: LawValues) -> int:
    parameter = next(iter(law.parameters.values()))
    return int(writer.value(parameter).shape[-1])


def _states(writer: Writer, law: LawValues, elements: torch.Size, classes: int, total: int) -> str:
    """The states of all elements: the combinations of those of one."""
    device = f"device={writer.argument('device')}"
    single = f"torch.arange({classes}, {device})"
    if law.family.family != "Categorical":
        start = "torch.tensor([0.0, 1.0]" if not law.family.event_rank else f"torch.eye({classes}"
        single = f"{start}, dtype={writer.argument('dtype')}, {device})"
    if not elements:
        return single
    shape = ", ".join(map(str, (total, *elements)))
    if not law.family.event_rank:
        return f"torch.cartesian_prod(*[{single}] * {prod(elements)}).reshape({shape})"
    index = f"torch.cartesian_prod(*[torch.arange({classes}, {device})] * {prod(elements)})"
    return f"{single}[{index}.reshape({shape})]"
