"""Where an estimator's gradient is right: what it needs of the body of an expectation."""

from __future__ import annotations

from sympy import Basic, preorder_traversal

from symdgm.expressions.applications import Apply, Call, Density, Indicator
from symdgm.expressions.arithmetic import Minus, Plus, Quotient, Times
from symdgm.expressions.expectations import Expect
from symdgm.lowering.estimation.estimator import Place

FLAT = ("sg", "floor", "ceil", "sign")
"""Functions that let no gradient through."""


def scores_linearly(place: Place, node: Basic) -> bool:
    """Whether the log-density of the law enters a body only as a term with a constant factor.

    Only then its score, which is left out by sticking the landing, has the mean zero.
    """
    if not _mentions(place, node):
        return True
    if isinstance(node, Plus | Minus):
        return all(scores_linearly(place, part) for part in node.args)
    if isinstance(node, Times | Quotient):
        rest = [part for part in node.args if not place.lowering.facts.is_scalar(part)]
        above = not isinstance(node, Quotient) or not _mentions(place, node.args[1])
        return len(rest) == 1 and above and scores_linearly(place, rest[0])
    if isinstance(node, Expect):
        return scores_linearly(place, node.body)
    if isinstance(node, Call) and node.function == "log":
        return _is_ratio(place, node.args[1])
    return False


def _is_ratio(place: Place, node: Basic) -> bool:
    """Whether a logarithm is of densities multiplied and divided, so that it is a sum of their logs."""
    if isinstance(node, Times | Quotient):
        return all(_is_ratio(place, part) for part in node.args)
    return isinstance(node, Apply | Density) or not _mentions(place, node)


def _mentions(place: Place, node: Basic) -> bool:
    facts = place.lowering.facts
    laws = (facts.law(n) for n in preorder_traversal(node) if isinstance(n, Apply | Density))
    return any(law is not None and law.identity == place.law.identity for law in laws)


def lets_gradients_through(node: Basic) -> bool:
    """Whether no part of a body stops the gradient by the variables that it depends on."""
    return not any(
        isinstance(n, Indicator) or (isinstance(n, Call) and n.function in FLAT)
        for n in preorder_traversal(node)
    )
