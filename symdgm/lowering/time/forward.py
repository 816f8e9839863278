"""A hidden Markov model in generated code: tables of log-probabilities, and the forward algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symdgm.lowering.operands import ATOM, BATCH, STEPS, Axis, Operand
from symdgm.lowering.plan import PlanNode
from symdgm.lowering.time.layout import layout

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_forward(writer: Writer, node: PlanNode) -> Operand:
    """The log-density of observed sequences whose latent states are summed out."""
    steps = layout(writer)
    start, transition, now, before, *emissions = node.args
    operands = [writer.operands[n] for n in (start, transition, *emissions)]
    together = writer.combine("add", operands[2:]) if len(emissions) > 1 else operands[2]
    inner = (now, before, STEPS, BATCH)
    lead = tuple(a for a in writer.axes if a not in inner and any(a in o.axes for o in operands))
    begun: tuple[Axis, ...] = (BATCH, now) if BATCH in operands[0].axes else (now,)
    moved: tuple[Axis, ...] = (before, now)
    if lead or STEPS in operands[1].axes:
        moved = (STEPS, *moved)
    order = f"[..., {steps.order}, :]" if steps.order and BATCH in begun else ""
    tables = [
        _table(writer, "log_start", operands[0], lead, begun, order),
        _table(writer, "log_transition", operands[1], lead, moved),
        _table(writer, "log_emission", together, lead, (STEPS, now)),
    ]
    writer.script.comment(f"{node.origin}: all paths of the states are summed by the forward algorithm")
    return in_batch_order(writer, f"forward_algorithm({', '.join(tables)}, {steps.counts})", lead, node)


def in_batch_order(writer: Writer, text: str, lead: tuple[Axis, ...], node: PlanNode) -> Operand:
    """One number for each sequence, of which the longest come first, in the order of the batch."""
    steps = layout(writer)
    order = f"[..., {steps.order}.argsort()]" if steps.order else ""
    assert node.origin is not None
    hint = f"log_{node.origin.args[0]}"
    return writer.named(hint, Operand(f"{text}{order}", ATOM, (*lead, BATCH)), node.origin)


def _table(
    writer: Writer, hint: str, table: Operand, lead: Sequence[Axis], tail: Sequence[Axis], order: str = ""
) -> str:
    """A table with the axes of ``tail``, in this order, behind those of ``lead`` if it has any of them."""
    wanted = [*(lead if any(a in table.axes for a in lead) else ()), *tail]
    missing = [a for a in wanted if a not in table.axes]
    axes = [*missing, *table.axes]
    text = table.at(ATOM)
    if missing:
        sizes = ", ".join(writer.size(a) if a in missing and a in tail else "-1" for a in axes)
        text = f"{text}[{', '.join(['None'] * len(missing))}].expand({sizes})"
    places = [axes.index(a) for a in wanted]
    if places == [1, 0]:
        text = f"{text}.T"
    elif places != sorted(places):
        text = f"{text}.permute({', '.join(map(str, places))})"
    return writer.named(hint, Operand(f"{text}{order}")).text
