"""Which variables of a product can be summed or integrated exactly, before any value is known."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from symdgm.distributions.data import Data
from symdgm.distributions.distribution import Distribution
from symdgm.distributions.family import Family
from symdgm.distributions.linear_gaussian import GAUSSIAN, weights_of
from symdgm.distributions.model_graph import DETERMINISTIC, kind_of


def is_finite(p: Distribution) -> bool:
    """Whether all values of a distribution's variable can be listed.

    Example:
        >>> from symdgm.distributions import Binomial, Poisson
        >>> is_finite(Binomial("p(n)", total_count=3, probs=0.5)), is_finite(Poisson("p(n)", rate=3.0))
        (True, False)
    """
    return isinstance(p, Family) and p.finite


def inexact(factors: Sequence[Distribution], observed: Collection[str]) -> str | None:
    """Why what is not observed cannot be summed exactly; None where it can.

    Args:
        factors: those that matter, causes first.
        observed: the variables and conditions that have values.

    Example:
        >>> from symdgm.distributions import Normal
        >>> prior = Normal("p(z)", loc=0.0, scale=1.0)
        >>> inexact([prior], ["x"]) is None
        True
        >>> inexact([prior, Normal("p(x|z)", lambda z: (z.exp(), 1.0))], ["x"])
        'Normal p(x|z) depends on the hidden z in a way that is not known to be linear'
    """
    normal: set[str] = set()
    for factor in factors:
        hidden = [name for name in factor.variables if name not in observed]
        causes = [name for name in factor.given if name in normal]
        if hidden and len(hidden) < len(factor.variables):
            return f"only a part of {factor} is observed"
        if causes and not (isinstance(factor, GAUSSIAN) and weights_of(factor) is not None):
            return nonlinear(factor, causes)
        if hidden and isinstance(factor, GAUSSIAN):
            normal.update(hidden)
        elif hidden and not _is_listed(factor):
            return f"{hidden[0]} of {described(factor)} is neither finite nor Gaussian"
    return None


def nonlinear(factor: Distribution, causes: Sequence[str]) -> str:
    """What keeps a factor's normal causes from being integrated."""
    hidden = ", ".join(causes)
    return f"{described(factor)} depends on the hidden {hidden} in a way that is not known to be linear"


def described(factor: Distribution) -> str:
    """The class and the declaration of a factor."""
    return f"{type(factor).__name__} {factor}"


def _is_listed(factor: Distribution) -> bool:
    """Whether a variable is finite, computed from such, or one of the rows of data."""
    rows = isinstance(factor, Data) and bool(factor.rows) and len(factor.variables) == 1
    return is_finite(factor) or rows or kind_of(factor) == DETERMINISTIC
