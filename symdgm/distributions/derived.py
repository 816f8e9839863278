"""What follows from a distribution by the rules of probability: its marginals, and itself at data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from symdgm.distributions.conditioned import Conditioned
from symdgm.distributions.distribution import Distribution
from symdgm.distributions.joint import Joint
from symdgm.distributions.marginal import Marginal, kept_variables
from symdgm.distributions.posterior import Posterior
from symdgm.distributions.spelling import spell
from symdgm.errors import NameResolutionError, suggest


def marginal(p: Distribution, variables: Sequence[str], budget: int | None = None) -> Distribution:
    """Some variables of a distribution; all of them are the distribution itself.

    Raises:
        NameResolutionError: a name is unknown, or there is none.
    """
    names = kept_variables(p, variables)
    if set(names) == set(p.variables):
        return p
    if isinstance(p, Conditioned):
        base = marginal(p.base, names, budget)
        data = {name: value for name, value in p.data.items() if name in base.given}
        return Conditioned(base, data) if data else base
    if isinstance(p, Marginal):
        return Marginal(p.joint, names, budget=p.budget if budget is None else budget)
    if isinstance(p, Posterior):
        return Posterior(p.joint, names, p.observed, budget=p.budget if budget is None else budget)
    return Marginal(p if isinstance(p, Joint) else Joint([p]), names, budget=budget)


def condition(p: Distribution, values: Mapping[str, Tensor]) -> Distribution:
    """A distribution at data: conditions are fixed, and variables of a product are observed.

    Raises:
        NameResolutionError: a name is unknown, nothing is left, or a variable is not part of a product.
    """
    data = {spell(name): value for name, value in values.items()}
    seen = [name for name in data if name in p.variables]
    for name in data:
        if name not in p.variables + p.given:
            raise NameResolutionError(
                f"{p} has no variable `{name}`", hint=suggest(name, p.variables + p.given)
            )
    if not data:
        raise NameResolutionError(f"no value is given to {p}", hint=suggest("", p.variables + p.given))
    left = [name for name in p.variables if name not in seen]
    if not left:
        raise NameResolutionError(
            f"all variables of {p} are observed, so that nothing is left", hint="evaluate `log_prob(values)`"
        )
    if isinstance(p, Conditioned):
        return condition(p.base, p.data | data)
    return Conditioned(_posterior(p, left, seen) if seen else p, data)


def _posterior(p: Distribution, left: list[str], seen: list[str]) -> Distribution:
    if isinstance(p, Joint):
        return Posterior(p, left, seen)
    if isinstance(p, Marginal | Posterior):
        known = p.observed if isinstance(p, Posterior) else ()
        return Posterior(p.joint, left, [*seen, *known], budget=p.budget)
    return Posterior(Joint([p]), left, seen)
