"""The parameters of a law in generated code: where they come from, and the shape of its event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from sympy import Basic, Rational
from torch import Tensor

from symdgm.distributions import Deterministic, Family
from symdgm.distributions.shapes import same_elements, show
from symdgm.errors import ShapeError
from symdgm.lowering.operands import ATOM, UNARY, Axis, Operand


@dataclass(frozen=True)
class LawValues:
    """The parameters of a law at its givens.

    Args:
        parameters: by name.
        event: the shape of one value, or None where nothing says it.
        axes: the leading axes of the parameters.
        distribution: the distribution.
        variable: the variable that it is over.
        index: the number of its factor.
    """

    parameters: Mapping[str, Operand]
    event: torch.Size | None
    axes: tuple[Axis, ...]
    distribution: Family | Deterministic
    variable: str
    index: int

    @property
    def owner(self) -> str:
        """The distribution as errors call it."""
        return self.distribution.described

    @property
    def family(self) -> Family:
        """The distribution, where it is of a family."""
        assert isinstance(self.distribution, Family)
        return self.distribution

    def constants(self, symbols: Mapping[str, Basic]) -> dict[Basic, Basic]:
        """The numbers among the parameters, by the names that stand for them in the family's formulas."""
        return {symbols[k]: p.constant for k, p in self.parameters.items() if p.constant is not None}

    def full(self, rank: int) -> Operand | None:
        """A parameter with all axes of the law and an event of this rank, whose shape others can take."""
        parameters = self.parameters.values()
        return next((p for p in parameters if not p.number and p.axes == self.axes and p.rank == rank), None)


def number_operand(value: float) -> Operand:
    """A float of the user as text."""
    text = repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return Operand(text, UNARY if value < 0 else ATOM, number=True, constant=Rational(repr(value)))


def event_shape(
    distribution: Family, tensors: Mapping[str, tuple[Tensor, int]], declared: torch.Size | None
) -> torch.Size | None:
    """The event shape that parameters and declarations agree on.

    Args:
        distribution: the distribution.
        tensors: parameter → its tensor and the number of its leading axes.
        declared: the event shape that the user declared for the variable.

    Raises:
        ShapeError: they do not agree.
    """
    elements: dict[str, torch.Size] = {}
    tail = torch.Size()
    for name, (tensor, leading) in tensors.items():
        rank = distribution.parameter_ranks[name]
        if tensor.dim() - leading < rank:
            raise ShapeError(
                f"{name} of {distribution.described} has shape {show(tensor.shape)}, "
                + ("without a class axis" if rank == 1 else f"without its {rank} last axes"),
                hint="the classes stand on the last axis, [batch, *event, classes]"
                if rank == 1
                else "a matrix stands on the last two axes, [batch, *event, rows, columns]",
            )
        core = tensor.shape[leading : tensor.dim() - rank]
        if rank >= distribution.event_rank:
            tail = tensor.shape[tensor.dim() - rank :][: distribution.event_rank]
        if core or leading:
            elements[name] = core
    found = same_elements(elements, distribution.described)
    known = [s for s in (distribution.event_shape, declared) if s is not None]
    if found is None and (known or not tail):
        return known[0] if known else None
    event = (found or torch.Size()) + tail
    _agree(distribution, event, known)
    return event


def _agree(distribution: Family, event: torch.Size, known: list[torch.Size]) -> None:
    for shape in known:
        if shape != event:
            raise ShapeError(
                f"{distribution.described} gives its variable the event shape {show(event)}, "
                f"but {show(shape)} was declared",
                hint="let the network return parameters of the declared shape, or leave the declaration out",
            )
