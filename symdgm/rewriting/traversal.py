"""Applying a rule everywhere in an expression, from the leaves up."""

from __future__ import annotations

from collections.abc import Callable, Collection
from operator import is_
from typing import final

from sympy import Basic

from symdgm.expressions.applications import Apply, Call, Density
from symdgm.expressions.expectations import Binder, CrossEntropy, DivergenceBetween, Entropy
from symdgm.expressions.known import KnownIntegral
from symdgm.rewriting.rule import Change

LAWS = (Binder, DivergenceBetween, Entropy, CrossEntropy, KnownIntegral, Apply, Density)
"""Nodes below which stand references, not values: rules apply to them, never inside them."""


@final
class Kinds(dict[Basic, frozenset[type[Basic]]]):
    """A node → the types of the nodes that rules look at in it: its own, and those of its parts."""

    def __missing__(self, node: Basic) -> frozenset[type[Basic]]:
        parts = () if isinstance(node, LAWS) else node.args
        found = frozenset([type(node)]).union(*(self[part] for part in parts))
        self[node] = found
        return found


@final
class Everywhere:
    """A rule that is applied at every node; what it made of a part once it need not find again.

    Args:
        apply: the new form of a node, or None.
        at: the types of the nodes that may have one; where none of them stands, nothing is looked at.
        kinds: what is known of expressions; rules may share it.
        in_logs: whether the rule is applied to what a logarithm is taken of, as a whole.
    """

    def __init__(
        self,
        apply: Callable[[Basic], Basic | None],
        at: Collection[type[Basic]],
        kinds: Kinds | None = None,
        *,
        in_logs: bool = True,
    ) -> None:
        self._apply = apply
        self._at = frozenset(at)
        self._kinds = Kinds() if kinds is None else kinds
        self._in_logs = in_logs
        self._known: dict[Basic, tuple[Basic, tuple[Change, ...]]] = {}

    def __call__(self, expression: Basic) -> tuple[Basic, tuple[Change, ...]]:
        """The expression with the rule applied, and each change once."""
        found: list[Change] = []
        result = self._visit(expression, found)
        return result, tuple(dict.fromkeys(found))

    def _visit(self, node: Basic, found: list[Change]) -> Basic:
        if self._at.isdisjoint(self._kinds[node]):
            return node
        before = self._known.get(node)
        if before is not None:
            after, made = before
            found.extend(made)
            return after
        start = len(found)
        after = self._rewritten(self._with_parts(node, found), found)
        self._known[node] = after, tuple(found[start:])
        return after

    def _with_parts(self, node: Basic, found: list[Change]) -> Basic:
        if not node.args or isinstance(node, LAWS):
            return node
        logged = not self._in_logs and isinstance(node, Call) and node.function == "log"
        visit = self._with_parts if logged else self._visit
        arguments = tuple([visit(a, found) for a in node.args])
        return node if all(map(is_, arguments, node.args)) else node.func(*arguments)

    def _rewritten(self, node: Basic, found: list[Change]) -> Basic:
        after = self._apply(node) if type(node) in self._at else None
        if after is None or after == node:
            return node
        found.append(Change(node, after))
        return after
