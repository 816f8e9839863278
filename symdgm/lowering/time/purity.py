"""Whether a call of networks leaves everything as it was, so that one call more changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, final

import torch
from torch import nn

from symdgm.distributions.reach import all_hooked, is_hooked, modules_within


def watched(values: Iterable[object]) -> bool:
    """Whether a module among some values, or every module, has hooks, which are told of every call."""
    return all_hooked() or any(
        is_hooked(m) for value in values if isinstance(value, nn.Module) for m in value.modules()
    )


def reached(values: Iterable[object]) -> list[nn.Module]:
    """The modules that functions among some values call."""
    return [module for value in values for module in modules_within(value).values()]


@final
class Before:
    """What networks are before a call of them, and where noise comes from.

    Args:
        values: what is called; of a function, the modules that it calls.
    """

    def __init__(self, values: Iterable[object]) -> None:
        every = list(values)
        self.modules = [m for v in (*every, *reached(every)) if isinstance(v, nn.Module) for m in v.modules()]
        self.state = self._state()
        self.noise = torch.get_rng_state()
        devices = {p.device for m in self.modules for p in m.parameters() if p.device.type == "cuda"}
        self.others = {device: torch.cuda.get_rng_state(device) for device in devices}

    def unchanged(self) -> bool:
        """Whether no module has changed, and none has hooks."""
        now = self._state()
        same = len(now) == len(self.state) and all(
            a is b or (type(a) is int and a == b)
            for pair in zip(self.state, now, strict=True)
            for a, b in zip(*pair, strict=True)
        )
        return same and not watched(self.modules)

    def draw_again(self) -> None:
        """Let the next draws be those that were made since."""
        torch.set_rng_state(self.noise)
        for device, state in self.others.items():
            torch.cuda.set_rng_state(state, device)

    def _state(self) -> list[tuple[Any, ...]]:
        return [
            *((k, v) for m in self.modules for k, v in vars(m).items() if not isinstance(v, dict)),
            *((b, b._version) for m in self.modules for b in m.buffers(recurse=False)),
        ]
