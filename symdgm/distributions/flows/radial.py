"""The radial flow."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from symdgm.distributions.flows.axes import check_features, read_count
from symdgm.distributions.flows.conditioners import Coefficients
from symdgm.distributions.flows.flow import Flow, Pushed


@final
class Radial(Flow):
    r"""A pull towards a centre, or a push away from it.

    .. math:: z = x + \frac{\beta}{\alpha + r} (x - c), \quad r = \|x - c\|, \; \alpha > 0,\; \beta > -\alpha

    The distance from the centre solves a quadratic, so that the inverse is exact.

    Args:
        features: length of the vectors.
        context_features: how many features of context the coefficients are linear in; 0 for none.

    References:
        Rezende and Mohamed (2015), Variational inference with normalizing flows, equations 14 and A.2.

    Example:
        >>> f = Radial(2)
        >>> x = torch.randn(5, 2)
        >>> torch.allclose(f.inverse(f(x)[0])[0], x, atol=1e-5)
        True
    """

    def __init__(self, features: int, *, context_features: int = 0) -> None:
        super().__init__()
        self.features = read_count(features, "features", "Radial")
        self.context_features = read_count(context_features, "context_features", "Radial", least=0)
        self.rank_in = self.rank_out = 1
        initial = torch.cat([torch.randn(features), torch.zeros(2)])
        self.coefficients = Coefficients(initial, context_features)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """One pull."""
        check_features(x, self.features, "Radial")
        centre, alpha, beta = self._coefficients(context)
        away = x - centre
        r = _length(away)
        factor = 1 + beta / (alpha + r)
        return centre + factor.unsqueeze(-1) * away, self._log_det(factor, alpha, beta, r)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """The pull undone: ``r^2 + (alpha + beta - R) r - alpha R = 0`` at the distance ``R``."""
        check_features(z, self.features, "Radial")
        centre, alpha, beta = self._coefficients(context)
        away = z - centre
        r = _positive_root(alpha + beta - _length(away), alpha * _length(away))
        factor = 1 + beta / (alpha + r)
        return centre + away / factor.unsqueeze(-1), -self._log_det(factor, alpha, beta, r)

    def extra_repr(self) -> str:
        """The number of features."""
        return str(self.features)

    def _coefficients(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """The centre, ``alpha`` and ``beta``; equal raw numbers give ``beta = 0``, the identity."""
        centre, raw, other = self.coefficients(context).split([self.features, 1, 1], -1)
        alpha, sum_of_both = F.softplus(raw).squeeze(-1), F.softplus(other).squeeze(-1)
        return centre, alpha, sum_of_both - alpha

    def _log_det(self, factor: Tensor, alpha: Tensor, beta: Tensor, r: Tensor) -> Tensor:
        along = 1 + alpha * beta / (alpha + r).square()
        return (self.features - 1) * factor.log() + along.log()


def _length(vector: Tensor) -> Tensor:
    """The norm, with a gradient of zero in place of NaN at zero."""
    return (vector.square().sum(-1) + torch.finfo(vector.dtype).tiny).sqrt()


def _positive_root(p: Tensor, q: Tensor) -> Tensor:
    """The positive root of ``r^2 + p r - q``, in the form that does not cancel."""
    total = p.abs() + (p.square() + 4 * q).sqrt()
    return torch.where(p > 0, 2 * q / total, total / 2)
