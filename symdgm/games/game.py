"""From what is written to the players of a model: one who moves everything, or the sides of a game."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from sympy import Basic
from torch import Tensor

from symdgm.binding import Environment, Excerpt, Written
from symdgm.binding.observations import check_draws
from symdgm.errors import DataError, OptionError, suggest
from symdgm.games.averages import Average, clip
from symdgm.games.critics import Critics, estimate_divergences, record, with_critics
from symdgm.games.players import Listed, Player, make_players
from symdgm.games.sides import has_players, is_game, only_side, sides_of
from symdgm.games.turns import turn_of
from symdgm.objective import Objective
from symdgm.parts import Shelf
from symdgm.training import Evaluation


def assemble_players(
    readings: Sequence[Written],
    environment: Environment,
    options: Mapping[str, Any],
    listed: Listed,
    text: Basic,
    read: Callable[[str], Basic],
    critics: Critics | None = None,
) -> tuple[Objective, dict[str, Player]]:
    """The objective of a model, and its players in the order in which they move.

    Args:
        readings: the objectives as written.
        environment: what their names are bound to.
        options: those of `Objective`.
        listed: player → what it owns, where its name does not say so.
        text: all that was written.
        read: text → node.
        critics: who estimates which divergence.

    Raises:
        GrammarError: a player has two objectives.
        NameResolutionError: the name of a player owns nothing.
        OptionError: ``listed`` names no player, or two players own one parameter.
        ParameterError: the objective of a player does not depend on what it owns.
    """
    written = [reading.expression for reading in readings]
    alone = not is_game(written) and not (listed and has_players(written[0]))
    if alone and critics is None:
        (reading,) = readings
        objective = Objective.over(reading, environment, **options)
        return objective, {"": only_player(objective, listed)}
    sides = [only_side(written[0])] if alone else sides_of(written)
    estimated = [] if critics is None else estimate_divergences(sides, environment, critics, read)
    sides = [*(e.side for e in estimated), *(with_critics(side, estimated) for side in sides)]
    objectives = [
        Objective.over(Excerpt(side.expression, readings[0]), environment, **options) for side in sides
    ]
    heads = [text, *(side.body for side in sides)]
    players = make_players(sides, objectives, heads, listed, read)
    for estimate in estimated:
        own = players[estimate.side.name]
        players[own.name] = replace(own, clip=estimate.critic.clip)
        record(estimate, [*(p.objective for p in players.values() if p is not own), objectives[-1]])
    return objectives[-1], players


def only_player(objective: Objective, listed: Listed) -> Player:
    """The one player, who owns everything.

    Raises:
        OptionError: others are listed.
    """
    if listed:
        raise OptionError(
            f"`players` lists `{next(iter(listed))}`, but the objective has no players",
            hint="write whose parameters are moved, `min_G max_D ...` or `loss_d: minimize ... over D`",
        )
    return Player("", objective, tuple(objective.parameters()))


def find_player(players: Mapping[str, Player], name: str | None) -> Player:
    """The player of a name or label; the only one if there is no other.

    Raises:
        OptionError: there is none, or no name and several.
    """
    if name is None and len(players) == 1:
        return next(iter(players.values()))
    found = [p for p in players.values() if isinstance(name, str) and name in (p.name, p.label)]
    if name is None or not found:
        if list(players) == [""]:
            raise OptionError("the objective is no game, and has no players", hint="leave `player` out")
        lacking = f"there is no player `{name}`"
        problem, asked = ("a game has a loss for each player", "") if name is None else (lacking, name)
        raise OptionError(problem, hint=f"write `player=...`; {suggest(asked, players)}")
    return found[0]


def read_batch(players: Mapping[str, Player], values: Mapping[str, object], n: int) -> dict[str, Tensor]:
    """What a step was given as checked tensors; without data, one that says how many are drawn.

    Values are looked at in the first batch of each shape: a step would pay a tenth of its time for it.
    """
    if len(players) == 1:
        (player,) = players.values()
        batch = player.objective.read(values, each=False)
    else:
        batch = _read_together(players, values)
    check_draws(n, batch)
    return batch or {"": torch.empty(n, 0)}


def _read_together(players: Mapping[str, Player], values: Mapping[str, object]) -> dict[str, Tensor]:
    known = {name for player in players.values() for name in player.objective.data}
    batch: dict[str, Tensor] = {}
    for player in players.values():
        others = known - set(player.objective.data)
        own = {name: value for name, value in values.items() if name not in others}
        batch |= player.objective.read(own, each=False)
    return batch


def split_batch(objective: Objective, batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """The data of one objective from a batch, and how many are drawn where it has none."""
    data = {name: batch[name] for name in objective.accepted if name in batch}
    return data, 1 if data else len(next(iter(batch.values())))


def evaluate(
    players: Mapping[str, Player], name: str, batch: Mapping[str, Tensor], *, apart: bool
) -> Evaluation:
    """One evaluation of a player's objective on what `read_batch` returned; see `Trainable.evaluate`."""
    given: object = batch
    if isinstance(given, Tensor):
        raise DataError(
            "`model.evaluate` is what a step calls, with a dict of checked tensors",
            hint="write `model.loss(x)` for the loss, `model.terms(x)` for its terms",
        )
    objective = players[name].objective
    if not name and "" not in batch:  # one who plays alone: all data are its own, and the gradients too
        value, terms = objective.evaluate(batch, apart=apart)
    else:
        data, n = split_batch(objective, batch)
        with turn_of(name, players):
            value, terms = objective.evaluate(data, n=n, apart=apart)
    return Evaluation(value, terms, maximized=objective.direction == "maximize")


def after_move(player: Player, averages: Sequence[Average]) -> None:
    """Clip the weights of a player who has moved, and let the averages of them follow."""
    if player.clip is not None:
        clip(player.parameters, player.clip)
    for average in averages:
        if not player.name or not {*player.parameters}.isdisjoint(average.source.parameters()):
            average.follow()


def all_baselines(players: Mapping[str, Player]) -> Shelf:
    """The learned baselines of all objectives, by player where there are several."""
    if "" in players:
        return players[""].objective.baselines
    return Shelf({name: player.objective.baselines for name, player in players.items()})
