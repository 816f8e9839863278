"""Draws and states a few at a time, where all of them together would need more memory than there is to be.

What a network computes for one draw does not depend on the others. Such statements of a generated function
are found by running them for two and for three draws: row by row they give the same. They go into a function
of their own, which runs on a few draws at a time and is computed anew for the gradient (Chen et al. 2016,
arXiv:1604.06174). Noise is drawn as before, all at once, so that values are the same but for rounding. What
is not row by row, such as batch normalisation or dropout in training, is left as it is. It sets in where
the number of draws times the bytes of one, as they are measured, is more than the budget.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from symdgm.lowering import Frozen, Statement

FEW, MORE = 2, 3
"""The numbers of draws for which statements are tried."""


@dataclass
class _Trial:
    """What came out for a few draws.

    Args:
        count: of how many.
        values: name → value, for what depends on the draws.
        memory: bytes that the gradient keeps, by where they are.
    """

    count: int
    values: dict[str, Any]
    memory: dict[int, int]

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Inside, what the gradient keeps is counted."""
        with torch.autograd.graph.saved_tensors_hooks(self._packed, lambda tensor: tensor):
            yield

    def _packed(self, tensor: Tensor) -> Tensor:
        self.note(tensor)
        return tensor

    def note(self, value: Any) -> None:
        if isinstance(value, Tensor):
            self.memory[value.data_ptr()] = value.numel() * value.element_size()


class Divider:
    """Finds what can be done for a few draws at a time.

    Args:
        statements: of a generated function.
        draws: the names of draws and states that have an axis of their own, which is their first.
        values: all that the statements read.
        batch: the number of examples.
    """

    def __init__(
        self, statements: Sequence[Statement], draws: Sequence[str], values: Mapping[str, Any], batch: int
    ) -> None:
        self.statements = tuple(statements)
        self.draws = set(draws)
        self.batch = batch
        self._values = dict(values)
        self._trials = (_Trial(FEW, {}, {}), _Trial(MORE, {}, {}))
        self._wide: set[str] = set()
        self.inside = [self._is_row_by_row(statement) for statement in self.statements]

    @property
    def bytes_per_row(self) -> float:
        """What one draw of one example needs."""
        few, more = (sum(trial.memory.values()) for trial in self._trials)
        return max((more - few) / (MORE - FEW) / self.batch, 1.0)

    def divided(self, budget: int, batch: str) -> list[Statement]:
        """The statements with those that are done for a few draws at a time.

        Args:
            budget: bytes.
            batch: the text of the number of examples.
        """
        rows = max(int(budget / self.bytes_per_row), 1)
        result: list[Statement] = []
        group: list[Statement] = []
        for i, statement in enumerate(self.statements):
            if self.inside[i]:
                group.append(statement)
                continue
            if group and _names(statement.text) & {n for s in group for n in s.names}:
                result += self._part(group, self.statements[i:], rows, batch)
                group = []
            result.append(statement)
        return result + group

    def _part(
        self, group: list[Statement], rest: Sequence[Statement], rows: int, batch: str
    ) -> list[Statement]:
        """A group as a function, and its call."""
        made = {name for s in group for name in s.names}
        used = {name for s in group for name in _names(s.text)}
        read = [name for name in self._order() if name in used - made]
        later = {name for s in rest if s not in group for name in _names(s.text)}
        given = [name for s in group for name in s.names if name in later]
        if not read or any(len(self._trials[0].values[name]) != FEW for name in read):
            return group
        body = [f"    {line}" for s in group for line in s.text.split("\n")]
        function = "\n".join([f"def part({', '.join(read)}):", *body, f"    return ({', '.join(given)},)"])
        call = f"({', '.join(given)},) = in_parts(part, {rows} // {batch}, {', '.join(read)})"
        remark = f"as many of the draws at a time as make {rows} rows, computed anew for the gradient"
        return [Statement(function, (), None, remark), replace(group[-1], text=call, comment="")]

    def _order(self) -> list[str]:
        """What has the axis of draws, in the order in which it is made."""
        return [name for s in self.statements for name in s.names if name in self._wide]

    def _is_row_by_row(self, statement: Statement) -> bool:
        """Runs a statement; whether what it gives for some draws is what it gives for more of them."""
        used = _names(statement.text)
        if not used & self._trials[0].values.keys():
            exec(statement.text, self._values)
            self._begin(statement)
            return False
        whole = used & self._trials[0].values.keys() <= self._wide
        for trial in self._trials:
            self._run(statement, trial)
        fits = whole and all(self._agrees(name) for name in statement.names)
        if fits:
            self._wide.update(statement.names)
        self._begin_within(statement)
        return fits

    def _run(self, statement: Statement, trial: _Trial) -> None:
        space = {**self._values, **trial.values}
        with trial.counted():
            exec(statement.text, space)
        for name in statement.names:
            trial.values[name] = space[name]
            trial.note(space[name])

    def _begin(self, statement: Statement) -> None:
        """Takes a few of draws that were made."""
        for name in self.draws.intersection(statement.names):
            if len(self._values[name]) > MORE:
                for trial in self._trials:
                    trial.values[name] = self._values[name][: trial.count]
                self._wide.add(name)

    def _begin_within(self, statement: Statement) -> None:
        """Draws given other draws: the noise differs, so the fewer are taken from the more."""
        few, more = self._trials
        for name in self.draws.intersection(statement.names) - self._wide:
            if len(more.values[name]) == MORE:
                few.values[name] = more.values[name][:FEW]
                self._wide.add(name)

    def _agrees(self, name: str) -> bool:
        few, more = (trial.values[name] for trial in self._trials)
        if not isinstance(few, Tensor) or few.ndim == 0 or few.shape[1:] != more.shape[1:]:
            return False
        if len(few) % FEW or len(few) // FEW * MORE != len(more):
            return False
        same = torch.isclose(few, more[: len(few)], rtol=1e-3, atol=1e-5, equal_nan=True)
        return bool(same.all())


def _names(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", text))


@contextmanager
def undone(frozen: Frozen, like: Tensor) -> Iterator[None]:
    """Inside, noise may be drawn and networks may be called; afterwards neither has happened."""
    modules = [s.call for s in frozen.sources.values() if isinstance(s.call, nn.Module)]
    buffers = {id(b): (b, b.clone()) for module in modules for b in module.buffers()}
    # Of no other device: torch would warn of each machine that has several.
    with torch.random.fork_rng(devices=[like.device] if like.is_cuda else [], device_type="cuda"):
        yield
    for buffer, before in buffers.values():
        buffer.copy_(before)
