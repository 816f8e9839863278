"""What an objective says besides its formula: a name on the left-hand side, and whether it is maximised."""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Basic

from symdgm.expressions.names import Name, Subscripted
from symdgm.expressions.scope import free_names, heads
from symdgm.expressions.statements import Block, Definition, Labeled, Optimize, Proportional
from symdgm.families import is_family
from symdgm.names import GREEK

DIRECTIONS = {"maximize": "maximize", "argmax": "maximize", "minimize": "minimize", "argmin": "minimize"}
"""What is done, for each way to write it."""


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
            direction, body = DIRECTIONS[body.direction], body.args[1]
        else:
            return Statement(body, label, direction)


def is_objective(expression: Basic) -> bool:
    """Whether a statement of a block is an objective."""
    statement = statement_of(expression)
    return statement.direction is not None or isinstance(statement.body, Optimize)


def is_factor(expression: Basic) -> bool:
    """Whether a statement defines a factor by a family, ``p(z) = Normal(z; 0, 1)``."""
    return isinstance(expression, Definition) and is_family(expression.args[1])


def is_block(expression: Basic) -> bool:
    """Whether a text is a model block rather than one objective."""
    return isinstance(expression, Block | Proportional) or is_factor(expression)


def _is_plain(node: Basic) -> bool:
    """Whether a node says to maximise or minimise over everything: with no player, or with one who owns all.

    Subscripts such as ``theta, phi`` own all if they are Greek names of nothing else, and if no
    network or distribution is written with another one (LANGUAGE.md 8.12).
    """
    if not isinstance(node, Optimize):
        return False
    players, body = set(node.args[2].args), node.args[1]
    called = heads(body)
    tags = {i for h in called if isinstance(h, Subscripted) for i in h.indices if isinstance(i, Name)}
    owners = tags <= players and not players & (called | free_names(body))
    return not players or (owners and all(isinstance(p, Name) and p.text in GREEK for p in players))
