"""Points and their divergences in generated code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symdgm.distributions.shapes import show
from symdgm.errors import EstimatorError, ShapeError
from symdgm.lowering.divergence_options import MMD, Energy, Sinkhorn
from symdgm.lowering.operands import ATOM, BATCH, Axis, Operand
from symdgm.lowering.plan import PlanNode
from symdgm.lowering.sample_divergences import Comparison

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_axis(writer: Writer, node: PlanNode) -> Operand:
    """An axis of points, before all others; nothing is written."""
    writer.axes.insert(0, node)
    return Operand(str(node.number(2)), number=True)


def emit_comparison(writer: Writer, node: PlanNode) -> Operand:
    """The divergence of two sets of points.

    Raises:
        ShapeError: points of different lengths, or no real numbers.
        EstimatorError: a single point.
    """
    comparison = node.detail[0]
    assert isinstance(comparison, Comparison)
    first, second = comparison.axes
    plates = [node.args[:first], node.args[first : first + second]]
    values = node.args[first + second :]
    sides = [values[: comparison.split], values[comparison.split :]]
    points = [
        _points(writer, side, plate, comparison.by_example, stopped)
        for side, plate, stopped in zip(sides, plates, comparison.stopped, strict=True)
    ]
    _check(writer, points, node)
    (x, y), axes, _ = writer.aligned(points)
    return Operand(_compared(writer, comparison, x.text, y.text, node), ATOM, axes)


def _points(
    writer: Writer, side: Sequence[PlanNode], plates: Sequence[PlanNode], by_example: bool, stopped: bool
) -> Operand:
    """The points of one law, ``[..., points, numbers]``: its variables side by side, their events flat."""
    operands = [writer.operands[v] for v in side]
    for operand, variable in zip(operands, side, strict=True):
        _check_real(writer, operand, variable)
    spread = [*plates, *([] if by_example else [BATCH])]
    axes = tuple(a for a in writer.axes if a in spread or any(a in o.axes for o in operands))
    texts = [_flat(writer, o, axes, spread) for o in operands]
    text = f"torch.cat([{', '.join(texts)}], -1)" if len(texts) > 1 else texts[0]
    text = f"{text}.detach()" if stopped else text
    name = "points" if len(side) > 1 else side[0].origin
    rest = tuple(a for a in axes if a not in spread)
    return writer.named(f"{name}_points", Operand(text, ATOM, rest, 2))


def _flat(writer: Writer, operand: Operand, axes: tuple[Axis, ...], spread: Sequence[Axis]) -> str:
    """A value as ``[..., points, numbers]``: the axes of points become one, the event another."""
    lead = writer.lead(operand, axes)
    text = lead.at(ATOM)
    if operand.axes != axes:
        sizes = ["-1" if a in operand.axes else writer.size(a) for a in axes]
        text += f".expand({', '.join([*sizes, *['-1'] * operand.rank])})"
    count = len(axes)
    if operand.rank > 1:
        text += f".flatten({count})"
    elif not operand.rank:
        text += "[..., None]"
    inside = [i for i, a in enumerate(axes) if a in spread]
    if len(inside) == count:
        return f"{text}.flatten(0, {count - 1})" if count > 1 else text
    return f"{text}.movedim({inside[0]}, -2)"


def _check_real(writer: Writer, operand: Operand, variable: PlanNode) -> None:
    value = writer.value(operand)
    if not value.is_floating_point():
        raise ShapeError(
            f"`{variable.origin}` has the dtype {value.dtype}, but distances are measured between "
            "real numbers",
            hint="give classes one-hot, as floating values",
        )


def _check(writer: Writer, points: Sequence[Operand], node: PlanNode) -> None:
    shapes = [writer.value(p).shape for p in points]
    if shapes[0][-1] != shapes[1][-1]:
        raise ShapeError(
            f"`{node.origin}` compares points of {shapes[0][-1]} numbers with points of {shapes[1][-1]}",
            hint="both laws must have the same event shape",
        )
    if min(s[-2] for s in shapes) < 2:
        table = " and ".join(show(s) for s in shapes)
        raise EstimatorError(
            f"`{node.origin}` is estimated from pairs of points, but there is one: {table}",
            hint="evaluate a batch of several examples, or ask for more draws by `n=` or `samples=`",
        )


def _compared(writer: Writer, comparison: Comparison, x: str, y: str, node: PlanNode) -> str:
    """The call that compares points."""
    option = comparison.option
    if isinstance(option, MMD):
        return f"{option.statistic}_mmd({x}, {y}, {_kernel(writer, comparison, option, x, y, node)})"
    if isinstance(option, Energy):
        return f"{option.statistic}_mmd({x}, {y}, energy_kernel)"
    if isinstance(option, Sinkhorn):
        return f"sinkhorn({x}, {y}, order={option.order}, blur={option.blur}, scaling={option.scaling})"
    drawn = f"random_directions({option.slices}, {x})"
    directions = writer.script.assign("directions", drawn, node.origin)
    return f"sliced_wasserstein({x}, {y}, {directions}, order={option.order})"


def _kernel(writer: Writer, comparison: Comparison, option: MMD, x: str, y: str, node: PlanNode) -> str:
    """The kernel and its widths."""
    if comparison.kernel is not None:
        return writer.argument(f"network:{comparison.kernel}")
    widths = f"[{', '.join(map(repr, option.widths or ()))}]"
    if option.by_median:
        widths = writer.script.assign("widths", f"median_widths({x}, {y})", node.origin)
    return f"{option.kernel}_kernel, {widths}"
