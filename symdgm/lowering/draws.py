"""Draws in generated code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from symdgm.expressions.families import NOISE, family
from symdgm.expressions.folding import fold
from symdgm.expressions.scope import replace
from symdgm.lowering.estimation.drawing import DETACHED, EXAMPLES, ONCE, rows_of, special_of
from symdgm.lowering.estimation.drawn import REMARKS, special
from symdgm.lowering.family_objects import draw_text
from symdgm.lowering.laws import LawValues
from symdgm.lowering.neighbours import event_beside
from symdgm.lowering.operands import ACTIVE, ATOM, STEPS, Axis, Operand
from symdgm.lowering.parameters import known_event
from symdgm.lowering.plan import Kind, PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


EACH = {EXAMPLES: " an example", ONCE: "", STEPS: " a step", ACTIVE: " an example"}
"""What the comment above a draw says of what has draws of its own."""


def emit_draw(writer: Writer, node: PlanNode) -> Operand:
    """A draw, such as ``z = mu + sigma * eps``; several draws have an axis of their own before the others.

    Every example has noise of its own, even where the parameters are the same for all, and so has every
    place of an axis of points that the node reads besides the law.
    """
    law, count = writer.laws[node.args[0]], node.number(2)
    event = _event(writer, node, law)
    paths = writer.paths if rows_of(node) == ACTIVE else ()
    wanted = {*law.axes, *node.args[1:], *own_rows(node, law.axes), *paths}
    axes = tuple(a for a in writer.axes if a in wanted)
    if count > 1:
        writer.axes.insert(0, node)
    drawn_axes: tuple[Axis, ...] = (node, *axes) if count > 1 else axes
    how = special_of(node)
    moving = law.family.pathwise and not how
    remark = REMARKS.get(how, ", differentiable by the parameters" if moving else "")
    comment_draw(writer, node, count, remark)
    if how in REMARKS:
        operand: Operand | None = special(writer, node, law, event, axes)
    else:
        operand = _by_formula(writer, law, event, axes, node)
    if operand is None:
        operand = Operand(draw_text(writer, law, event, axes, count), ATOM, drawn_axes, len(event))
    if how == DETACHED:
        operand = Operand(f"{operand.at(ATOM)}.detach()", ATOM, operand.axes, operand.rank)
    return writer.named(node.word(), operand, node.origin)


def own_rows(node: PlanNode, axes: Sequence[Axis]) -> list[Axis]:
    """The axis of what has draws of its own: none where all share one, or the axes of the law have rows."""
    indexed = any(isinstance(a, PlanNode) and a.kind is Kind.INDEX and a.detail[0] == "batch" for a in axes)
    rows = rows_of(node)
    return [] if indexed or rows == ONCE else [rows]


def _event(writer: Writer, node: PlanNode, law: LawValues) -> torch.Size:
    """The event of a draw; where its law leaves it open, that of what it is combined with."""
    if law.event is None and law.variable not in writer.events:
        beside = event_beside(writer, node)
        if beside is not None:
            return beside
    return known_event(writer, law)


def comment_draw(writer: Writer, node: PlanNode, count: int, remark: str) -> None:
    """Say how many draws the next statement makes."""
    sizes = [writer.size(a) for a in node.args[1:] if a.kind is Kind.INDEX]
    many = " x ".join([*sizes, *([str(count)] if count > 1 or not sizes else [])])
    many = "one draw" if many == "1" else f"{many} draws"
    many += EACH[rows_of(node)]
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
