"""Networks over the past in a loop: they read all steps so far, and the last of what they return counts.

A network that is given a slice such as ``x_{<t}`` reads whole sequences, and gives a value for each step from
the steps until it. Where one of its inputs is carried, it is called for each step on what there is by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symdgm.errors import NotSupportedError
from symdgm.lowering.operands import ACTIVE, Operand
from symdgm.lowering.plan import PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def so_far(writer: Writer, node: PlanNode, step: Operand) -> str:
    """An input at all steps until now, ``[count, time, *event]``; the loop keeps a list of it.

    Args:
        writer: writes the code, within the loop.
        node: the call.
        step: the input at this step.

    Raises:
        NotSupportedError: several paths, or a loop that is cut into segments.
    """
    segments = writer.frozen.segments
    if segments.checkpoint or segments.truncate:
        raise NotSupportedError(
            f"`{node.origin}` reads all steps so far, which a loop in segments does not keep",
            hint="leave `truncate` and `checkpoint` out, or let a recurrent state hold what is needed",
        )
    if step.axes != (ACTIVE,):
        raise NotSupportedError(
            f"`{step.text}` has several draws, which a network over whole sequences cannot read yet",
            hint="leave `samples` out",
        )
    if step.text not in writer.histories:
        name = writer.script.names.fresh(f"{step.text}_so_far")
        writer.histories[step.text] = name
        writer.script.values[name] = [writer.value(step)]
        writer.script.record(f"{name}.append({step.text})", ())
    return f"torch.stack([past[:count] for past in {writer.histories[step.text]}], 1)"
