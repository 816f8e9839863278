"""The Kalman filter of linear-Gaussian chains; generated code defines these functions for itself."""

import math

import torch


def kalman_steps(
    x: torch.Tensor,
    counts: list[int],
    start: tuple[torch.Tensor, torch.Tensor],
    transition: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    emission: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> tuple[list[tuple[torch.Tensor, ...]], list[torch.Tensor]]:
    """Predicted and filtered means and covariances of z_t at each time, and log p(x_t|x_{<t}): Kalman (1960).

    The covariances do not depend on x: they are one ``[d, d]`` for all sequences, unless the start has one
    for each; then means are rows ``[..., 1, d]``. The update is that of Joseph, which keeps a covariance
    positive, and the density is by its Cholesky factor.
    """
    mean, covariance = start
    (a, drift, q), (c, offset, r) = transition, emission
    rows = -2 if covariance.ndim == 2 else -3
    residuals = torch.split(x - offset, counts, -2)
    drifts = torch.split(drift, counts, -2) if drift.ndim > 1 else [drift] * len(counts)
    identity = torch.eye(len(a), dtype=x.dtype, device=x.device)
    found: list[tuple[torch.Tensor, ...]] = []
    log_densities: list[torch.Tensor] = []
    for time, count in enumerate(counts):
        residual, moved = residuals[time], drifts[time]
        if rows == -3:
            residual = residual.unsqueeze(-2)
            moved = moved.unsqueeze(-2) if moved.ndim > 1 else moved
        if time:
            mean = mean.narrow(rows, 0, count) @ a.mT + moved
            covariance = a @ (covariance if rows == -2 else covariance[:count]) @ a.mT + q
        residual = residual - mean @ c.mT
        root = torch.linalg.cholesky(c @ covariance @ c.mT + r)
        gain = torch.cholesky_solve(c @ covariance, root).mT
        white = torch.linalg.solve_triangular(root.mT, residual, upper=True, left=False)
        log_det = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        log_density = -(0.5 * white.square() + 0.5 * math.log(2 * math.pi)).sum(-1)
        log_density = log_density - (log_det if rows == -2 else log_det[:, None])
        log_densities.append(log_density if rows == -2 else log_density.squeeze(-1))
        kept = identity - gain @ c
        filtered = mean + residual @ gain.mT, kept @ covariance @ kept.mT + gain @ r @ gain.mT
        found.append((mean, covariance, *filtered))
        mean, covariance = filtered
    return found, log_densities


def kalman_filter(
    x: torch.Tensor,
    counts: list[int],
    start: tuple[torch.Tensor, torch.Tensor],
    transition: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    emission: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """``log p(x_{1:T})`` of each sequence, the longest first; z_{1:T} is integrated out."""
    log_density = torch.cat(kalman_steps(x, counts, start, transition, emission)[1], -1)
    rows = torch.cat([torch.arange(count, device=x.device) for count in counts])
    return log_density.new_zeros(*log_density.shape[:-1], counts[0]).index_add(-1, rows, log_density)
