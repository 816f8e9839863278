"""Where matrices of parameters may lie: covariances, precisions and their factors."""

from __future__ import annotations

import torch
from torch import Tensor

from symdgm.distributions.shapes import show
from symdgm.distributions.support import bounds, check_real
from symdgm.errors import ParameterError, ShapeError

SYMMETRY_TOLERANCE = 1e-4
"""How far the two halves of a symmetric matrix may differ, relative to its largest entry."""


def check_square(matrix: Tensor, name: str, owner: str) -> None:
    """Refuse matrices of unequal sides."""
    if matrix.shape[-1] != matrix.shape[-2]:
        raise ShapeError(
            f"{name} of {owner} has shape {show(matrix.shape)}, whose last two axes differ",
            hint="a matrix over a vector of length D is [..., D, D]",
        )


def check_positive_definite(matrix: Tensor, name: str, owner: str) -> None:
    """Refuse matrices that are not symmetric and positive definite."""
    check_square(matrix, name, owner)
    check_real(matrix, name, owner)
    uneven = bounds((matrix - matrix.mT).abs())[1]
    if uneven > SYMMETRY_TOLERANCE * bounds(matrix.abs())[1]:
        raise ParameterError(
            f"{name} of {owner} is not symmetric (entries differ by {uneven:.4g})",
            hint="write `0.5 * (m + m.mT)`, or give a `scale_tril`",
        )
    if bool(torch.linalg.cholesky_ex(matrix.detach()).info.any()):
        raise ParameterError(
            f"{name} of {owner} is not positive definite",
            hint="write `a @ a.mT + 1e-3 * torch.eye(d)`, or give a `scale_tril`",
        )


def check_lower_triangular(matrix: Tensor, name: str, owner: str) -> None:
    """Refuse matrices with entries above the diagonal, or a diagonal that is not positive."""
    check_square(matrix, name, owner)
    check_real(matrix, name, owner)
    if bool(matrix.triu(1).any()):
        raise ParameterError(
            f"{name} of {owner} has entries above its diagonal", hint=f"write `{name}.tril()`"
        )
    least = bounds(matrix.diagonal(dim1=-2, dim2=-1))[0]
    if matrix.numel() and least <= 0:
        raise ParameterError(
            f"{name} of {owner} has {least:.4g} on its diagonal; it must be positive",
            hint="write `m.tril(-1) + torch.diag_embed(softplus(d))`",
        )
