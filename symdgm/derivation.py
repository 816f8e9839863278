"""How an equation became one that can be computed: the record that users look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import final

import torch
from sympy import Basic
from sympy.core.symbol import Str
from torch import Tensor

from symdgm.binding import Bound
from symdgm.binding.chains import Chain, Sort, joint_over_time
from symdgm.binding.factors import Factor
from symdgm.binding.observations import check_draws, collect
from symdgm.binding.paths import Path
from symdgm.bounding import ObjectiveBound, bound_of
from symdgm.display.derivations import derivation_latex, derivation_text, equation_latex
from symdgm.distributions import Custom, Distribution
from symdgm.errors import SymdgmError
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import terms_of
from symdgm.expressions.calculus import IntegralOver
from symdgm.expressions.depth import nodes
from symdgm.expressions.expectations import Binder
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.notation import unicode
from symdgm.expressions.statements import Definition
from symdgm.given import whole
from symdgm.lowering import Estimate, Frozen, initial_values
from symdgm.lowering.sources import is_opaque
from symdgm.measuring import Subject
from symdgm.parsing import parse
from symdgm.rewriting import Change, Kind, Step
from symdgm.rewriting import Derivation as Rewriting
from symdgm.training.randomness import seeded
from symdgm.verification import Verification, kind_of, verify


@final
@dataclass(frozen=True)
class Checks:
    """What the steps of an objective's derivation are checked with.

    Args:
        subject: evaluates formulas.
        rewriting: the steps that rewrote the equation.
        estimates: how its expectations are estimated.
        read: data → checked tensors.
    """

    subject: Subject
    rewriting: Rewriting
    estimates: Sequence[Estimate]
    read: Callable[[Mapping[str, object]], dict[str, Tensor]]


@final
@dataclass(frozen=True)
class Derivation:
    """The steps from the equation as it was written to what is computed.

    Args:
        title: the equation.
        steps: each with its rule, whether it is an equality or an estimator, why it holds, and what it
            changed.
        checks: what the steps are checked with, if they are those of an objective.
    """

    title: Basic
    steps: tuple[Step, ...]
    checks: Checks | None = field(default=None, repr=False, compare=False)

    @property
    def bound(self) -> ObjectiveBound:
        """What the objective is to a log-likelihood, with the present values of its scalars.

        Raises:
            SymdgmError: the derivation is of no objective.
        """
        checks = self._checks()
        return bound_of(checks.subject.bound, checks.subject.facts, checks.estimates)

    def verify(
        self, values: object = None, /, *, draws: int = 1000, seed: int | None = 0, n: int = 1, **data: object
    ) -> Verification:
        """Compare the two sides of every step by numbers, with error bars.

        A step holds where the means of its sides differ by no more than four standard errors; a step that is
        a lower bound, where its estimate is not above. No gradient is formed.

        Args:
            values: see `Objective.__call__`, whose errors it raises.
            draws: draws for each side.
            seed: of the draws; None takes the caller's random state.
            n: see `Objective.__call__`.
            data: see `Objective.__call__`.

        Raises:
            SymdgmError: the derivation is of no objective.
            OptionError: ``draws`` is no whole number from 2.
        """
        whole("draws", draws, least=2, what="whole number of draws")
        checks = self._checks()
        bound = checks.subject.bound
        tensors = checks.read(collect(values, data, bound.data))
        anchor = checks.subject.anchor()
        device = next((t.device for t in (*tensors.values(), anchor) if t is not None), torch.device("cpu"))
        with seeded(seed, device):
            return verify(
                checks.subject,
                checks.rewriting,
                checks.estimates,
                tensors,
                draws=draws,
                n=check_draws(n, tensors),
            )

    def subject(self) -> Subject:
        """What evaluates formulas that are parts of the objective."""
        return self._checks().subject

    def with_step(self, step: Step) -> Derivation:
        """The derivation with one more step at its end."""
        return replace(self, steps=(*self.steps, step))

    def _checks(self) -> Checks:
        if self.checks is None:
            raise SymdgmError("this derivation is of no objective", hint="take `objective.derivation`")
        return self.checks

    def __repr__(self) -> str:
        return derivation_text(unicode(self.title), self.steps)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def latex(self) -> str:
        """The derivation as an ``aligned`` block."""
        return derivation_latex(equation_latex(self.title), self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> Step:
        return self.steps[index]


def assemble(
    title: Basic,
    bound: Bound,
    rewriting: Rewriting,
    frozen: Frozen,
    checks: Checks | None = None,
) -> Derivation:
    """All steps in order: what names mean, how the equation was rewritten, how expectations are estimated."""
    estimates, comparisons = frozen.estimates, frozen.comparisons
    named = _named(bound)
    steps = [
        *_resolution(bound),
        *rewriting.steps,
        *_left_out(bound, named),
        *_objects(bound, named),
        *initial_values(frozen),
        *_estimation(estimates),
        *comparisons.steps.values(),
        *_batch(bound, estimates, comparisons.of_batch),
    ]
    return Derivation(title, tuple(steps), checks)


def _resolution(bound: Bound) -> list[Step]:
    changes = tuple(Change(a, b) for a, b in bound.resolutions if unicode(a) != unicode(b))
    if not changes:
        return []
    why = "a short name is the one bound factor that it can mean"
    return [Step("resolution", Kind.EQUALITY, why, changes, bound.expression)]


def _named(bound: Bound) -> list[Factor]:
    """The factors that the formula refers to; of a law of whole sequences, those of its steps."""
    laws = nodes(bound.expression, Apply, Density)
    matched = [m.factor for n in laws if (m := bound.environment.match(n)) is not None]
    found = {f.index: f for m in matched for f in (m.steps if isinstance(m, Path) else (m,))}
    return [factor for _, factor in sorted(found.items())]


def _left_out(bound: Bound, named: Sequence[Factor]) -> list[Step]:
    """The latent chains that are summed or integrated out."""
    steps = []
    for chain in (f for f in named if isinstance(f, Chain)):
        joint, whole = joint_over_time(bound.environment, chain), chain.path(bound.environment)
        if chain.sort is Sort.FINITE:
            left: Basic = Aggregate(Str("sum"), joint, Index(whole))
            name = "forward algorithm"
            reference = "Rabiner (1989), eq. 19 to 21; Särkkä and García-Fernández (2021)"
            why = "the states are finite and form a chain, so the sum over all paths is taken step by step"
        else:
            left = IntegralOver(joint, whole)
            name, reference = "Kalman filter", "Kalman (1960)"
            why = "the chain is linear and Gaussian, so the integral over all paths is taken step by step"
        change = Change(chain.node, left)
        steps.append(Step(name, Kind.EQUALITY, why, (change,), bound.expression, reference))
    return steps


def _objects(bound: Bound, used: Sequence[Factor]) -> list[Step]:
    """The factors that are no formulas: they are computed as a whole."""
    factors = [f for f in used if is_opaque(f.distribution) and not isinstance(f, Chain)]
    derived = tuple(_by_rules(f) for f in factors if f.derived)
    own = [f for f in factors if not f.derived]
    open_ = [f for f in own if isinstance(f.distribution, Custom) and not f.distribution.normalised]
    named = tuple(Change(f.node, f.node, f"is {_computed(f.distribution)}") for f in own if f not in open_)
    unnormalised = tuple(Change(f.node, f.node, f"is {_known(f.distribution)}") for f in open_)
    rules = "what is left out is summed or integrated exactly, and a posterior is by Bayes' rule"
    why = "it is of no family with formulas, so its own methods give its draws and its log-density"
    lacks = (
        "the logarithm is used without that of the integral, so gradients by its parameters lack those of "
        "the integral, and gradients by its variables are right"
    )
    steps = [
        Step("rules of probability", Kind.EQUALITY, rules, derived, bound.expression),
        Step("opaque factor", Kind.EQUALITY, why, named, bound.expression),
        Step("unnormalised density", Kind.UP_TO_A_CONSTANT, lacks, unnormalised, bound.expression),
    ]
    return [step for step in steps if step.changes]


def _by_rules(factor: Factor) -> Change:
    """What a factor that follows from others is equal to."""
    written = parse(factor.distribution.text)
    if isinstance(written, Definition):
        return Change(factor.node, written.args[1])
    return Change(factor.node, factor.node, "is exact")


def _computed(distribution: Distribution) -> str:
    """How an object is computed."""
    if isinstance(distribution, Custom):
        return f"a density by its log: {distribution.account}"
    return f"computed by a {type(distribution).__name__} as a whole"


def _known(distribution: Distribution) -> str:
    """What is known of a density that does not integrate to one."""
    improper = isinstance(distribution, Custom) and distribution.improper
    return "improper: its integral is infinite" if improper else "a density known up to a constant"


def _estimation(estimates: Sequence[Estimate]) -> list[Step]:
    steps = []
    for estimate in estimates:
        kind, why = _kind(estimate)
        law, count = estimate.law, estimate.count
        values = ", ".join(f"{{{i}}}" for i, _ in enumerate(law.values, 1))
        how = f"is {estimate.estimator.said('{0}', values, count)}"
        change = Change(estimate.expectation, estimate.expectation.body, how, (law.node, *law.values))
        name, reference = estimate.estimator.name, estimate.estimator.reference
        steps.append(Step(name, kind, why, (change,), estimate.expectation, reference))
    return steps


def _kind(estimate: Estimate) -> tuple[Kind, str]:
    """What an estimate is to its place in the equation, and why."""
    kind, why = kind_of(estimate), estimate.estimator.why
    if kind is estimate.estimator.kind:
        return kind, why
    if kind is Kind.LOWER_BOUND:
        return (
            kind,
            f"{why}; the log of a mean is taken, a lower bound on the log of the expectation (Jensen)",
        )
    return kind, f"{why}; but a nonlinear function of it is taken, so the value is biased (Jensen)"


def _batch(bound: Bound, estimates: Sequence[Estimate], of_batch: AbstractSet[Basic]) -> list[Step]:
    """The mean over the batch, of the terms without an expectation over data."""
    written = [e.expectation for e in estimates if e.estimator.name == "minibatch mean"]
    terms = [term for _, term in terms_of(bound.expression)]
    left = (
        [term for term in terms if not _over_data(term, bound)] if written or of_batch else [bound.expression]
    )
    left = [term for term in left if not of_batch & {*nodes(term)}]
    data = tuple(map(parse, bound.data))
    over = ", ".join(f"{{{i}}}" for i, _ in enumerate(data)) or "the draws"
    why = "no expectation over data is written, so one value per example is averaged over the batch"
    changes = tuple(Change(term, term, f"is averaged over the batch of {over}", data) for term in left)
    return [Step("minibatch mean", Kind.UNBIASED, why, changes, bound.expression)] if left else []


def _over_data(term: Basic, bound: Bound) -> bool:
    """Whether an expectation over data stands in a term."""
    return any(bound.environment.data_law(binder.law) is not None for binder in nodes(term, Binder))
