"""Marginals and posteriors of bound factors by the rules of probability, where what is left out is finite."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Basic

from symdgm.binding.environment import Environment
from symdgm.binding.factors import ATOMS, Factor, Match, givens_of, values_of
from symdgm.distributions import Bernoulli, Categorical, Joint, Marginal, OneHotCategorical, Posterior
from symdgm.errors import SymdgmError
from symdgm.expressions.names import spelled

FINITE = (Bernoulli, Categorical, OneHotCategorical)
"""The families that are summed exactly."""


def derive_law(environment: Environment, node: Basic) -> Match | None:
    """The factor ``p(x) = sum_k p(x|k) p(k)`` or ``p(k|x)``, made from the bound factors of its name.

    It is added to the environment, so that it is one factor wherever it is written. None where what is left
    out is not finite, or where the reference does not follow from the factors.
    """
    known = environment.match_derived(node)
    if known is not None:
        return known
    factors = environment.named(node.args[0])
    values, givens = values_of(node), givens_of(node)
    if not factors or not all(isinstance(v, ATOMS) for v in (*values, *givens)):
        return None
    law = _law(factors, values, givens)
    if law is None:
        return None
    environment.factors += (Factor(len(environment.factors), node, law, derived=True),)
    return environment.match_derived(node)


def _law(
    factors: Sequence[Factor], values: Sequence[Basic], givens: Sequence[Basic]
) -> Marginal | Posterior | None:
    made = {v: f for f in factors for v in f.variables}
    observed = [g for g in givens if g in made]
    hidden = [v for v in made if v not in values and v not in givens]
    if not set(values) <= set(made) or len(made) != sum(len(f.variables) for f in factors):
        return None
    unsummed = values if observed else ()
    if not all(isinstance(made[v].distribution, FINITE) for v in (*hidden, *unsummed)):
        return None
    try:
        joint = Joint([f.distribution for f in factors])
        names = [spelled(v) for v in values]
        law = Posterior(joint, names, [spelled(g) for g in observed]) if observed else Marginal(joint, names)
    except SymdgmError:
        return None
    return law if set(law.given) == {spelled(g) for g in givens} else None
