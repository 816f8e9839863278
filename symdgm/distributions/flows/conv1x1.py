"""Invertible 1×1 convolutions: a trained mix of the channels."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from symdgm.distributions.flows.axes import check_channels, pixels, read_count
from symdgm.distributions.flows.flow import Flow, Pushed


@final
class Conv1x1(Flow):
    r"""A square matrix over the channels of every pixel, or over the features of a vector.

    .. math:: z_{:,h,w} = W x_{:,h,w}, \quad \log|\det| = H W \log |\det W|

    It begins as a random rotation.

    Args:
        channels: how many, on the axis behind the batch.
        generator: the source of the first matrix; the global one by default.

    References:
        Kingma and Dhariwal (2018), Glow: Generative flow with invertible 1×1 convolutions, section 3.2.

    Example:
        >>> z, log_det = Conv1x1(3)(torch.randn(2, 3, 4, 4))
        >>> z.shape, bool((log_det.abs() < 1e-4).all())
        (torch.Size([2, 3, 4, 4]), True)
    """

    def __init__(self, channels: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.channels = read_count(channels, "channels", "Conv1x1")
        self.weight = nn.Parameter(_rotation(channels, generator))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """The product with the matrix."""
        check_channels(x, self.channels, "Conv1x1")
        return _mix(self.weight, x), self._log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """The solution of the linear system."""
        check_channels(z, self.channels, "Conv1x1")
        return _from_columns(torch.linalg.solve(self.weight, _columns(z)), z), -self._log_det(z)

    def extra_repr(self) -> str:
        """The number of channels."""
        return str(self.channels)

    def _log_det(self, x: Tensor) -> Tensor:
        log_det: Tensor = torch.linalg.slogdet(self.weight).logabsdet
        return (pixels(x) * log_det).expand(len(x))


@final
class Conv1x1LU(Flow):
    r"""`Conv1x1` with its matrix in factors, which makes the determinant a sum.

    .. math:: W = P L (U + \text{diag}(\sigma \odot e^{s})), \quad \log|\det| = H W \sum_c s_c

    The permutation ``P`` and the signs ``sigma`` stay; the triangles ``L``, ``U`` and ``s`` are trained.

    Args:
        channels: how many, on the axis behind the batch.
        generator: the source of the first matrix; the global one by default.

    References:
        Kingma and Dhariwal (2018), Glow: Generative flow with invertible 1×1 convolutions, equation 10.

    Example:
        >>> f = Conv1x1LU(3)
        >>> x = torch.randn(2, 3, 4, 4)
        >>> torch.allclose(f.inverse(f(x)[0])[0], x, atol=1e-4)
        True
    """

    def __init__(self, channels: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.channels = read_count(channels, "channels", "Conv1x1LU")
        permutation, lower, upper = torch.linalg.lu(_rotation(channels, generator))
        diagonal = upper.diagonal()
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))
        self.log_diagonal = nn.Parameter(diagonal.abs().log())
        self.signs: Tensor
        self.register_buffer("signs", diagonal.sign())
        self.order: Tensor
        self.register_buffer("order", permutation.argmax(1))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """The product with the matrix."""
        check_channels(x, self.channels, "Conv1x1LU")
        lower, upper = self._triangles()
        return _mix((lower @ upper)[self.order], x), self._log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """Two triangular systems."""
        check_channels(z, self.channels, "Conv1x1LU")
        lower, upper = self._triangles()
        inner = torch.linalg.solve_triangular(
            lower, _columns(z)[self.order.argsort()], upper=False, unitriangular=True
        )
        return _from_columns(torch.linalg.solve_triangular(upper, inner, upper=True), z), -self._log_det(z)

    def extra_repr(self) -> str:
        """The number of channels."""
        return str(self.channels)

    def _triangles(self) -> tuple[Tensor, Tensor]:
        lower = self.lower.tril(-1) + torch.diag(torch.ones_like(self.log_diagonal))
        return lower, self.upper.triu(1) + torch.diag(self.signs * self.log_diagonal.exp())

    def _log_det(self, x: Tensor) -> Tensor:
        return (pixels(x) * self.log_diagonal.sum()).expand(len(x))


def _rotation(channels: int, generator: torch.Generator | None) -> Tensor:
    device = generator.device if generator is not None else None
    normal = torch.randn(channels, channels, generator=generator, device=device)
    rotation: Tensor = torch.linalg.qr(normal).Q
    return rotation


def _mix(weight: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("ij,bj...->bi...", weight, x)


def _columns(x: Tensor) -> Tensor:
    """All pixels as columns, ``[C, batch * H * W]``."""
    return x.transpose(0, 1).flatten(1)


def _from_columns(columns: Tensor, like: Tensor) -> Tensor:
    return columns.reshape(like.shape[1], len(like), *like.shape[2:]).transpose(0, 1)
