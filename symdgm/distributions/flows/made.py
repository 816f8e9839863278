"""The masked autoencoder: a perceptron whose i-th output sees only the inputs before the i-th."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdgm.distributions.flows.axes import check_context
from symdgm.distributions.flows.conditioners import begin_at_zero


@final
class MADE(nn.Module):
    """Coefficients of every feature from the features before it, in one pass; begins at zero.

    Args:
        features: length of the vectors.
        count: coefficients for each feature.
        hidden: width of each hidden layer.
        context_features: how many features of context every coefficient may see.

    References:
        Germain et al. (2015), MADE: Masked autoencoder for distribution estimation, equations 12 and 13.

    Example:
        >>> MADE(3, 2)(torch.randn(5, 3)).shape
        torch.Size([5, 3, 2])
    """

    def __init__(
        self, features: int, count: int, hidden: Sequence[int] = (64, 64), context_features: int = 0
    ) -> None:
        super().__init__()
        self.features, self.count, self.context_features = features, count, context_features
        degrees = _degrees(features, hidden, bool(context_features))
        widths = [features, *hidden]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.leave = begin_at_zero(nn.Linear(widths[-1], features * count))
        self.listen = nn.Linear(context_features, widths[1], bias=False) if context_features else None
        for i, (before, after) in enumerate(pairwise(degrees)):
            self.register_buffer(f"mask_{i}", after[:, None] >= before, persistent=False)
        last = torch.arange(1, features + 1).repeat_interleave(count)
        self.register_buffer("mask_out", last[:, None] > degrees[-1], persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The coefficients ``[batch, features, count]``."""
        h = x
        for i, layer in enumerate(self.layers):
            weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
            h = F.linear(h, weight * self.get_buffer(f"mask_{i}"), bias)
            if i == 0 and self.listen is not None:
                h = h + self.listen(check_context(context, self.context_features, "MADE"))
            h = F.silu(h)
        out = F.linear(h, self.leave.weight * self.get_buffer("mask_out"), self.leave.bias)
        return out.view(len(out), self.features, self.count)


def _degrees(features: int, hidden: Sequence[int], conditional: bool) -> list[Tensor]:
    """How many features each unit may see at most; units of degree 0 carry the context alone."""
    if conditional:
        inner = [torch.arange(width) % features for width in hidden]
    else:
        inner = [torch.arange(width) % max(1, features - 1) + 1 for width in hidden]
    return [torch.arange(1, features + 1), *inner]
