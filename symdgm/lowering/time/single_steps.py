"""A recurrent module of PyTorch as one step of a loop, where what it reads is drawn in the same step."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from symdgm.errors import NotSupportedError
from symdgm.expressions.applications import Density
from symdgm.expressions.names import base
from symdgm.lowering.plan import PlanNode


def is_one_step(call: object, node: PlanNode) -> bool:
    """Whether a call makes a state from the state before by a recurrent module."""
    return isinstance(call, nn.RNNBase) and _state(node) is not None


def one_step(module: object, node: PlanNode, call: str, inputs: Sequence[str]) -> str:
    """The next state from what is read and the state before: a call for sequences of one step.

    Args:
        module: the module; its state must be what it returns.
        node: the call.
        call: the source of the module.
        inputs: the sources of what it reads and of the state before, ``[batch, features]``.

    Raises:
        NotSupportedError: a module that carries more than what it returns.
    """
    place = _state(node)
    assert isinstance(module, nn.RNNBase) and place is not None
    if isinstance(module, nn.LSTM) or module.num_layers > 1 or module.bidirectional:
        raise NotSupportedError(
            f"`{node.origin}` reads draws of its own step, and carries more than it returns, which cannot be "
            "computed yet",
            hint="use an nn.RNN or nn.GRU of one layer, or write a cell whose state is one tensor",
        )
    read = [text for i, text in enumerate(inputs) if i != place]
    value = read[0] if len(read) == 1 else f"torch.cat([{', '.join(read)}], -1)"
    step = "[:, None]" if module.batch_first else "[None]"
    return f"{call}({value}{step}, {inputs[place]}[None])[1][0]"


def _state(node: PlanNode) -> int | None:
    """Which of the inputs is the state before, ``h_{t-1}`` of ``h(h_t|x_t, h_{t-1})``."""
    law = node.origin
    if not isinstance(law, Density):
        return None
    own = [base(value) for value in law.values]
    return next((i for i, given in enumerate(law.givens) if base(given) in own), None)
