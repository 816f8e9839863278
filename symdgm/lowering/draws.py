"""Draws in generated code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from symdgm.expressions.families import NOISE, family
from symdgm.expressions.folding import fold
from symdgm.expressions.scope import replace
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
    axes = tuple(a for a in writer.axes if a in law.axes or a == BATCH)
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
