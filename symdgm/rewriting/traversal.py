"""Applying a rule everywhere in an expression, from the leaves up."""

from __future__ import annotations

from collections.abc import Callable

from sympy import Basic

from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.expectations import Binder, CrossEntropy, DivergenceBetween, Entropy
from symdgm.expressions.known import KnownIntegral
from symdgm.rewriting.rule import Change

LAWS = (Binder, DivergenceBetween, Entropy, CrossEntropy, KnownIntegral, Apply, Density)
"""Nodes below which stand references, not values: rules apply to them, never inside them."""


def everywhere(
    expression: Basic, apply: Callable[[Basic], Basic | None], changes: list[Change], settled: set[Basic]
) -> Basic:
    """The expression with ``apply`` done at every node.

    Args:
        expression: where to start.
        apply: the new form of a node, or None.
        changes: each change is appended.
        settled: expressions in which nothing changes; those that are found are added, and not
            walked again.
    """
    known: dict[Basic, Basic] = {}

    def visit(node: Basic) -> Basic:
        if node in settled:
            return node
        if node not in known:
            known[node] = _rewritten(node)
            if known[node] == node:
                settled.add(node)
        return known[node]

    def _rewritten(node: Basic) -> Basic:
        if node.args and not isinstance(node, LAWS):
            arguments = tuple(visit(a) for a in node.args)
            if any(a is not b for a, b in zip(arguments, node.args, strict=True)):
                node = node.func(*arguments)
        after = apply(node)
        if after is None or after == node:
            return node
        changes.append(Change(node, after))
        return after

    return visit(expression)
