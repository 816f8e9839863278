"""A loop over time that does at once, for all steps, what no step waits for."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, final
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch._C._functorch import peek_interpreter_stack

from symdgm.lowering.time.purity import Before, reached, watched
from symdgm.runtime.carried.code import Backward, Forward, backward_code, forward_code
from symdgm.runtime.carried.recording import Recorder, Refused
from symdgm.runtime.carried.replay import replayed
from symdgm.runtime.carried.stages import Stages, stages
from symdgm.runtime.carried.tracing import Step, Trace, matches, trace
from symdgm.runtime.precision import Narrowed

FEWEST = 3
"""Steps from which on a loop is worth it."""
MOST = 8
"""How often a loop is recorded anew before it stays a plain one."""


@final
class Program:
    """The loops of a step, forward and backward."""

    def __init__(self, found: Stages) -> None:
        self.stages = found
        self.forward: Forward = forward_code(found)
        self.backward: Backward = backward_code(found)

    @property
    def trace(self) -> Trace:
        """The step."""
        return self.stages.trace


@dataclass
class Known:
    """What is known of a step.

    Args:
        programs: by what it reads.
        made: how many were made.
        reached: the modules that functions in it call.
        why: why it runs as it is written, where it does.
    """

    programs: dict[Hashable, Program] = field(default_factory=dict)
    made: int = 0
    reached: list[nn.Module] = field(default_factory=list)
    why: str = ""


@final
class Carried:
    """The function ``carried`` of generated code, with the same results, faster where gradients are wanted.

    The first step of each evaluation runs as it is written, and PyTorch's operations of it are recorded. As
    long as they are those that were recorded before, the other steps run from that record: what does not
    wait for the step before is done once for all steps; so is, in the backward pass, what the step before
    does not wait for, such as the gradients of all weights: one matrix product each. A step of which that
    cannot be done runs as it is written; `why` says what it is.
    """

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[CodeType, Known] = WeakKeyDictionary()
        self._latest: WeakKeyDictionary[CodeType, str] = WeakKeyDictionary()

    @property
    def why(self) -> list[str]:
        """Why steps run as they are written, of those that do."""
        return [known.why for known in self._known.values() if known.why]

    @property
    def latest(self) -> list[str]:
        """Of each loop, why its last evaluation ran as it is written, or nothing."""
        return list(self._latest.values())

    @property
    def programs(self) -> list[Program]:
        """The programs that there are."""
        return [program for known in self._known.values() for program in known.programs.values()]

    def __call__(
        self, step: Step, counts: list[int], carry: Sequence[Tensor], given: Sequence[Tensor]
    ) -> list[Tensor]:
        """What every step keeps, that of all steps put together.

        Args:
            step: from the number of rows, what is carried and what is given: what is carried on, and kept.
            counts: how many rows each step has; never more than the one before.
            carry: what is carried into the first step, ``[rows, ...]``.
            given: what is given to the steps, those of the first step first.
        """
        known = self._known.get(step.__code__)
        why = self._latest[step.__code__] = _obstacle(known, step, counts)
        if why:
            return plainly(step, counts, carry, given)
        before = [_tracked(c[: counts[0]]) for c in carry]
        now = [g[: counts[0]] for g in given]
        recorder = Recorder([*before, *now])
        first = Before(called(step)) if known is None else None
        with recorder, _uncached(carry[0].device.type):
            state, kept = step(counts[0], *before, *now)
        if first is not None and not first.unchanged():
            recorder.refuse("a network changes itself when it is called")
        if known is None:
            known = self._known.setdefault(step.__code__, Known(reached=reached(called(step))))
        program = None
        if any(t.requires_grad for t in kept):
            program = _program(known, step, recorder, counts[0], before, now)
        if program is None:
            self._latest[step.__code__] = known.why or "nothing in it has a gradient"
            return plainly(step, counts, state, given, kept)
        outside = [recorder.values[i] for i in recorder.outside]
        found: Sequence[Tensor] = _Sweep.apply(  # type: ignore[no-untyped-call]
            program, counts, recorder.values, *carry, *given, *outside
        )
        return [found[program.trace.kept.index(i)] for i in program.trace.kept]


def _obstacle(known: Known | None, step: Step, counts: list[int]) -> str:
    """Why a loop runs as it is written, as far as that is seen before it runs; or nothing."""
    if known is not None and known.why:
        return known.why
    if len(counts) < FEWEST:
        return f"it has fewer than {FEWEST} steps"
    if not _is_plain():
        return "no gradient is formed, or not by `backward`"
    if watched(called(step) if known is None else [*called(step), *known.reached]):
        return "hooks of a network hear of every step"
    return ""


def _program(
    known: Known, step: Step, recorder: Recorder, rows: int, before: list[Tensor], now: list[Tensor]
) -> Program | None:
    """The program of a step that was recorded, or None where there is none."""
    outside = [recorder.values[i] for i in recorder.outside]
    done = tuple(operation.function for operation in recorder.operations)
    key = (*map(_described, (*before, *now)), *(t.requires_grad for t in outside), done)
    program = known.programs.get(key)
    if program is not None and matches(program.trace, recorder, rows):
        return program
    try:
        known.made += 1
        if recorder.why or known.made > MOST:
            raise Refused(recorder.why or "a step does not do the same each time")
        program = known.programs[key] = _made(step, before, now, outside)
        if not matches(program.trace, recorder, rows):
            raise Refused("a step does not do the same each time")
    except Refused as error:
        known.why = str(error)
        return None
    return program


def called(step: Step) -> list[object]:
    """What a step may call: what it reads of the function or the module around it."""
    closed = [cell.cell_contents for cell in step.__closure__ or ()]
    found = [*closed, *(step.__globals__.get(name) for name in step.__code__.co_names)]
    return [v.network if isinstance(v, Narrowed) else v for v in found]


def plainly(
    step: Step,
    counts: list[int],
    carry: Sequence[Tensor],
    given: Sequence[Tensor],
    first: Sequence[Tensor] | None = None,
) -> list[Tensor]:
    """The loop as it is written.

    Args:
        step: a step.
        counts: how many rows each step has.
        carry: what is carried into the first step; where that has been done, what it carries on.
        given: what is given to the steps.
        first: what the first step keeps, where it has been done.
    """
    entries = [] if first is None else [first]
    done = len(entries)
    for count, *now in zip(counts[done:], *(torch.split(g, counts)[done:] for g in given), strict=True):
        carry, kept = step(count, *(c[:count] for c in carry), *now)
        entries.append(kept)
    return [torch.cat(entry) for entry in zip(*entries, strict=True)]


def _is_plain() -> bool:
    """Whether gradients are formed by autograd, backward, and nothing transforms the program."""
    level: int = torch.autograd.forward_ad._current_level
    return (
        torch.is_grad_enabled()
        and level < 0
        and peek_interpreter_stack() is None
        and not torch.compiler.is_compiling()
    )


def _tracked(value: Tensor) -> Tensor:
    """A value that autograd follows, as it follows what later steps are given."""
    return value if value.requires_grad or not value.is_floating_point() else value.detach().requires_grad_()


def _described(value: Tensor) -> Hashable:
    return value.dtype, value.device, value.shape[1:], value.requires_grad


def _uncached(kind: str) -> AbstractContextManager[object]:
    """Mixed precision as it is, but each cast of a weight an operation of its own."""
    enabled = torch.is_autocast_enabled(kind)
    return torch.autocast(kind, torch.get_autocast_dtype(kind), enabled, cache_enabled=False)


def _made(step: Step, before: list[Tensor], now: list[Tensor], outside: list[Tensor]) -> Program:
    """The program of a step; noise is drawn again afterwards as if nothing had been drawn.

    Raises:
        Refused: there is none.
    """
    networks = Before(called(step))
    try:
        with _uncached(before[0].device.type):
            found, others = trace(step, before, now)
    finally:
        networks.draw_again()
    if not networks.unchanged():
        raise Refused("a network changes itself when it is called")
    if len(outside) != len(others) or any(a is not b for a, b in zip(outside, others, strict=True)):
        raise Refused("a step reads tensors that are made anew each time")
    return Program(stages(found))


class _Sweep(torch.autograd.Function):
    """The steps after the first, and the backward pass of all."""

    @staticmethod
    def forward(ctx: Any, program: Program, counts: list[int], first: list[Tensor], *tensors: Tensor) -> Any:
        with torch.autocast(tensors[0].device.type, enabled=False):
            kept, saved = program.forward(counts, first, *tensors)
        ctx.program, ctx.counts = program, counts
        ctx.save_for_backward(*tensors, *saved)
        tracked = program.trace.adjoints
        ctx.mark_non_differentiable(
            *(t for t, i in zip(kept, program.trace.kept, strict=True) if i not in tracked)
        )
        return tuple(kept)

    @staticmethod
    def backward(ctx: Any, *adjoints: Tensor) -> Any:
        trace, counts = ctx.program.trace, ctx.counts
        inputs = trace.carried + trace.given + len(trace.outside)
        tensors, saved = ctx.saved_tensors[:inputs], ctx.saved_tensors[inputs:]
        by_value = dict(zip(trace.kept, adjoints, strict=True))
        if torch.is_grad_enabled():
            noise = {
                i: value
                for i, value in zip(ctx.program.stages.saved, saved, strict=True)
                if i in ctx.program.stages.drawn
            }
            return None, None, None, *replayed(trace, counts, tensors, noise, by_value)
        with torch.autocast(adjoints[0].device.type, enabled=False):
            found = _gradients(ctx.program, counts, tensors, saved, by_value)
        return None, None, None, *found


def _gradients(
    program: Program,
    counts: list[int],
    tensors: Sequence[Tensor],
    saved: Sequence[Tensor],
    adjoints: dict[int, Tensor],
) -> list[Tensor | None]:
    """The gradients of what a loop reads, by its backward pass."""
    trace = program.trace
    outside = tensors[trace.carried + trace.given :]
    shapes = {i: trace.shapes[i][1:] for i in trace.adjoints}
    like = next(iter(adjoints.values()))
    seeds = [
        adjoints[i] if i in adjoints else like.new_zeros(sum(counts), *shapes[i]) for i in trace.adjoints
    ]
    found = dict(zip(trace.gradients, program.backward(counts, *seeds, *saved, *outside), strict=True))
    places = [*range(trace.carried + trace.given), *trace.outside]
    return [
        None if i not in found else _widened(found[i], t) if i < trace.carried else found[i]
        for i, t in zip(places, tensors, strict=True)
    ]


def _widened(gradient: Tensor, value: Tensor) -> Tensor:
    """The gradient of what was carried into the first step, which may have more rows than that reads."""
    missing = len(value) - len(gradient)
    return torch.cat([gradient, gradient.new_zeros(missing, *gradient.shape[1:])]) if missing else gradient
