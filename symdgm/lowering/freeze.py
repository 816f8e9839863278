"""From the terms of a derivation to a plan. The symbols end here: what follows knows tensors only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symdgm.binding import Bound, BoundFacts
from symdgm.distributions import NetworkSource
from symdgm.errors import SymdgmError
from symdgm.lowering.expectations import Estimate
from symdgm.lowering.handlers import LOWERINGS
from symdgm.lowering.lower import Lowering, Scope
from symdgm.lowering.plan import PlanNode
from symdgm.lowering.time.segments import Segments
from symdgm.rewriting import Derivation, Term

NO_SEGMENTS = Segments()
"""Loops that remember everything."""


@dataclass(frozen=True)
class Root:
    """A term of the plan: sign, scalar factors and value."""

    term: Term
    scalars: tuple[PlanNode, ...]
    value: PlanNode


@dataclass
class Frozen:
    """A plan with what it was made from.

    Args:
        bound: the bound formula.
        roots: the terms.
        sources: network name → what is called; one callable has one name, however many factors use it.
        readings: network node → how its output is read for the first factor that needs it.
        estimates: the estimators, in the order in which they were chosen.
        segments: what loops over time do every so many steps.
    """

    bound: Bound
    roots: tuple[Root, ...]
    sources: dict[str, NetworkSource]
    readings: dict[PlanNode, NetworkSource]
    estimates: tuple[Estimate, ...]
    segments: Segments = NO_SEGMENTS


def freeze(bound: Bound, derivation: Derivation, facts: BoundFacts, counts: Mapping[str, int]) -> Frozen:
    """Lower the terms of a derivation to a plan.

    Args:
        bound: the bound formula.
        derivation: its terms.
        facts: what is bound, with the names of the parameters.
        counts: variable → number of draws; the entry ``""`` is for all others.

    Raises:
        NotSupportedError: a construct that cannot be computed.
        EstimatorError: an expectation without a sound estimator.
    """
    lowering = Lowering(bound, facts, counts, LOWERINGS)
    roots = []
    for term in derivation.terms:
        try:
            value = lowering.lower(term.expression, Scope())
            scalars = tuple(lowering.lower(s, Scope()) for s in term.scalars)
        except SymdgmError as error:
            raise bound.point(error, term.name) from error.__cause__
        roots.append(Root(term, scalars, value))
    return Frozen(
        bound, tuple(roots), lowering.sources, lowering.readings, tuple(lowering.estimates.values())
    )
