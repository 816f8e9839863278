"""Formulas that keep their digits, and their gradients, where the plain form loses them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from symdgm.distributions.shapes import broadcast

STIRLING = 10.0
"""Above it, five terms of Stirling's series give log n! to 1e-14."""


def times_log(x: Tensor, y: Tensor) -> Tensor:
    """``x log y``, and 0 with a finite gradient where both are 0 (there `torch.xlogy` has a gradient of NaN).

    Example:
        >>> p = torch.tensor([0.0, 1.0], requires_grad=True)
        >>> times_log(torch.tensor([0.0, 1.0]), p).sum().backward()
        >>> p.grad
        tensor([0., 1.])
    """
    return x * torch.where((x == 0) & (y == 0), 1.0, y).log()


def times_log1p(x: Tensor, y: Tensor) -> Tensor:
    """``x log(1 + y)``, and 0 with a finite gradient where ``x`` is 0 and ``y`` is -1.

    Example:
        >>> times_log1p(torch.tensor([0.0, 2.0]), torch.tensor([-1.0, 0.0]))
        tensor([0., 0.])
    """
    return x * torch.where((x == 0) & (y == -1), 0.0, y).log1p()


def weighted_logs(x: Tensor, log_y: Tensor) -> Tensor:
    """``x log y`` from ``log y``, and 0 where ``x`` is 0 and ``log y`` is minus infinity.

    Example:
        >>> weighted_logs(torch.tensor([0.0, 1.0]), torch.tensor([-torch.inf, 0.0]))
        tensor([0., 0.])
    """
    return x * torch.where((x == 0) & (log_y == -torch.inf), 0.0, log_y)


def log_poisson(n: Tensor, y: Tensor, log_y: Tensor | None = None) -> Tensor:
    """``n log y - y - log n!`` for a real n above -1, without the cancellation of its large terms.

    Args:
        n: the count.
        y: the rate.
        log_y: its log, where it is known better than by taking it.

    Source: Loader, Fast and accurate computation of binomial probabilities, 2000 (the saddle point).

    Example:
        >>> log_poisson(torch.tensor([0.0, 1e6]), torch.tensor([2.0, 1e6]))
        tensor([-2.0000, -7.8267])
    """
    shape = broadcast(n.shape, y.shape)
    n, y = n.expand(shape), y.expand(shape)
    large = n > STIRLING
    n_large, n_small = torch.where(large, n, STIRLING), torch.where(large, 1.0, n)
    y_large, y_small = torch.where(large, y, STIRLING), torch.where(large, 1.0, y)
    t = (y_large - n_large) / n_large
    log_large = y_large.log() if log_y is None else torch.where(large, log_y, math.log(STIRLING))
    log_ratio = torch.where(t.abs() < 0.5, t.clamp(-0.5, 0.5).log1p(), log_large - n_large.log())
    saddle = n_large * (log_ratio - t) - 0.5 * (2 * math.pi * n_large).log() - _stirling_rest(n_large)
    power = times_log(n_small, y_small) if log_y is None else n_small * log_y
    return torch.where(large, saddle, power - y_small - (n_small + 1).lgamma())


def log_gamma_half_step(a: Tensor) -> Tensor:
    """``log Gamma(a + 1/2) - log Gamma(a)``, without the cancellation at a large a.

    Example:
        >>> log_gamma_half_step(torch.tensor([0.5, 1e8]))
        tensor([-0.5724,  9.2103])
    """
    large = a > STIRLING
    n, m = torch.where(large, a, STIRLING), torch.where(large, 1.0, a)
    rest = _stirling_rest(n + 0.5) - _stirling_rest(n)
    step = n * (0.5 / n).log1p() - 0.5 + 0.5 * n.log() + rest
    return torch.where(large, step, (m + 0.5).lgamma() - m.lgamma())


def _stirling_rest(n: Tensor) -> Tensor:
    """``log n! - (n + 1/2) log n + n - log(2 pi) / 2`` for an n above `STIRLING`, to 1e-14."""
    square = n.square().reciprocal()
    return (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188)))) / n
