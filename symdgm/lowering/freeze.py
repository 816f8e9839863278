"""From the terms of a derivation to a plan. The symbols end here: what follows knows tensors only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

from sympy import Basic

from symdgm.binding import Bound, BoundFacts
from symdgm.distributions import NetworkSource
from symdgm.errors import SymdgmError
from symdgm.lowering.comparisons import Comparisons
from symdgm.lowering.divergence_options import Option
from symdgm.lowering.estimation.choices import Choices
from symdgm.lowering.expectations import Estimate
from symdgm.lowering.handlers import LOWERINGS
from symdgm.lowering.lower import Lowering, Scope
from symdgm.lowering.plan import Kind, PlanNode, ordered
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
        comparisons: the divergences of samples.
        choices: the estimators that the user named, and what they keep.
        again: makes it anew, after the choices have changed.
        segments: what loops over time do every so many steps.
    """

    bound: Bound
    roots: tuple[Root, ...]
    sources: dict[str, NetworkSource]
    readings: dict[PlanNode, NetworkSource]
    estimates: tuple[Estimate, ...]
    comparisons: Comparisons
    choices: Choices
    again: Callable[[], Frozen]
    segments: Segments = NO_SEGMENTS

    @cached_property
    def differentiates(self) -> bool:
        """Whether a derivative is part of the objective, so that it needs gradients wherever it runs."""
        return any(n.kind is Kind.DERIVATIVE for n in ordered([r.value for r in self.roots]))

    def lowered_again(self) -> Frozen:
        """The same terms after the choices have changed."""
        fresh, terms = self.again(), {root.term for root in self.roots}
        return replace(fresh, roots=tuple(root for root in fresh.roots if root.term in terms))


def freeze(
    bound: Bound,
    derivation: Derivation,
    facts: BoundFacts,
    counts: Mapping[str, int],
    divergences: Mapping[Basic | str, Option] | None = None,
    choices: Choices | None = None,
    segments: Segments = NO_SEGMENTS,
) -> Frozen:
    """Lower the terms of a derivation to a plan.

    Args:
        bound: the bound formula.
        derivation: its terms.
        facts: what is bound, with the names of the parameters.
        counts: variable → number of draws; the entry ``""`` is for all others.
        divergences: a divergence of samples, or the name of a kind → how it is estimated.
        choices: the estimators that the user named, and what they keep.
        segments: what loops over time do every so many steps.

    Raises:
        NotSupportedError: a construct that cannot be computed.
        EstimatorError: an expectation without a sound estimator.
    """
    choices = Choices() if choices is None else choices
    lowering = Lowering(bound, facts, counts, LOWERINGS, Comparisons(divergences or {}), choices)
    roots = []
    for term in derivation.terms:
        try:
            value = lowering.lower(term.expression, Scope())
            scalars = tuple(lowering.lower(s, Scope()) for s in term.scalars)
        except SymdgmError as error:
            raise bound.point(error, term.name) from error.__cause__
        roots.append(Root(term, scalars, value))
    lowering.comparisons.refuse_unused()
    return Frozen(
        bound,
        tuple(roots),
        lowering.sources,
        lowering.readings,
        tuple(lowering.estimates.values()),
        lowering.comparisons,
        choices,
        partial(freeze, bound, derivation, facts, counts, divergences, choices, segments),
        segments,
    )
