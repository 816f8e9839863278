"""What an objective says besides its formula: a name on the left-hand side, and whether it is maximised."""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Basic

from symdgm.expressions.statements import Block, Definition, Labeled, Optimize
from symdgm.families import is_family


@dataclass(frozen=True)
class Statement:
    """An objective without its clothes.

    Args:
        body: the formula.
        label: the name on its left-hand side, ``J`` of ``J = maximize ...``.
        direction: ``maximize`` or ``minimize``, if it is written.
    """

    body: Basic
    label: Basic | None = None
    direction: str | None = None


def statement_of(expression: Basic) -> Statement:
    """The formula of an objective, with its name and direction; a game stays part of the formula."""
    label, direction, body = None, None, expression
    while True:
        if label is None and isinstance(body, Definition | Labeled) and not is_factor(body):
            label, body = body.args
        elif direction is None and _is_plain(body):
            direction, body = str(body.args[0].name), body.args[1]
        else:
            return Statement(body, label, direction)


def is_objective(expression: Basic) -> bool:
    """Whether a statement of a block is an objective."""
    return statement_of(expression).direction is not None or isinstance(expression, Optimize | Labeled)


def is_factor(expression: Basic) -> bool:
    """Whether a statement defines a factor by a family, ``p(z) = Normal(z; 0, 1)``."""
    return isinstance(expression, Definition) and is_family(expression.args[1])


def is_block(expression: Basic) -> bool:
    """Whether a text is a model block rather than one objective."""
    return isinstance(expression, Block) or is_factor(expression)


def _is_plain(node: Basic) -> bool:
    """Whether a node says to maximise or minimise over everything."""
    return isinstance(node, Optimize) and not node.args[2] and node.direction in ("maximize", "minimize")
