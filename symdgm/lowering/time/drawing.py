"""Draws of the steps of a path."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sympy import Basic

from symdgm.binding.factors import Factor
from symdgm.expressions.names import base, spelled
from symdgm.lowering.estimation.drawing import EXAMPLES, draw_detail
from symdgm.lowering.estimation.relaxations import Relaxation, logits
from symdgm.lowering.plan import Kind, PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering


@dataclass(frozen=True)
class Drawing:
    """How the steps of a path are drawn.

    Args:
        stream: which of several independent paths this is.
        count: how many paths are drawn.
        relaxed: the factors, by their number, whose draws carry a gradient that is not quite theirs.
    """

    stream: Hashable = 0
    count: int = 1
    relaxed: Mapping[int, Relaxation] = field(default_factory=dict)

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from others."""
        return (self.stream, self.count, tuple(self.relaxed.items()))

    def draw(
        self,
        lowering: Lowering,
        factor: Factor,
        law: PlanNode,
        variable: Basic,
        *,
        name: str = "",
        many: bool = False,
        rows: str = EXAMPLES,
    ) -> PlanNode:
        """A draw of a step.

        Args:
            lowering: the plan while it is built.
            factor: the factor of all steps.
            law: the law of this one.
            variable: what is drawn.
            name: what the draw is called in code; default: as the variable.
            many: whether the paths have their axis here.
            rows: what has draws of its own; see `draw_detail`.
        """
        relaxation = self.relaxed.get(factor.index)
        how, extra = "", []
        if relaxation is not None:
            how, scalars = relaxation.special(lowering, spelled(base(variable)))
            extra = [logits(lowering, law, variable), *scalars]
        count = self.count if many else 1
        detail = draw_detail(name or spelled(variable), (self.stream, 0), count, how, rows)
        return lowering.plan.node(Kind.DRAW, law, *extra, detail=detail, origin=variable)
