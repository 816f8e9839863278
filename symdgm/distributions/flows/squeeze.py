"""Pixels to channels and back."""

from __future__ import annotations

from typing import final

import torch.nn.functional as F
from torch import Tensor

from symdgm.distributions.flows.axes import read_count
from symdgm.distributions.flows.flow import Flow, Pushed
from symdgm.distributions.shapes import show
from symdgm.errors import ShapeError


@final
class Squeeze(Flow):
    """Every square of pixels becomes one pixel with more channels: ``[C, H, W]`` to ``[4 C, H/2, W/2]``.

    Args:
        factor: the side of the square.

    References:
        Dinh et al. (2017), Density estimation using Real NVP, section 3.6.

    Example:
        >>> import torch
        >>> Squeeze()(torch.arange(4.0).view(1, 1, 2, 2))[0].flatten()
        tensor([0., 1., 2., 3.])
        >>> Squeeze()(torch.zeros(1, 3, 4, 6))[0].shape
        torch.Size([1, 12, 2, 3])
    """

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        self.factor = read_count(factor, "factor", "Squeeze")
        self.rank_in = self.rank_out = 3

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """Pixels to channels."""
        return _to_channels(x, self.factor), x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """Channels to pixels."""
        return _to_pixels(z, self.factor), z.new_zeros(len(z))

    def extra_repr(self) -> str:
        """The factor."""
        return str(self.factor)


@final
class Unsqueeze(Flow):
    """The inverse of `Squeeze`, as a step with a name of its own: ``[4 C, H, W]`` to ``[C, 2 H, 2 W]``.

    Args:
        factor: the side of the square.

    Example:
        >>> import torch
        >>> Unsqueeze()(torch.zeros(1, 12, 2, 3))[0].shape
        torch.Size([1, 3, 4, 6])
    """

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        self.factor = read_count(factor, "factor", "Unsqueeze")
        self.rank_in = self.rank_out = 3

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """Channels to pixels."""
        return _to_pixels(x, self.factor), x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """Pixels to channels."""
        return _to_channels(z, self.factor), z.new_zeros(len(z))

    def extra_repr(self) -> str:
        """The factor."""
        return str(self.factor)


def _to_channels(x: Tensor, factor: int) -> Tensor:
    if x.ndim != 4 or x.shape[2] % factor or x.shape[3] % factor:
        raise ShapeError(
            f"squares of {factor}×{factor} pixels do not fill values of shape {show(x.shape)}",
            hint=f"values are [batch, channels, height, width], height and width divisible by {factor}",
        )
    return F.pixel_unshuffle(x, factor)


def _to_pixels(x: Tensor, factor: int) -> Tensor:
    if x.ndim != 4 or x.shape[1] % factor**2:
        raise ShapeError(
            f"the channels of values of shape {show(x.shape)} make no squares of {factor}×{factor} pixels",
            hint=f"values are [batch, channels, height, width], channels divisible by {factor**2}",
        )
    return F.pixel_shuffle(x, factor)
