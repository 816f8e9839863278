"""One step of a loop, forward and backward, as operations on any number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import CellType, CodeType
from typing import Any, Protocol

import torch
from torch import Tensor

from symdgm.runtime.carried.recording import Operation, Recorder, Refused, leaves, map_leaves


class Step(Protocol):
    """A function of generated code."""

    __code__: CodeType
    __closure__: tuple[CellType, ...] | None
    __globals__: dict[str, Any]

    def __call__(self, count: int, *values: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """From the number of rows, what is carried and what is given: what is carried on, and kept."""


FEW, MORE = 3, 5
"""Numbers of rows at which a step is recorded; what differs between them counts rows."""


@dataclass(frozen=True)
class Rows:
    """A number that is a multiple of the number of rows."""

    times: int


@dataclass(frozen=True)
class Trace:
    """The operations of a step.

    Args:
        operations: forward, then backward.
        forward: how many of them are forward.
        carried: how many of the first values are carried into the step.
        given: how many of the next ones are given to it.
        outside: the numbers of the values from outside, such as weights.
        onward: those of what is carried on.
        kept: those of what is kept.
        adjoints: result → the number of its adjoint.
        gradients: a value of which a gradient is wanted → the number of that.
        shapes: of every value; `Rows` stands for a number of rows.
    """

    operations: tuple[Operation, ...]
    forward: int
    carried: int
    given: int
    outside: tuple[int, ...]
    onward: tuple[int, ...]
    kept: tuple[int, ...]
    adjoints: dict[int, int]
    gradients: dict[int, int]
    shapes: tuple[tuple[Any, ...], ...]

    @property
    def tracked(self) -> list[int]:
        """The results that have gradients."""
        return list(self.adjoints)


def trace(step: Step, carry: Sequence[Tensor], given: Sequence[Tensor]) -> tuple[Trace, list[Tensor]]:
    """The operations of a step, and the values from outside.

    Args:
        step: the step; it is called twice, on rows like the first.
        carry: what is carried into a step, ``[rows, ...]``.
        given: what is given to it.

    Raises:
        Refused: the step is not the same at each call, or changes what it is given.
    """
    few, values = _trace(step, carry, given, FEW)
    more, others = _trace(step, carry, given, MORE)
    if len(values) != len(others) or any(a is not b for a, b in zip(values, others, strict=True)):
        raise Refused("a step reads tensors that are made anew each time")
    shapes = unified(few.shapes, more.shapes)
    operations = tuple(
        Operation(a.function, *_joined(a, b), a.results, a.tracked)
        for a, b in zip(few.operations, more.operations, strict=False)
    )
    same = (len(few.operations), few.forward, few.onward, few.kept, few.gradients) == (
        len(more.operations), more.forward, more.onward, more.kept, more.gradients,
    )  # fmt: skip
    if not same:
        raise Refused("a step does not do the same each time")
    return Trace(
        operations, few.forward, few.carried, few.given, few.outside, few.onward, few.kept, few.adjoints,
        few.gradients, shapes,
    ), values  # fmt: skip


def _joined(a: Operation, b: Operation) -> tuple[Any, Any]:
    if (a.function, a.results, a.tracked) != (b.function, b.results, b.tracked):
        raise Refused("a step does not do the same each time")
    return unified(a.args, b.args), unified(a.kwargs, b.kwargs)


def _trace(
    step: Step, carry: Sequence[Tensor], given: Sequence[Tensor], rows: int
) -> tuple[Trace, list[Tensor]]:
    inputs = [_like(c, rows, tracked=True) for c in carry] + [_like(g, rows, g.requires_grad) for g in given]
    recorder = Recorder(inputs)
    with recorder:
        onward, kept = step(rows, *inputs)
    refuse_unlike(recorder, inputs[: len(carry)], onward)
    forward = len(recorder.operations)
    results = {recorder.number(t): t for t in (*onward, *kept)}
    outside = [recorder.values[i] for i in recorder.outside]
    if any(t.requires_grad and not t.is_leaf for t in outside):
        raise Refused("a step reads tensors from outside that are computed with gradients")
    tracked = {i: t for i, t in results.items() if t.requires_grad}
    if any(is_custom(t) for t in tracked.values()):
        raise Refused("a step has a derivative of its own, by torch.autograd.Function")
    wanted = [t for t in (*inputs, *outside) if t.requires_grad]
    seeds = [torch.zeros_like(t) for t in tracked.values()]
    adjoints = {i: recorder.add(s) for i, s in zip(tracked, seeds, strict=True)}
    gradients: Sequence[Tensor | None] = []
    if tracked:
        with recorder, torch.autocast(carry[0].device.type, enabled=False):  # as a backward pass runs
            gradients = torch.autograd.grad(list(tracked.values()), wanted, seeds, allow_unused=True)
    if recorder.why or len(recorder.outside) != len(outside):
        raise Refused(recorder.why or "its backward pass reads tensors from outside")
    found = {
        recorder.number(t): recorder.number(g)
        for t, g in zip(wanted, gradients, strict=False)
        if g is not None
    }
    shapes = tuple(tuple(t.shape) for t in recorder.values)
    return Trace(
        tuple(recorder.operations), forward, len(carry), len(given), tuple(recorder.outside),
        tuple(recorder.number(t) for t in onward), tuple(recorder.number(t) for t in kept),
        adjoints, found, shapes,
    ), outside  # fmt: skip


def _like(value: Tensor, rows: int, tracked: bool) -> Tensor:
    """Rows like the first of a value."""
    made = value.detach()[:1].repeat(rows, *[1] * (value.dim() - 1))
    return made.requires_grad_(tracked and made.is_floating_point())


def refuse_unlike(recorder: Recorder, before: Sequence[Tensor], after: Sequence[Tensor]) -> None:
    """Refuse what is carried on as another kind of tensor than it came.

    Raises:
        Refused: it says so.
    """
    if recorder.why:
        raise Refused(recorder.why)
    if any(
        (a.shape, a.dtype, a.device) != (b.shape, b.dtype, b.device)
        for a, b in zip(before, after, strict=True)
    ):
        raise Refused("what is carried changes its shape or its dtype")


def is_custom(value: Tensor) -> bool:
    """Whether a derivative on the way to a value was written in Python."""
    waiting: list[Any] = [value.grad_fn]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            return True
        waiting += [following for following, _ in node.next_functions]
    return False


def unified(few: Any, more: Any) -> Any:
    """What two recordings have in common; a number that differs as rows do becomes `Rows`.

    Raises:
        Refused: it differs otherwise.
    """
    if isinstance(few, list | tuple) and type(few) is type(more) and len(few) == len(more):
        return type(few)(unified(a, b) for a, b in zip(few, more, strict=True))
    if isinstance(few, dict) and isinstance(more, dict) and few.keys() == more.keys():
        return {key: unified(few[key], more[key]) for key in few}
    if type(few) is type(more) and (few == more or few is more):
        return few
    if type(few) is int and type(more) is int and few % FEW == 0 and few // FEW * MORE == more:
        return Rows(few // FEW)
    raise Refused("a step does not do the same each time")


def matches(found: Trace, recorder: Recorder, rows: int) -> bool:
    """Whether a step that ran on some rows did what a trace says.

    Args:
        found: the trace.
        recorder: what was done.
        rows: on how many rows.
    """
    done = recorder.operations
    if recorder.why or len(done) != found.forward or tuple(recorder.outside) != found.outside:
        return False
    return all(
        a.function is b.function
        and a.results == b.results
        and a.tracked == b.tracked
        and counted((a.args, a.kwargs), rows) == (b.args, b.kwargs)
        for a, b in zip(found.operations, done, strict=False)
    )


def counted(value: Any, rows: int) -> Any:
    """Arguments for a number of rows."""
    if not any(isinstance(leaf, Rows) for leaf in leaves(value)):
        return value
    return map_leaves(lambda leaf: leaf.times * rows if isinstance(leaf, Rows) else leaf, value)


def has_rows(value: Any) -> bool:
    """Whether arguments count rows."""
    return any(isinstance(leaf, Rows) for leaf in leaves(value))
