"""All states of a finite variable in generated code."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import torch

from symdgm.distributions import Bernoulli, Binomial, Categorical
from symdgm.distributions.discretized_logistic import OnGrid
from symdgm.errors import EstimatorError
from symdgm.lowering.estimation.exact import ASKED, MAX_STATES, TooManyStates
from symdgm.lowering.laws import LawValues
from symdgm.lowering.opaque import emit_strata
from symdgm.lowering.operands import ATOM, Operand
from symdgm.lowering.parameters import known_event
from symdgm.lowering.plan import Kind, PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_states(writer: Writer, node: PlanNode) -> Operand:
    """All states of a finite variable along an axis of their own.

    Raises:
        TooManyStates: there are more than `MAX_STATES`.
        EstimatorError: likewise, where the user asked for their sum.
    """
    if node.args[0].kind is Kind.OPAQUE:
        return emit_strata(writer, node)
    law = writer.laws[node.args[0]]
    event = known_event(writer, law)
    states, total = all_states(writer, law, node.word(), asked=node.detail[2:] == (ASKED,))
    writer.axes.insert(0, node)
    writer.lengths[node] = total
    writer.script.comment(f"{node.word()} ~ {node.args[0].origin}: all {total} states")
    if law.axes:
        states = writer.named(f"{node.word()}_states", Operand(states), node.origin).text
        index = ", ".join([":"] + ["None"] * len(law.axes))
        sizes = ", ".join(["-1", *(writer.size(a) for a in law.axes), *["-1"] * len(event)])
        states = f"{states}[{index}].expand({sizes})"
    return writer.named(node.word(), Operand(states, ATOM, (node, *law.axes), len(event)), node.origin)


def all_states(writer: Writer, law: LawValues, name: str, *, asked: bool = False) -> tuple[str, int]:
    """The text of all states of a variable, ``[states, *event]``, and how many there are.

    Args:
        writer: writes the code.
        law: the law of the variable.
        name: the variable.
        asked: whether the user asked for their sum.

    Raises:
        TooManyStates: there are more than `MAX_STATES`.
        EstimatorError: likewise, where the user asked for their sum.
    """
    single, classes = _single(writer, law)
    event = known_event(writer, law)
    elements = event[: len(event) - law.family.event_rank]
    total = classes ** prod(elements)
    if total > MAX_STATES:
        writer.frozen.choices.many.add((law.index, name))
        kind = EstimatorError if asked else TooManyStates
        raise kind(
            f"`{name}` has {classes}^{prod(elements)} states, more than the {MAX_STATES} that are enumerated",
            hint=f'use fewer elements, or draws: `estimators={{"{name}": "score function"}}`',
        )
    return _combined(writer, law, single, elements, classes), total


def _single(writer: Writer, law: LawValues) -> tuple[str, int]:
    """The text of all values of one element, and how many there are."""
    device = f"device={writer.argument('device')}"
    family = law.family
    if isinstance(family, Categorical):
        classes = _classes(writer, law)
        return f"torch.arange({classes}, {device})", classes
    like = f"dtype={writer.argument('dtype')}, {device}"
    if isinstance(family, Bernoulli):
        return f"torch.arange(2, {like})", 2
    if isinstance(family, Binomial):
        total = law.parameters["total_count"]
        most = total.text if total.number else writer.value(total).max()
        return f"torch.arange({int(most) + 1}, {like})", int(most) + 1
    if isinstance(family, OnGrid):
        grid = family.grid
        return f"torch.linspace({grid.low}, {grid.high}, {grid.levels}, {like})", grid.levels
    classes = _classes(writer, law)
    return f"torch.eye({classes}, {like})", classes


def _classes(writer: Writer, law: LawValues) -> int:
    return int(writer.value(next(iter(law.parameters.values()))).shape[-1])


def _combined(writer: Writer, law: LawValues, single: str, elements: torch.Size, classes: int) -> str:
    """The states of all elements: the combinations of those of one."""
    if not elements:
        return single
    number = prod(elements)
    shape = ", ".join(map(str, (classes**number, *elements)))
    if not law.family.event_rank:
        return f"torch.cartesian_prod(*[{single}] * {number}).reshape({shape})"
    index = f"torch.cartesian_prod(*[torch.arange({classes}, device={writer.argument('device')})] * {number})"
    return f"{single}[{index}.reshape({shape})]"
