"""The event of a draw whose law does not say it: that of what it is combined with (LANGUAGE.md 8.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from symdgm.lowering.plan import Kind, PlanNode, ordered

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def event_beside(writer: Writer, draw: PlanNode) -> torch.Size | None:
    """The event of the first thing that a draw is combined with element by element, or whose value it is.

    What stands beside it is written first; what depends on the draw itself says nothing.
    """
    readers = _readers(writer)
    front, seen = [draw], {draw}
    while front:
        node = front.pop(0)
        for reader in readers.get(node, ()):
            if reader.kind is Kind.LOG_DENSITY and reader.args[0].kind is Kind.LAW:
                event = _event_of_law(writer, draw, reader.args[0])
            elif reader.kind is Kind.APPLY:
                event = _event_of_siblings(writer, draw, reader)
                front += [] if reader in seen else [reader]
                seen.add(reader)
            else:
                event = None
            if event is not None:
                return event
    return None


def _readers(writer: Writer) -> dict[PlanNode, list[PlanNode]]:
    found: dict[PlanNode, list[PlanNode]] = {}
    for node in ordered([root.value for root in writer.frozen.roots]):
        for argument in node.args:
            found.setdefault(argument, []).append(node)
    return found


def _event_of_siblings(writer: Writer, draw: PlanNode, node: PlanNode) -> torch.Size | None:
    for sibling in node.args:
        if draw not in ordered([sibling]):
            writer.write([sibling])
            operand = writer.operands[sibling]
            if operand.rank:
                shape: torch.Size = writer.value(operand).shape
                return shape[len(operand.axes) :]
    return None


def _event_of_law(writer: Writer, draw: PlanNode, law: PlanNode) -> torch.Size | None:
    if draw in ordered([law]):
        return None
    writer.write([law])
    return writer.laws[law].event
