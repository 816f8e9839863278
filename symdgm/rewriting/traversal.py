"""Applying a rule everywhere in an expression, from the leaves up."""

from __future__ import annotations

from collections.abc import Callable

from sympy import Basic

from symdgm.expressions.expectations import Binder, CrossEntropy, Divergence, Entropy
from symdgm.expressions.applications import Apply, Density
from symdgm.rewriting.rule import Change

LAWS = (Binder, Divergence, Entropy, CrossEntropy, Apply, Density)
"""Nodes below which stand references, not values: rules apply to them, never inside them."""


def everywhere(
    expression: Basic, apply: Callable[[Basic], Basic | None], changes: list[Change], memo: dict[Basic, Basic]
) -> Basic:
    """The expression with ``apply`` done at every node; each change is appended to ``changes``."""
    if expression in memo:
        return memo[expression]
    node = expression
    if node.args and not isinstance(node, LAWS):
        arguments = tuple(everywhere(a, apply, changes, memo) for a in node.args)
        if arguments != node.args:
            node = node.func(*arguments)
    after = apply(node)
    if after is not None and after != node:
        changes.append(Change(node, after))
        node = after
    memo[expression] = node
    return node
