"""How many independent draws an expression takes: a sum shares them, a product does not."""

from __future__ import annotations

from sympy import Basic, Integer

from symdgm.expressions.applications import Inner, Norm
from symdgm.expressions.arithmetic import Power, Quotient, Times
from symdgm.expressions.expectations import Expect

PRODUCTS = (Times, Quotient, Inner)
MAX_COPIES = 8
"""The highest power of an expectation that is a product of independent estimates."""


def streams(node: Basic, known: dict[Basic, int]) -> int:
    """The number of streams of draws that an expression takes, 0 if it draws nothing.

    Factors of a product take streams of their own, so that the product of their estimates stays
    unbiased; all else shares.

    Args:
        node: the expression.
        known: what was counted already; it grows.
    """
    if node not in known:
        parts = [streams(a, known) for a in node.args]
        count = max(parts, default=0)
        if isinstance(node, PRODUCTS):
            count = sum(parts)
        elif isinstance(node, Expect):
            count = max(1, count)
        elif copies(node) is not None:
            count = parts[0] * int(node.args[1])
        known[node] = count
    return known[node]


def copies(node: Basic) -> int | None:
    """How many estimates of its base a power multiplies; None where it is no small whole power."""
    if not isinstance(node, Power):
        return None
    exponent = node.args[1]
    whole = isinstance(exponent, Integer) and 2 <= exponent <= MAX_COPIES
    return int(exponent) if whole else None


def squared_norm(node: Basic) -> Basic | None:
    """The vector of ``||v||^2``, or None."""
    if not (isinstance(node, Power) and isinstance(node.args[0], Norm)):
        return None
    norm, exponent = node.args
    return norm.args[0] if norm.args[1] == Integer(2) and exponent == Integer(2) else None
