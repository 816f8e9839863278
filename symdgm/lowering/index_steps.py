"""Indices in generated code: their axes, the values along them, and what is summed over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symdgm.errors import NotSupportedError, ShapeError
from symdgm.lowering.networks import Called
from symdgm.lowering.operands import ATOM, BATCH, SUM, Axis, Operand
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.reductions import event_shaped

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_size(writer: Writer, node: PlanNode) -> Operand:
    """A whole number: a scalar to which an index runs, or the number of examples."""
    if node.word() == "batch":
        return Operand(writer.size(BATCH), number=True)
    return Operand(writer.argument(f"size:{node.word(1)}"), number=True)


def emit_index(writer: Writer, node: PlanNode) -> Operand:
    """The axis of an index; nothing is written."""
    if node.detail[2] == "last":
        writer.axes.append(node)
    else:
        writer.axes.insert(0, node)
    if node.detail[0] == "batch":
        writer.lengths[node] = writer.size(BATCH)
    if node.args:
        lower, upper = (_bound(writer, a) for a in node.args)
        count = _count(writer, lower, upper)
        if int(writer.value(count)) < 0:
            raise ShapeError(
                f"an index runs from {lower.text} to {writer.value(upper)}",
                hint="begin it where it ends, or before",
            )
        writer.lengths[node] = count.text
    return Operand(str(node.number(1)), number=True)


def _bound(writer: Writer, bound: PlanNode) -> Operand:
    """A bound of an index, which is one whole number.

    Raises:
        NotSupportedError: a bound that is not the same for all examples and terms.
        ShapeError: it is no whole number.
    """
    operand = writer.operands[bound]
    if operand.axes or operand.rank:
        other = "k" if str(bound.origin) == "i" else "i"
        raise NotSupportedError(
            f"`{bound.origin}` is no number, but the bound of an index",
            hint=f"write a condition, as in `sum_{{{other} <= {bound.origin}}}`",
        )
    value = writer.value(operand)
    if int(value) != value:
        raise ShapeError(
            f"`{bound.origin}` is {value:g}, but the bound of an index", hint="write a whole number"
        )
    return operand


def _count(writer: Writer, lower: Operand, upper: Operand) -> Operand:
    """How many whole numbers there are from one to another."""
    if lower.text == "1":
        return upper
    before = writer.combine("add", [lower, Operand("-1", number=True)])
    if is_digits(lower.text) and is_digits(upper.text):
        return Operand(str(int(upper.text) - int(lower.text) + 1), number=True)
    negative = writer.combine("neg", [before])
    if lower.text == "0":
        return writer.combine("add", [upper, Operand("1", number=True)])
    return writer.combine("add", [upper, negative])


def is_digits(text: str) -> bool:
    """Whether a length is known when the code is written."""
    return text.isdigit()


def length(writer: Writer, index: PlanNode) -> str:
    """The text of the number of values of an index.

    Raises:
        ShapeError: nothing has said it.
    """
    if index.kind is Kind.INDEX and index not in writer.lengths:
        raise ShapeError(
            f"nothing that is summed over `{index.origin}` has it as an index, so its range is not known",
            hint="write its bounds, or leave the sum out",
        )
    return writer.size(index)


def emit_position(writer: Writer, node: PlanNode) -> Operand:
    """The values of an index, or the numbers of the examples, as whole numbers."""
    axis: Axis = node.args[0] if node.args else BATCH
    first = first_of(writer, node.args[0]) if node.args else 1
    size = length(writer, node.args[0]) if node.args else writer.size(BATCH)
    last = after(size, first)
    text = f"torch.arange({first}, {last}, device={writer.argument('device')})"
    hint = "row" if axis is BATCH else str(node.origin)
    return writer.named(hint, Operand(text, ATOM, (axis,)), node.origin)


def after(size: str, first: int) -> str:
    """The number after the last of some that begin with one."""
    if is_digits(size):
        return str(int(size) + first)
    return f"{size} + {first}" if first else size


def first_of(writer: Writer, index: PlanNode) -> int:
    """The number with which an index begins."""
    if index.args:
        return int(writer.value(writer.operands[index.args[0]]))
    key = index.detail[0]
    return int(key[2]) if isinstance(key, tuple) else 1


def emit_indicator(writer: Writer, node: PlanNode) -> Operand:
    """1 where a condition holds, and 0 elsewhere."""
    condition = writer.operands[node.args[0]]
    if condition.number:
        return Operand(f"float{condition.text}", number=True)
    text = f"{condition.at(ATOM)}.to({writer.argument('dtype')})"
    return Operand(text, ATOM, condition.axes, condition.rank)


def emit_along(writer: Writer, node: PlanNode) -> Operand:
    """A value with another name for one of its axes; of a network, all that it returned."""
    value = node.args[0]
    if value.kind is Kind.NETWORK:
        called = writer.called[value]
        outputs = {k: _along(writer, node, o) for k, o in called.outputs.items()}
        writer.called[node] = Called(called.raw, outputs)
        return next(iter(outputs.values()))
    operand = writer.operands[value]
    return operand if operand.number else _along(writer, node, operand)


def _along(writer: Writer, node: PlanNode, operand: Operand) -> Operand:
    index = node.args[1]
    if node.word() == "event":
        return _component(writer, node, index, operand)
    own: Axis = node.args[2] if node.word() == "axis" else BATCH
    if own not in operand.axes:
        return operand
    text = _sliced(writer, node, operand, own, index)
    axes = tuple(index if a is own else a for a in operand.axes)
    level = operand.level if text == operand.text else ATOM
    return ordered_axes(writer, Operand(text, level, axes, operand.rank))


def _sliced(writer: Writer, node: PlanNode, operand: Operand, own: Axis, index: PlanNode) -> str:
    """The part of an axis that an index runs over."""
    if own is BATCH:
        return operand.text
    assert isinstance(own, PlanNode)
    whole, wanted = writer.size(own), length(writer, index)
    first = first_of(writer, index) - 1
    if whole == wanted and not first:
        return operand.text
    return f"{operand.at(ATOM)}.narrow({operand.axes.index(own)}, {first}, {wanted})"


def _component(writer: Writer, node: PlanNode, index: PlanNode, operand: Operand) -> Operand:
    """A value with the axis of an index in place of its event.

    Raises:
        ShapeError: a value without an event, or one of another size than the index.
    """
    if not operand.rank:
        raise ShapeError(
            f"`{node.origin}` is a component, but `{node.args[0].origin}` is one number per example",
            hint="leave the index out",
        )
    named = writer.named("components", operand, node.args[0].origin)
    text = f"{named.text}.flatten(-{operand.rank})" if operand.rank > 1 else named.text
    size = int(writer.value(Operand(text)).shape[-1])
    text = _part(writer, node, index, text, size, -1)
    return ordered_axes(writer, Operand(text, ATOM, (*operand.axes, index)))


def _part(writer: Writer, node: PlanNode, index: PlanNode, text: str, size: int, axis: int) -> str:
    """The entries of an axis of some size that an index runs over.

    Raises:
        ShapeError: the index runs further than the axis, or over axes of different sizes.
    """
    key = index.detail[0]
    first = first_of(writer, index) - 1
    if isinstance(key, tuple):
        known = writer.lengths.setdefault(index, str(size - first))
        agree(node, size - first, int(known))
        return text if not first else f"{text}.narrow({axis}, {first}, {size - first})"
    wanted = writer.size(index)
    count = int(writer.script.run(wanted))
    if first + count > size or first < 0:
        raise ShapeError(
            f"`{node.origin}` has the indices {first + 1} to {first + count}, but there are {size}",
            hint=f"sum over 1 to {size}",
        )
    constant = is_digits(wanted)
    return text if constant and count == size else f"{text}.narrow({axis}, {first}, {wanted})"


def agree(node: PlanNode, size: int, known: int) -> None:
    """Refuse an index over values of different numbers.

    Raises:
        ShapeError: with both numbers.
    """
    if size != known:
        raise ShapeError(
            f"`{node.origin}` has {size} values of its index, but others with this index have {known}",
            hint="give the two indices different names, or write the bounds of the sum",
        )


def ordered_axes(writer: Writer, operand: Operand) -> Operand:
    """The operand with its axes in the order of all axes."""
    axes = tuple(a for a in writer.axes if a in operand.axes)
    if axes == operand.axes:
        return operand
    places = [operand.axes.index(a) for a in axes]
    rest = range(len(axes), len(axes) + operand.rank)
    text = f"{operand.at(ATOM)}.permute({', '.join(map(str, [*places, *rest]))})"
    return Operand(text, ATOM, axes, operand.rank)


def emit_pick(writer: Writer, node: PlanNode) -> Operand:
    """One of several draws."""
    operand, place = writer.operands[node.args[0]], writer.operands[node.args[2]]
    axis, size = operand.axes.index(node.args[1]), writer.size(node.args[1])
    index = str(int(place.text) - 1) if is_digits(place.text) else f"{place.at(SUM)} - 1"
    if is_digits(place.text) and not 1 <= int(place.text) <= int(writer.script.run(size)):
        raise ShapeError(f"`{node.origin}` is none of the {size} draws", hint="count from 1")
    rest = tuple(a for a in operand.axes if a is not node.args[1])
    text = f"{operand.at(ATOM)}[{', '.join([':'] * axis + [index])}]"
    return Operand(text, ATOM, rest, operand.rank)


def emit_aggregate(writer: Writer, node: PlanNode) -> Operand:
    """A sum, product or mean over an index, or a log-sum-exp; a condition leaves entries out."""
    if len(node.args) == 1:
        return _over_last(writer.operands[node.args[0]])
    operation, value, index = node.word(), writer.operands[node.args[0]], node.args[1]
    if value.rank:
        raise event_shaped(value)
    if operation.startswith("log weighted"):
        return _log_weighted(writer, operation, value, index, writer.operands[node.args[2]])
    if len(node.args) > 2:
        return _conditioned(writer, operation, value, index, writer.operands[node.args[2]])
    if index not in value.axes:
        return _constant(writer, operation, value, index)
    total = _over(value, index, METHODS[operation])
    if operation == "logmeanexp":
        return Operand(f"{total.text} - math.log({length(writer, index)})", SUM, total.axes)
    return total


def _log_weighted(
    writer: Writer, operation: str, value: Operand, index: PlanNode, weight: Operand
) -> Operand:
    """``log sum_k w_k exp(v_k)``, or of the mean."""
    (w, v), axes, _ = writer.aligned([weight, value])
    if index not in axes:
        total = writer.combine("add", [writer.combine("log", [weight]), value])
        return _constant(writer, "logsumexp" if operation.endswith("sum") else "mean", total, index)
    rest = tuple(a for a in axes if a is not index)
    total = Operand(f"log_weighted_sum({w.text}, {v.text}, {axes.index(index)})", ATOM, rest)
    if operation.endswith("sum"):
        return total
    return Operand(f"{total.text} - math.log({length(writer, index)})", SUM, rest)


METHODS = {
    "sum": "sum", "mean": "mean", "prod": "prod", "logsumexp": "logsumexp", "logmeanexp": "logsumexp",
}  # fmt: skip


def _over(operand: Operand, axis: Axis, method: str) -> Operand:
    index = operand.axes.index(axis)
    rest = tuple(a for a in operand.axes if a is not axis)
    return Operand(f"{operand.at(ATOM)}.{method}({index})", ATOM, rest)


def _constant(writer: Writer, operation: str, value: Operand, index: PlanNode) -> Operand:
    """The aggregate of what is the same for every value of an index."""
    if operation in ("mean", "logmeanexp"):
        return value
    size = Operand(length(writer, index), number=True)
    if operation == "logsumexp":
        return writer.combine("add", [value, writer.combine("log", [size])])
    return writer.combine("pow" if operation == "prod" else "mul", [value, size])


FILLS = {"sum": "0", "mean": "0", "prod": "1", "logsumexp": "-math.inf", "logmeanexp": "-math.inf"}
"""What counts nothing."""


def _conditioned(
    writer: Writer, operation: str, value: Operand, index: PlanNode, condition: Operand
) -> Operand:
    """The aggregate of the entries that meet a condition."""
    mask = writer.named("counts", condition)
    _check_others(writer, index, mask)
    (fitted, shown), axes, _ = writer.aligned([value, mask])
    if value.number:
        like = f"dtype={writer.argument('dtype')}, device={writer.argument('device')}"
        fitted = Operand(f"torch.full((), {float(writer.value(value))!r}, {like})")
    text = f"{fitted.at(ATOM)}.where({shown.text}, {FILLS[operation]})"
    if index not in axes:
        raise ShapeError(
            f"neither the condition nor what is summed depends on `{index.origin}`",
            hint="write the sum without it",
        )
    total = _over(Operand(text, ATOM, axes), index, METHODS[operation].replace("mean", "sum"))
    if operation not in ("mean", "logmeanexp"):
        return total
    place = mask.axes.index(index)
    rest = tuple(a for a in mask.axes if a is not index)
    count = Operand(f"{mask.text}.sum({place})", ATOM, rest)
    if operation == "mean":
        return writer.combine("div", [total, count])
    return writer.combine("add", [total, writer.combine("neg", [writer.combine("log", [count])])])


def _check_others(writer: Writer, index: PlanNode, mask: Operand) -> None:
    """Refuse a batch of one example where others are wanted."""
    if index.detail[0] == "batch" and not bool(writer.value(mask).any()):
        raise ShapeError(
            "the sum is over the other examples of the batch, but there is one example",
            hint="evaluate a batch of several examples",
        )


def _over_last(operand: Operand) -> Operand:
    """The log-sum-exp over the last axis of an event."""
    if not operand.rank:
        raise ShapeError(
            "`logsumexp` is over the last axis of an event, but here is one number per example",
            hint="write a sum over an index, `log sum_{k=1}^K exp(...)`",
        )
    return Operand(f"{operand.at(ATOM)}.logsumexp(-1)", ATOM, operand.axes, operand.rank - 1)
