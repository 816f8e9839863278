"""What batches of sequences have in different sizes: steps, their masks, and lists of how many there are."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from symdgm.lowering.operands import BATCH, STEPS
from symdgm.lowering.statements import Statement

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer

LOOPS = {"in_segments", "checkpoint"}
"""Helpers that go over time in Python."""
READ_BACK = {"nonzero", "tolist", "item"}
"""Methods whose result Python must know before it can go on."""


@dataclass(frozen=True)
class Uneven:
    """What differs from batch to batch, by name.

    Args:
        objects: how many sequences have each time, lists that a loop fills, its steps, recurrent networks.
        masks: truth values; so many as are true is the size of what they pick.
        axes: a tensor → those of its axes that have another length for other data.
        data: what is observed.
    """

    objects: frozenset[str]
    masks: frozenset[str]
    axes: Mapping[str, tuple[int, ...]]
    data: frozenset[str]

    def is_python(self, statement: Statement) -> bool:
        """Whether Python decides what a statement does: a graph of it would hold for one batch only."""
        if self.objects & {*loaded(statement.text), *statement.names}:
            return True
        return any(self._decides(node) for node in ast.walk(ast.parse(statement.text)))

    def _decides(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Subscript):
            return bool(self.masks & loaded(node.slice))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return node.func.id in LOOPS or bool(self.masks & {n for a in node.args for n in loaded(a)})
        return isinstance(node, ast.Attribute) and node.attr in READ_BACK


def loaded(code: str | ast.AST) -> set[str]:
    """The names that a piece of code reads, but for those of comprehensions in it."""
    tree = ast.parse(code) if isinstance(code, str) else code
    nodes = list(ast.walk(tree))
    own = {name for n in nodes if isinstance(n, ast.comprehension) for name in _stored(n)}
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)} - own


def changed_by_loops(text: str) -> set[str]:
    """The names that loops in a piece of code assign, or whose lists they fill."""
    loops = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.For)]
    inside = [n for loop in loops for n in ast.walk(loop) if isinstance(n, ast.Attribute)]
    lists = {n.value.id for n in inside if n.attr == "append" and isinstance(n.value, ast.Name)}
    return lists.union(*map(_stored, loops))


def _stored(tree: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def uneven(writer: Writer) -> Uneven:
    """What differs from batch to batch in code that has been written."""
    values = writer.script.values
    made = {name for s in writer.script.statements for name in s.names}
    axes = {name: tuple(range(v.dim())) for name in made if _is_place(v := values[name])}
    for operand in writer.operands.values():
        if operand.text.isidentifier():
            axes[operand.text] = tuple(i for i, a in enumerate(operand.axes) if a in (BATCH, STEPS))
    for key, name in writer.arguments.items():
        kind, _, variable = key.partition(":")
        if kind == "data":
            axes[name] = (0, 1) if variable in writer.frozen.bound.sequences else (0,)
    objects = (name for name in (*made, *writer.used) if _is_object(values[name]))
    masks = (name for name in made if _is_place(v := values[name]) and v.dtype == torch.bool)
    varying = {name: places for name, places in axes.items() if places}
    return Uneven(frozenset(objects), frozenset(masks), varying, frozenset(writer.positional))


def _is_object(value: object) -> bool:
    """Whether a value is no tensor, or a network that no graph can hold: one that is recurrent."""
    if isinstance(value, nn.Module):
        return any(isinstance(m, nn.RNNBase) for m in value.modules())
    return isinstance(value, list | FunctionType)


def _is_place(value: object) -> bool:
    """Whether a tensor says where steps lie."""
    return isinstance(value, Tensor) and not value.is_floating_point()
