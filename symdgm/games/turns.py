"""Whose gradients an evaluation of a game forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from symdgm.games.players import Player


def turn_of(name: str, players: Mapping[str, Player]) -> AbstractContextManager[None]:
    """Inside, what a compiled objective computes is differentiable by the parameters of its player alone.

    Plain PyTorch forms the gradients that a backward pass asks for; a compiled function forms those by all
    parameters that required one when it was called, for a critic also those of what it criticises.

    Args:
        name: whose turn it is.
        players: all players of a game, or the only one.
    """
    player = players[name]
    if len(players) == 1 or player.objective.runner.backend is None or not torch.is_grad_enabled():
        return nullcontext()
    own = set(player.parameters)
    others = dict.fromkeys(p for other in players.values() for p in other.parameters)
    return _held([p for p in others if p.requires_grad and p not in own])


@contextmanager
def _held(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Inside, parameters require no gradient."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
