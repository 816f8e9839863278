"""A loop run once more from its record, for derivatives of its gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from symdgm.runtime.carried.recording import Ref, map_leaves
from symdgm.runtime.carried.tracing import Trace, counted


def replayed(
    trace: Trace,
    counts: list[int],
    tensors: Sequence[Tensor],
    noise: Mapping[int, Tensor],
    adjoints: Mapping[int, Tensor],
) -> list[Tensor | None]:
    """The gradients of what a loop reads, themselves with gradients.

    Args:
        trace: a step.
        counts: how many rows each step has.
        tensors: what the loop reads.
        noise: a value → what it was in all steps; draws are taken from here.
        adjoints: of what is kept.
    """
    kept = _again(trace, counts, tensors, {i: torch.split(n, counts) for i, n in noise.items()})
    pairs = [(v, adjoints[i]) for i, v in kept.items() if v.requires_grad]
    wanted = [t for t in tensors if t.requires_grad]
    values, seeds = zip(*pairs, strict=True)
    found = torch.autograd.grad(values, wanted, seeds, create_graph=True, allow_unused=True)
    gradients = iter(found)
    return [next(gradients) if t.requires_grad else None for t in tensors]


def _again(
    trace: Trace, counts: list[int], tensors: Sequence[Tensor], noise: Mapping[int, Sequence[Tensor]]
) -> dict[int, Tensor]:
    """What is kept of all steps."""
    carry = list(tensors[: trace.carried])
    given = [torch.split(t, counts) for t in tensors[trace.carried : trace.carried + trace.given]]
    outside = dict(zip(trace.outside, tensors[trace.carried + trace.given :], strict=True))
    steps: dict[int, list[Tensor]] = {i: [] for i in trace.kept}
    for time, count in enumerate(counts):
        inputs = [*(c[:count] for c in carry), *(g[time] for g in given)]
        values = {**outside, **dict(enumerate(inputs))}
        _run(trace, count, values, {i: n[time] for i, n in noise.items()})
        carry = [values[i] for i in trace.onward]
        for i in steps:
            steps[i].append(values[i])
    return {i: torch.cat(entries) for i, entries in steps.items()}


def _run(trace: Trace, count: int, values: dict[int, Tensor], noise: Mapping[int, Tensor]) -> None:
    """The forward operations of a step."""

    def value(leaf: object) -> object:
        return values[leaf.index] if isinstance(leaf, Ref) else leaf

    for op in trace.operations[: trace.forward]:
        if op.random:
            values.update((r, noise[r]) for r in op.results)
            continue
        with torch.set_grad_enabled(op.tracked):
            args, kwargs = map_leaves(value, counted((op.args, dict(op.kwargs)), count))
            result = op.function(*args, **kwargs)
        results = result if isinstance(result, tuple | list) else [result]
        values.update(zip(op.results, results, strict=True))
