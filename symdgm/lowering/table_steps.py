"""Entries of tables, and calls of one of a list of networks, in generated code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from symdgm.errors import ShapeError
from symdgm.lowering.index_steps import after, agree, first_of, is_digits, length, ordered_axes
from symdgm.lowering.operands import ATOM, Axis, Operand
from symdgm.lowering.plan import Kind, PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_table(writer: Writer, node: PlanNode) -> Operand:
    """The entries of a table along the axes of its indices, or one of them.

    Raises:
        ShapeError: the table has fewer entries, or fewer axes, than its indices.
    """
    name = node.word()
    bound = writer.argument(f"table:{name}")
    value = writer.inputs[bound]
    if not isinstance(value, Tensor | nn.ParameterList):
        return _function_of_index(writer, node, bound)
    text = bound if isinstance(value, Tensor) else f"torch.stack(list({bound}))"
    shape = writer.script.run(text).shape
    if len(shape) < len(node.args):
        raise ShapeError(
            f"`{node.origin}` has {len(node.args)} indices, but `{name}` has the shape {list(shape)}",
            hint="bind a tensor with an axis for each index",
        )
    axes: list[Axis] = []
    picks: list[str] = []
    stepped = [a for a in node.args if a.kind is not Kind.INDEX and writer.operands[a].axes]
    if stepped and len(node.args) > 1:
        raise ShapeError(
            f"`{node.origin}` has several indices, one of them a step, which this version cannot take yet",
            hint="give a table of steps one index",
        )
    for place, argument in enumerate(node.args):
        if argument.kind is Kind.INDEX:
            text = _rows(writer, node, argument, text, int(shape[place]), place)
            axes.append(argument)
            picks.append(":")
        else:
            _check_steps(writer, node, argument, int(shape[place]))
            picks.append(_picked(writer, node, argument, int(shape[place])))
            axes += writer.operands[argument].axes
    if any(p != ":" for p in picks):
        text = f"{text}[{', '.join(picks)}]"
    return ordered_axes(writer, Operand(text, ATOM, tuple(axes), len(shape) - len(node.args)))


def _check_steps(writer: Writer, node: PlanNode, argument: PlanNode, size: int) -> None:
    """Refuse sequences with more steps than a table of steps has entries."""
    operand = writer.operands[argument]
    if operand.axes and (last := int(writer.value(operand).max())) > size:
        raise ShapeError(
            f"`{node.origin}` has the indices to {last}, but there are {size} entries",
            hint="bind a longer table, or a function of the step",
        )


def _rows(writer: Writer, node: PlanNode, index: PlanNode, text: str, size: int, place: int) -> str:
    """The entries that an index runs over; a table whose index begins with 0 begins with 0."""
    first = first_of(writer, index)
    if isinstance(index.detail[0], tuple):
        agree(node, size - first + 1, int(writer.lengths.setdefault(index, str(size - first + 1))))
    wanted = writer.size(index)
    count = int(writer.script.run(wanted))
    start = first - 1 if first else 0
    if start + count > size:
        raise ShapeError(
            f"`{node.origin}` has the indices {first} to {first + count - 1}, but there are {size} entries",
            hint="bind a longer table, or sum over fewer",
        )
    whole = is_digits(wanted) and count == size
    return text if whole else f"{text}.narrow({place}, {start}, {wanted})"


def _picked(writer: Writer, node: PlanNode, argument: PlanNode, size: int) -> str:
    operand = writer.operands[argument]
    if not operand.number:
        return f"{operand.text} - 1"
    if is_digits(operand.text) and not 1 <= int(operand.text) <= size:
        raise ShapeError(f"`{node.origin}` is none of {size} entries", hint="count from 1")
    return str(int(operand.text) - 1) if is_digits(operand.text) else f"{operand.text} - 1"


def _function_of_index(writer: Writer, node: PlanNode, bound: str) -> Operand:
    """The values of a function at those of an index."""
    (argument,) = node.args
    if argument.kind is not Kind.INDEX:
        operand = writer.operands[argument]
        if operand.axes:
            text = f"{bound}({operand.text})"
            return Operand(text, ATOM, operand.axes, int(writer.script.run(text).dim()) - len(operand.axes))
        at = f"torch.full((1,), {operand.text}, device={writer.argument('device')})"
        text = f"{bound}({at})[0]"
        return Operand(text, ATOM, (), int(writer.script.run(text).dim()))
    first, size = first_of(writer, argument), length(writer, argument)
    last = after(size, first)
    text = f"{bound}(torch.arange({first}, {last}, device={writer.argument('device')}))"
    return Operand(text, ATOM, (argument,), int(writer.script.run(text).dim()) - 1)


def emit_calls(writer: Writer, node: PlanNode) -> Operand:
    """What each of a list of networks returns, along the axis of its index.

    Raises:
        ShapeError: the list has fewer networks than the index has values.
    """
    place, *inputs = node.args
    bound = writer.argument(f"table:{node.word()}")
    count = len(writer.inputs[bound])
    operands = [_given(writer, i) for i in inputs]
    if place.kind is not Kind.INDEX and writer.operands[place].axes:
        raise ShapeError(
            f"`{node.origin}` is a network of its own for each step, which this version cannot call yet",
            hint="write one network, which is given the step: `f(x_t, t)`",
        )
    if place.kind is not Kind.INDEX:
        return _called(writer, node, f"{bound}[{_picked(writer, node, place, count)}]", operands)
    wanted, first = int(writer.script.run(writer.size(place))), max(first_of(writer, place), 1)
    if first - 1 + wanted > count:
        raise ShapeError(
            f"`{node.origin}` has the indices up to {first + wanted - 1}, but there are {count} networks",
            hint="bind a longer list, or sum over fewer",
        )
    outputs = []
    for k in range(wanted):
        own = [_entry(o, place, k) for o in operands]
        called = _called(writer, node, f"{bound}[{k + first - 1}]", own)
        outputs.append(writer.named(f"{node.word()}_{k + first}", called))
    axes = (place, *outputs[0].axes)
    text = f"torch.stack([{', '.join(o.text for o in outputs)}])"
    stacked = writer.named(str(node.origin), Operand(text, ATOM, axes, outputs[0].rank), node.origin)
    return ordered_axes(writer, stacked)


def _given(writer: Writer, node: PlanNode) -> Operand:
    operand = writer.operands[node]
    return operand if operand.number else writer.named("input", operand, node.origin)


def _entry(operand: Operand, index: PlanNode, k: int) -> Operand:
    """The input of one network, where each has its own."""
    if index not in operand.axes:
        return operand
    place = operand.axes.index(index)
    rest = tuple(a for a in operand.axes if a is not index)
    return Operand(f"{operand.text}[{', '.join([':'] * place + [str(k)])}]", ATOM, rest, operand.rank)


def _called(writer: Writer, node: PlanNode, call: str, inputs: list[Operand]) -> Operand:
    """One network on inputs whose leading axes are flattened to one."""
    axes = tuple(a for a in writer.axes if any(a in i.axes for i in inputs))
    if len(axes) < 2:
        text = f"{call}({', '.join(i.text for i in inputs)})"
        return Operand(text, ATOM, axes, int(writer.script.run(text).dim()) - len(axes))
    lead = f"({', '.join(writer.size(a) for a in axes)})"
    last = len(axes) - 1
    flat = [i.text if i.number else f"{_spread(writer, i, axes)}.flatten(0, {last})" for i in inputs]
    text = f"{call}({', '.join(flat)}).unflatten(0, {lead})"
    return Operand(text, ATOM, axes, int(writer.script.run(text).dim()) - len(axes))


def _spread(writer: Writer, operand: Operand, axes: tuple[Axis, ...]) -> str:
    if operand.axes == axes:
        return operand.text
    have = ", ".join(":" if a in operand.axes else "None" for a in axes)
    sizes = ", ".join([*(writer.size(a) for a in axes), *["-1"] * operand.rank])
    return f"{operand.text}[{have}].expand({sizes})"
