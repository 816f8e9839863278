"""Why there is no gradient: parameters that no term reaches are named when a model is built."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

from torch import nn

from symdgm.errors import SymdgmWarning
from symdgm.games.players import Player
from symdgm.lowering.reach import reached


def warn_of_unreached(model: nn.Module, players: Mapping[str, Player]) -> None:
    """Warn of networks and distributions that take part, but get no gradient.

    Args:
        model: with all that is bound under ``factors``, ``networks`` and as scalars.
        players: the players, each with its objective.
    """
    moved = {p for player in players.values() for p in _moved(player)}
    owned = {p for player in players.values() for p in player.parameters}
    left = [(name, p) for name, p in model.named_parameters() if p.requires_grad and p not in moved]
    strangers = _owners(name for name, p in left if p not in owned)
    idle = _owners(name for name, p in left if p in owned)
    if strangers:
        warnings.warn(
            f"no player owns {_listed(strangers)}, so that nobody trains {_it(strangers)}: list them, "
            f"`players={{player: [...]}}`, or freeze them by `requires_grad_(False)`",
            SymdgmWarning,
            stacklevel=4,
        )
    if idle:
        warnings.warn(
            f"no term of the objective reaches {_listed(idle)}, so that {_it(idle)} gets no gradient: it "
            "does not occur, or only inside `sg[...]`; leave it out, or freeze it by `requires_grad_(False)`",
            SymdgmWarning,
            stacklevel=4,
        )


def _moved(player: Player) -> set[nn.Parameter]:
    frozen = player.objective.runner.frozen
    return reached(frozen, frozen.roots) & set(player.parameters)


def _owners(names: Iterable[str]) -> list[str]:
    """What weights belong to: ``q(z|x)`` for ``factors.q(z|x).network.weight``."""
    return list(dict.fromkeys(_owner(name) for name in names))


def _owner(name: str) -> str:
    room, _, rest = name.partition(".")
    if not rest:
        return room.removeprefix("scalar_").removeprefix("initial_")
    return rest.split(")", 1)[0] + ")" if "(" in rest else rest.split(".", 1)[0]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _it(names: list[str]) -> str:
    return "it" if len(names) == 1 else "each"
