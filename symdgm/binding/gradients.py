"""Which draws carry the gradients that an expectation over them needs."""

from __future__ import annotations

from symdgm.distributions import (
    Custom,
    Deterministic,
    Distribution,
    Family,
    Joint,
    Marginal,
    Posterior,
    Renamed,
    Transformed,
)
from symdgm.distributions.linear_gaussian import GAUSSIAN


def is_pathwise(distribution: Distribution) -> bool:
    """Whether a draw carries the gradient by all that its law depends on.

    Example:
        >>> from symdgm.distributions import Normal, Poisson
        >>> q = Normal("q(z)", loc=0.0, scale=1.0)
        >>> is_pathwise(q), is_pathwise(Poisson("p(k|z)", lambda z: z.exp()) * q)
        (True, False)
    """
    if isinstance(distribution, Family):
        return distribution.pathwise
    if isinstance(distribution, Transformed | Renamed):
        return is_pathwise(distribution.base)
    if isinstance(distribution, Joint):
        return all(map(is_pathwise, distribution.factors))
    if isinstance(distribution, Marginal):
        return all(map(is_pathwise, distribution.used))
    if isinstance(distribution, Posterior):
        return all(isinstance(f, GAUSSIAN) for f in distribution.hidden)
    return isinstance(distribution, Deterministic)


def is_fixed(distribution: Distribution) -> bool:
    """Whether nothing that is trained or given enters a law that can be drawn from."""
    trained = any(p.requires_grad for p in distribution.parameters())
    return not (distribution.given or distribution.sources or trained or isinstance(distribution, Custom))
