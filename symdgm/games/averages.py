"""Networks that follow others: moving averages of their weights, as targets or for sampling."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from sympy import Basic
from torch import nn

from symdgm.binding.classify import named
from symdgm.errors import NameResolutionError, OptionError, suggest
from symdgm.expressions.names import spelled
from symdgm.given import is_number, positive, shown, table

SUFFIXES = ("_bar", "_ema", "_target", "_avg", "_old", "'")
"""What the name of an average has behind that of its network."""

Ema = Mapping[str, float | tuple[str, float]]
"""Average → how much of itself it keeps in a step, or that with the network that it follows."""


@dataclass(frozen=True, eq=False)
class Average:
    r"""A copy of a network whose weights follow it.

    .. math:: \bar\theta \leftarrow \tau \bar\theta + (1 - \tau) \theta

    Args:
        name: how it is called.
        source: the network.
        target: the copy; it has no gradient.
        decay: :math:`\tau`, from 0 (a copy) to 1 (it stays as it was at first).
    """

    name: str
    source: nn.Module
    target: nn.Module
    decay: float

    @torch.no_grad()
    def follow(self) -> None:
        """One step; buffers, such as the statistics of batch normalisation, are copied."""
        for weight, followed in zip(self.target.parameters(), self.source.parameters(), strict=True):
            weight.lerp_(followed, 1 - self.decay)
        for buffer, copied in zip(self.target.buffers(), self.source.buffers(), strict=True):
            buffer.copy_(copied)


def make_averages(
    ema: Ema | None, names: Mapping[str, object], read: Callable[[str], Basic]
) -> list[Average]:
    """The averages that a model keeps.

    Args:
        ema: what was asked for.
        names: keyword → what it is bound to.
        read: text → name.

    Raises:
        NameResolutionError: no network of the source's name is bound.
        OptionError: a name that is bound already, or a decay that is not from 0 to 1.
    """
    asked = table("ema", ema, "ema={'D_bar': 0.999}")
    bound = {spelled(named(keyword, read)): value for keyword, value in names.items()}
    return [_average(spelled(named(name, read)), entry, bound) for name, entry in asked.items()]


def _average(name: str, entry: object, bound: Mapping[str, object]) -> Average:
    source, decay = entry if isinstance(entry, tuple) else (_source(name, bound), entry)
    if name in bound:
        raise OptionError(f"`{name}` is bound, and is to be an average too", hint="leave one of the two out")
    if not is_number(decay) or not 0 <= decay <= 1:
        raise OptionError(
            f"the average `{name}` keeps {shown(decay)} of itself in a step",
            hint="write a number from 0 to 1",
        )
    network = bound.get(str(source))
    if not isinstance(network, nn.Module):
        modules = [key for key, value in bound.items() if isinstance(value, nn.Module)]
        raise NameResolutionError(
            f"the average `{name}` follows `{source}`, which is no network that is bound by its name",
            hint=f"write `ema={{'{name}': ('D', 0.999)}}`; {suggest(str(source), modules)}",
        )
    return Average(name, network, copy.deepcopy(network).requires_grad_(False), float(decay))


def _source(name: str, bound: Mapping[str, object]) -> str:
    """The network of an average, ``D`` for ``D_bar``."""
    return next((short for short in _shorter(name) if short in bound), name)


def _shorter(name: str) -> Iterator[str]:
    yield from (name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix))


@torch.no_grad()
def clip(parameters: tuple[nn.Parameter, ...], bound: float) -> None:
    """Bring weights back into ``[-bound, bound]`` (Arjovsky et al. 2017, Algorithm 1)."""
    for parameter in parameters:
        parameter.clamp_(-bound, bound)


def read_bounds(bounds: Mapping[str, float] | None, players: Mapping[str, object]) -> Mapping[str, float]:
    """The largest absolute values of weights, by player.

    Raises:
        OptionError: an unknown player, or a bound that is not positive.
    """
    asked = table("clip_weights", bounds, "clip_weights={'D': 0.01}")
    for name, bound in asked.items():
        if name not in players:
            raise OptionError(
                f"`clip_weights` names `{name}`, which is no player", hint=suggest(name, players)
            )
        positive(f"clip_weights[{name!r}]", bound)
    return asked
