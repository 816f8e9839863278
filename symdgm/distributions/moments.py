"""Exact means, variances and entropies of what depends on other variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from symdgm.distributions.distribution import Distribution, SampleAxes, batch_axes, read_values
from symdgm.distributions.elimination import Elimination
from symdgm.distributions.enumeration import BUDGET
from symdgm.distributions.linear_gaussian import GAUSSIAN, weights_of
from symdgm.distributions.potential import LOG_TAU
from symdgm.distributions.shapes import broadcast
from symdgm.errors import NotSupportedError

Moments = tuple[Tensor, Tensor]
"""A mean and an elementwise variance."""


def joint_moments(
    p: Distribution,
    given: Mapping[str, Tensor] | None,
    sample_axes: SampleAxes | None,
    factors: Sequence[Distribution],
    budget: int = BUDGET,
) -> dict[str, Moments]:
    """The moments of every variable of a product, by the law of total variance over the causes of each.

    Args:
        p: the distribution, whose variables and conditions count.
        given: its conditions.
        sample_axes: their sample axes.
        factors: all factors, causes first.
        budget: see `Marginal`.

    Raises:
        NotSupportedError: a cause is neither finite nor linear-Gaussian.
    """
    observed, axes = _read(p, given, sample_axes)
    found: dict[str, Moments] = {}
    for factor in factors:
        if set(factor.variables) & set(p.variables):
            found |= _factor_moments(p, factor, factors, observed, axes, budget)
    return {name: found[name] for name in p.variables}


def joint_entropy(
    p: Distribution,
    given: Mapping[str, Tensor] | None,
    sample_axes: SampleAxes | None,
    factors: Sequence[Distribution],
) -> Tensor:
    """The chain rule: the sum of the factors' entropies, each averaged over its causes."""
    observed, axes = _read(p, given, sample_axes)
    terms = []
    for factor in factors:
        sums = _causes(p, factor, factors, observed, axes, BUDGET)
        if sums.events and (
            factor.given and not (isinstance(factor, GAUSSIAN) and weights_of(factor) is not None)
        ):
            raise NotSupportedError(
                f"the entropy of {factor} depends on what cannot be summed, so {p} has none in closed form",
                hint="estimate it: the mean of `-p.log_prob(p.sample(...))`",
            )
        terms.append(_averaged(sums, factor, partial(_entropy, factor)))
    return sum(terms[1:], start=terms[0])


def _entropy(factor: Distribution, given: Mapping[str, Tensor], axes: Mapping[str, int]) -> Tensor:
    return factor.entropy(given, sample_axes=axes)


def _factor_moments(
    p: Distribution,
    factor: Distribution,
    factors: Sequence[Distribution],
    observed: Mapping[str, Tensor],
    axes: Mapping[str, int],
    budget: int,
) -> dict[str, Moments]:
    sums = _causes(p, factor, factors, observed, axes, budget)
    if sums.events:
        whole = Elimination(p, factors, frozenset(factor.variables), budget).run(observed, axes)
        return {name: variable_moments(whole, name) for name in factor.variables}

    def mean(name: str) -> Callable[[Mapping[str, Tensor], Mapping[str, int]], Tensor]:
        return lambda v, a: factor.mean(v, sample_axes=a)[name]

    def square(name: str) -> Callable[[Mapping[str, Tensor], Mapping[str, int]], Tensor]:
        return lambda v, a: (
            factor.variance(v, sample_axes=a)[name] + factor.mean(v, sample_axes=a)[name].square()
        )

    if not sums.potentials:
        given, told, _, _ = sums.arguments(factor.given)
        means, variances = factor.mean(given, sample_axes=told), factor.variance(given, sample_axes=told)
        return {name: (means[name], variances[name]) for name in means}
    found = {}
    for name in factor.variables:
        centre = _averaged(sums, factor, mean(name))
        found[name] = (centre, _averaged(sums, factor, square(name)) - centre.square())
    return found


def _causes(
    p: Distribution,
    factor: Distribution,
    factors: Sequence[Distribution],
    observed: Mapping[str, Tensor],
    axes: Mapping[str, int],
    budget: int,
) -> Elimination:
    """The potentials of the hidden causes of a factor, and none of its own."""
    hidden = frozenset(factor.given) - set(observed)
    return Elimination(p, factors, hidden, budget).run({n: observed[n] for n in p.given}, axes)


def _averaged(
    sums: Elimination,
    factor: Distribution,
    function: Callable[[Mapping[str, Tensor], Mapping[str, int]], Tensor],
) -> Tensor:
    """The mean of a function of a factor's conditions over the hidden ones."""
    known = [name for name in factor.given if name not in sums.events]
    given, told, finite, lead = sums.arguments(known)
    weights = weights_of(factor) if len(known) < len(factor.given) else None  # type: ignore[arg-type]
    for name in factor.given:
        if name in sums.events and weights is not None:
            batch = next((v.shape[len(finite) + lead - 1] for v in given.values()), 1)
            given[name] = weights[name].new_zeros(*(1,) * (len(finite) + lead - 1), batch, *sums.events[name])
            told[name] = len(finite) + lead - 1
    value = function({name: given[name] for name in factor.given}, told)
    if not finite:
        return value
    table = sums.cast(sums.table(finite))
    rank = len(finite) + lead
    table = table.reshape(table.shape + (1,) * (value.ndim - rank))
    return (table * value).flatten(0, len(finite) - 1).sum(0)


def variable_moments(sums: Elimination, name: str) -> Moments:
    """The mean and the variance of one hidden variable, ``[*samples, batch, *event]``."""
    if name in sums.domains:
        domain = sums.domains[name]
        if domain.dtype == torch.long:
            raise NotSupportedError(
                f"{sums.described} has no mean of {name}, since an index is only a name",
                hint="use OneHotCategorical, or the probabilities: `.prob` at each class",
            )
        table = sums.table([name])
        return _mixture(table, domain.reshape(len(domain), *(1,) * (table.ndim - 1), *domain.shape[1:]), None)
    over = sums.over([name])
    weights = over.integrate(name).constant
    split = len(over.finite)
    mean, root = over.moments()
    variance = torch.linalg.inv(root).square().sum(-2).expand(mean.shape)
    if split:
        probs = weights.flatten(0, split - 1).softmax(0)
        lead = broadcast(weights.shape, mean.shape[:-1])
        parts = [t.expand(lead + t.shape[-1:]).flatten(0, split - 1) for t in (mean, variance)]
        mean, variance = _mixture(probs, *parts)
    shape = mean.shape[:-1] + sums.events[name]
    return sums.cast(mean.reshape(shape)), sums.cast(variance.reshape(shape))


def gaussian_entropy(root: Tensor) -> Tensor:
    """The entropy of a normal distribution with the Cholesky root of its precision."""
    return 0.5 * root.shape[-1] * (1 + LOG_TAU) - root.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _mixture(weights: Tensor, means: Tensor, variances: Tensor | None) -> Moments:
    """The moments of a mixture over the first axis."""
    weights = weights.reshape(weights.shape + (1,) * (means.ndim - weights.ndim))
    mean = (weights * means).sum(0)
    spread = (weights * (means - mean).square()).sum(0)
    return mean, spread if variances is None else spread + (weights * variances).sum(0)


def _read(
    p: Distribution, given: Mapping[str, Tensor] | None, sample_axes: SampleAxes | None
) -> tuple[dict[str, Tensor], dict[str, int]]:
    described = f"{type(p).__name__} {p}"
    values = read_values(given or {}, p.given, described)
    return values, {name: count - 1 for name, count in batch_axes(p.given, sample_axes, described).items()}
