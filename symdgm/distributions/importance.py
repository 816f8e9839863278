"""The likelihood of data by importance sampling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from symdgm.distributions.distribution import Distribution, read_values
from symdgm.distributions.joint import Joint
from symdgm.distributions.marginal import Marginal
from symdgm.errors import NameResolutionError, OptionError, ParameterError


@dataclass(frozen=True)
class Estimate:
    r"""An estimate of ``log p(x)`` for each example, from K weighted samples.

    Args:
        value: ``log (1/K sum_k w_k)``, ``[batch]``; its expectation is a lower bound (the IWAE bound), which
            rises to ``log p(x)`` with K.
        standard_error: the standard error of the value, ``[batch]``, to first order: the relative standard
            error of the mean weight. Where it is not small, or the effective size is, trust neither.
        effective_sample_size: ``(sum_k w_k)^2 / sum_k w_k^2``, between 1 and K, ``[batch]``.
    """

    value: Tensor
    standard_error: Tensor
    effective_sample_size: Tensor


def importance(
    p: Distribution,
    q: Distribution,
    values: Mapping[str, Tensor],
    *,
    k: int,
    chunk: int | None = None,
    generator: torch.Generator | None = None,
) -> Estimate:
    r"""Estimate the likelihood of data under a product whose other variables are hidden.

    .. math:: \log p(x) \approx \log \frac1K \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k \mid x)},
        \quad z_k \sim q(z \mid x)

    All sums are taken in logs. The gradient passes through the value, and through continuous draws.

    Args:
        p: the product ``p(x, z)``, or a marginal of one.
        q: a proposal over exactly the hidden variables, given observed ones; it must have mass where p has.
        values: the observed variables and the conditions of p, each ``[batch, *event]``.
        k: the number of samples for each example.
        chunk: how many of them are drawn at once, all by default; fewer take less memory.
        generator: the source of random numbers.

    Raises:
        NameResolutionError: the proposal is not over the hidden variables, or needs what is not observed.
        ParameterError: p is no product.
        OptionError: ``k`` or ``chunk`` is not a positive number.

    Source:
        Burda, Grosse and Salakhutdinov, Importance weighted autoencoders (2016), equation 8.

    Example:
        >>> from symdgm.distributions import Normal
        >>> p = Normal("p(x|z)", lambda z: (z, 1.0)) * Normal("p(z)", loc=0.0, scale=1.0, event_shape=1)
        >>> q = Normal("q(z|x)", lambda x: (x / 2, 0.5**0.5))
        >>> found = importance(p, q, {"x": torch.zeros(1, 1)}, k=10)  # q is the posterior: there is no error
        >>> found.value, found.effective_sample_size.round()
        (tensor([-1.2655]), tensor([10.]))
    """
    joint = p.joint if isinstance(p, Marginal) else p
    if not isinstance(joint, Joint):
        raise ParameterError(f"{p} is no product, so nothing in it is hidden", hint="ask for its `log_prob`")
    _check_options(k, chunk)
    observed = _check_proposal(joint, q, values)
    size = k if chunk is None else min(chunk, k)
    logs = [_log_weights(joint, q, observed, min(size, k - start), generator) for start in range(0, k, size)]
    return summarise(torch.cat(logs))


def summarise(log_weights: Tensor) -> Estimate:
    """The estimate from the logs of the weights, ``[K, batch]``.

    Example:
        >>> summarise(torch.tensor([[0.0], [0.0]])).standard_error
        tensor([0.])
    """
    count = len(log_weights)
    total = log_weights.logsumexp(0)
    size = (2 * total - (2 * log_weights).logsumexp(0)).exp()
    spread = ((count / size - 1) / max(1, count - 1)).clamp_min(0)
    error = spread.sqrt() if count > 1 else torch.full_like(spread, math.inf)
    return Estimate(total - math.log(count), error.detach(), size.detach())


def _log_weights(
    p: Joint, q: Distribution, observed: Mapping[str, Tensor], k: int, generator: torch.Generator | None
) -> Tensor:
    """``log p(x, z) - log q(z|x)``, ``[k, batch]``."""
    batch = len(next(iter(observed.values()))) if observed else 1
    given = {name: observed[name] for name in q.given}
    drawn = q.sample(given, n=None if q.given else batch, shape=k, generator=generator)
    below = q.log_prob(given | drawn)
    above = p.log_prob(dict(observed) | drawn)
    return above - below


def _check_options(k: object, chunk: object) -> None:
    for name, value in (("k", k), ("chunk", 1 if chunk is None else chunk)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise OptionError(
                f"`{name}` is {value!r}", hint=f"write a positive number of samples, such as `{name}=64`"
            )


def _check_proposal(p: Joint, q: Distribution, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The observed values, where the proposal is over all others."""
    hidden = set(q.variables)
    if not hidden <= set(p.variables) or not set(q.given) <= set(p.variables + p.given) - hidden:
        raise NameResolutionError(
            f"the proposal {q} does not fit {p}",
            hint=f"a proposal is over hidden variables of ({', '.join(p.variables)}), given observed ones",
        )
    names = tuple(name for name in p.variables + p.given if name not in hidden)
    return read_values(values, names, f"importance sampling of {p} with {q}")
