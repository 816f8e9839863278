"""From the text of a model and what is bound to its objective, its players and the networks that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sympy import Basic

from symdgm.binding.classify import declared_node
from symdgm.binding.papers import as_papers_mean
from symdgm.block import build
from symdgm.distributions import Distribution
from symdgm.equations import OPTIONS, distributions_of, reading_of
from symdgm.errors import NotSupportedError
from symdgm.expression import unpacked
from symdgm.expressions.names import spelled
from symdgm.expressions.node import Node
from symdgm.expressions.scope import heads
from symdgm.games.averages import Average, Ema, make_averages, read_bounds
from symdgm.games.critics import Critics
from symdgm.games.game import assemble_players, only_player
from symdgm.games.players import Listed, Player
from symdgm.games.sides import is_game
from symdgm.given import table
from symdgm.objective import Objective
from symdgm.parsing import parse
from symdgm.statement import is_block


@dataclass(frozen=True, eq=False)
class Assembly:
    """What a model is made of.

    Args:
        text: what was written.
        objective: its objective; of a game, that of the player who moves first.
        players: the players in the order in which they move; one alone is called by the empty name.
        averages: the networks that follow others.
        kept: those among them that the text does not name.
    """

    text: Basic
    objective: Objective
    players: dict[str, Player]
    averages: list[Average]
    kept: list[Average]


def assemble(
    text: str | Node,
    distributions: Sequence[Distribution],
    names: Mapping[str, Any],
    options: Mapping[str, Any],
    players: Listed | None,
    ema: Ema | None,
    critic: Critics | None,
    clip_weights: Mapping[str, float] | None,
) -> Assembly:
    """Bind what was written.

    Args:
        text: an objective or a block.
        distributions: those that it names, besides those that the block defines.
        names: keyword → network, scalar, event shape or distribution.
        options: those of `Objective`.
        players: player → what it owns, where its name does not say so.
        ema: average → how much of itself it keeps, and which network it follows.
        critic: who estimates which divergence.
        clip_weights: player → the largest absolute value of its weights.

    Raises:
        SymdgmError: see `symdgm.model.Model`.
    """
    text, distributions, names = unpacked(text, distributions, names)
    averages = make_averages(ema, names, parse)
    listed = table("players", players, "players={'G': [net]}")
    reading = as_papers_mean(reading_of(text), names, parse)
    mentioned = {spelled(head) for head in heads(reading.expression)}
    every = {**names, **{a.name: a.target for a in averages if a.name in mentioned}}
    if is_block(reading.expression) or is_game([reading.expression]) or listed or critic is not None:
        declared = [(declared_node(d, parse), d) for d in distributions_of(tuple(distributions))]
        readings, environment = build(reading, declared, every, OPTIONS)
        objective, found = assemble_players(
            readings, environment, options, listed, reading.expression, parse, critic
        )
    else:
        objective = Objective(text, *distributions, **options, **every)
        found = {"": only_player(objective, listed)}
    if objective.direction is None:
        raise NotSupportedError(
            "the equation does not say whether to maximise or to minimise it",
            hint=f"write `maximize {objective!r}`",
        )
    bounds = read_bounds(clip_weights, found)
    found = {name: replace(p, clip=bounds.get(name, p.clip)) for name, p in found.items()}
    kept = [average for average in averages if average.name not in mentioned]
    return Assembly(reading.expression, objective, found, averages, kept)
