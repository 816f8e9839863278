"""What of a step is done before its loop for all steps at once, what within it, and what after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from symdgm.runtime.carried.recording import Operation, Ref, Refused, map_leaves
from symdgm.runtime.carried.rows import Kind, kind, together
from symdgm.runtime.carried.tracing import Trace

aten = torch.ops.aten


@dataclass(frozen=True)
class Pass:
    """A loop over steps, and what stands around it.

    Args:
        before: operations on all steps at once, of which the loop reads.
        within: operations of each step.
        after: operations on all steps at once, which read of the loop.
    """

    before: tuple[Operation, ...]
    within: tuple[Operation, ...]
    after: tuple[Operation, ...]

    @property
    def made_within(self) -> set[int]:
        """The values that are made step by step."""
        return made(self.within)


@dataclass(frozen=True)
class Stages:
    """A step in its parts.

    Args:
        trace: the step.
        kinds: of all values.
        forward: the loop.
        backward: the loop over steps from the last to the first that finds what is carried back.
        saved: what the backward pass reads of the forward pass.
    """

    trace: Trace
    kinds: tuple[Kind, ...]
    forward: Pass
    backward: Pass
    saved: tuple[int, ...]

    @property
    def drawn(self) -> set[int]:
        """The draws of a step."""
        return made(op for op in self.forward.within if op.random)


def made(operations: Iterable[Operation]) -> set[int]:
    """What operations give."""
    return {r for op in operations for r in op.results}


def read(operations: Iterable[Operation]) -> set[int]:
    """What operations read."""
    return {i for op in operations for i in op.reads}


def stages(trace: Trace) -> Stages:
    """The parts of a step.

    Raises:
        Refused: rows of one step depend on each other, or a gradient is of no form known.
    """
    operations = fused(aliases_resolved(trace), trace)
    kinds = _kinds(trace, operations)
    carry = set(range(trace.carried))
    gradients = set(trace.gradients.values())
    back = live(operations[1], gradients)
    saved_by_back = (read(back) | gradients) - made(back) - set(trace.adjoints.values())
    outs = {*trace.onward, *trace.kept}
    ahead = live(operations[0], outs | saved_by_back)
    forward = split(ahead, trace, kinds, carry, outs=set(trace.onward), sums=False)
    seeds = {trace.adjoints[i] for i in trace.onward if i in trace.adjoints}
    onward = {trace.gradients[i] for i in carry if i in trace.gradients}
    backward = split(back, trace, kinds, seeds, outs=onward, sums=True)
    noise = {r for op in forward.within if op.random for r in op.results}
    saved = tuple(sorted(i for i in saved_by_back | noise if i not in trace.outside))
    _refuse_odd(trace, kinds, forward, backward, saved)
    return Stages(trace, tuple(kinds), forward, backward, saved)


def _refuse_odd(trace: Trace, kinds: list[Kind], forward: Pass, backward: Pass, saved: Iterable[int]) -> None:
    """Refuse what cannot be put together from its steps."""
    crossing = {*saved, *(forward.made_within & read(forward.after))}
    apart = any(kinds[i].axis is None and not kinds[i].fixed for i in crossing)
    if apart or any(kinds[i].axis != 0 for i in (*trace.kept, *trace.onward)):
        raise Refused("a step joins its rows, or keeps what has none")
    leaving = (backward.made_within & read(backward.after)) | set(trace.adjoints.values())
    if any(kinds[i].odd for i in leaving):
        raise Refused("a step joins its rows")
    if len(set(trace.onward)) < len(trace.onward):
        raise Refused("a step carries one value on twice")
    inputs = trace.carried + trace.given
    for value, gradient in trace.gradients.items():
        if not (kinds[gradient].axis == 0 if value < inputs else kinds[gradient].summed):
            raise Refused("a gradient of a step is of an unknown form")


def aliases_resolved(trace: Trace) -> tuple[list[Operation], list[Operation]]:
    """Forward and backward operations without those that only hide a value from autograd."""
    same: dict[int, int] = {}
    found: list[Operation] = []
    ahead = 0
    for place, op in enumerate(trace.operations):
        renamed = _renamed(op, same)
        if op.function in (aten.detach.default, aten.alias.default):
            same[op.results[0]] = renamed.reads[0]
            continue
        found.append(renamed)
        ahead += place < trace.forward
    for name in (*trace.onward, *trace.kept, *trace.gradients.values()):
        if name in same:
            source = same[name]
            found.insert(ahead, Operation(aten.alias.default, (Ref(source),), {}, (name,)))
            ahead += name not in trace.gradients.values()
    return found[:ahead], found[ahead:]


def _renamed(op: Operation, same: dict[int, int]) -> Operation:
    def rename(leaf: object) -> object:
        return Ref(same.get(leaf.index, leaf.index)) if isinstance(leaf, Ref) else leaf

    return Operation(
        op.function, map_leaves(rename, op.args), map_leaves(rename, dict(op.kwargs)), op.results, op.tracked
    )


def fused(
    parts: tuple[list[Operation], list[Operation]], trace: Trace
) -> tuple[list[Operation], list[Operation]]:
    """The same with a sum of a value and a product as one operation."""
    every = [*parts[0], *parts[1]]
    wanted = {*trace.onward, *trace.kept, *trace.gradients.values()}
    uses: dict[int, int] = {}
    for op in every:
        for i in op.reads:
            uses[i] = uses.get(i, 0) + 1
    return _fused(parts[0], uses, wanted, trace), _fused(parts[1], uses, wanted, trace)


def _fused(
    operations: list[Operation], uses: dict[int, int], wanted: set[int], trace: Trace
) -> list[Operation]:
    by_result = {op.results[0]: op for op in operations if op.function is aten.mm.default}
    found: list[Operation] = []
    for op in operations:
        product = _product_of(op, by_result, uses, wanted, trace)
        if product is None:
            found.append(op)
            continue
        (added,) = [a for a in op.args if a.index != product.results[0]]
        found = [f for f in found if f is not product]
        found.append(Operation(aten.addmm.default, (added, *product.args), {}, op.results, op.tracked))
    return found


def _product_of(
    op: Operation, products: dict[int, Operation], uses: dict[int, int], wanted: set[int], trace: Trace
) -> Operation | None:
    """The product that an addition adds, where nothing else reads it."""
    if op.function is not aten.add.Tensor or op.kwargs or len(op.reads) != 2 or op.reads[0] == op.reads[1]:
        return None
    if trace.shapes[op.reads[0]] != trace.shapes[op.reads[1]]:
        return None
    free = [products[i] for i in reversed(op.reads) if i in products and uses[i] == 1 and i not in wanted]
    return free[0] if free else None


def live(operations: list[Operation], wanted: set[int]) -> list[Operation]:
    """The operations of which something is wanted; draws are made in any case."""
    needed, found = set(wanted), []
    for op in reversed(operations):
        if op.random or needed & set(op.results):
            needed |= set(op.reads)
            found.append(op)
    return found[::-1]


def _kinds(trace: Trace, operations: tuple[list[Operation], list[Operation]]) -> list[Kind]:
    fixed = set(trace.outside)
    for op in (*operations[0], *operations[1]):
        if not op.random and all(i in fixed for i in op.reads):
            fixed |= set(op.results)
    return [kind(shape, fixed=i in fixed) for i, shape in enumerate(trace.shapes)]


def split(
    operations: list[Operation],
    trace: Trace,
    kinds: list[Kind],
    moving: set[int],
    *,
    outs: set[int],
    sums: bool,
) -> Pass:
    """A pass in its parts.

    Args:
        operations: of the pass.
        trace: the step.
        kinds: of all values.
        moving: what the loop brings to each step.
        outs: what it takes from each step to the next.
        sums: whether what a step gives without rows is wanted as the sum over steps.
    """
    moved, needed = set(moving), set(outs)
    within: set[int] = set()
    at_once = [together(op, trace.shapes, kinds) and (sums or not _sums(op, kinds)) for op in operations]
    still: set[int] = set()
    for place, op in enumerate(operations):
        if op.random or not at_once[place] or moved & set(op.reads):
            moved |= set(op.results)
        elif not _sums(op, kinds):
            still.add(place)
        else:
            moved |= set(op.results)
    for place in reversed(range(len(operations))):
        op = operations[place]
        if place not in still and (not at_once[place] or needed & set(op.results)):
            within.add(place)
            needed |= set(op.reads)
    return Pass(
        tuple(op for place, op in enumerate(operations) if place in still),
        tuple(op for place, op in enumerate(operations) if place in within),
        tuple(op for place, op in enumerate(operations) if place not in still and place not in within),
    )


def _sums(op: Operation, kinds: list[Kind]) -> bool:
    return any(kinds[i].summed for i in op.results)
