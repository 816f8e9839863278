"""Rational-quadratic splines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from torch import Tensor

from symdgm.distributions.flows.axes import read_count
from symdgm.distributions.flows.elements import Element, check_positive
from symdgm.errors import ParameterError

LEAST = 1e-3
"""The least width and height of a bin as a share of the whole, and the least slope at a knot."""
SLOPE_OF_ONE = math.log(math.expm1(1 - LEAST))
"""Where softplus plus the least slope is one."""


class Bin(NamedTuple):
    """The piece of the spline that each element falls in."""

    left: Tensor
    width: Tensor
    low: Tensor
    height: Tensor
    slope_left: Tensor
    slope_right: Tensor

    @property
    def secant(self) -> Tensor:
        """The mean slope."""
        return self.height / self.width

    @property
    def bend(self) -> Tensor:
        """The sum of the end slopes beyond twice the mean slope."""
        return self.slope_left + self.slope_right - 2 * self.secant


@final
@dataclass(frozen=True)
class Spline(Element):
    """A monotone rational-quadratic spline on ``[-bound, bound]``, and the identity outside.

    Args:
        bins: pieces of the spline.
        bound: where the identity begins, in units of the value.

    Raises:
        ParameterError: fewer than two bins, so many that the least width leaves no room, or a bound that is
            not positive.

    References:
        Durkan et al. (2019), Neural Spline Flows, equations 4 to 8.

    Example:
        >>> spline = Spline(bins=4, bound=2.0)
        >>> spline.count
        11
        >>> z, log_slope = spline.apply(torch.tensor([0.5, 7.0]), torch.randn(2, 11))
        >>> z[1], log_slope[1]
        (tensor(7.), tensor(0.))
    """

    bins: int = 8
    bound: float = 5.0

    def __post_init__(self) -> None:
        read_count(self.bins, "bins", "Spline", least=2)
        check_positive("bound", self.bound, "Spline")
        if LEAST * self.bins >= 1:
            raise ParameterError(
                f"`bins` of Spline is {self.bins}, which leaves no room for each",
                hint=f"write fewer than {round(1 / LEAST)}",
            )

    @property
    def count(self) -> int:
        """``3 bins - 1``: widths, heights, and slopes at the inner knots."""
        return 3 * self.bins - 1

    def apply(self, x: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """The spline at ``x`` and the logarithm of its slope."""
        # Outside, the clamped element keeps the branch that is not taken finite, and so its gradient.
        inside = x.clamp(-self.bound, self.bound)
        piece = self._bin(inside, coefficients, of_image=False)
        share = (inside - piece.left) / piece.width
        below = piece.secant + piece.bend * share * (1 - share)
        above = piece.height * (piece.secant * share.square() + piece.slope_left * share * (1 - share))
        return self._or_identity(x, piece.low + above / below, _log_slope(piece, share))

    def invert(self, z: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """The root of a quadratic in each bin, in the form that does not cancel."""
        inside = z.clamp(-self.bound, self.bound)
        piece = self._bin(inside, coefficients, of_image=True)
        rise = inside - piece.low
        a = piece.height * (piece.secant - piece.slope_left) + rise * piece.bend
        b = piece.height * piece.slope_left - rise * piece.bend
        c = -piece.secant * rise
        root = (b.square() - 4 * a * c).clamp_min(torch.finfo(z.dtype).tiny).sqrt()
        share = torch.where(b < 0, root - b, -2 * c) / torch.where(b < 0, 2 * a, b + root)
        share = share.clamp(0, 1)  # rounding may leave the bin
        return self._or_identity(z, piece.left + share * piece.width, -_log_slope(piece, share))

    def _or_identity(self, x: Tensor, image: Tensor, log_slope: Tensor) -> tuple[Tensor, Tensor]:
        within = x.abs() < self.bound
        return torch.where(within, image, x), torch.where(within, log_slope, 0)

    def _bin(self, x: Tensor, coefficients: Tensor, *, of_image: bool) -> Bin:
        widths, heights = coefficients[..., : self.bins], coefficients[..., self.bins : 2 * self.bins]
        slopes = coefficients[..., 2 * self.bins :]
        across, up = self._knots(widths), self._knots(heights)
        slopes = F.pad(LEAST + F.softplus(slopes + SLOPE_OF_ONE), (1, 1), value=1.0)
        inner = (up if of_image else across)[..., 1:-1]
        at = (inner <= x.unsqueeze(-1)).sum(-1, keepdim=True)
        left, right = _take(across, at), _take(across, at + 1)
        low, high = _take(up, at), _take(up, at + 1)
        return Bin(left, right - left, low, high - low, _take(slopes, at), _take(slopes, at + 1))

    def _knots(self, raw: Tensor) -> Tensor:
        """Knots from ``-bound`` to ``bound``, no two closer than the least share."""
        shares = LEAST + (1 - LEAST * self.bins) * raw.softmax(-1)
        inner = shares.cumsum(-1)[..., :-1]
        return self.bound * (2 * F.pad(F.pad(inner, (1, 0)), (0, 1), value=1.0) - 1)


def _take(knots: Tensor, at: Tensor) -> Tensor:
    return knots.gather(-1, at).squeeze(-1)


def _log_slope(piece: Bin, share: Tensor) -> Tensor:
    rest = 1 - share
    above = piece.slope_right * share.square() + 2 * piece.secant * share * rest
    below = piece.secant + piece.bend * share * rest
    return 2 * piece.secant.log() + (above + piece.slope_left * rest.square()).log() - 2 * below.log()
