"""Calls of networks in generated code: leading axes flattened to one batch axis, outputs unpacked to names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from symdgm.distributions.shapes import show
from symdgm.errors import ShapeError, SymdgmError
from symdgm.expressions.applications import Density
from symdgm.expressions.names import spelled
from symdgm.lowering.operands import ATOM, Axis, Operand
from symdgm.lowering.plan import PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.emit import Writer


def emit_network(writer: Writer, node: PlanNode) -> Operand:
    """Call a network once, and name what it gives."""
    name = str(node.detail[0])
    source = writer.frozen.sources[name]
    inputs = [writer.named("input", writer.operands[a], a.origin) for a in node.args]
    axes = tuple(a for a in writer.axes if any(a in i.axes for i in inputs))
    lead = _lead(writer, inputs, axes)
    texts = [_flattened(i, axes, lead) for i in inputs] if len(axes) > 1 else [i.text for i in inputs]
    if source.by_keyword:
        texts = [f"{k}={t}" for k, t in zip(source.arguments, texts, strict=True)]
    call = f"{writer.argument(f'network:{name}')}({', '.join(texts)})"
    raw = _run(writer, call, inputs)
    restore = f".unflatten(0, {lead})" if len(axes) > 1 else ""
    outputs = source.read(raw)
    names = _unpack(writer, node, raw, tuple(outputs), call, restore)
    writer.outputs[node] = {
        key: _checked(writer, names[key], axes, f"{source.label}({', '.join(i.text for i in inputs)})") for key in outputs
    }
    return next(iter(writer.outputs[node].values()))


def _lead(writer: Writer, inputs: list[Operand], axes: tuple[Axis, ...]) -> str:
    """The text of the leading shape, read off an input that has all of it where there is one."""
    full = next((i for i in inputs if i.axes == axes), None)
    if full is not None:
        return f"{full.text}.shape[:{len(axes)}]"
    return f"({', '.join(writer.size(a) for a in axes)})"


def _flattened(operand: Operand, axes: tuple[Axis, ...], lead: str) -> str:
    """An input with all leading axes flattened to one."""
    last = len(axes) - 1
    if operand.axes == axes:
        return f"{operand.text}.flatten(0, {last})"
    have = ", ".join(":" if a in operand.axes else "None" for a in axes)
    return f"{operand.text}[{have}].expand(*{lead}, *{operand.text}.shape[{len(operand.axes)}:]).flatten(0, {last})"


def _run(writer: Writer, call: str, inputs: list[Operand]) -> Any:
    try:
        return writer.script.run(call)
    except SymdgmError:
        raise
    except RuntimeError as error:
        shapes = ", ".join(f"{i.text} {show(writer.value(i).shape)}" for i in inputs)
        raise ShapeError(f"the network failed in `{call}` with {shapes}: {error}", hint="check the shape of its input") from error
    except Exception as error:
        error.add_note(f"while computing `{call}`")
        raise


def _unpack(writer: Writer, node: PlanNode, raw: Any, keys: tuple[str, ...], call: str, restore: str) -> dict[str, str]:
    """Record the statement that calls the network and names its outputs; their values are those of ``raw``."""
    prefix = _prefix(node)
    if isinstance(raw, Tensor):
        name = writer.script.names.fresh(f"{prefix}_{keys[0]}" if keys[0] != "value" else prefix)
        writer.script.values[name] = raw
        writer.script.record(f"{name} = {call}{restore}", (name,), node.origin)
        _restore(writer, [name], restore)
        return {keys[0]: name}
    if isinstance(raw, Mapping):
        whole = writer.script.names.fresh(prefix)
        writer.script.values[whole] = raw
        writer.script.record(f"{whole} = {call}", (whole,), node.origin)
        return {k: _entry(writer, f"{whole}[{k!r}]", f"{prefix}_{k}", raw[k], restore, node) for k in keys}
    names = [writer.script.names.fresh(f"{prefix}_{k}") for k in keys]
    writer.script.values.update(zip(names, raw, strict=True))
    writer.script.record(f"{', '.join(names)}{',' * (len(names) == 1)} = {call}", tuple(names), node.origin)
    if restore or not all(isinstance(v, Tensor) for v in raw):
        names = [_entry(writer, n, n, v, restore, node) for n, v in zip(names, raw, strict=True)]
    return dict(zip(keys, names, strict=True))


def _restore(writer: Writer, names: list[str], restore: str) -> None:
    for name in names:
        if restore:
            writer.script.values[name] = writer.script.run(f"{name}{restore}")


def _entry(writer: Writer, text: str, hint: str, value: object, restore: str, node: PlanNode) -> str:
    if not isinstance(value, Tensor):
        like = f"dtype={writer.argument('dtype')}, device={writer.argument('device')}"
        return writer.script.assign(hint, f"torch.tensor({text}, {like})", node.origin)
    return writer.script.assign(hint, f"{text}{restore if value.dim() else ''}", node.origin)


def _checked(writer: Writer, name: str, axes: tuple[Axis, ...], call: str) -> Operand:
    """The operand of an output; a network must keep the batch axis."""
    tensor = writer.script.values[name]
    if tensor.dim() == 0:
        return Operand(name)
    wanted = tuple(int(writer.script.run(writer.size(a))) for a in axes)
    if tuple(tensor.shape[: len(axes)]) != wanted:
        raise ShapeError(
            f"`{call}` returned shape {show(tensor.shape)} for a batch of {', '.join(map(str, wanted))}",
            hint="a network keeps the batch as the first axis of all that it returns",
        )
    return Operand(name, ATOM, axes, tensor.dim() - len(axes))


def _prefix(node: PlanNode) -> str:
    """``q_z`` for q(z|x), ``G_z`` for G(z)."""
    assert node.origin is not None
    head, values = node.origin.args[0], node.origin.values if isinstance(node.origin, Density) else node.origin.args[1:]
    return "_".join(map(spelled, (head, *values)))
