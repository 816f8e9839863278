"""Which draws carry the gradients that an expectation over them needs."""

from __future__ import annotations

from symdgm.distributions import (
    Custom,
    Deterministic,
    Distribution,
    Family,
    Joint,
    Marginal,
    Mixture,
    Posterior,
    Renamed,
    Transformed,
)
from symdgm.distributions.exactness import is_finite
from symdgm.distributions.linear_gaussian import GAUSSIAN
from symdgm.distributions.strata import divided


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


def is_listed(distribution: Distribution) -> bool:
    """Whether all states of a variable can be listed with their probabilities.

    Example:
        >>> import torch
        >>> from symdgm.distributions import Categorical, Normal
        >>> p = Normal("p(x|k)", lambda k: (k.float(), 1.0)) * Categorical("p(k)", probs=torch.ones(2) / 2)
        >>> is_listed(p.posterior("k")), is_listed(p.marginal("x")), is_listed(p.marginal("k"))
        (True, False, True)
    """
    if isinstance(distribution, Marginal | Posterior) and len(distribution.variables) == 1:
        factors = distribution.used if isinstance(distribution, Marginal) else distribution.hidden
        own = [f for f in factors if set(f.variables) == set(distribution.variables)]
        finite = divided(factors)[0] if isinstance(distribution, Marginal) else factors
        return all(is_finite(f) and f in finite for f in own)
    return isinstance(distribution, Family) and distribution.finite


def is_stratified(distribution: Distribution) -> bool:
    """Whether a law of one variable is a mixture of finitely many laws that are pathwise.

    Example:
        >>> import torch
        >>> from symdgm.distributions import Categorical, Normal
        >>> p = Normal("p(x|k)", lambda k: (k.float(), 1.0)) * Categorical("p(k)", probs=torch.ones(2) / 2)
        >>> is_stratified(p.marginal("x"))
        True
    """
    if len(distribution.variables) > 1:
        return False
    if isinstance(distribution, Mixture):
        return all(map(is_pathwise, distribution.components))
    if isinstance(distribution, Marginal):
        finite, others = divided(distribution.used)
        return bool(finite) and all(map(is_pathwise, others))
    return False


def is_fixed(distribution: Distribution) -> bool:
    """Whether nothing that is trained or given enters a law that can be drawn from."""
    trained = any(p.requires_grad for p in distribution.parameters())
    return not (distribution.given or distribution.sources or trained or isinstance(distribution, Custom))
