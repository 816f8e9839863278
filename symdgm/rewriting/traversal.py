"""Applying a rule everywhere in an expression, from the leaves up."""

from __future__ import annotations

from collections.abc import Callable
from operator import is_

from sympy import Basic

from symdgm.expressions.applications import Apply, Call, Density
from symdgm.expressions.expectations import Binder, CrossEntropy, DivergenceBetween, Entropy
from symdgm.expressions.known import KnownIntegral
from symdgm.rewriting.rule import Change

LAWS = (Binder, DivergenceBetween, Entropy, CrossEntropy, KnownIntegral, Apply, Density)
"""Nodes below which stand references, not values: rules apply to them, never inside them."""


Known = dict[Basic, tuple[Basic, tuple[Change, ...]]]
"""A node → what it becomes, and the changes that lead there."""


def everywhere(
    expression: Basic,
    apply: Callable[[Basic], Basic | None],
    changes: list[Change],
    known: Known,
    *,
    in_logs: bool = True,
) -> Basic:
    """The expression with ``apply`` done at every node.

    Args:
        expression: where to start.
        apply: the new form of a node, or None.
        changes: each change is appended, once.
        known: what earlier calls with the same ``apply`` found, which is not looked for again; what this one
            finds is added.
        in_logs: whether ``apply`` is done at what a logarithm is taken of, as a whole.
    """
    found: list[Change] = []

    def visit(node: Basic) -> Basic:
        before = known.get(node)
        if before is not None:
            after, made = before
            found.extend(made)
            return after
        start = len(found)
        after = _rewritten(node)
        known[node] = after, tuple(found[start:])
        return after

    def _with_parts(node: Basic) -> Basic:
        if not node.args or isinstance(node, LAWS):
            return node
        logged = not in_logs and isinstance(node, Call) and node.function == "log"
        arguments = tuple(_with_parts(a) if logged else visit(a) for a in node.args)
        same = all(map(is_, arguments, node.args))
        return node if same else node.func(*arguments)

    def _rewritten(node: Basic) -> Basic:
        node = _with_parts(node)
        after = apply(node)
        if after is None or after == node:
            return node
        found.append(Change(node, after))
        return after

    result = visit(expression)
    changes.extend(dict.fromkeys(found))
    return result
