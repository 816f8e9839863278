"""Steps put together: the first step's law before that of the others, and sequences one step earlier."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sympy import Basic
from torch import Tensor

from symdgm.errors import ParameterError
from symdgm.expressions.applications import Density
from symdgm.expressions.names import spelled
from symdgm.lowering.operands import ATOM, STEPS, Operand
from symdgm.lowering.parameters import known_event, spread
from symdgm.lowering.plan import PlanNode
from symdgm.lowering.time.beginning import beginning_of, filled
from symdgm.lowering.time.layout import Layout, layout
from symdgm.lowering.time.sequences import UNREAD

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_joined(writer: Writer, node: PlanNode) -> Operand:
    """The parameters of the first step before those of the others.

    Raises:
        ParameterError: the first step is of another family, or has other parameters.
    """
    first, rest = (writer.laws[a] for a in node.args)
    event = known_event(writer, rest if rest.event is not None else first)
    if set(first.parameters) != set(rest.parameters) or first.family.family != rest.family.family:
        raise ParameterError(
            f"{first.owner} and {rest.owner} are not of one family with the same parameters",
            hint="let the first step have the family and the parameters of the others",
        )
    assert isinstance(node.origin, Density)
    parameters: dict[str, Operand] = {}
    for name in rest.parameters:
        start, others = filled(writer, spread(writer, first, name, event)), spread(writer, rest, name, event)
        hint = f"{node.origin.args[0]}_{rest.variable}_{name}"
        parameters[name] = writer.named(hint, _joined(writer, start, others), node.origin)
    axes = tuple(a for a in writer.axes if any(a in p.axes for p in parameters.values()))
    writer.laws[node] = replace(rest, parameters=parameters, axes=axes, event=event)
    return next(iter(parameters.values()))


def _joined(writer: Writer, start: str, others: Operand) -> Operand:
    """A parameter of the first step, of every sequence, before that of the other steps."""
    steps = layout(writer)
    dim = others.axes.index(STEPS) if STEPS in others.axes else 0
    if STEPS not in others.axes:
        sizes = ", ".join([f"len({steps.rows})", *["-1"] * others.rank])
        others = Operand(f"{others.at(ATOM)}.expand({sizes})", ATOM, (STEPS,), others.rank)
    cut = ", ".join([*[":"] * dim, f"{steps.counts}[0]:"])
    if dim:
        sizes = ", ".join([*(writer.size(a) for a in others.axes[:dim]), *["-1"] * (1 + others.rank)])
        start = f"{start}.expand({sizes})"
    text = f"torch.cat([{start}, {others.at(ATOM)}[{cut}]]{f', {dim}' if dim else ''})"
    return Operand(text, ATOM, others.axes, others.rank)


def emit_lag(writer: Writer, node: PlanNode) -> Operand:
    """The step before of a sequence; before the first step stands its initial value, 0 if there is none.

    Where nothing reads what stands there, it is the first step itself, a value that every law allows.
    """
    value, steps = writer.named("steps", writer.operands[node.args[0]]), layout(writer)
    sequence, unread = node.detail[0], UNREAD in node.detail
    assert isinstance(sequence, Basic)
    event = writer.value(value).shape[len(value.axes) :]
    dim = value.axes.index(STEPS)
    lead = [":"] * dim
    sizes = [*(writer.size(a) for a in value.axes[:dim]), f"{steps.counts}[0]", *map(str, event)]
    rest = f"{value.text}[{', '.join([*lead, _earlier(writer, steps)])}]"
    if unread:
        first = f"{value.text}[{', '.join([*lead, f':{steps.counts}[0]'])}]"
    else:
        first = _before_all(writer, sequence, value, ", ".join(sizes))
        writer.script.comment(beginning_of(writer, sequence))
    text = f"torch.cat([{first}, {rest}]{f', {dim}' if dim else ''})"
    return writer.named(f"{sequence}_before", Operand(text, ATOM, value.axes, value.rank), node.origin)


def _earlier(writer: Writer, steps: Layout) -> str:
    """Where the step before lies of each step but the first ones."""
    if not steps.order:
        return f":-{steps.counts}[0]"
    valid = steps.valid
    place = writer.shared("place", f"({valid}.flatten().cumsum(0) - 1).view_as({valid})")
    return writer.shared("earlier", f"{place}[:-1][{valid}[1:]]")


def _before_all(writer: Writer, sequence: Basic, value: Operand, sizes: str) -> str:
    time = writer.environment.time
    assert time is not None
    initial = time.initial.get(sequence, 0)
    if isinstance(initial, Tensor):
        return f"{writer.argument(f'initial:{spelled(sequence)}')}.expand({sizes})"
    return f"{value.text}.new_full(({sizes},), {initial})" if initial else f"{value.text}.new_zeros({sizes})"
