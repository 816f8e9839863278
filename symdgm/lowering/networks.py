"""Calls of networks in generated code: leading axes flattened to one, outputs unpacked to names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from torch import Tensor

from symdgm.distributions import NetworkSource
from symdgm.distributions.failures import attempt
from symdgm.distributions.shapes import show
from symdgm.errors import ShapeError
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.names import base, spelled
from symdgm.lowering.naming import literal
from symdgm.lowering.operands import ACTIVE, ATOM, STEPS, Axis, Operand
from symdgm.lowering.plan import PlanNode
from symdgm.lowering.row_helpers import REPAYS
from symdgm.lowering.sources import function_source
from symdgm.lowering.time.layout import layout, padded
from symdgm.lowering.time.single_steps import is_one_step, one_step
from symdgm.lowering.time.so_far import so_far

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


@dataclass(frozen=True)
class Called:
    """What a call gave.

    Args:
        raw: what the network returned in this evaluation.
        outputs: its outputs under the names of its first reader.
    """

    raw: Any
    outputs: Mapping[str, Operand]


@dataclass(frozen=True)
class _Call:
    """A call while it is written.

    Args:
        node: the call.
        text: its source.
        axes: the leading axes of its inputs.
        lead: the source of the shape of those axes.
        sizes: that shape in this evaluation.
        single: whether what is the same for all examples is given as a batch of one.
    """

    node: PlanNode
    text: str
    axes: tuple[Axis, ...]
    lead: str
    sizes: tuple[int, ...]
    single: bool = False

    @property
    def restore(self) -> str:
        """What gives the leading axes back."""
        if self.single:
            return "[0]"
        return f".unflatten(0, {self.lead})" if len(self.axes) > 1 else ""

    @property
    def prefix(self) -> str:
        """``q_z`` for q(z|x), ``G_z`` for G(z), ``h_t`` for the state h(h_t|x_t)."""
        origin = self.node.origin
        assert isinstance(origin, Apply | Density)
        values = origin.values if isinstance(origin, Density) else origin.args[1:]
        own = [spelled(v) for v in values]
        head = spelled(origin.args[0])
        return (
            own[0] if own[:1] == [self.own] and base(values[0]) == origin.args[0] else "_".join([head, *own])
        )

    @property
    def own(self) -> str:
        """The name of the only value of a law, which a network that gives the value itself returns."""
        origin = self.node.origin
        values = origin.values if isinstance(origin, Density) else ()
        return spelled(values[0]) if len(values) == 1 else ""


def emit_network(writer: Writer, node: PlanNode) -> Operand:
    """Call a network once, and name what it gives."""
    source = writer.frozen.readings[node]
    inputs = [_input(writer, a) for a in node.args]
    whole = len(node.detail) > 1
    active = any(ACTIVE in i.axes for i in inputs)
    write = (_until_now if active else _whole) if whole else _call
    call = write(writer, node, source, inputs)
    raw = run_call(writer, call.text, inputs)
    shown = f"{source.label}({', '.join(i.text for i in inputs)})"
    outputs = _unpack(writer, call, raw, source.read(raw), shown)
    writer.called[node] = Called(raw, outputs)
    return next(iter(outputs.values()))


def emit_output(writer: Writer, node: PlanNode) -> Operand:
    """The one tensor that a function of the formula returns."""
    name, network = node.word(), node.args[0]
    source = function_source(name, writer.frozen.sources[network.word()].call, len(network.args))
    return read_outputs(writer, network, source)["value"]


def read_outputs(writer: Writer, network: PlanNode, source: NetworkSource) -> dict[str, Operand]:
    """The outputs of a call as one of its readers names them: by name, or in their order."""
    called = writer.called[network]
    names = tuple(source.read(called.raw))
    if set(names) == set(called.outputs) and _is_by_name(called.raw):
        return {name: called.outputs[name] for name in names}
    return dict(zip(names, called.outputs.values(), strict=True))


def _is_by_name(raw: object) -> bool:
    """Whether a network named what it returned; a plain tuple is read in the order of each reader."""
    return isinstance(raw, Mapping) or (isinstance(raw, tuple) and bool(getattr(raw, "_fields", ())))


def _input(writer: Writer, node: PlanNode) -> Operand:
    operand = writer.operands[node]
    return operand if operand.number else writer.named("input", operand, node.origin)


def _call(writer: Writer, node: PlanNode, source: NetworkSource, inputs: list[Operand]) -> _Call:
    axes = tuple(a for a in writer.axes if any(a in i.axes for i in inputs))
    lead = _lead(writer, inputs, axes)
    single = not axes and any(i.rank and not i.number for i in inputs)
    once = _repays(writer, inputs, axes)
    texts = [_flattened(i, axes, lead, once=once) if axes else _alone(i, single) for i in inputs]
    if source.by_keyword:
        texts = [f"{k}={t}" for k, t in zip(source.arguments, texts, strict=True)]
    call = writer.argument(f"network:{node.word()}")
    text = f"{call}({', '.join(texts)})"
    if is_one_step(source.call, node):
        text = one_step(source.call, node, call, texts)
    sizes = tuple(int(writer.script.run(writer.size(a))) for a in axes)
    return _Call(node, text, axes, lead, sizes, single)


def _alone(operand: Operand, single: bool) -> str:
    """A value that is the same for all examples: a batch of one, since networks take batches."""
    return f"{operand.text}[None]" if single and operand.rank else operand.text


def _whole(writer: Writer, node: PlanNode, source: NetworkSource, inputs: list[Operand]) -> _Call:
    """A call over whole sequences, whose outputs are taken step by step."""
    steps = layout(writer)
    texts = [padded(writer, i) if STEPS in i.axes else i.text for i in inputs]
    if source.by_keyword:
        texts = [f"{k}={t}" for k, t in zip(source.arguments, texts, strict=True)]
    places = f", {steps.order}, {steps.valid}" if steps.order else ""
    text = f"unpadded({writer.argument(f'network:{node.word()}')}({', '.join(texts)}){places})"
    return _Call(node, text, (STEPS,), "", (int(writer.script.run(writer.size(STEPS))),))


def _until_now(writer: Writer, node: PlanNode, source: NetworkSource, inputs: list[Operand]) -> _Call:
    """A call over all steps so far, whose last outputs are taken."""
    texts = [so_far(writer, node, i) if i.axes else i.text for i in inputs]
    if source.by_keyword:
        texts = [f"{k}={t}" for k, t in zip(source.arguments, texts, strict=True)]
    text = f"latest({writer.argument(f'network:{node.word()}')}({', '.join(texts)}))"
    return _Call(node, text, (ACTIVE,), "", (int(writer.script.run("count")),))


def _lead(writer: Writer, inputs: list[Operand], axes: tuple[Axis, ...]) -> str:
    """The text of the leading shape, read off an input that has all of it where there is one."""
    full = next((i for i in inputs if i.axes == axes and axes), None)
    if full is not None:
        return f"{full.text}.shape[:{len(axes)}]"
    return f"({', '.join(writer.size(a) for a in axes)})"


def _repays(writer: Writer, inputs: list[Operand], axes: tuple[Axis, ...]) -> bool:
    """Whether so much is the same along a leading axis that the network should compute it once."""
    if len(axes) < 2:
        return False
    rows, numbers = prod(int(writer.script.run(writer.size(a))) for a in axes), 0
    for operand in inputs:
        value = None if operand.number else writer.value(operand)
        if isinstance(value, Tensor) and (operand.axes or operand.rank):
            own = len(operand.axes)
            alike = operand.axes != axes or 0 in value.stride()[:own]
            numbers += alike * rows * prod(value.shape[own:])
    return numbers >= REPAYS


def _flattened(operand: Operand, axes: tuple[Axis, ...], lead: str, *, once: bool) -> str:
    """An input with all leading axes flattened to one; a scalar has none."""
    if operand.number or (not operand.axes and not operand.rank):
        return operand.text
    last = len(axes) - 1
    if not last:
        return operand.text if operand.axes else f"{operand.text}.expand(*{lead}, *{operand.text}.shape)"
    if operand.axes == axes:
        return f"as_rows({operand.text}, {last + 1})" if once else f"{operand.text}.flatten(0, {last})"
    have = ", ".join(":" if a in operand.axes else "None" for a in axes)
    rest = f"{operand.text}.shape[{len(operand.axes)}:]"
    full = f"{operand.text}[{have}].expand(*{lead}, *{rest})"
    return f"as_rows({full}, {last + 1})" if once else f"{full}.flatten(0, {last})"


def run_call(writer: Writer, text: str, inputs: list[Operand]) -> Any:
    """What a call returns in this evaluation.

    Raises:
        ShapeError: the network fails, or takes no number where the formula has one.
    """
    numbers = ", ".join(f"`{i.text}`" for i in inputs if i.number)
    try:
        return attempt(
            lambda: writer.script.run(text),
            f"`{text}`",
            lambda: {i.text: writer.value(i) for i in inputs if not i.number},
        )
    except (TypeError, AttributeError) as error:
        if not numbers:
            raise
        raise ShapeError(
            f"the network failed in `{text}` with the number {numbers}: {error}",
            hint="write a variable there, or let the network take a number",
        ) from error


def _unpack(
    writer: Writer, call: _Call, raw: Any, read: Mapping[str, Tensor], shown: str
) -> dict[str, Operand]:
    """Record the statement that calls the network and names its outputs, whose values are known."""
    for tensor in read.values():
        _check_batch(call, tensor, shown)
    if isinstance(raw, Mapping):
        whole = _recorded(writer, call, (call.prefix,))[0]
        writer.script.values[whole] = raw
        return {k: _entry(writer, call, f"{whole}[{literal(k)}]", f"{call.prefix}_{k}", raw[k]) for k in read}
    plain = ("value", call.own)
    hints = tuple(call.prefix if k in plain else f"{call.prefix}_{k}" for k in read)
    if not isinstance(raw, tuple | list):
        (key,) = read
        return {key: _single(writer, call, raw, hints[0])}
    names = _recorded(writer, call, hints, unpacked=True)
    writer.script.values.update(zip(names, raw, strict=True))
    return {k: _entry(writer, call, n, n, v) for k, n, v in zip(read, names, raw, strict=True)}


def _single(writer: Writer, call: _Call, raw: Tensor | float, hint: str) -> Operand:
    """The one output of a network, under its name from the start."""
    if not isinstance(raw, Tensor) or not raw.dim() or not call.restore:
        (name,) = _recorded(writer, call, (hint,))
        writer.script.values[name] = raw
        return _entry(writer, call, name, hint, raw)
    name = writer.script.names.fresh(hint)
    writer.script.values[name] = raw
    writer.script.values[name] = writer.script.run(f"{name}{call.restore}")
    writer.script.record(f"{name} = {call.text}{call.restore}", (name,), call.node.origin)
    return Operand(name, ATOM, call.axes, raw.dim() - 1)


def _recorded(writer: Writer, call: _Call, hints: tuple[str, ...], *, unpacked: bool = False) -> list[str]:
    names = [writer.script.names.fresh(h) for h in hints]
    comma = "," if unpacked and len(names) == 1 else ""
    writer.script.record(f"{', '.join(names)}{comma} = {call.text}", tuple(names), call.node.origin)
    return names


def _check_batch(call: _Call, tensor: Tensor, shown: str) -> None:
    """Refuse an output that has lost the batch axis."""
    if tensor.dim() and call.sizes and tensor.shape[0] != prod(call.sizes):
        raise ShapeError(
            f"`{shown}` returned shape {show(tensor.shape)} for a batch of {prod(call.sizes)}",
            hint="a network keeps the batch as the first axis of all that it returns",
        )


def _entry(writer: Writer, call: _Call, text: str, hint: str, value: object) -> Operand:
    """An output under a name, with its leading axes."""
    if not isinstance(value, Tensor):
        like = f"dtype={writer.argument('dtype')}, device={writer.argument('device')}"
        return Operand(writer.script.assign(hint, f"torch.full((), {text}, {like})", call.node.origin))
    restored = text + (call.restore if value.dim() else "")
    name = text if restored.isidentifier() else writer.script.assign(hint, restored, call.node.origin)
    if not value.dim():
        return Operand(name)
    return Operand(name, ATOM, call.axes, writer.script.values[name].dim() - len(call.axes))
