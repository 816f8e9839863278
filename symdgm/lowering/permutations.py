"""Draws from the product of the marginals: each component from an example of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sympy import Basic

from symdgm.errors import ShapeError
from symdgm.lowering.operands import ATOM, BATCH, Operand
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.time.sums import refuse_over_time

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope
    from symdgm.lowering.writer import Writer

PERMUTED = """def permuted(value, axis):
    # each component from a random example of its own: draws from the product of the marginals
    rows = torch.rand(value.shape, device=value.device).argsort(axis)
    return value.gather(axis, rows)
"""
PERMUTATION_HELPERS = {"permuted": PERMUTED}
"""What generated code defines for itself, by name."""


def lower_permuted(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """A value with its components permuted over the examples."""
    refuse_over_time(node, scope)
    return lowering.plan.node(Kind.PERMUTED, lowering.lower(node.args[0], scope), origin=node)


def emit_permuted(writer: Writer, node: PlanNode) -> Operand:
    """The permutation; gradients go to the example that a component comes from.

    Raises:
        ShapeError: the value is the same for all examples.
    """
    value = writer.operands[node.args[0]]
    if BATCH not in value.axes:
        raise ShapeError(
            f"`{node.args[0].origin}` is the same for all examples, so there is nothing to permute",
            hint="draw it for each example",
        )
    text = f"permuted({value.text}, {value.axes.index(BATCH)})"
    hint = f"{value.text}_permuted" if value.text.isidentifier() else "permuted"
    return writer.named(hint, Operand(text, ATOM, value.axes, value.rank), node.origin)
