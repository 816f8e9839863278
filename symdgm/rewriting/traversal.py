"""Applying a rule everywhere in an expression, from the leaves up."""

from __future__ import annotations

from collections.abc import Callable

from sympy import Basic

from symdgm.expressions.applications import Apply, Call, Density
from symdgm.expressions.expectations import Binder, CrossEntropy, DivergenceBetween, Entropy
from symdgm.expressions.known import KnownIntegral
from symdgm.rewriting.rule import Change

LAWS = (Binder, DivergenceBetween, Entropy, CrossEntropy, KnownIntegral, Apply, Density)
"""Nodes below which stand references, not values: rules apply to them, never inside them."""


def everywhere(
    expression: Basic,
    apply: Callable[[Basic], Basic | None],
    changes: list[Change],
    settled: set[Basic],
    *,
    in_logs: bool = True,
) -> Basic:
    """The expression with ``apply`` done at every node.

    Args:
        expression: where to start.
        apply: the new form of a node, or None.
        changes: each change is appended.
        settled: expressions in which nothing changes; those that are found are added, and not
            walked again.
        in_logs: whether ``apply`` is done at what a logarithm is taken of, as a whole.
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

    def _with_parts(node: Basic) -> Basic:
        if not node.args or isinstance(node, LAWS):
            return node
        logged = not in_logs and isinstance(node, Call) and node.function == "log"
        arguments = tuple(_with_parts(a) if logged else visit(a) for a in node.args)
        same = all(a is b for a, b in zip(arguments, node.args, strict=True))
        return node if same else node.func(*arguments)

    def _rewritten(node: Basic) -> Basic:
        node = _with_parts(node)
        after = apply(node)
        if after is None or after == node:
            return node
        changes.append(Change(node, after))
        return after

    return visit(expression)
