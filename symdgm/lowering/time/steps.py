"""A step of a loop as a function in generated code, and the loop as a call of `carried`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from symdgm.lowering.operands import ATOM, Operand
from symdgm.lowering.time.keeper import Keeper, What
from symdgm.lowering.time.purity import Before

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer

INDENT = "    "


@final
class StepFunction:
    """A step while it is written: from what is carried and what is given to what is carried on, and kept.

    Args:
        writer: writes the code.
        counts: the name of how many sequences have each step.
    """

    def __init__(self, writer: Writer, counts: str) -> None:
        self.writer, self.counts = writer, counts
        self.name = writer.script.names.fresh("step")
        self.carried: list[str] = []
        self.before = Before(source.call for source in writer.frozen.sources.values())

    def read(self, hint: str, operand: Operand) -> Operand:
        """An argument of the step for what is carried into it."""
        script = self.writer.script
        name = script.names.fresh(hint)
        script.values[name] = script.run(operand.text)
        self.carried.append(name)
        return Operand(name, ATOM, operand.axes, operand.rank)

    def finish(
        self, lines: list[str], onward: Mapping[str, str], given: Mapping[str, str], kept: Keeper
    ) -> dict[What, Operand]:
        """Write the step and the loop, and run the steps that are left.

        Args:
            lines: of the body.
            onward: the name of what is carried → the text of what is carried on.
            given: an argument of the step → the name of what it is a step of.
            kept: what is kept of every step.
        """
        script, entries = self.writer.script, kept.entries
        carried_on = ", ".join(
            self.carried[i] if old == new else new for i, (old, new) in enumerate(onward.items())
        )
        arguments = ", ".join(["count", *self.carried, *given])
        body = [*lines, f"return [{carried_on}], [{', '.join(entries.values())}]"]
        text = "\n".join([f"def {self.name}({arguments}):", *(INDENT + line for line in body)])
        exec(compile(text, "<symdgm>", "exec"), script.values)
        script.record(text, (self.name,))
        names, found = kept.named()
        call = f"carried({self.name}, {self.counts}, [{', '.join(onward)}], [{', '.join(given.values())}])"
        if self.before.unchanged():
            self.before.draw_again()
            values = script.run(call)
        else:
            values = self._rest(list(names), carried_on, given)
        script.values.update(zip(names.values(), values, strict=True))
        comma = "," if len(names) == 1 else ""
        script.record(f"{', '.join(names.values())}{comma} = {call}", tuple(names.values()))
        return found

    def _rest(self, entries: list[str], carried_on: str, given: Mapping[str, str]) -> list[Tensor]:
        """What all steps keep, where the first one cannot run again."""
        script, first = self.writer.script, f"{self.counts}[0]"
        rest = ", ".join(f"{sequence}[{first}:]" for sequence in given.values())
        others = script.run(f"carried({self.name}, {self.counts}[1:], [{carried_on}], [{rest}])")
        return [torch.cat([*script.values[entry], *others[i : i + 1]]) for i, entry in enumerate(entries)]
