"""Players: whose parameters each one moves, and which terms it needs for that."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sympy import Basic, Integer
from torch import nn

from symdgm.binding import Environment
from symdgm.errors import NameResolutionError, OptionError, ParameterError, suggest
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.names import Subscripted, spelled
from symdgm.expressions.scope import heads
from symdgm.games.sides import Side
from symdgm.lowering.reach import is_number, parameters_of, reached
from symdgm.objective import Objective
from symdgm.rewriting import Change, Kind, Step

Listed = Mapping[str, object]
"""Player → what it owns: names, networks, distributions or parameters."""


@dataclass(frozen=True, eq=False)
class Player:
    """One side of a game with its objective, which has only the terms that reach its parameters.

    Args:
        name: as in ``min_G``.
        objective: its own objective: its value, terms, derivation and code.
        parameters: what it moves.
        label: the name before its objective, ``loss_d`` of ``loss_d: minimize ...``.
        clip: the largest absolute value of its parameters, kept after each of its steps.
    """

    name: str
    objective: Objective
    parameters: tuple[nn.Parameter, ...]
    label: str = ""
    clip: float | None = None

    def __repr__(self) -> str:
        return f"{self.name}: {self.objective!r}, {len(self.parameters)} parameters"


def make_players(
    sides: Sequence[Side],
    objectives: Sequence[Objective],
    texts: Sequence[Basic],
    listed: Listed,
    read: Callable[[str], Basic],
) -> dict[str, Player]:
    """The players of a game, in the order in which they move.

    Args:
        sides: who optimises what.
        objectives: the objective of each side, with all terms of its formula.
        texts: all that was written, for names with subscripts.
        listed: player → what it owns, where its name does not say so.
        read: text → node.

    Raises:
        NameResolutionError: the name of a player owns nothing.
        OptionError: ``listed`` names no player, or two players own one parameter.
        ParameterError: the objective of a player does not depend on what it owns.
    """
    environment = objectives[0].bound.environment
    names = {spelled(owner) for side in sides for owner in side.owners}
    for name in listed:
        if spelled(read(name)) not in names:
            raise OptionError(f"`players` names `{name}`, which is no player", hint=suggest(name, names))
    given = {spelled(read(name)): value for name, value in listed.items()}
    owning = _Owning(environment, texts, given, read)
    owned = {side.name: owning.parameters(side.owners) for side in sides if side.owners}
    _refuse_shared(owned)
    taken = {p for parameters in owned.values() for p in parameters}
    everything = dict.fromkeys(p for objective in objectives for p in objective.parameters())
    found = {}
    for side, objective in zip(sides, objectives, strict=True):
        own = owned.get(side.name, [p for p in everything if p not in taken])
        baselines = [p for p in objective.baselines.parameters() if p not in taken]
        taken.update(baselines)  # of one player, whichever: what they minimise is the same for all
        own = list(dict.fromkeys([*own, *baselines]))
        if not side.owners and not any(p.requires_grad for p in own):
            continue  # only critics are trained: they estimate a divergence that nobody moves
        label = "" if side.label is None else spelled(side.label)
        found[side.name] = Player(side.name, restricted(objective, side.name, own), tuple(own), label)
    return found


def restricted(objective: Objective, name: str, own: Sequence[nn.Parameter]) -> Objective:
    """The objective with only the terms that reach a player's parameters: the others are constants to it.

    Raises:
        ParameterError: there is no such term.
    """
    frozen = objective.runner.frozen
    wanted = set(own)
    kept = [i for i, root in enumerate(frozen.roots) if reached(frozen, [root]) & wanted]
    if not kept:
        raise ParameterError(
            f"the objective of player `{name}` does not depend on what it owns: `{objective!r}`",
            hint="no term is a function of its networks and distributions, or all stand in `sg[...]`",
        )
    left = [i for i in range(len(frozen.roots)) if i not in kept]
    if all(is_number(frozen.roots[i]) for i in left):
        return objective  # numbers cost nothing, and the value is the whole formula's
    side = copy.copy(objective)
    side.term_names = [objective.term_names[i] for i in kept]
    side.rewriting = replace(objective.rewriting, terms=tuple(objective.rewriting.terms[i] for i in kept))
    roots = tuple(frozen.roots[i] for i in kept)
    runner = objective.runner
    side.runner = runner.of(replace(frozen, roots=roots), side.term_names)
    note = f"does not depend on what `{name}` moves"
    changes = tuple(Change(frozen.roots[i].term.name, Integer(0), note) for i in left)
    why = f"what does not depend on the parameters of {name} has no gradient by them, and is not computed"
    step = Step("terms of a player", Kind.EQUALITY, why, changes, objective.bound.expression)
    side.derivation = replace(objective.derivation, steps=(*objective.derivation.steps, step))
    return side


class _Owning:
    """What the names of players own."""

    def __init__(
        self,
        environment: Environment,
        texts: Sequence[Basic],
        listed: Mapping[str, object],
        read: Callable[[str], Basic],
    ) -> None:
        self.environment = environment
        self.listed = listed
        self.read = read
        names = [*(h for text in texts for h in heads(text)), *_scalars(environment, read)]
        self.written = {h: list(self._bound(h)) for h in names}

    def parameters(self, owners: Sequence[Basic]) -> list[nn.Parameter]:
        """The trained parameters of the objects that some names own, each once."""
        objects = [found for owner in owners for found in self._objects(owner)]
        return list(dict.fromkeys(p for o in objects for p in parameters_of(o) if p.requires_grad))

    def _objects(self, owner: Basic) -> list[object]:
        if spelled(owner) in self.listed:
            value = self.listed[spelled(owner)]
            parts = value if isinstance(value, list | tuple) else [value]
            return [found for part in parts for found in self._listed(part)]
        found = [o for head, bound in self.written.items() if _is_tagged(head, owner) for o in bound]
        if not any(map(_is_trained, found)):
            raise NameResolutionError(
                f"the player `{owner}` owns nothing that is trained",
                hint=f"a player is called as a network or a distribution, or as the subscript of some; "
                f"{self._candidates()}, or list what it owns: `players={{'{owner}': [...]}}`",
            )
        return found

    def _listed(self, part: object) -> list[object]:
        """What an entry of ``players`` is: an object, or the name of some."""
        if not isinstance(part, str):
            return [part]
        node = self.read(part)
        if isinstance(node, Apply | Density):
            match = self.environment.match(node)
            found: list[object] = [] if match is None else [match.factor.distribution]
        else:
            found = list(self._bound(node))
        if not found:
            raise NameResolutionError(
                f"`players` lists `{part}`, which is not bound", hint=self._candidates()
            )
        return found

    def _bound(self, head: Basic) -> Iterator[object]:
        """The network, distributions or parameter that a name refers to."""
        network = self.environment.network(head)
        if network is not None:
            yield self.environment.networks[network]
        yield from (factor.distribution for factor in self.environment.named(head))
        if spelled(head) in self.environment.scalars:
            yield self.environment.scalars[spelled(head)]
        if spelled(head) in self.environment.tables:
            yield self.environment.tables[spelled(head)]
        time = self.environment.time
        yield from (v for s, v in time.initial.items() if f"{spelled(s)}_0" == spelled(head)) if time else ()

    def _candidates(self) -> str:
        names = sorted({spelled(h) for h, bound in self.written.items() if any(map(_is_trained, bound))})
        listed = ", ".join(f"`{name}`" for name in names)
        return f"trained here: {listed}" if names else "nothing here is trained"


def _is_trained(bound: object) -> bool:
    return any(p.requires_grad for p in parameters_of(bound))


def _scalars(environment: Environment, read: Callable[[str], Basic]) -> Iterator[Basic]:
    """The names of scalars and tables, which are no heads."""
    yield from (read(name) for name in (*environment.scalars, *environment.tables))


def _is_tagged(head: Basic, owner: Basic) -> bool:
    """Whether a name is that of a player, or has it as a subscript: ``G``, ``G_theta``, ``p_theta``."""
    if head == owner:
        return True
    return isinstance(head, Subscripted) and (head.head == owner or owner in head.indices)


def _refuse_shared(owned: Mapping[str, Sequence[nn.Parameter]]) -> None:
    owner: dict[nn.Parameter, str] = {}
    for name, parameters in owned.items():
        for parameter in parameters:
            other = owner.setdefault(parameter, name)
            if other != name:
                raise OptionError(
                    f"the players `{other}` and `{name}` own one parameter of shape {list(parameter.shape)}",
                    hint="say whose it is: `players={player: [network, ...]}`; features that two networks "
                    "share belong to one of them",
                )
