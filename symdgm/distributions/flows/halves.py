"""Values taken apart by channels, into those that a coupling leaves and those that it changes."""

from __future__ import annotations

from typing import Self, final

import torch
from torch import Tensor, nn


@final
class Halves(nn.Module):
    """The channels that pass and those that change; neighbours are taken apart without a copy.

    Whether both are neighbours is in ``together``, and whether those that change come first in
    ``moved_first``.

    Args:
        passes: whether each channel passes, ``[channels]``.

    Example:
        >>> halves = Halves(torch.tensor([True, False, True]))
        >>> kept, moved = halves(torch.tensor([[1, 2, 3]]))
        >>> kept, moved, halves.join(kept, moved)
        (tensor([[1, 3]]), tensor([[2]]), tensor([[1, 2, 3]]))
    """

    def __init__(self, passes: Tensor) -> None:
        super().__init__()
        self.kept, self.moved = int(passes.sum()), int((~passes).sum())
        in_order = [passes.nonzero().flatten(), (~passes).nonzero().flatten()]
        self.moved_first = not bool(passes[: self.moved].any())
        self.together = self.moved_first or bool(passes[: self.kept].all())
        order = None if self.together else torch.cat(in_order)
        self._order: Tensor | None
        self._back: Tensor | None
        # Not saved: the mask says it.
        self.register_buffer("_order", order, persistent=False)
        self.register_buffer("_back", None if order is None else order.argsort(), persistent=False)

    @classmethod
    def of(cls, mask: Tensor) -> Self | None:
        """Those of a mask over an event, unless it parts the elements of a channel."""
        channels = mask.flatten(1) if mask.ndim > 1 else mask[:, None]
        return cls(channels[:, 0]) if bool((channels == channels[:, :1]).all()) else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What passes, ``[batch, kept, ...]``, and what changes, ``[batch, moved, ...]``."""
        if self.moved_first:
            moved, kept = x.split_with_sizes((self.moved, self.kept), 1)
            return kept, moved
        ordered = x if self._order is None else x.index_select(1, self._order)
        kept, moved = ordered.split_with_sizes((self.kept, self.moved), 1)
        return kept, moved

    def join(self, kept: Tensor, moved: Tensor) -> Tensor:
        """The whole again, ``[batch, channels, ...]``."""
        joined = torch.cat((moved, kept) if self.moved_first else (kept, moved), 1)
        return joined if self._back is None else joined.index_select(1, self._back)
