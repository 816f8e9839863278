"""Networks that give a flow its coefficients; all begin at zero, where a flow is the identity."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypeVar, final

import torch
from torch import Tensor, nn

from symdgm.distributions.flows.axes import check_context

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


@final
class MLP(nn.Module):
    """A perceptron over vectors; its last layer begins at zero.

    Args:
        inputs: length of the vectors.
        outputs: length of what it returns.
        hidden: width of each hidden layer.
        context_features: how many features of context are put beside the vector.

    Example:
        >>> MLP(2, 6, hidden=(16,))(torch.randn(5, 2)).shape
        torch.Size([5, 6])
    """

    def __init__(
        self, inputs: int, outputs: int, hidden: Sequence[int] = (64, 64), context_features: int = 0
    ) -> None:
        super().__init__()
        widths = [inputs + context_features, *hidden]
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [nn.Linear(a, b), nn.SiLU()]
        self.layers = nn.Sequential(*layers, begin_at_zero(nn.Linear(widths[-1], outputs)))
        self.context_features = context_features

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The coefficients ``[batch, outputs]``."""
        out: Tensor = self.layers(beside(x, context, self.context_features, "MLP"))
        return out


@final
class ResNet(nn.Module):
    """Residual convolutions over images, of the same height and width; its last layer begins at zero.

    Args:
        inputs: channels of the images.
        outputs: channels of what it returns.
        hidden: channels within.
        blocks: how many residual blocks of two 3×3 convolutions.
        context_features: how many features of context are put beside the channels of every pixel.

    Example:
        >>> ResNet(3, 6, hidden=8, blocks=1)(torch.randn(2, 3, 4, 4)).shape
        torch.Size([2, 6, 4, 4])
    """

    def __init__(
        self, inputs: int, outputs: int, hidden: int = 64, blocks: int = 2, context_features: int = 0
    ) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs + context_features, hidden, 3, padding=1)
        self.blocks = nn.ModuleList(_block(hidden) for _ in range(blocks))
        self.leave = nn.Sequential(nn.SiLU(), begin_at_zero(nn.Conv2d(hidden, outputs, 1)))
        self.context_features = context_features

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The coefficients ``[batch, outputs, height, width]``."""
        h = self.enter(beside(x, context, self.context_features, "ResNet"))
        for block in self.blocks:
            h = h + block(h)
        out: Tensor = self.leave(h)
        return out


@final
class Coefficients(nn.Module):
    """A vector of trained numbers, or one for each example that is linear in a context.

    Args:
        initial: the values to begin at, ``[count]``.
        context_features: how many features of context it is linear in; 0 for the same numbers everywhere.

    Example:
        >>> Coefficients(torch.ones(3))(None).shape
        torch.Size([1, 3])
    """

    def __init__(self, initial: Tensor, context_features: int = 0) -> None:
        super().__init__()
        self.constant = nn.Parameter(initial)
        self.context_features = context_features
        self.linear = (
            begin_at_zero(nn.Linear(context_features, len(initial), bias=False)) if context_features else None
        )

    def forward(self, context: Tensor | None) -> Tensor:
        """The coefficients, ``[1, count]`` or ``[batch, count]``."""
        if self.linear is None:
            return self.constant.unsqueeze(0)
        out: Tensor = self.constant + self.linear(check_context(context, self.context_features, "the flow"))
        return out


def beside(x: Tensor, context: Tensor | None, features: int, owner: str) -> Tensor:
    """The channels of the values and of the context; over images, each feature becomes a constant channel."""
    if not features:
        return x
    context = check_context(context, features, owner)
    if context.ndim == 2:
        context = context.view(*context.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])
    return torch.cat([x, context], 1)


def begin_at_zero(layer: Layer) -> Layer:
    """The layer, with all weights zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _block(hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.SiLU(),
        nn.Conv2d(hidden, hidden, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(hidden, hidden, 3, padding=1),
    )
