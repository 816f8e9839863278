"""Networks that read whole sequences, in generated code."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from sympy import Basic
from torch import Tensor, nn

from symdgm.binding import Environment
from symdgm.errors import NotSupportedError, ShapeError
from symdgm.expressions.names import base, spelled
from symdgm.lowering.networks import run_call
from symdgm.lowering.operands import ATOM, STEPS, Operand
from symdgm.lowering.plan import PlanNode
from symdgm.lowering.time.beginning import beginning_of
from symdgm.lowering.time.cells import emit_cell, is_cell
from symdgm.lowering.time.layout import layout, padded, unpadded
from symdgm.lowering.time.sequences import FUSED

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_sequence(writer: Writer, node: PlanNode) -> Operand:
    """A network over whole sequences: recurrent modules in either direction of time, others as they are.

    Raises:
        ShapeError: what it returns has not one value a step.
    """
    name, direction, sequence = node.detail
    source, steps = writer.frozen.readings[node], layout(writer)
    inputs = [writer.named("input", writer.operands[a], a.origin) for a in node.args]
    call = writer.argument(f"network:{name}")
    if isinstance(source.call, FUSED):
        return _recurrent(writer, node, inputs, call, str(direction) == "backward")
    whole = [padded(writer, i) for i in inputs]
    options = [f"lengths={steps.lengths}"] if steps.lengths and _takes_lengths(source.call) else []
    text = f"{call}({', '.join([*whole, *options])})"
    found = run_call(writer, text, inputs)
    if not isinstance(found, Tensor) or found.dim() < 2:
        raise ShapeError(
            f"`{source.label}` returned no tensor [batch, time, *event]",
            hint="a network over whole sequences returns one value for each step",
        )
    hidden = writer.script.names.fresh(_spelled(sequence))
    writer.script.values[hidden] = found
    writer.script.record(f"{hidden} = {text}", (hidden,), node.origin)
    flat = Operand(unpadded(writer, hidden), ATOM, (STEPS,), found.dim() - 2)
    return writer.named(f"{hidden}_t", flat, node.origin)


def _takes_lengths(call: object) -> bool:
    target = call.forward if isinstance(call, nn.Module) else call
    try:
        return "lengths" in inspect.signature(target).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _recurrent(writer: Writer, node: PlanNode, inputs: list[Operand], call: str, backward: bool) -> Operand:
    """A recurrent module over the steps of all sequences, forward or backward in time.

    It reads padded sequences: steps beyond a length come after all others, so that they change nothing, and
    PyTorch's gradient of packed ones grows with the square of the number of steps on a CPU. Only a module
    that reads in both directions must not see them.
    """
    steps, script = layout(writer), writer.script
    module: Any = writer.frozen.readings[node].call
    text = inputs[0].text if len(inputs) == 1 else f"torch.cat([{', '.join(i.text for i in inputs)}], -1)"
    name = _spelled(node.detail[2])
    flip = writer.flip(steps) if backward else ""
    if flip:
        text = f"{text}[{flip}]"
    start = _start(writer, node, backward)
    comment = _comment(writer, node, backward)
    plain = writer.inputs[call] is module and not writer.frozen.segments.some
    if plain and is_cell(module, script.run(text)):
        return emit_cell(writer, node, text, start, flip, comment)
    start = f", {start}[None]" if start else ""
    if module.bidirectional and steps.order:
        _called(writer, node, call, text, start)
        run = f"{call}(PackedSequence({text}, torch.tensor({steps.counts})){start})[0].data"
    else:
        grid, back = f"{text}.unflatten(0, (len({steps.counts}), -1))", ".flatten(0, 1)"
        if steps.order:
            values = text if text.isidentifier() else script.assign(f"{name}_input", text)
            shape, mask = f"*{steps.valid}.shape, {values}.shape[-1]", f"{steps.valid}[:, :, None]"
            grid, back = f"{values}.new_zeros({shape}).masked_scatter({mask}, {values})", f"[{steps.valid}]"
            grid = script.assign(f"{name}_padded", grid)
        turn = ".transpose(0, 1)" if module.batch_first else ""
        run = f"{_called(writer, node, call, f'{grid}{turn}', start)}{turn}{back}"
    found = run_call(writer, run, inputs)
    name = script.names.fresh(f"{name}_t")
    script.values[name] = found[script.values[flip]] if flip else found
    script.comment(comment)
    script.record(f"{name} = {run}{f'[{flip}]' if flip else ''}", (name,), node.origin)
    return Operand(name, ATOM, (STEPS,), 1)


def _called(writer: Writer, node: PlanNode, call: str, text: str, start: str) -> str:
    """The outputs of a recurrent module, whose state is cut or computed anew as that of a loop is.

    Raises:
        NotSupportedError: gradients that stop in a module that reads in both directions.
    """
    segments, module = writer.frozen.segments, writer.frozen.readings[node].call
    assert isinstance(module, FUSED)
    length = segments.truncate or segments.checkpoint
    if segments.truncate and module.bidirectional:
        raise NotSupportedError(
            f"`truncate` cannot stop gradients in `{node.origin}`, whose module reads in both directions",
            hint="use two modules, one forward and one backward in time, or leave `truncate` out",
        )
    if not length or module.bidirectional:
        return f"{call}({text}{start})[0]"
    options = [f"dim={int(module.batch_first)}"]
    options += ["stop=True"] if segments.truncate else []
    options += ["again=True"] if segments.checkpoint else []
    options += [f"state={start.removeprefix(', ')}"] if start else []
    return f"in_segments({call}, {text}, {length}, {', '.join(options)})"


def _start(writer: Writer, node: PlanNode, backward: bool) -> str:
    """The state before the first step, where one is bound; a module begins with zeros by itself.

    Raises:
        NotSupportedError: a module that has another state than its last output.
    """
    sequence, time = node.detail[2], writer.environment.time
    assert time is not None and isinstance(sequence, Basic)
    value = time.initial.get(sequence, 0.0)
    if not isinstance(value, Tensor) and value == 0:
        return ""
    call, name = writer.frozen.readings[node].call, spelled(sequence)
    if not isinstance(call, FUSED) or not can_begin(call, str(node.detail[1])):
        raise NotSupportedError(
            f"`{name}_0` cannot begin `{node.origin}` yet",
            hint="a value of its own begins an nn.RNN or nn.GRU of one layer that runs forward; "
            "write other recurrences by a cell",
        )
    sizes = f"{layout(writer).counts}[0], {call.hidden_size}"
    if isinstance(value, Tensor):
        return f"{writer.argument(f'initial:{name}')}.expand({sizes}).contiguous()"
    like = f"dtype={writer.argument('dtype')}, device={writer.argument('device')}"
    return f"torch.full(({sizes}), {value}, {like})"


def _comment(writer: Writer, node: PlanNode, backward: bool) -> str:
    """What is said in generated code of the state that a recurrence begins with."""
    sequence, time = node.detail[2], writer.environment.time
    assert time is not None and isinstance(sequence, Basic)
    if not names_its_state(writer.environment, node):
        return ""
    after = f"{spelled(sequence)}_{{{spelled(time.length)}+1}} = 0, after the last step"
    return after if backward else beginning_of(writer, sequence)


def can_begin(call: object, direction: object) -> bool:
    """Whether a recurrent module can begin with a state that is bound."""
    known = isinstance(call, nn.RNN | nn.GRU) and (call.num_layers, call.bidirectional) == (1, False)
    return known and direction == "forward"


def names_its_state(environment: Environment, node: PlanNode) -> bool:
    """Whether the factor of a network over whole sequences is written as given its own step before."""
    factors = (f for f in environment.factors if f.node == node.origin)
    return any(base(given) == node.detail[2] for factor in factors for given in factor.givens)


def _spelled(sequence: object) -> str:
    assert isinstance(sequence, Basic)
    return spelled(sequence)
