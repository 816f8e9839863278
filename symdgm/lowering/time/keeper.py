"""The lists that a loop over time fills, one entry a step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from symdgm.lowering.operands import ACTIVE, ATOM, STEPS, Axis, Operand
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.time.loops import Body

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer

What = tuple[object, ...]
"""What is kept: a draw, the value before it, a parameter of its law, or its log-density."""


@dataclass(frozen=True)
class Kept:
    """A list that a loop fills.

    Args:
        name: its name in the code.
        operand: an entry.
    """

    name: str
    operand: Operand


@final
class Keeper:
    """What a loop keeps of every step, for what is read of it afterwards.

    Args:
        writer: writes the code.
        loop: the loop.
    """

    def __init__(self, writer: Writer, loop: PlanNode) -> None:
        self.writer = writer
        self.loop = loop
        self.wanted = {n.detail[:2] for n in writer.planned if n.kind is Kind.TRACE and n.args[0] is loop}
        self.kept: dict[What, Kept] = {}
        self.names: dict[str, str] = {}
        self.begin: dict[str, str] = {}
        self.firsts: dict[What, str] = {}

    @property
    def entries(self) -> dict[str, str]:
        """List → the value that every step appends to it."""
        return {kept.name: kept.operand.text for kept in self.kept.values()}

    @property
    def begun(self) -> str:
        """The text of the lists before the loop."""
        return ", ".join(self.begin.get(name, "[]") for name in self.entries)

    def keep(self, what: What, operand: Operand, hint: str) -> None:
        """Append an entry for this step to a list of its own."""
        script = self.writer.script
        name = self.names.setdefault(operand.text, script.names.fresh(f"{hint}_steps"))
        first = self._first(what, operand)
        if first:
            self.begin[name] = f"[{first}]"
        start = script.run(self.begin.get(name, "[]"))
        now = self.writer.value(operand)
        script.values[name] = [*start, *([now] if len(now) or not first else [])]
        self.kept[what] = Kept(name, operand)

    def _first(self, what: What, operand: Operand) -> str:
        """The entry of the first step, where that has factors of its own."""
        text = self.firsts.get(what, "")
        if text and len(operand.axes) > 1:
            value = self.writer.script.run(text)
            if value.dim() < len(operand.axes) + operand.rank:
                return f"{text}.expand({self.writer.lengths[self.loop]}, *{text}.shape)"
        return text

    def named(self) -> tuple[dict[str, str], dict[What, Operand]]:
        """List → the name of its entries as one tensor over all steps; and what each tensor is."""
        names: dict[str, str] = {}
        found = {}
        for what, kept in self.kept.items():
            if kept.name not in names:
                names[kept.name] = self.writer.script.names.fresh(_whole_name(what, kept))
            axes: tuple[Axis, ...] = tuple(STEPS if a == ACTIVE else a for a in kept.operand.axes)
            found[what] = Operand(names[kept.name], ATOM, axes, kept.operand.rank)
        return names, found

    def finished(self) -> dict[What, Operand]:
        """Each list as one tensor over all steps."""
        found = {}
        joined: dict[str, str] = {}
        for what, kept in self.kept.items():
            axes: tuple[Axis, ...] = tuple(STEPS if a == ACTIVE else a for a in kept.operand.axes)
            dim = axes.index(STEPS)
            if kept.name not in joined:
                text = f"torch.cat({kept.name}{f', {dim}' if dim else ''})"
                joined[kept.name] = self.writer.script.assign(_whole_name(what, kept), text)
            found[what] = Operand(joined[kept.name], ATOM, axes, kept.operand.rank)
        return found


def _whole_name(what: What, kept: Kept) -> str:
    if what[0] in ("law", "log_prob"):
        return f"{kept.operand.text}_all"
    return f"{what[1]}_{'t' if what[0] == 'draw' else 'before_t'}"


def emit_trace(writer: Writer, node: PlanNode) -> Operand:
    """What a loop kept of every step."""
    loop, what = node.args[0], node.detail
    kept = writer.kept[loop]
    if what[0] != "law":
        return kept[what[:2]]
    (body,) = loop.detail
    assert isinstance(body, Body)
    step = next(s for s in body.steps if s.sequence == what[1])
    assert step.law is not None
    if step.law.kind is Kind.OPAQUE:
        return writer.operands[step.law]
    law = writer.laws[step.law]
    parameters = {k: kept.get(("law", step.sequence, k), p) for k, p in law.parameters.items()}
    axes = tuple(a for a in writer.axes if any(a in p.axes for p in parameters.values()))
    writer.laws[node] = replace(law, parameters=parameters, axes=axes)
    return next(iter(parameters.values()))
