"""Steps without data: all that a batch says is how many are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import final

import torch
from torch import Tensor

from symdgm.training.batches import Batches, Layout

STEPS = 100
"""Steps of an epoch without data, where nothing else is said."""


@final
class Draws(Batches):
    """Batches of no variable, ``{"": [n, 0]}``.

    Args:
        layout: how many rows are drawn in a step, and on which device.
        steps: how many steps an epoch has.

    Example:
        >>> batch = next(iter(Draws(Layout(torch.device("cpu"), torch.float32, batch_size=3), 2)))
        >>> {name: tuple(value.shape) for name, value in batch.items()}
        {'': (3, 0)}
    """

    def __init__(self, layout: Layout, steps: int) -> None:
        self._layout = layout
        self._steps = steps

    @property
    def steps(self) -> int:
        """Steps in one epoch."""
        return self._steps

    @property
    def whole(self) -> Mapping[str, Tensor]:
        """Nothing: there are no data to check."""
        return {}

    @property
    def order(self) -> None:
        """Never: there is nothing to order."""
        return

    @property
    def description(self) -> str:
        """How many are drawn, and how often."""
        return f"{self._layout.batch_size} draws in each of {self._steps} steps"

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        rows = torch.empty(self._layout.batch_size, 0, dtype=self._layout.dtype, device=self._layout.device)
        for _ in range(self._steps):
            yield {"": rows}
