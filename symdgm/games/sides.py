"""The sides of a game: who minimises or maximises what, as it is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sympy import Basic, Tuple
from sympy.core.symbol import Str

from symdgm.errors import GrammarError
from symdgm.expressions.names import spelled
from symdgm.expressions.statements import Definition, Labeled, Optimize
from symdgm.statement import DIRECTIONS, is_factor, statement_of

REST = "model"
"""The name of the player who owns all that no other player does."""


@dataclass(frozen=True)
class Side:
    """One side of a game.

    Args:
        name: as in ``min_G``; those of a team are joined by commas.
        owners: the names whose parameters it moves; none if it moves all that are left.
        direction: ``maximize`` or ``minimize``.
        body: the formula.
        label: the name before it, ``loss_d`` of ``loss_d: minimize ...``.
    """

    name: str
    owners: tuple[Basic, ...]
    direction: str
    body: Basic
    label: Basic | None = None

    @property
    def expression(self) -> Basic:
        """The side as an objective of one player."""
        alone = Optimize(Str(self.direction), self.body, Tuple())
        return alone if self.label is None else Labeled(self.label, alone)


def is_game(objectives: Sequence[Basic]) -> bool:
    """Whether objectives have players, ``min_G max_D f``, or are several."""
    return len(objectives) > 1 or isinstance(statement_of(objectives[0]).body, Optimize)


def has_players(objective: Basic) -> bool:
    """Whether an objective says whose parameters it moves."""
    return any(node.args[2].args for node in _optimised(objective))


def only_side(objective: Basic) -> Side:
    """The side of an objective without players, beside critics."""
    statement = statement_of(objective)
    assert statement.direction is not None
    return Side(REST, (), statement.direction, statement.body, statement.label)


def sides_of(objectives: Sequence[Basic]) -> list[Side]:
    """The sides in the order in which they move.

    Objectives move as they are written; one inside of another moves first, as the maximum of
    ``min_G max_D f`` is taken first (Goodfellow et al. 2014, Algorithm 1).

    Raises:
        GrammarError: a player has two objectives, or two have no player.
    """
    found = [side for objective in objectives for side in reversed(list(_sides(objective)))]
    seen: set[str] = set()
    for side in found:
        if side.name in seen:
            who = f"`{side.name}` is a player" if side.owners else "all parameters are moved"
            raise GrammarError(
                f"{who} of two objectives",
                hint="add the two up, `minimize f + g`, or say whose parameters each moves: "
                "`loss_d: minimize f over D`",
            )
        seen.add(side.name)
    return found


def _sides(objective: Basic) -> Iterator[Side]:
    """The sides of one objective, the outermost first."""
    label, body = _unlabelled(objective)
    for node in _optimised(objective):
        owners = tuple(node.args[2].args)
        name = ",".join(map(spelled, owners)) or REST
        yield Side(name, owners, DIRECTIONS[node.direction], body, label)


def _optimised(objective: Basic) -> Iterator[Optimize]:
    """The optimisations that stand in one another, the outermost first."""
    body = objective
    while True:
        if isinstance(body, Optimize):
            yield body
            body = body.args[1]
        elif isinstance(body, Labeled) or (isinstance(body, Definition) and not is_factor(body)):
            body = body.args[1]
        else:
            return


def _unlabelled(objective: Basic) -> tuple[Basic | None, Basic]:
    """The label before an objective, and its formula."""
    label, body = None, objective
    while isinstance(body, Optimize | Labeled | Definition):
        label = body.args[0] if isinstance(body, Labeled) and label is None else label
        body = body.args[1]
    return label, body
