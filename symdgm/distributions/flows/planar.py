"""The planar flow."""

from __future__ import annotations

import math
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from symdgm.distributions.flows.axes import check_features, read_count
from symdgm.distributions.flows.conditioners import Coefficients
from symdgm.distributions.flows.flow import Flow, Pushed


@final
class Planar(Flow):
    r"""A push along one direction, which is bent along another.

    .. math:: z = x + \hat u \tanh(w^\top x + b), \quad
        \hat u = u + \big(\text{softplus}(w^\top u) - 1 - w^\top u\big) \frac{w}{\|w\|^2}

    so that :math:`w^\top \hat u > -1`, which makes it a bijection. The inverse has no formula: it is a root
    in one number, found by bisection to the precision of the dtype; its first and second derivatives are
    right.

    Args:
        features: length of the vectors.
        context_features: how many features of context ``u``, ``w`` and ``b`` are linear in; 0 for none.

    References:
        Rezende and Mohamed (2015), Variational inference with normalizing flows, equations 10 to 12 and A.1.

    Example:
        >>> f = Planar(2)
        >>> x = torch.randn(5, 2)
        >>> torch.allclose(f.inverse(f(x)[0])[0], x, atol=1e-5)
        True
    """

    def __init__(self, features: int, *, context_features: int = 0) -> None:
        super().__init__()
        self.features = read_count(features, "features", "Planar")
        self.context_features = read_count(context_features, "context_features", "Planar", least=0)
        self.rank_in = self.rank_out = 1
        initial = torch.cat([torch.randn(2 * features) / math.sqrt(features), torch.zeros(1)])
        self.coefficients = Coefficients(initial, context_features)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """One push."""
        check_features(x, self.features, "Planar")
        u, w, b, stretch = self._directions(context)
        bend = torch.tanh((x * w).sum(-1) + b)
        return x + u * bend.unsqueeze(-1), _log_det(bend, stretch)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """The push undone, where it stood along ``w`` having been found by bisection."""
        check_features(z, self.features, "Planar")
        u, w, b, stretch = self._directions(context)
        bend = torch.tanh(_solve((z * w).sum(-1), stretch - 1, b) + b)
        return z - u * bend.unsqueeze(-1), -_log_det(bend, stretch)

    def extra_repr(self) -> str:
        """The number of features."""
        return str(self.features)

    def _directions(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``u`` made invertible, ``w``, ``b``, and ``1 + w u``, which is positive by construction."""
        u, w, b = self.coefficients(context).split([self.features, self.features, 1], -1)
        along = (u * w).sum(-1, keepdim=True)
        stretch = F.softplus(along)
        length = w.square().sum(-1, keepdim=True).clamp_min(torch.finfo(w.dtype).tiny)
        u = u + (stretch - 1 - along) * w / length
        return u, w, b.squeeze(-1), stretch.squeeze(-1)


def _log_det(bend: Tensor, stretch: Tensor) -> Tensor:
    """``log(1 + (1 - tanh^2) w u)``, as a sum of positive terms."""
    return (bend.square() + (1 - bend.square()) * stretch).log()


def _solve(target: Tensor, m: Tensor, b: Tensor) -> Tensor:
    """The root ``a`` of the increasing function ``a + m tanh(a + b) - target``, for ``m > -1``."""
    with torch.no_grad():
        low, high = target - m.abs(), target + m.abs()
        for _ in range(2 - math.frexp(torch.finfo(target.dtype).eps)[1]):
            middle = (low + high) / 2
            above = middle + m * torch.tanh(middle + b) > target
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        a = (low + high) / 2
    # Newton's step at a root changes no value, but carries the derivative; the second carries second ones.
    for _ in range(2):
        bend = torch.tanh(a + b)
        a = a - (a + m * bend - target) / (bend.square() + (1 - bend.square()) * (1 + m))
    return a
