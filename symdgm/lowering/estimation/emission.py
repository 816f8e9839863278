"""What estimators need in generated code besides the operations of the mathematics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from symdgm.errors import EstimatorError
from symdgm.lowering.operands import ATOM, BATCH, STEPS, SUM, Axis, Operand
from symdgm.lowering.plan import PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_state(writer: Writer, node: PlanNode) -> Operand:
    """The running mean of a value, which is shown this one."""
    value = writer.named(f"{node.word()}_of", writer.operands[node.args[0]])
    text = f"{writer.argument(f'state:{node.word()}')}({value.text})"
    return writer.named("baseline", Operand(text))


def emit_path(writer: Writer, node: PlanNode) -> Operand:
    """A copy of draws; what multiplies its gradient leaves that of the draws themselves alone."""
    draw = writer.operands[node.args[0]]
    text = f"{draw.at(ATOM)}.clone()"
    return writer.named(f"{node.word()}_path", Operand(text, ATOM, draw.axes, draw.rank), node.origin)


def emit_reweighted(writer: Writer, node: PlanNode) -> Operand:
    """Log-weights whose gradient by the draws is reweighed.

    Raises:
        EstimatorError: a weight joins several draws, or one draw has several weights.
    """
    value, path, power = (writer.operands[node.args[i]] for i in (0, 2, 3))
    if value.axes != path.axes:
        raise EstimatorError(
            f"doubly reparameterised draws of `{node.word()}` have one weight each, but here other variables "
            "are averaged over as well",
            hint="take `pathwise` for this variable, or write its expectation outermost",
        )
    value = writer.named("log_weight", value, node.origin)
    text = f"reweighted({value.text}, {path.text}, {value.axes.index(node.args[1])}, {power.text})"
    return writer.named("log_weight", Operand(text, ATOM, value.axes), node.origin)


def emit_surrogate(writer: Writer, node: PlanNode) -> Operand:
    """A surrogate by a function of its own, averaged over its draws."""
    name, draw = node.word(), node.args[1]
    operands = [writer.operands[a] for a in node.args]
    _check_own_axes(name, operands[0], operands[1], draw)
    if name == "rebar":
        operands[0] = writer.named("control", operands[0])
    fitted, axes, rank = writer.aligned(operands if name == "disarm" else operands[1:])
    shown = [o.text for o in fitted] if name == "disarm" else [operands[0].text, operands[1].text]
    axis = axes.index(draw)
    text = f"{name}({', '.join(shown)}, {axis - len(axes) - rank})"
    whole = writer.event_sum(Operand(text, ATOM, axes, rank))
    rest = tuple(a for a in axes if a is not draw)
    return Operand(f"{whole.at(ATOM)}.mean({axis})", ATOM, rest)


def _check_own_axes(name: str, value: Operand, draws: Operand, draw: PlanNode) -> None:
    """Refuse a body that joins several draws, or has several values for each.

    Raises:
        EstimatorError: with what to write instead.
    """
    more = set(value.axes) - set(draws.axes) if name == "rebar" else ()
    if more or draw not in value.axes:
        raise EstimatorError(
            f"{name.upper() if name == 'rebar' else 'DisARM'} of `{draw.word()}` compares the values at "
            "single draws, but the body joins draws, or has several of another variable for each",
            hint="take `score function`, or write the other expectation innermost",
        )


def emit_sum_onto(writer: Writer, node: PlanNode) -> Operand:
    """The sum over the axes that another value lacks."""
    value, like = (writer.operands[a] for a in node.args)
    dims = [str(i) for i, a in enumerate(value.axes) if a not in like.axes]
    if not dims:
        return value
    rest = tuple(a for a in value.axes if a in like.axes)
    argument = dims[0] if len(dims) == 1 else f"({', '.join(dims)})"
    return Operand(f"{value.at(ATOM)}.sum({argument})", ATOM, rest)


def emit_part(writer: Writer, node: PlanNode) -> Operand:
    """Some of the entries along an axis of draws; a value without that axis is the same for all."""
    value, axis = writer.operands[node.args[0]], node.args[1]
    if axis not in value.axes:
        return value
    index, start, stop = value.axes.index(axis), node.number(1), node.number(2)
    text = f"{value.at(ATOM)}[{', '.join([':'] * index + [f'{start}:{stop}'])}]"
    return Operand(text, ATOM, value.axes, value.rank)


def emit_leave_one_out(writer: Writer, node: PlanNode) -> Operand:
    """The mean over the other draws, or over the other examples; 0 where the value has neither."""
    value = writer.operands[node.args[0]]
    wanted: Axis = BATCH if node.detail[1:] else node.args[1]
    axis = next((a for a in (wanted, STEPS) if a in value.axes), BATCH)
    if axis not in value.axes:
        return Operand("0", number=True)
    text = f"leave_one_out({value.text}, {value.axes.index(axis)})"
    return Operand(text, ATOM, value.axes, value.rank)


def emit_without_each(writer: Writer, node: PlanNode) -> Operand:
    """The log of the sum of weights, or of their mean, without each draw."""
    value, axis = writer.operands[node.args[0]], node.args[1]
    text = f"without_each({value.text}, {value.axes.index(axis)})"
    if node.word() == "mean without each":
        return Operand(f"{text} - math.log({writer.size(axis)})", SUM, value.axes, value.rank)
    return Operand(text, ATOM, value.axes, value.rank)


AVERAGES: dict[str, Callable[[Writer, PlanNode], Operand]] = {
    "sum onto": emit_sum_onto,
    "part": emit_part,
    "leave one out": emit_leave_one_out,
    "sum without each": emit_without_each,
    "mean without each": emit_without_each,
}
"""The reductions of estimators."""
