"""What observations tell of the states of a linear-Gaussian chain, from the steps of the Kalman filter."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from symdgm.distributions.chains.kalman import kalman_steps

Matrices = tuple[
    Tensor, list[int], tuple[Tensor, Tensor], tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]
]
"""The arguments of `kalman_steps`."""


class Moments(NamedTuple):
    """Means ``[..., d]`` and covariances ``[..., d, d]``."""

    mean: Tensor
    covariance: Tensor


def filtered(matrices: Matrices) -> list[Moments]:
    """``p(z_t|x_{1:t})`` at each time."""
    return [after for _, after in _steps(matrices)]


def smoothed(matrices: Matrices) -> list[Moments]:
    """``p(z_t|x_{1:T})`` at each time: Rauch, Tung and Striebel (1965), with Joseph's form of the update."""
    (a, _, q), steps = matrices[3], _steps(matrices)
    found = [steps[-1][1]]
    for (_, after), (predicted, _) in zip(steps[-2::-1], steps[:0:-1], strict=True):
        later, count = found[-1], len(found[-1].mean)
        mean, covariance = after.mean[:count], after.covariance[:count]
        gain, kept = _gain(a, covariance, predicted.covariance)
        mean = mean + _apply(gain, later.mean - predicted.mean)
        covariance = kept @ covariance @ kept.mT + gain @ (later.covariance + q) @ gain.mT
        found.append(
            Moments(torch.cat([mean, after.mean[count:]]), torch.cat([covariance, after.covariance[count:]]))
        )
    return found[::-1]


def sampled(matrices: Matrices) -> list[Tensor]:
    """A draw of ``p(z_{1:T}|x_{1:T})``, the states at each time, ``[count, d]``."""
    (a, _, q), steps = matrices[3], _steps(matrices)
    path = [_draw(steps[-1][1])]
    for (_, after), (predicted, _) in zip(steps[-2::-1], steps[:0:-1], strict=True):
        count = len(path[-1])
        covariance = after.covariance[:count]
        gain, kept = _gain(a, covariance, predicted.covariance)
        mean = after.mean[:count] + _apply(gain, path[-1] - predicted.mean)
        going = _draw(Moments(mean, kept @ covariance @ kept.mT + gain @ q @ gain.mT))
        ended = Moments(after.mean[count:], after.covariance[count:])
        path.append(torch.cat([going, _draw(ended)]))
    return path[::-1]


def _steps(matrices: Matrices) -> list[tuple[Moments, Moments]]:
    """The predicted and the filtered law of each time, one for each sequence."""
    found = []
    for (mean, covariance, mean_after, covariance_after), count in zip(
        kalman_steps(*matrices)[0], matrices[1], strict=True
    ):
        size = covariance.shape[-1]
        rows, square = (count, size), (count, size, size)
        predicted = Moments(mean.expand(mean_after.shape).reshape(rows), covariance.expand(square))
        found.append((predicted, Moments(mean_after.reshape(rows), covariance_after.expand(square))))
    return found


def _gain(a: Tensor, covariance: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """How a state follows the next one, and what is left of its own spread."""
    root = torch.linalg.cholesky(predicted)
    gain = torch.cholesky_solve(a @ covariance, root).mT
    return gain, torch.eye(a.shape[-1], dtype=a.dtype, device=a.device) - gain @ a


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def _draw(law: Moments) -> Tensor:
    root = torch.linalg.cholesky(law.covariance)
    return law.mean + _apply(root, torch.randn_like(law.mean))
