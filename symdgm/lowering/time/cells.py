"""Recurrent modules step by step, where PyTorch has no kernel for whole sequences: on a CPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from sympy import Basic
from torch import nn

from symdgm.distributions.reach import all_hooked, is_hooked
from symdgm.expressions.names import spelled
from symdgm.lowering.operands import ATOM, STEPS, Operand
from symdgm.lowering.plan import PlanNode
from symdgm.lowering.time.layout import layout

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer

RNN = """def {step}(count, {h}_before, {h}_input_now):
    {h}_now = torch.{activation}({h}_input_now + linear({h}_before, {weight}))
    return [{h}_now], [{h}_now]"""
GRU = """def {step}(count, {h}_before, {h}_input_now):
    reset, update, new = {h}_input_now.chunk(3, -1)
    reset_before, update_before, new_before = linear({h}_before, {weight}{bias}).chunk(3, -1)
    new = torch.tanh(new + torch.sigmoid(reset + reset_before) * new_before)
    {h}_now = new + torch.sigmoid(update + update_before) * ({h}_before - new)
    return [{h}_now], [{h}_now]"""
LSTM = """def {step}(count, {h}_before, {h}_memory, {h}_input_now):
    keep_in, forget, new, out = ({h}_input_now + linear({h}_before, {weight})).chunk(4, -1)
    {h}_memory = torch.sigmoid(forget) * {h}_memory + torch.sigmoid(keep_in) * torch.tanh(new)
    {h}_now = torch.sigmoid(out) * torch.tanh({h}_memory)
    return [{h}_now, {h}_memory], [{h}_now]"""
STEPS_OF: dict[type[nn.Module], str] = {nn.RNN: RNN, nn.GRU: GRU, nn.LSTM: LSTM}
"""The step of each module, as its documentation has it."""


def recurrent(networks: Iterable[object]) -> list[nn.Module]:
    """Those among some networks that may run step by step."""
    return [n for n in networks if isinstance(n, nn.Module) and isinstance(n, tuple(STEPS_OF))]


def is_as_written(module: nn.Module) -> bool:
    """Whether a module is what its class says: nobody hears of its calls, and nothing stands in between."""
    bare = type(module) in STEPS_OF and "forward" not in vars(module)
    return bare and not is_hooked(module) and not all_hooked()


def is_cell(module: Any, values: torch.Tensor) -> bool:
    """Whether a module runs step by step: one layer in one direction, whose weights are all that it is.

    Args:
        module: recurrent.
        values: what it reads, ``[steps, features]``.
    """
    return (
        is_as_written(module)
        and values.device.type == "cpu"
        and values.shape[1:] == (module.input_size,)
        and (module.num_layers, module.bidirectional, module.proj_size) == (1, False, 0)
    )


def emit_cell(writer: Writer, node: PlanNode, text: str, start: str, flip: str, comment: str = "") -> Operand:
    """Write a recurrence over the steps of all sequences.

    Args:
        writer: writes the code.
        node: the call of the module.
        text: what it reads, ``[steps, features]``.
        start: the state before the first step, or nothing for zeros.
        flip: the place of each step when every sequence is read from its end, or nothing.
        comment: what is said of the state before the first step.
    """
    script, counts = writer.script, layout(writer).counts
    module: Any = writer.frozen.readings[node].call
    call, sequence = writer.argument(f"network:{node.word()}"), node.detail[2]
    assert isinstance(sequence, Basic)
    h, before = spelled(sequence), f"{call}.bias_hh_l0"
    added = f", {call}.bias_ih_l0" if module.bias else ""
    if module.bias and not isinstance(module, nn.GRU):
        added += f" + {before}"
    read = script.assign(f"{h}_input", f"linear({text}, {call}.weight_ih_l0{added})", node.origin)
    zeros = f"{read}.new_zeros({counts}[0], {module.hidden_size})"
    state = [start or zeros, *([zeros] if isinstance(module, nn.LSTM) else [])]
    step = script.names.fresh(f"{h}_step")
    source = STEPS_OF[type(module)].format(
        step=step, h=h, weight=f"{call}.weight_hh_l0", bias=f", {before}" if module.bias else "",
        activation=getattr(module, "nonlinearity", ""),
    )  # fmt: skip
    exec(compile(source, "<symdgm>", "exec"), script.values)
    script.record(source, (step,))
    run = f"carried({step}, {counts}, [{', '.join(state)}], [{read}])[0]{f'[{flip}]' if flip else ''}"
    script.comment(comment)
    return Operand(script.assign(f"{h}_t", run, node.origin), ATOM, (STEPS,), 1)
