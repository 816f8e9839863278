"""The normal distribution of a vector with correlated entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal as TorchLowRank

from symdgm.distributions import noise
from symdgm.distributions.family import Family
from symdgm.distributions.matrices import check_lower_triangular, check_positive_definite
from symdgm.distributions.normal import HALF_LOG_TAU
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.support import check_positive, check_real
from symdgm.distributions.supports import REAL, Support


class MultivariateNormal(Family):
    r"""A normal vector on the last axis of the event, with a covariance, a precision, or a factor of one.

    .. math:: \log p(x) = -\tfrac12 (x - \mu)^\top \Sigma^{-1} (x - \mu) - \tfrac12 \log \det 2 \pi \Sigma

    Args:
        declaration: such as ``q(z|x)``.
        network: returns ``(loc, covariance_matrix)``, ``[batch, *event]`` and ``[batch, *event, D]``, or a
            dict of them or of an alternative, such as ``{"loc": ..., "scale_tril": ...}``.
        event_shape: the shape of one value, where one set of parameters is for all elements.
        loc: the mean, a vector of real numbers.
        covariance_matrix: Σ, symmetric and positive definite.
        precision_matrix: its inverse, in its place.
        scale_tril: its Cholesky factor L with ``Σ = L Lᵀ``: lower triangular, positive on the diagonal.
        cov_factor: W ``[..., D, R]`` of a covariance ``W Wᵀ + diag(cov_diag)`` of low rank.
        cov_diag: the rest of its diagonal, positive.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or no covariance.
        ShapeError: a matrix does not have the length of the vector.

    Example:
        >>> covariance = torch.tensor([[2.0, 1.0], [1.0, 1.0]])
        >>> p = MultivariateNormal("p(z)", loc=torch.zeros(2), covariance_matrix=covariance)
        >>> p.log_prob({"z": torch.ones(3, 2)}), p.variance()["z"]
        (tensor([-2.3379, -2.3379, -2.3379]), tensor([[2., 1.]]))
    """

    family: ClassVar[str] = "MultivariateNormal"
    parameter_names: ClassVar[tuple[str, ...]] = ("loc", "covariance_matrix")
    alternatives: ClassVar[Alternatives] = (
        ("loc", "covariance_matrix"),
        ("loc", "precision_matrix"),
        ("loc", "scale_tril"),
        ("loc", "cov_factor", "cov_diag"),
    )
    parameter_ranks: ClassVar[Mapping[str, int]] = {
        "loc": 1,
        "covariance_matrix": 2,
        "precision_matrix": 2,
        "scale_tril": 2,
        "cov_factor": 2,
        "cov_diag": 1,
    }
    event_rank: ClassVar[int] = 1
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = REAL
    constraints: ClassVar[Mapping[str, Check]] = {
        "loc": check_real,
        "covariance_matrix": check_positive_definite,
        "precision_matrix": check_positive_definite,
        "scale_tril": check_lower_triangular,
        "cov_factor": check_real,
        "cov_diag": check_positive,
    }

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """The mean plus a factor of the covariance times standard normal noise, differentiable by all."""
        loc, eps = parameters["loc"], noise.normal(parameters, shape, generator).unsqueeze(-1)
        if "precision_matrix" in parameters:
            factor = torch.linalg.cholesky(parameters["precision_matrix"])
            moved: Tensor = torch.linalg.solve_triangular(factor.mT, eps, upper=True)
            return loc + moved.squeeze(-1)
        if "cov_factor" in parameters:
            wide = parameters["cov_factor"]
            common = noise.normal(parameters, torch.Size((*shape[:-1], wide.shape[-1], 1)), generator)
            return loc + (wide @ common).squeeze(-1) + parameters["cov_diag"].sqrt() * eps.squeeze(-1)
        return loc + (_scale_tril(parameters) @ eps).squeeze(-1)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each vector."""
        if "cov_factor" in parameters:
            density: Tensor = _low_rank(parameters).log_prob(value)  # type: ignore[no-untyped-call]
            return density
        distance = (value - parameters["loc"]).unsqueeze(-1)
        if "precision_matrix" in parameters:
            factor = torch.linalg.cholesky(parameters["precision_matrix"])
            return _standard((factor.mT @ distance).squeeze(-1)) + _log_diagonal(factor)
        factor = _scale_tril(parameters)
        white = torch.linalg.solve_triangular(factor, distance, upper=False)
        return _standard(white.squeeze(-1)) - _log_diagonal(factor)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``log det(2 pi e Σ) / 2``."""
        constant = (0.5 + HALF_LOG_TAU) * parameters["loc"].shape[-1]
        if "cov_factor" in parameters:
            entropy: Tensor = _low_rank(parameters).entropy()  # type: ignore[no-untyped-call]
            return entropy
        if "precision_matrix" in parameters:
            return constant - _log_diagonal(torch.linalg.cholesky(parameters["precision_matrix"]))
        return constant + _log_diagonal(_scale_tril(parameters))

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The mean."""
        return parameters["loc"]

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The diagonal of the covariance."""
        return covariance_of(parameters).diagonal(dim1=-2, dim2=-1)


def covariance_of(parameters: Mapping[str, Tensor]) -> Tensor:
    """The covariance matrix, from whichever parameters are there.

    Example:
        >>> covariance_of({"cov_factor": torch.ones(2, 1), "cov_diag": torch.ones(2)})
        tensor([[2., 1.],
                [1., 2.]])
    """
    if "covariance_matrix" in parameters:
        return parameters["covariance_matrix"]
    if "precision_matrix" in parameters:
        inverse: Tensor = torch.linalg.inv(parameters["precision_matrix"])
        return inverse
    if "cov_factor" in parameters:
        wide = parameters["cov_factor"]
        return wide @ wide.mT + torch.diag_embed(parameters["cov_diag"])
    return parameters["scale_tril"] @ parameters["scale_tril"].mT


def _scale_tril(parameters: Mapping[str, Tensor]) -> Tensor:
    if "scale_tril" in parameters:
        return parameters["scale_tril"]
    factor: Tensor = torch.linalg.cholesky(parameters["covariance_matrix"])
    return factor


def _low_rank(parameters: Mapping[str, Tensor]) -> TorchLowRank:
    wide, rest = parameters["cov_factor"], parameters["cov_diag"]
    return TorchLowRank(parameters["loc"], wide, rest, validate_args=False)


def _standard(white: Tensor) -> Tensor:
    return (-0.5 * white.square() - HALF_LOG_TAU).sum(-1)


def _log_diagonal(factor: Tensor) -> Tensor:
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
