"""Operands of generated code: a piece of text, how tightly it binds, and which axes its tensor has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sympy import Rational

from symdgm.errors import ShapeError

SUM, PRODUCT, UNARY, POWER, ATOM = range(5)
"""How tightly a text binds, as in Python's grammar."""

Axis = object
"""A leading axis: the string ``"batch"``, or the plan node of the draw or the states that it runs over."""

BATCH: Axis = "batch"
STEPS: Axis = "steps"
"""All steps of all sequences, those of one time together: it stands where the batch would."""
ACTIVE: Axis = "active"
"""The sequences that have the current step of a loop; it stands where the batch would."""


@dataclass(frozen=True)
class Operand:
    """A value in generated code.

    Args:
        text: the Python expression.
        level: how tightly it binds.
        axes: its leading axes, in order.
        rank: the number of its event axes.
        number: whether it is a Python number rather than a tensor.
        constant: its exact value, where it is a number that the user bound.
    """

    text: str
    level: int = ATOM
    axes: tuple[Axis, ...] = ()
    rank: int = 0
    number: bool = False
    constant: Rational | None = None

    def at(self, level: int) -> str:
        """The text, in brackets if it binds less tightly than ``level``."""
        return self.text if self.level >= level else f"({self.text})"


def aligned(
    operands: Sequence[Operand], order: Sequence[Axis]
) -> tuple[list[Operand], tuple[Axis, ...], int]:
    """Operands that broadcast against each other by axis name, the axes of the result, and its event rank.

    A value of one number per example is broadcast over an event; events of different ranks are refused.

    Raises:
        ShapeError: events of different ranks.
    """
    used = {axis for o in operands for axis in o.axes}
    axes = tuple(a for a in order if a in used)
    rank = max((o.rank for o in operands), default=0)
    odd = [o for o in operands if o.rank not in (0, rank)]
    if odd:
        raise ShapeError(
            f"an event with {odd[0].rank} axes is combined with one of {rank} axes",
            hint="bring both to one event shape; only one number per example is broadcast over an event",
        )
    return [_expanded(o, axes, rank) for o in operands], axes, rank


def _expanded(operand: Operand, axes: tuple[Axis, ...], rank: int) -> Operand:
    """The operand with an axis of length one for every axis that it lacks behind its first."""
    if operand.number or not operand.axes:
        return operand
    wanted = axes[axes.index(operand.axes[0]) :]
    index = [":" if a in operand.axes else "None" for a in wanted] + ["None"] * (rank - operand.rank)
    if "None" not in index:
        return operand
    trailing = index[len(operand.axes) :]
    if operand.rank == 0 and ":" not in trailing:
        index = ["...", *trailing]
    negative = _NEGATIVE.fullmatch(operand.text) if operand.level == UNARY else None
    if negative is not None:  # the minus stays in front, where a sum finds it
        return replace(operand, text=f"-{negative[1]}[{', '.join(index)}]")
    return replace(operand, text=f"{operand.at(ATOM)}[{', '.join(index)}]", level=ATOM)


_NEGATIVE = re.compile(r"-([A-Za-z_][\w.]*(?:\([^()]*\))?)")
"""The negative of a name, or of a call on names."""


def with_axes(operand: Operand, axes: tuple[Axis, ...], missing: int = 0) -> str:
    """The text of an operand with an axis of length one for each of ``axes`` that it lacks behind its first.

    Args:
        operand: a tensor.
        axes: leading axes, in order.
        missing: how many axes of length one its event gets in front.
    """
    if not operand.axes:
        return operand.text
    wanted = axes[axes.index(operand.axes[0]) :]
    index = [":" if a in operand.axes else "None" for a in wanted] + ["None"] * missing
    return f"{operand.at(ATOM)}[{', '.join(index)}]" if "None" in index else operand.text


def lead(operand: Operand, axes: Sequence[Axis]) -> Operand:
    """The operand with an axis of length one for each of ``axes`` that it lacks; its event is left alone."""
    if operand.axes == tuple(axes):
        return operand
    index = ", ".join(":" if a in operand.axes else "None" for a in axes)
    return replace(operand, text=f"{operand.at(ATOM)}[{index}]", level=ATOM)
