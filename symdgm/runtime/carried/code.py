"""The loops of a step as Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, final

import torch
from torch import Tensor

from symdgm.runtime.carried.recording import Operation, Ref
from symdgm.runtime.carried.stages import Pass, Stages, read
from symdgm.runtime.carried.tracing import Rows

aten = torch.ops.aten
DIRECT: dict[Any, Callable[..., Any]] = {
    aten.mm.default: torch.mm,
    aten.addmm.default: torch.addmm,
    aten.add.Tensor: torch.add,
    aten.sub.Tensor: torch.sub,
    aten.mul.Tensor: torch.mul,
    aten.div.Tensor: torch.div,
    aten.neg.default: torch.neg,
    aten.exp.default: torch.exp,
    aten.log.default: torch.log,
    aten.tanh.default: torch.tanh,
    aten.sigmoid.default: torch.sigmoid,
    aten.relu.default: torch.relu,
    aten.t.default: torch.t,
    aten.randn_like.default: torch.randn_like,
    # A part of what was made for all steps at once may lie in memory otherwise than where it was recorded.
    aten.view.default: torch.reshape,
    aten._unsafe_view.default: torch.reshape,
}
"""Operations that have a shorter way into PyTorch than by their overload, or a safer one."""

Forward = Callable[..., tuple[list[Tensor], list[Tensor]]]
Backward = Callable[..., list[Tensor]]


@final
class Code:
    """The source of a pass while it is written: ``v3`` is the value 3 of a step, ``all_3`` of all steps."""

    def __init__(self, stages: Stages, name: str) -> None:
        self.stages, self.name = stages, name
        self.space: dict[str, Any] = {"torch": torch, "sum": sum, "zip": zip, "len": len}
        self.lines: list[str] = []

    def write(self, operations: Iterable[Operation], prefix: str, rows: str, indent: str = "    ") -> None:
        """A line for each operation, on values with a prefix."""
        for op in operations:
            arguments = [self._text(a, prefix, rows) for a in op.args]
            if prefix == "v" and (matrix := self.matrix(op)) is not None:
                arguments[-1] = f"matrix_{matrix}"
            arguments += [f"{k}={self._text(v, prefix, rows)}" for k, v in op.kwargs.items()]
            names = ", ".join(f"{prefix}{r}" for r in op.results) or "_"
            self.lines.append(f"{indent}{names} = {self._function(op)}({', '.join(arguments)})")

    def matrices(self, operations: Iterable[Operation]) -> None:
        """Lay the weights that many small products read as these read them fastest."""
        for i in dict.fromkeys(self.matrix(op) for op in operations):
            if i is not None:
                self.lines.append(f"    matrix_{i} = all_{i}.contiguous()")

    def matrix(self, op: Operation) -> int | None:
        """The weight of a product, if it is one."""
        if op.function not in (aten.mm.default, aten.addmm.default):
            return None
        index: int = op.args[-1].index
        return index if self.stages.kinds[index].fixed else None

    def split(self, index: int) -> str:
        """The parts of a value of all steps, one for each step."""
        axis = self.stages.kinds[index].axis
        return f"all_{index}.split(counts{f', {axis}' if axis else ''})"

    def joined(self, index: int, steps: str) -> str:
        """A value of all steps from its parts."""
        axis = self.stages.kinds[index].axis
        return f"    all_{index} = torch.cat({steps}{f', {axis}' if axis else ''})"

    def _function(self, op: Operation) -> str:
        name = op.name
        target = DIRECT.get(op.function, op.function)
        while self.space.setdefault(name, target) is not target:
            name += "_"
        return name

    def _text(self, value: Any, prefix: str, rows: str) -> str:
        if isinstance(value, list):
            return f"[{', '.join(self._text(v, prefix, rows) for v in value)}]"
        if isinstance(value, tuple):
            return f"({''.join(self._text(v, prefix, rows) + ', ' for v in value)})"
        if isinstance(value, Ref):
            return self.value(value.index, prefix)
        if isinstance(value, Rows):
            return rows if value.times == 1 else f"{value.times} * {rows}"
        if value is None or isinstance(value, bool | int | str):
            return repr(value)
        name = f"constant_{len(self.space)}"
        self.space[name] = value
        return name

    def value(self, index: int, prefix: str) -> str:
        """The name of a value; what is the same at every step has one name."""
        fixed = self.stages.kinds[index].fixed
        return f"all_{index}" if fixed else f"{prefix}{index}"

    def function(self) -> Any:
        """What the source defines."""
        source = "\n".join(self.lines) + "\n"
        exec(compile(source, f"<symdgm {self.name}>", "exec"), self.space)
        return self.space[self.name]


def forward_code(stages: Stages) -> Forward:
    """``forward(counts, first, *carry, *given, *outside)``: what is kept, and what is saved.

    ``first`` are the values of the first step, which has been done.
    """
    trace, passes = stages.trace, stages.forward
    code = Code(stages, "forward")
    carry, given = range(trace.carried), range(trace.carried, trace.carried + trace.given)
    names = [*(f"v{i}" for i in carry), *(f"all_{i}" for i in (*given, *trace.outside))]
    code.lines.append(f"def forward(counts, first, {', '.join(names)}):")
    code.lines.append("    rows = sum(counts)")
    code.write(passes.before, "all_", "rows")
    code.matrices(passes.within)
    inside = passes.made_within | set(carry)
    wanted = {*trace.kept, *stages.saved, *read(passes.after)} & inside
    for i in sorted(wanted):
        code.lines.append(f"    steps_{i} = [first[{i}]]")
    sliced = _sliced(stages, passes, read(passes.within) - inside - set(trace.outside))
    loop = [f"{code.split(i)}[1:]" for i in sliced]
    heads = ["count", *(f"v{i}" for i in sliced)]
    for i, onward in zip(carry, trace.onward, strict=True):
        code.lines.append(f"    v{i} = first[{onward}]")
    code.lines.append(f"    for {', '.join(heads)} in zip({', '.join(['counts[1:]', *loop])}):")
    for i in carry:
        if i in wanted | read(passes.within) | set(trace.onward):
            code.lines.append(f"        v{i} = v{i}[:count]")
    code.write(passes.within, "v", "count", "        ")
    code.lines += [f"        steps_{i}.append(v{i})" for i in sorted(wanted)]
    before = ", ".join(f"v{i}" for i in carry)
    after = ", ".join(code.value(i, "v") for i in trace.onward)
    if before != after:
        code.lines.append(f"        {before} = {after}")
    code.lines += [code.joined(i, f"steps_{i}") for i in sorted(wanted)]
    code.write(passes.after, "all_", "rows")
    kept = ", ".join(f"all_{i}" for i in trace.kept)
    saved = ", ".join(f"all_{i}" for i in stages.saved)
    code.lines.append(f"    return [{kept}], [{saved}]")
    function: Forward = code.function()
    return function


def _sliced(stages: Stages, passes: Pass, values: set[int]) -> list[int]:
    """The values of all steps that a loop reads step by step."""
    return sorted(i for i in values if not stages.kinds[i].fixed)


def backward_code(stages: Stages) -> Backward:
    """``backward(counts, *adjoints, *saved, *outside)``: the gradients, in the order of the values."""
    trace, passes = stages.trace, stages.backward
    code = Code(stages, "backward")
    seeds = {trace.adjoints[i]: c for c, i in enumerate(trace.onward) if i in trace.adjoints}
    carried = {c: trace.gradients.get(c) for c in range(trace.carried)}
    names = [f"all_{i}" for i in (*trace.adjoints.values(), *stages.saved, *trace.outside)]
    code.lines.append(f"def backward({', '.join(['counts', *names])}):")
    code.lines.append("    rows = sum(counts)")
    code.write(passes.before, "all_", "rows")
    code.matrices(passes.within)
    code.lines += [f"    all_{s} = all_{s}.clone()" for s in seeds]
    _sweep(code, stages, passes, seeds, carried)
    code.write(passes.after, "all_", "rows")
    code.lines.append(f"    return [{', '.join(_gradient(stages, i) for i in trace.gradients)}]")
    function: Backward = code.function()
    return function


def _sweep(
    code: Code, stages: Stages, passes: Pass, seeds: dict[int, int], carried: dict[int, int | None]
) -> None:
    """The loop from the last step to the first."""
    trace, kinds = stages.trace, stages.kinds
    inside = passes.made_within
    others = {gradient for value, gradient in trace.gradients.items() if value not in carried}
    wanted = sorted((read(passes.after) | others) & inside)
    onward = {c: g for c, g in carried.items() if g is not None}
    totals = [i for i in wanted if kinds[i].summed]
    rows = [i for i in wanted if not kinds[i].summed]
    code.lines += [f"    steps_{i} = []" for i in rows]
    code.lines += [f"    all_{i} = 0" for i in totals]
    code.lines += [f"    back_{c} = None" for c in sorted(set(seeds.values()) & set(onward))]
    source = read(passes.within) | set(onward.values()) | set(seeds)
    sliced = sorted(i for i in source - inside if not kinds[i].fixed)
    heads = ["count", *(f"v{i}" for i in sliced)]
    parts = ["counts[::-1]", *(f"{code.split(i)}[::-1]" for i in sliced)]
    code.lines.append(f"    for {', '.join(heads)} in zip({', '.join(parts)}):")
    for seed, c in seeds.items():
        if c in onward:
            code.lines.append(f"        if back_{c} is not None:")
            code.lines.append(f"            v{seed}[: len(back_{c})] += back_{c}")
    code.write(passes.within, "v", "count", "        ")
    code.lines += [f"        steps_{i}.append(v{i})" for i in rows]
    code.lines += [f"        all_{i} = all_{i} + v{i}" for i in totals]
    code.lines += [f"        back_{c} = {code.value(g, 'v')}" for c, g in onward.items()]
    code.lines += [code.joined(i, f"steps_{i}[::-1]") for i in rows]


def _gradient(stages: Stages, value: int) -> str:
    gradient = stages.trace.gradients[value]
    return f"back_{value}" if value < stages.trace.carried else f"all_{gradient}"
