"""Players and their optimisers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from symdgm.errors import OptionError, refuse_unknown
from symdgm.given import shown, whole

LEARNING_RATE = 1e-3
"""The step size, where nothing else is said."""

SCHEDULER = "give a callable: lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 10)"
"""What to write for a scheduler."""

FUSED_DEVICES = frozenset({"cpu", "cuda", "xpu", "mps"})
"""Where torch has Adam in one kernel."""

OptimizerSpec = type[Optimizer] | Optimizer | Callable[[list[nn.Parameter]], Optimizer] | None
Value = TypeVar("Value")
SchedulerSpec = Callable[[Optimizer], LRScheduler] | None


@dataclass(frozen=True, eq=False)
class Player:
    """One side of an optimisation: only its own parameters move when it is its turn.

    Args:
        name: as in the objective (``G`` in ``min_G``); ``""`` where there is only one.
        parameters: those of its parameters that its optimiser updates.
        optimizer: the optimiser of these parameters and of no other player's.
        steps: its steps in a round, which has as many batches as the player with the most steps.
    """

    name: str
    parameters: list[nn.Parameter]
    optimizer: Optimizer
    steps: int = 1


def make_players(
    owned: Mapping[str, Sequence[nn.Parameter]],
    optimizer: OptimizerSpec | Mapping[str, OptimizerSpec] = None,
    lr: float | Mapping[str, float] | None = None,
    steps: Mapping[str, int] | None = None,
) -> list[Player]:
    """One optimiser for each player.

    Args:
        owned: player → its parameters, in the order of the updates.
        optimizer: None (Adam), an optimiser class, a ready instance (for a single player), a callable
            ``parameters -> Optimizer``, or a mapping from players to any of these.
        lr: the step size, default 1e-3, or a mapping from players to theirs; not together with a ready
            instance or a callable.
        steps: player → its steps in a round, default 1.

    Raises:
        OptionError: if a player has nothing to train, or an optimiser does not belong to its player.
    """
    specs, rates = by_player(owned, optimizer), by_player(owned, lr)
    counts = _counts(owned, steps)
    players = [
        _player(name, _trained(name, owned[name]), specs[name], rates[name], counts[name]) for name in owned
    ]
    for player in players:
        others = {id(p) for name in owned if name != player.name for p in owned[name]}
        if any(id(p) in others for p in _held(player.optimizer)):
            raise OptionError(
                f"the optimiser of player `{player.name}` also updates parameters of another player",
                hint="give each player an optimiser of its own parameters: optimizer={player: ...}",
            )
    return players


def by_player(owned: Iterable[str], option: Value | Mapping[str, Value]) -> dict[str, Value | None]:
    """An option for each player, where one is given for all or for some by name."""
    names = list(owned)
    if not isinstance(option, Mapping):
        return dict.fromkeys(names, option)
    if option and list(names) == [""] and "" not in option:
        raise OptionError(
            f"`{next(iter(option))}` is named, but the objective is no game, and has no players",
            hint="write the value itself, not a dict",
        )
    refuse_unknown(option, names, what="player")
    return {name: option.get(name) for name in names}


def _counts(owned: Iterable[str], steps: Mapping[str, int] | None) -> dict[str, int]:
    """The steps of each player in a round."""
    given: dict[str, Any] = by_player(owned, steps)
    for name, count in given.items():
        if count is not None:
            whole(f"steps[{name!r}]", count)
    return {name: count or 1 for name, count in given.items()}


def _trained(player: str, parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    trained = [p for p in parameters if p.requires_grad]
    if not trained:
        who = f"player `{player}`" if player else "the model"
        raise OptionError(
            f"{who} has no parameter to train", hint="bind a network, or set requires_grad on its parameters"
        )
    return trained


def _player(
    name: str, trained: list[nn.Parameter], spec: OptimizerSpec, lr: float | None, steps: int
) -> Player:
    optimizer = _make(trained, spec, lr)
    if isinstance(optimizer, torch.optim.LBFGS):
        raise OptionError(
            "LBFGS evaluates the objective several times in one step, which `fit` does not do",
            hint="take a first-order optimiser, or write the loop with optimizer.step(closure)",
        )
    held = {id(p) for p in _held(optimizer)}
    updated = [p for p in trained if id(p) in held]
    if not updated:
        who = f"player `{name}`" if name else "the model"
        raise OptionError(
            f"the optimiser holds no parameter of {who}",
            hint="it was made for others, perhaps for those of a copy; make it anew, or give its class",
        )
    return Player(name, updated, optimizer, steps)


def _held(optimizer: Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _make(trained: list[nn.Parameter], spec: OptimizerSpec, lr: float | None) -> Optimizer:
    rate = LEARNING_RATE if lr is None else lr
    if spec is None:
        return Adam(trained, lr=rate, fused=_can_fuse(trained))
    if isinstance(spec, type) and issubclass(spec, Optimizer):
        return cast("Callable[..., Optimizer]", spec)(trained, lr=rate)
    if lr is not None:
        raise OptionError(
            "`lr` has no effect on an optimiser that is made already", hint="set it where it is made"
        )
    made: object = spec
    if not isinstance(spec, Optimizer) and callable(spec):
        made = cast("Callable[[list[nn.Parameter]], object]", spec)(trained)
    if not isinstance(made, Optimizer):
        raise OptionError(
            f"a {type(made).__name__} is no optimiser",
            hint="known: an Optimizer class or instance, a callable parameters -> Optimizer, {player: ...}",
        )
    return made


def _can_fuse(trained: Sequence[nn.Parameter]) -> bool:
    return all(p.is_floating_point() and p.device.type in FUSED_DEVICES for p in trained)


def make_schedulers(
    players: Sequence[Player], scheduler: SchedulerSpec | Mapping[str, SchedulerSpec]
) -> list[LRScheduler]:
    """A learning-rate scheduler for each player's optimiser; `advance` steps them once an epoch."""
    specs = by_player((p.name for p in players), scheduler)
    for spec in specs.values():
        if spec is not None and not callable(spec):
            raise OptionError(f"`scheduler` is {shown(spec)}", hint=SCHEDULER)
    made: list[Any] = [spec(p.optimizer) for p in players if (spec := specs[p.name]) is not None]
    for one in made:
        if not isinstance(one, LRScheduler):
            raise OptionError(
                f"`scheduler` made a {type(one).__name__}, which is no learning-rate scheduler",
                hint=SCHEDULER,
            )
    return made


def advance(schedulers: Sequence[LRScheduler], loss: float) -> None:
    """One step of each scheduler; ``loss`` is what a plateau is measured by (validation, if there is any)."""
    for scheduler in schedulers:
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(loss)
        else:
            scheduler.step()
