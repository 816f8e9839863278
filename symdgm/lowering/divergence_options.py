"""How divergences of samples are estimated: kernels, statistics, slices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor

from symdgm.errors import OptionError, suggest
from symdgm.given import whole

KERNELS = ("gaussian", "imq", "laplace")
STATISTICS = ("unbiased", "biased")
MEDIAN = "median"

Kernel = Callable[[Tensor, Tensor], Tensor]
"""From points ``[..., n, d]`` and ``[..., m, d]`` to ``[..., n, m]``."""


@final
@dataclass(frozen=True)
class MMD:
    r"""The squared maximum mean discrepancy.

    .. math:: \mathrm{MMD}[q \| p] = E[k(x, x')] + E[k(y, y')] - 2 E[k(x, y)]

    with x, x' from q and y, y' from p, all independent. Kernels, by a width h:
    ``"gaussian"`` :math:`e^{-\|x - y\|^2 / 2 h^2}`, ``"imq"`` :math:`h^2 / (h^2 + \|x - y\|^2)`,
    ``"laplace"`` :math:`e^{-\|x - y\| / h}`.

    Args:
        kernel: its name, or a function of points ``[..., n, d]`` and ``[..., m, d]`` to ``[..., n, m]``;
            the parameters of a module are trained with the objective.
        bandwidth: a width, several for the mean of their kernels, or ``"median"``: the median distance of
            the draws of both laws, without gradient, times 1/2, 1/√2, 1, √2 and 2.
        statistic: ``"unbiased"``, over pairs of different draws, which may be negative; or ``"biased"``,
            over all pairs, which never is.

    Raises:
        OptionError: an unknown kernel or statistic, or a width that is not positive.

    Source: Gretton et al. (2012), A Kernel Two-Sample Test, lemma 6 and equation 5; the mixture of widths
    is that of Li, Swersky and Zemel (2015), Generative Moment Matching Networks.

    Example:
        >>> MMD(kernel="imq", bandwidth=2.0).widths
        (2.0,)
    """

    kernel: str | Kernel = "gaussian"
    bandwidth: float | str | Sequence[float] = MEDIAN
    statistic: str = "unbiased"

    def __post_init__(self) -> None:
        if isinstance(self.kernel, str):
            _known(self.kernel, KERNELS, "kernel")
        elif not callable(self.kernel):
            raise OptionError(
                f"`kernel` is {type(self.kernel).__name__}",
                hint=f"write one of {KERNELS}, or pass a function",
            )
        _known(self.statistic, STATISTICS, "statistic")
        if self.bandwidth != MEDIAN:
            object.__setattr__(self, "bandwidth", _widths(self.bandwidth))

    @property
    def widths(self) -> tuple[float, ...] | None:
        """The widths, or None where they follow from the draws."""
        return None if isinstance(self.bandwidth, str | float | int) else tuple(self.bandwidth)

    @property
    def by_median(self) -> bool:
        """Whether the widths follow from the draws."""
        return isinstance(self.kernel, str) and self.widths is None


@final
@dataclass(frozen=True)
class Energy:
    r"""The energy distance.

    .. math:: 2 E\|x - y\| - E\|x - x'\| - E\|y - y'\|

    It is the squared MMD with the kernel :math:`-\|x - y\|`, and zero for equal laws only.

    Args:
        statistic: see `MMD`.

    Raises:
        OptionError: an unknown statistic.

    Source: Székely and Rizzo (2013), Energy statistics: a class of statistics based on distances.

    Example:
        >>> Energy().statistic
        'unbiased'
    """

    statistic: str = "unbiased"

    def __post_init__(self) -> None:
        _known(self.statistic, STATISTICS, "statistic")


@final
@dataclass(frozen=True)
class SlicedWasserstein:
    r"""The mean over random directions of the Wasserstein distance of the projections.

    .. math:: \mathrm{SW}_r[q \| p] = \left(E_\theta\, W_r(\theta^\top x, \theta^\top y)^r\right)^{1/r}

    Args:
        slices: the number of directions, drawn anew at every evaluation.
        order: r, 1 or 2; ``SW[q || p]^2`` with order 2 is the loss of sliced autoencoders.

    Raises:
        OptionError: a number that is not positive, or another order.

    Source: Bonneel et al. (2015), Sliced and Radon Wasserstein Barycenters of Measures, definition 7.

    Example:
        >>> SlicedWasserstein(slices=32).order
        1
    """

    slices: int = 128
    order: int = 1

    def __post_init__(self) -> None:
        whole("slices", self.slices, what="whole number of directions")
        _order(self.order)


@final
@dataclass(frozen=True)
class Sinkhorn:
    r"""The Sinkhorn divergence: regularised optimal transport, without its bias towards shrunk laws.

    .. math:: S_\varepsilon[q \| p] = T_\varepsilon(q, p) - \tfrac12 T_\varepsilon(q, q)
        - \tfrac12 T_\varepsilon(p, p)

    with costs :math:`\|x - y\|^r / r`. It is computed by geomloss, ``pip install 'symdgm[transport]'``.

    Args:
        blur: the length that is blurred, :math:`\varepsilon^{1/r}`.
        order: r, 1 or 2.
        scaling: the ratio of one blur to the next while they shrink to ``blur``: faster near 0, more exact
            near 1. With 0.5 and a small blur the value can be a tenth too low.

    Raises:
        OptionError: a length that is not positive, a ratio not between 0 and 1, or another order.

    Source: Feydy et al. (2019), Interpolating between Optimal Transport and MMD using Sinkhorn Divergences,
    equation 3.

    Example:
        >>> Sinkhorn(blur=0.1).order
        2
    """

    blur: float = 0.05
    order: int = 2
    scaling: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "blur", _width(self.blur, "blur"))
        object.__setattr__(self, "scaling", _width(self.scaling, "scaling"))
        if self.scaling >= 1:
            raise OptionError(f"`scaling` is {self.scaling!r}", hint="write a number between 0 and 1")
        _order(self.order)


def _known(value: str, names: Sequence[str], what: str) -> None:
    if value not in names:
        raise OptionError(f"unknown {what} `{value}`", hint=suggest(str(value), names))


def _order(order: int) -> None:
    if order not in (1, 2):
        raise OptionError(f"`order` is {order!r}", hint="write 1 or 2")


def _widths(given: object) -> tuple[float, ...]:
    many = given if isinstance(given, Sequence) and not isinstance(given, str) else (given,)
    if not many:
        raise OptionError("`bandwidth` has no widths", hint='write one number, several, or "median"')
    return tuple(_width(width, "bandwidth") for width in many)


def _width(width: object, what: str) -> float:
    number = isinstance(width, int | float) and not isinstance(width, bool)
    if not number or not math.isfinite(width) or width <= 0:  # type: ignore[arg-type, operator]
        median = ', or "median"' if what == "bandwidth" else ""
        raise OptionError(f"`{what}` is {width!r}", hint=f"write a positive number{median}")
    return float(width)  # type: ignore[arg-type]


Option = MMD | Energy | SlicedWasserstein | Sinkhorn

DEFAULTS: dict[str, Option] = {
    "MMD": MMD(),
    "Energy": Energy(),
    "SW": SlicedWasserstein(),
    "W_1": SlicedWasserstein(),
    "Sinkhorn": Sinkhorn(),
}
"""The divergence → how it is estimated, unless an objective says else."""
