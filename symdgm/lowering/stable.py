"""Compositions that lose digits, and the atomic operations that do not."""

from __future__ import annotations

from sympy import Basic, Integer

from symdgm.expressions.applications import Call
from symdgm.expressions.arithmetic import Minus, Plus


def stable(node: Basic) -> tuple[str, tuple[Basic, ...]] | None:
    """The atomic form of log softmax, log sigmoid, log(1 − sigmoid), log(1 + exp) and log exp, or None.

    Returns:
        The operation and its operands.
    """
    if not (isinstance(node, Call) and node.function == "log"):
        return None
    inner = node.args[1]
    if isinstance(inner, Call):
        forms = {"softmax": "log_softmax", "sigmoid": "log_sigmoid", "exp": "identity"}
        return (forms[inner.function], inner.args[1:]) if inner.function in forms else None
    if isinstance(inner, Plus) and len(inner.args) == 2 and inner.args[0] == Integer(1):
        return _log_of_one_plus(inner.args[1])
    return None


def _log_of_one_plus(term: Basic) -> tuple[str, tuple[Basic, ...]] | None:
    if isinstance(term, Call) and term.function == "exp":
        return "softplus", term.args[1:]
    if isinstance(term, Minus) and isinstance(term.args[0], Call) and term.args[0].function == "sigmoid":
        return "log_one_minus_sigmoid", term.args[0].args[1:]
    return None
