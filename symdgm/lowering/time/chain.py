"""The law of observed sequences without their latent chain, in generated code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symdgm.binding.chains import Sort
from symdgm.lowering.operands import Operand
from symdgm.lowering.plan import PlanNode
from symdgm.lowering.time.forward import emit_forward
from symdgm.lowering.time.kalman import emit_kalman

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_chain(writer: Writer, node: PlanNode) -> Operand:
    """The log-density, by the algorithm for this sort of chain."""
    finite = node.word(1) == Sort.FINITE.value
    return emit_forward(writer, node) if finite else emit_kalman(writer, node)
