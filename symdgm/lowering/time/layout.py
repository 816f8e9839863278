"""How steps lie in memory: those of one time together, the longest sequence first, none beyond a length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from symdgm.errors import NotSupportedError
from symdgm.expressions.names import Name, Subscripted, spelled
from symdgm.lowering.operands import ATOM, BATCH, STEPS, Axis, Operand
from symdgm.lowering.plan import Kind, PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


@dataclass(frozen=True)
class Layout:
    """The names of what says where steps lie.

    Args:
        rows: the sequence of each step, ``[steps]``.
        counts: how many sequences have each time, a list.
        order: the sequences, the longest first, where their lengths differ.
        valid: which steps of which sequences there are, ``[time, batch]``, likewise.
        longest: the number of steps of the longest sequence.
        lengths: the length of each sequence, ``[batch]``, where they differ.
    """

    rows: str
    counts: str
    longest: str
    order: str = ""
    valid: str = ""
    lengths: str = ""


def layout(writer: Writer, node: PlanNode | None = None) -> Layout:
    """The layout of this evaluation; it is written where it is first needed."""
    if writer.layout is None:
        writer.layout = _written(writer)
    return writer.layout


def _written(writer: Writer) -> Layout:
    time = writer.environment.time
    assert time is not None
    x = _sequence(writer)
    key = f"data:{spelled(time.length)}"
    script = writer.script
    if key not in writer.arguments or writer.arguments[key] not in writer.inputs:
        script.comment("the steps of all sequences, those of one time together")
        rows = script.assign("rows", f"torch.arange({x}.shape[0], device={x}.device).repeat({x}.shape[1])")
        counts = script.assign("counts", f"[{x}.shape[0]] * {x}.shape[1]")
        return Layout(rows, counts, f"{x}.shape[1]")
    lengths = writer.argument(key)
    script.comment("the steps of all sequences, those of one time together, the longest sequence first")
    order = script.assign("order", f"{lengths}.argsort(descending=True, stable=True)")
    text = f"torch.arange({x}.shape[1], device={x}.device)[:, None] < {lengths}[{order}]"
    valid = script.assign("valid", text)
    rows = script.assign("rows", f"{order}.expand({valid}.shape)[{valid}]")
    counts = script.assign("counts", f"[c for c in {valid}.sum(1).tolist() if c]")
    return Layout(rows, counts, f"len({counts})", order, valid, lengths)


def _sequence(writer: Writer) -> str:
    """An observed sequence, which has the batch and the time."""
    for node in writer.planned:
        if node.kind is Kind.STEPS:
            return writer.argument(f"data:{node.args[0].word()}")
    raise NotSupportedError(
        "no sequence is observed, so that nothing says how many steps there are",
        hint="let a factor depend on an observed sequence",
    )


def emit_steps(writer: Writer, node: PlanNode) -> Operand:
    """An observed sequence, step by step; what lies beyond a length is left out."""
    x = writer.operands[node.args[0]]
    named = writer.named(f"{node.args[0].word()}_t", Operand(unpadded(writer, x.text)), node.origin)
    return Operand(named.text, ATOM, (STEPS,), x.rank - 1)


def unpadded(writer: Writer, sequences: str) -> str:
    """The steps of ``[batch, time, *event]`` by name, without what lies beyond a length."""
    steps = layout(writer)
    if not steps.order:
        return f"{sequences}.transpose(0, 1).flatten(0, 1)"
    return f"{sequences}[{steps.order}].transpose(0, 1)[{steps.valid}]"


def emit_time(writer: Writer, node: PlanNode) -> Operand:
    """The number of each step, counted from 1, or how many there are; of a first step apart, 1 for each."""
    device = f"device={writer.argument('device')}"
    if node.word() == BATCH:
        return Operand(f"torch.ones({writer.batch_size()}, dtype=torch.int64, {device})", ATOM, (BATCH,))
    steps = layout(writer)
    if node.word() == "length":
        return (
            Operand(steps.lengths, ATOM, (BATCH,)) if steps.lengths else Operand(steps.longest, number=True)
        )
    text = f"torch.arange(1, {steps.longest} + 1, {device}).repeat_interleave({steps.counts}[0])"
    if steps.valid:
        text = f"{steps.valid}.nonzero()[:, 0] + 1"
    return Operand(writer.named(_hint(node, "t"), Operand(text), node.origin).text, ATOM, (STEPS,))


def emit_gather(writer: Writer, node: PlanNode) -> Operand:
    """What has one value per example, for every step of it."""
    value = writer.operands[node.args[0]]
    if BATCH not in value.axes:
        return value
    index = ", ".join(layout(writer).rows if a == BATCH else ":" for a in value.axes)
    operand = Operand(f"{value.at(ATOM)}[{index}]", ATOM, in_place_of_batch(value.axes, STEPS), value.rank)
    return writer.named(_hint(node, "value") + "_of_steps", operand, node.origin)


def in_place_of_batch(axes: tuple[Axis, ...], rows: Axis) -> tuple[Axis, ...]:
    """Axes with another one where the batch stands."""
    return tuple(rows if a == BATCH else a for a in axes)


def padded(writer: Writer, steps: Operand) -> str:
    """Steps as ``[batch, time, *event]`` again, with zeros beyond each length.

    Raises:
        NotSupportedError: several paths.
    """
    where = layout(writer)
    if steps.axes != (STEPS,):
        raise NotSupportedError(
            f"`{steps.text}` has several draws, which a network over whole sequences cannot read yet",
            hint="leave `samples` out",
        )
    if not where.order:
        return f"{steps.text}.unflatten(0, (len({where.counts}), -1)).transpose(0, 1)"
    mask = f"{where.valid}[{', '.join([':', ':', *['None'] * steps.rank])}]"
    text = f"{steps.text}.new_zeros(*{where.valid}.shape, *{steps.text}.shape[1:])"
    filled = f"{text}.masked_scatter({mask}, {steps.text})[:, {where.order}.argsort()].transpose(0, 1)"
    return writer.shared(f"{steps.text}_padded", filled)


def over_steps(writer: Writer, node: PlanNode, value: Operand) -> Operand:
    """The sum or the mean of each sequence over its steps, from some step on, to some before its end."""
    steps = layout(writer)
    operation, first, dropped = node.word(), node.number(2), node.number(3)
    shortened = first - 1 + dropped
    if STEPS not in value.axes:
        if operation == "mean":
            return value
        return writer.combine("mul", [_number_of_steps(writer, shortened), value])
    value = writer.named("step_term", value, node.origin)
    dim = value.axes.index(STEPS)
    text, rows = value.text, steps.rows
    if first > 1 or dropped:
        picked = _picked(writer, steps, first, dropped)
        text, rows = f"{text}[{', '.join([*[':'] * dim, picked])}]", f"{rows}[{picked}]"
    sizes = ", ".join([*(writer.size(a) for a in value.axes[:dim]), writer.batch_size()])
    total = f"{text}.new_zeros({sizes}).index_add({dim}, {rows}, {text})"
    if operation == "mean":
        over = f"({steps.lengths or steps.longest}{f' - {shortened}' if shortened else ''})"
        return Operand(f"({total} / {over})", ATOM, (*value.axes[:dim], BATCH))
    return Operand(total, ATOM, (*value.axes[:dim], BATCH))


def _number_of_steps(writer: Writer, shortened: int) -> Operand:
    """Over how many steps of each sequence a sum runs that leaves some out."""
    steps = layout(writer)
    if not steps.lengths:
        text = f"max({steps.longest} - {shortened}, 0)" if shortened else steps.longest
        return Operand(text, ATOM, number=True)
    text = f"({steps.lengths} - {shortened}).clamp(min=0)" if shortened else steps.lengths
    return Operand(f"{text}.to({writer.argument('dtype')})", ATOM, (BATCH,))


def _picked(writer: Writer, steps: Layout, first: int, dropped: int) -> str:
    """The steps from some on, to some before the end of each sequence: a slice, or a mask by name."""
    start = f"sum({steps.counts}[:{first - 1}])" if first > 1 else ""
    if not dropped:
        return f"{start}:"
    if not steps.order:
        return f"{start}:-sum({steps.counts}[-{dropped}:])"
    number = writer.shared("number", f"{steps.valid}.cumsum(0)")
    text = f"{number} <= {number}[-1] - {dropped}"
    text = f"({number} >= {first}) & ({text})" if start else text
    return writer.shared("picked", f"({text})[{steps.valid}]")


def emit_first(writer: Writer, node: PlanNode) -> Operand:
    """The first step of every sequence, in the order of the batch."""
    value, steps = writer.operands[node.args[0]], layout(writer)
    if STEPS not in value.axes:
        return value
    dim = value.axes.index(STEPS)
    lead = [":"] * dim
    text = f"{value.at(ATOM)}[{', '.join([*lead, f':{steps.counts}[0]'])}]"
    if steps.order:
        text += f"[{', '.join([*lead, f'{steps.order}.argsort()'])}]"
    axes = tuple(BATCH if a == STEPS else a for a in value.axes)
    return writer.named(_hint(node, "first"), Operand(text, ATOM, axes, value.rank), node.origin)


def emit_step_of(writer: Writer, node: PlanNode) -> Operand:
    """The step of each sequence that data say, counted from 1, or its last."""
    value = writer.named("steps", writer.operands[node.args[0]], node.args[0].origin)
    if writer.operands[node.args[1]].number:  # all are of one length
        text = f"{padded(writer, value)}[:, -1]"
        return writer.named(_hint(node, "last"), Operand(text, ATOM, (BATCH,), value.rank), node.origin)
    index = writer.named("steps", writer.operands[node.args[1]], node.args[1].origin)
    sequences = f"torch.arange({writer.batch_size()}, device={index.text}.device)"
    text = f"{padded(writer, value)}[{sequences}, {index.text} - 1]"
    return writer.named(_hint(node, "picked"), Operand(text, ATOM, (BATCH,), value.rank), node.origin)


def longest_first(writer: Writer, value: Operand) -> str:
    """A value of every example in the order in which steps lie."""
    order = layout(writer).order
    if not order or BATCH not in value.axes:
        return value.at(ATOM)
    lead = [":"] * value.axes.index(BATCH)
    return f"{value.at(ATOM)}[{', '.join([*lead, order])}]"


def _hint(node: PlanNode, otherwise: str) -> str:
    """``x_1`` for the first step of x."""
    return spelled(node.origin) if isinstance(node.origin, Name | Subscripted) else otherwise
