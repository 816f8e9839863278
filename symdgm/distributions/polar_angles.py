"""The angle to the mean direction on a sphere, on which the von Mises distributions stand.

On the unit sphere of a space of d dimensions, with the concentration κ, the angle θ in [0, π] has the density
``f(θ) ∝ exp(κ (cos θ - 1)) sin(θ)^(d - 2)``. All is computed in float64 and returned in the dtype of κ.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from symdgm.distributions import noise

NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)
"""Gauss-Legendre on [-1, 1]: over twelve widths of a bell curve to either side it is exact to 1e-14."""

REACH = 12.0
"""How many widths of the density around its mode are integrated; beyond there is less than 1e-30 of it."""


def log_normaliser(concentration: Tensor, dim: int) -> Tensor:
    """``log ∫ exp(κ (cos θ - 1)) sin(θ)^(dim - 2) dθ``, differentiable by κ.

    Example:
        >>> log_normaliser(torch.tensor([0.0]), 3).exp()
        tensor([2.])
    """
    angle, log_weight = _grid(concentration, dim)
    return (
        (log_weight + _log_shape(angle, concentration.double().unsqueeze(-1), dim))
        .logsumexp(-1)
        .to(concentration.dtype)
    )


def mean_versine(concentration: Tensor, dim: int, power: int = 1) -> Tensor:
    """``E[(1 - cos θ)^power]``; for a large κ it keeps the digits that ``E[cos θ]`` loses.

    Example:
        >>> mean_versine(torch.tensor([0.0]), 3)
        tensor([1.])
    """
    angle, log_weight = _grid(concentration, dim)
    shares = (log_weight + _log_shape(angle, concentration.double().unsqueeze(-1), dim)).softmax(-1)
    return (shares * _versine(angle) ** power).sum(-1).to(concentration.dtype)


def draw_angles(
    concentration: Tensor, dim: int, shape: torch.Size, generator: torch.Generator | None
) -> Tensor:
    """Angles of the full shape, by rejection, with the implicit gradient by κ (of the first order only).

    Source: Wood, Simulation of the von Mises Fisher distribution, 1994; Figurnov et al., Implicit
    reparameterization gradients, 2018.
    """
    full = concentration.expand(shape)
    kappa = full.detach().double().flatten()
    angle = torch.empty_like(kappa)
    pending = torch.arange(kappa.numel(), device=kappa.device)
    while pending.numel():
        proposed, accepted = _propose(kappa[pending], dim, generator)
        angle[pending[accepted]] = proposed[accepted]
        pending = pending[~accepted]
    angle = angle.reshape(shape)
    if full.requires_grad:
        moved = implicit_slope(angle, full.detach(), dim) * (full - full.detach()).double()
        angle = angle + moved
    return angle.to(full.dtype)


def implicit_slope(angle: Tensor, concentration: Tensor, dim: int) -> Tensor:
    """``dθ/dκ = -(∂F(θ; κ)/∂κ) / f(θ; κ)`` with the distribution function F, for angles of κ's shape.

    The integral runs over the tail on θ's own side of the mode, where ``f(t) / f(θ)`` is at most one.
    """
    kappa = concentration.double()
    mode, width = _mode_and_width(kappa, dim)
    outward = torch.where(angle < mode, -1.0, 1.0)
    end = (angle + outward * REACH * width).clamp(0, math.pi)
    half = 0.5 * (end - angle).unsqueeze(-1)
    t = angle.unsqueeze(-1) + half * (1 + _tensor(NODES, kappa))
    k, at = kappa.unsqueeze(-1), angle.unsqueeze(-1)
    ratio = (_log_shape(t, k, dim) - _log_shape(at, k, dim)).exp()
    excess = mean_versine(kappa, dim).unsqueeze(-1) - _versine(t)
    return (half.abs() * _tensor(WEIGHTS, kappa) * excess * ratio).sum(-1) * outward


def _propose(kappa: Tensor, dim: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """One angle for each concentration, and whether it is accepted."""
    m = dim - 1
    b = m / (2 * kappa + (4 * kappa.square() + m * m).sqrt())
    half = kappa.new_full((), m / 2)
    log_odds = noise.log_gamma(half, kappa.shape, generator) - noise.log_gamma(half, kappa.shape, generator)
    z = log_odds.sigmoid()
    versine = 2 * b * z / (1 - (1 - b) * z)
    edge = 2 * b / (1 + b)
    scaled = edge + (1 - edge) * versine
    bound = kappa * edge - m * (4 * b / (1 + b).square()).log()
    surprise = noise.exponential({"kappa": kappa}, kappa.shape, generator)
    accepted = bound - kappa * versine + m * scaled.log() >= -surprise
    return 2 * (0.5 * versine).sqrt().clamp(max=1).asin(), accepted


def _grid(concentration: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Angles around the mode and the logs of their weights, along a new last axis."""
    kappa = concentration.detach().double()
    mode, width = _mode_and_width(kappa, dim)
    low = (mode - REACH * width).clamp_min(0).unsqueeze(-1)
    high = (mode + REACH * width).clamp_max(math.pi).unsqueeze(-1)
    half = 0.5 * (high - low)
    return low + half * (1 + _tensor(NODES, kappa)), (half * _tensor(WEIGHTS, kappa)).log()


def _mode_and_width(kappa: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Where the density is greatest, and how wide it is there by its curvature."""
    m = dim - 2
    if m == 0:
        return torch.zeros_like(kappa), kappa.clamp_min(1.0).rsqrt()
    root = (m * m + 4 * kappa.square()).sqrt()
    versine = (m + m * m / (root + 2 * kappa)) / (m + root)
    curvature = kappa * (1 - versine) + m / (versine * (2 - versine))
    return 2 * (0.5 * versine).sqrt().asin(), curvature.clamp_min(1.0).rsqrt()


def _log_shape(angle: Tensor, kappa: Tensor, dim: int) -> Tensor:
    bend = (dim - 2) * angle.sin().log() if dim > 2 else 0.0
    return bend - kappa * _versine(angle)


def _versine(angle: Tensor) -> Tensor:
    """``1 - cos θ`` without its cancellation."""
    return 2 * (0.5 * angle).sin().square()


def _tensor(values: np.ndarray[tuple[int], np.dtype[np.float64]], like: Tensor) -> Tensor:
    return torch.as_tensor(values, dtype=like.dtype, device=like.device)
