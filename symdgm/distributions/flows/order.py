"""Other orders of the channels."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from symdgm.distributions.flows.axes import check_channels, read_count
from symdgm.distributions.flows.flow import Flow, Pushed
from symdgm.errors import ParameterError


class ChannelOrder(Flow, ABC):
    """Another order of the channels, or of the features of a vector: ``z_i = x_{order_i}``.

    Args:
        order: a permutation of ``0, ..., C - 1``; saved with the weights.
    """

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        self.order: Tensor
        self.register_buffer("order", order)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """The channels in the order."""
        check_channels(x, len(self.order), type(self).__name__)
        return x[:, self.order], x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """The channels as they were."""
        check_channels(z, len(self.order), type(self).__name__)
        return z[:, self.order.argsort()], z.new_zeros(len(z))


@final
class Permute(ChannelOrder):
    """The channels in a given order.

    Args:
        order: which channel comes first, second, and so on.

    Raises:
        ParameterError: it is no permutation.

    Example:
        >>> Permute([2, 0, 1])(torch.tensor([[10.0, 11.0, 12.0]]))[0]
        tensor([[12., 10., 11.]])
    """

    def __init__(self, order: Sequence[int]) -> None:
        if not order or sorted(order) != list(range(len(order))):
            raise ParameterError(
                f"{list(order)} is no order of channels",
                hint="write every index from 0 once, such as `Permute([2, 0, 1])`",
            )
        super().__init__(torch.tensor(list(order)))

    def extra_repr(self) -> str:
        """The order."""
        return str(self.order.tolist())


@final
class Shuffle(ChannelOrder):
    """The channels in an order drawn once, when the flow is made.

    Args:
        channels: how many.
        generator: the source of the order; the global one by default.

    Example:
        >>> f = Shuffle(4)
        >>> sorted(f(torch.arange(4.0)[None])[0][0].tolist())
        [0.0, 1.0, 2.0, 3.0]
    """

    def __init__(self, channels: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__(torch.randperm(read_count(channels, "channels", "Shuffle"), generator=generator))

    def extra_repr(self) -> str:
        """The number of channels."""
        return str(len(self.order))


@final
class Reverse(ChannelOrder):
    """The channels from last to first.

    Args:
        channels: how many.

    Example:
        >>> Reverse(3)(torch.tensor([[1.0, 2.0, 3.0]]))[0]
        tensor([[3., 2., 1.]])
    """

    def __init__(self, channels: int) -> None:
        super().__init__(torch.arange(read_count(channels, "channels", "Reverse")).flip(0))

    def extra_repr(self) -> str:
        """The number of channels."""
        return str(len(self.order))
