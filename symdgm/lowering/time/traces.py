"""What a loop kept of steps whose law is computed as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symdgm.errors import NotSupportedError
from symdgm.lowering.operands import Operand
from symdgm.lowering.plan import Kind, PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def traced_log_density(writer: Writer, law: PlanNode, value: PlanNode) -> Operand:
    """The log-density of each step at its own draw, found with the draw.

    Raises:
        NotSupportedError: another value, at which it was not found.
    """
    loop, sequence = law.args[0], law.detail[1]
    drawn = value.kind is Kind.TRACE and value.args[0] is loop and value.detail[:2] == ("draw", sequence)
    if not drawn:
        raise NotSupportedError(
            f"the density of `{law.origin}` at another value than its draw cannot be computed yet",
            hint="a law without parameters, such as a flow, is known along its own path only",
        )
    return writer.kept[loop][("log_prob", sequence)]
