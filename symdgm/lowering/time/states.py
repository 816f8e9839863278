"""The states of a finite latent step, and the value before the first step of a chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from symdgm.distributions import Bernoulli, Categorical
from symdgm.errors import ShapeError
from symdgm.lowering.operands import ATOM, BATCH, Operand
from symdgm.lowering.parameters import known_event
from symdgm.lowering.plan import PlanNode
from symdgm.lowering.states import all_states

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_every_state(writer: Writer, node: PlanNode) -> Operand:
    """All states of a step, along an axis of their own.

    Raises:
        EstimatorError: there are more than are enumerated.
    """
    name, (law,) = node.word(), node.args
    values = writer.laws[law]
    text, total = all_states(writer, values, name)
    writer.axes.insert(0, node)
    writer.lengths[node] = total
    event = known_event(writer, values)
    if node.word(1) == "now":
        writer.script.comment(f"all {total} states of {name}_t, and of the step before")
        return writer.named(f"{name}_states", Operand(text, ATOM, (node,), len(event)), node.origin)
    known = next(o for n, o in writer.operands.items() if n.kind is node.kind and n.args == node.args)
    return Operand(known.text, ATOM, (node,), len(event))


def emit_initial(writer: Writer, node: PlanNode) -> Operand:
    """The value before the first step, one for each sequence.

    Raises:
        ShapeError: nothing says the shape of a number.
    """
    factor, name = writer.environment.factors[node.number()], node.word(1)
    time = writer.environment.time
    assert time is not None and node.origin is not None
    value = time.initial[node.origin]
    writer.script.comment(f"{name}_0, before the first step")
    if isinstance(value, Tensor):
        shape = ", ".join([writer.batch_size(), *map(str, value.shape)])
        text = f"{writer.argument(f'initial:{name}')}.expand({shape})"
        return writer.named(f"{name}_0", Operand(text, ATOM, (BATCH,), value.dim()), node.origin)
    distribution = factor.distribution
    event = getattr(distribution, "event_shape", None) or writer.environment.shapes.get(name)
    if event is None and not isinstance(distribution, Categorical | Bernoulli):
        raise ShapeError(
            f"the event shape of `{name}` before its first step is not known",
            hint=f"give `{name}_0` as a tensor, or declare the shape, as in `{name}=4`",
        )
    shape = ", ".join([writer.batch_size(), *map(str, event or ())])
    index = isinstance(distribution, Categorical)
    dtype = "torch.long" if index else writer.argument("dtype")
    number = int(value) if index else value
    text = f"torch.full(({shape},), {number}, dtype={dtype}, device={writer.argument('device')})"
    return writer.named(f"{name}_0", Operand(text, ATOM, (BATCH,), len(event or ())), node.origin)
