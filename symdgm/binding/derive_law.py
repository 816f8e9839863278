"""Marginals and posteriors of bound factors by the rules of probability, where they are exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from sympy import Basic

from symdgm.binding.environment import Environment, listing
from symdgm.binding.factors import ATOMS, Factor, Match, givens_of, product, values_of
from symdgm.distributions import Distribution, Family, Joint, Marginal, Posterior
from symdgm.distributions.exactness import inexact
from symdgm.distributions.linear_gaussian import GAUSSIAN, weights_of
from symdgm.errors import NotSupportedError, SymdgmError
from symdgm.expressions.names import spelled


def derive_law(environment: Environment, node: Basic) -> Match | None:
    r"""The factor ``p(x) = \int p(x|z) p(z) dz`` or ``p(z|x)``, made from the bound factors of its name.

    What is left out must be finite, or normal where all that depends on it is linear in it. The law is added
    to the environment, so that it is one factor wherever it is written. None where the reference does not
    follow from the factors.

    Raises:
        NotSupportedError: the reference follows from the factors, but what is left out has no exact sum.
    """
    known = environment.match_derived(node)
    if known is not None:
        return known
    factors = environment.named(node.args[0])
    values, givens = values_of(node), givens_of(node)
    if not factors or not all(isinstance(v, ATOMS) for v in (*values, *givens)):
        return None
    law = _law(environment, factors, values, givens)
    if law is None:
        return None
    why = _inexact(law)
    if why is not None:
        raise _no_exact_sum(node, factors, why)
    environment.factors += (Factor(len(environment.factors), node, law, derived=True),)
    return environment.match_derived(node)


def _law(
    environment: Environment, factors: Sequence[Factor], values: Sequence[Basic], givens: Sequence[Basic]
) -> Marginal | Posterior | None:
    made = {v: f for f in factors for v in f.variables}
    observed = [spelled(g) for g in givens if g in made]
    if not set(values) <= set(made) or len(made) != sum(len(f.variables) for f in factors):
        return None
    names = [spelled(v) for v in values]
    try:
        joint = Joint(_shaped([f.distribution for f in factors], environment.shapes))
        law = Posterior(joint, names, observed) if observed else Marginal(joint, names)
    except SymdgmError:
        return None
    return law if set(law.given) == {spelled(g) for g in givens} else None


def _inexact(law: Marginal | Posterior) -> str | None:
    """Why the density of a law has no exact sum; that of a posterior is a quotient of two."""
    if isinstance(law, Marginal):
        return inexact(law.used, law.variables + law.given)
    whole = law.joint.ordered
    return inexact(whole, law.given) or inexact(whole, law.variables + law.given)


def _shaped(factors: Sequence[Distribution], shapes: Mapping[str, torch.Size]) -> list[Distribution]:
    """The factors; one of numbers alone has the event shape that was declared, or that a weight shows."""
    known = dict(shapes)
    for factor in factors:
        weights = weights_of(factor) if isinstance(factor, GAUSSIAN) and factor.given else None
        for name, weight in (weights or {}).items():
            known.setdefault(name, weight.shape[-1:])
    return [
        factor.over(known[factor.variable])
        if isinstance(factor, Family) and factor.event_shape is None and factor.variable in known
        else factor
        for factor in factors
    ]


def _no_exact_sum(node: Basic, factors: Sequence[Factor], why: str) -> NotSupportedError:
    return NotSupportedError(
        f"`{node}` is a marginal or a posterior of {listing(factors)}, which has no exact sum: {why}",
        hint=f"write the joint by its factors, `{product(factors)}`, and take an expectation over what is "
        "not observed; exact are finite variables, and normal ones that others depend on linearly "
        "(`LinearNormal`)",
    )
