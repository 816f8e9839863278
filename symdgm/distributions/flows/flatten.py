"""Values of any shape as vectors."""

from __future__ import annotations

from math import prod
from typing import final

from torch import Tensor

from symdgm.distributions.flows.axes import check_event, check_features
from symdgm.distributions.flows.flow import Flow, Pushed
from symdgm.distributions.shapes import Shape, read_shape, show


@final
class Flatten(Flow):
    """The elements of a value in one row; the inverse, `Flatten(...).inv`, shapes rows into values.

    Args:
        event_shape: the shape of one value, such as ``(3, 32, 32)``.

    Example:
        >>> import torch
        >>> f = Flatten((3, 2, 2))
        >>> f(torch.zeros(5, 3, 2, 2))[0].shape, f.inverse(torch.zeros(5, 12))[0].shape
        (torch.Size([5, 12]), torch.Size([5, 3, 2, 2]))
    """

    def __init__(self, event_shape: Shape) -> None:
        super().__init__()
        self.event_shape = read_shape(event_shape, "event_shape")
        self.rank_in, self.rank_out = len(self.event_shape), 1

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """One row for each example."""
        check_event(x, self.event_shape, "Flatten")
        return x.reshape(len(x), -1), x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """The shape given back."""
        check_features(z, prod(self.event_shape), "the inverse of Flatten")
        return z.reshape(len(z), *self.event_shape), z.new_zeros(len(z))

    def extra_repr(self) -> str:
        """The shape."""
        return show(self.event_shape)
