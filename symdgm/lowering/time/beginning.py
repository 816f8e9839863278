"""What stands before the first step of a loop over time, and first steps with factors of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from sympy import Basic
from torch import Tensor

from symdgm.distributions import Deterministic
from symdgm.errors import NameResolutionError, ShapeError
from symdgm.expressions.names import spelled
from symdgm.lowering.operands import ATOM, BATCH, Axis, Operand
from symdgm.lowering.parameters import known_event, spread
from symdgm.lowering.plan import PlanNode
from symdgm.lowering.time.keeper import Keeper
from symdgm.lowering.time.layout import layout, longest_first
from symdgm.lowering.time.loops import Body, Step
from symdgm.lowering.time.sequences import no_beginning

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def initial(writer: Writer, step: Step, lead: tuple[Axis, ...]) -> Operand:
    """The value before the first step, with all axes.

    Raises:
        NameResolutionError: a latent without a beginning.
    """
    time = writer.environment.time
    assert time is not None
    value, name = time.initial.get(step.sequence), spelled(step.sequence)
    if step.first is not None:
        own = writer.operands[step.first]
        return Operand(writer.script.names.fresh(name), ATOM, lead, own.rank)
    if value is None and not isinstance(step.factor.distribution, Deterministic):
        raise no_beginning(step.sequence, step.factor.node)
    counts = layout(writer).counts
    sizes = [*(writer.size(a) for a in lead if isinstance(a, PlanNode)), f"{counts}[0]"]
    event = value.shape if isinstance(value, Tensor) else _event(writer, step)
    shape = ", ".join([*sizes, *map(str, event)])
    if isinstance(value, Tensor):
        text = f"{writer.argument(f'initial:{name}')}.expand({shape})"
    else:
        like = f"dtype={writer.argument('dtype')}, device={writer.argument('device')}"
        text = f"torch.full(({shape},), {value}, {like})" if value else f"torch.zeros({shape}, {like})"
    writer.script.comment(beginning_of(writer, step.sequence))
    return writer.named(name, Operand(text, ATOM, lead, len(event)), step.value.origin)


def beginning_of(writer: Writer, sequence: Basic) -> str:
    """What a comment in generated code says of the value before the first step."""
    time = writer.environment.time
    assert time is not None
    zeros = "" if sequence in time.initial else " = 0 by default"
    return f"{spelled(sequence)}_0{zeros}, before the first step"


def _event(writer: Writer, step: Step) -> torch.Size:
    """The event shape of a sequence that a loop carries.

    Raises:
        ShapeError: nothing says it.
    """
    name, variable = spelled(step.sequence), spelled(step.factor.variables[0])
    declared = getattr(step.factor.distribution, "event_shape", None)
    known = declared or writer.environment.shapes.get(name) or writer.environment.shapes.get(variable)
    if known is None and variable in writer.events:
        known = writer.events[variable][0]
    for source in step.factor.distribution.sources if known is None else ():
        size = getattr(source.call, "hidden_size", None)
        known = torch.Size([size]) if isinstance(size, int) else None
    if known is None:
        raise ShapeError(
            f"the event shape of `{name}` before its first step is not known",
            hint=f"declare it, as in `event_shape=16` or `{name}=16` in a model",
        )
    return torch.Size(known)


def keep_first(
    writer: Writer, body: Body, kept: Keeper, carried: dict[PlanNode, Operand], lead: tuple[Axis, ...]
) -> None:
    """The first step, whose values have factors of their own: what the loop begins with.

    Raises:
        NameResolutionError: some sequences of a path have a first step of their own, and others have none.
    """
    for step in body.steps:
        if step.first is None or step.first_law is None:
            raise NameResolutionError(
                f"`{step.sequence}` has no factor for its first step, but others of its path have",
                hint=f"bind one over `{spelled(step.sequence)}_1`, or leave them all out",
            )
        text = longest_first(writer, writer.operands[step.first])
        start = carried.get(step.before)
        if start is not None:
            writer.script.values[start.text] = writer.script.run(text)
            writer.script.record(f"{start.text} = {text}", (start.text,))
            text = start.text
        kept.firsts[("draw", step.sequence)] = text
        kept.firsts[("before", step.sequence)] = _before_first(writer, step.sequence, text)
        law = writer.laws[step.first_law]
        for name in law.parameters if step.law is not None else ():
            spreaded = spread(writer, law, name, known_event(writer, law))
            kept.firsts[("law", step.sequence, name)] = filled(writer, spreaded)


def _before_first(writer: Writer, sequence: Basic, first: str) -> str:
    """What stands before a first step with a factor of its own; the first step where nothing reads it."""
    time = writer.environment.time
    assert time is not None
    value = time.initial.get(sequence)
    if isinstance(value, Tensor):
        return f"{writer.argument(f'initial:{spelled(sequence)}')}.expand_as({first})"
    return first if value is None else f"torch.full_like({first}, {value})"


def filled(writer: Writer, value: Operand) -> str:
    """A parameter of the first step with an entry for every sequence."""
    text = longest_first(writer, value)
    if BATCH in value.axes:
        return text
    sizes = ", ".join([f"{layout(writer).counts}[0]", *["-1"] * value.rank])
    return f"{text}.expand({sizes})"
