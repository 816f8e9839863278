"""How an equation became one that can be computed: the record that users look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sympy import Basic, preorder_traversal
from sympy.core.symbol import Str

from symdgm.binding import Bound
from symdgm.binding.chains import Chain, Sort, joint_over_time
from symdgm.binding.factors import Factor
from symdgm.display.derivations import derivation_latex, derivation_text
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import terms_of
from symdgm.expressions.calculus import IntegralOver
from symdgm.expressions.expectations import Binder
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.notation import latex, unicode
from symdgm.lowering import Estimate
from symdgm.lowering.sources import is_opaque
from symdgm.rewriting import Change, Kind, Step
from symdgm.rewriting import Derivation as Rewriting


@dataclass(frozen=True)
class Derivation:
    """The steps from the equation as it was written to what is computed.

    Args:
        title: the equation in Unicode.
        title_latex: the same in LaTeX.
        steps: each with its rule, whether it is an equality or an estimator, why it holds, and what it
            changed.
    """

    title: str
    title_latex: str
    steps: tuple[Step, ...]

    def __repr__(self) -> str:
        return derivation_text(self.title, self.steps)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {derivation_latex(self.title_latex, self.steps)}$"

    def latex(self) -> str:
        """The derivation as an ``aligned`` block."""
        return derivation_latex(self.title_latex, self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> Step:
        return self.steps[index]


def assemble(title: object, bound: Bound, rewriting: Rewriting, estimates: Sequence[Estimate]) -> Derivation:
    """All steps in order: what names mean, how the equation was rewritten, how expectations are estimated."""
    steps = [
        *_resolution(bound),
        *rewriting.steps,
        *_left_out(bound),
        *_objects(bound),
        *_estimation(estimates),
        *_batch(bound, estimates),
    ]
    return Derivation(unicode(title), latex(title), tuple(steps))


def _resolution(bound: Bound) -> list[Step]:
    if not bound.resolutions:
        return []
    changes = tuple(Change(a, b) for a, b in bound.resolutions)
    why = "a short name is the one bound factor that it can mean"
    return [Step("resolution", Kind.EQUALITY, why, changes, bound.expression)]


def _named(bound: Bound) -> list[Factor]:
    """The factors that the formula refers to."""
    laws = {n for n in preorder_traversal(bound.expression) if isinstance(n, Apply | Density)}
    found = {m.factor.index: m.factor for n in laws if (m := bound.environment.match(n)) is not None}
    return [factor for _, factor in sorted(found.items())]


def _left_out(bound: Bound) -> list[Step]:
    """The latent chains that are summed or integrated out."""
    steps = []
    for chain in (f for f in _named(bound) if isinstance(f, Chain)):
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


def _objects(bound: Bound) -> list[Step]:
    """The factors that are no formulas: they are computed as a whole."""
    factors = [f for f in _named(bound) if is_opaque(f.distribution) and not isinstance(f, Chain)]
    derived = tuple(
        Change(f.node, f.node, f"is summed exactly: {f.distribution.text}") for f in factors if f.derived
    )
    named = tuple(
        Change(f.node, f.node, f"is computed by a {type(f.distribution).__name__} as a whole")
        for f in factors
        if not f.derived
    )
    rules = "a finite variable that is left out is summed over, and a posterior is by Bayes' rule"
    why = "it is of no family with formulas, so its own methods give its draws and its log-density"
    steps = [
        Step("rules of probability", Kind.EQUALITY, rules, derived, bound.expression),
        Step("opaque factor", Kind.EQUALITY, why, named, bound.expression),
    ]
    return [step for step in steps if step.changes]


def _estimation(estimates: Sequence[Estimate]) -> list[Step]:
    steps = []
    for estimate in estimates:
        kind, why = _kind(estimate)
        change = Change(estimate.expectation, estimate.expectation.body, f"is {_how(estimate)}")
        steps.append(Step(estimate.estimator.name, kind, why, (change,), estimate.expectation))
    return steps


def _kind(estimate: Estimate) -> tuple[Kind, str]:
    """What an estimate is to its place in the equation, and why."""
    kind, why = estimate.estimator.kind, estimate.estimator.why
    if kind is Kind.EQUALITY or not estimate.nonlinear:
        return kind, why
    if estimate.logged:
        why = f"{why}; the log of a mean is taken: a lower bound on the log of the expectation (Jensen)"
        return Kind.LOWER_BOUND, why
    return Kind.BIASED, f"{why}; but a nonlinear function of it is taken, so the value is biased (Jensen)"


def _how(estimate: Estimate) -> str:
    law = unicode(estimate.law.node)
    if estimate.estimator.name.endswith("Monte Carlo"):
        many = "one draw" if estimate.count == 1 else f"the mean of {estimate.count} draws"
        return f"estimated by {many} from {law} for each example"
    if estimate.estimator.name == "enumeration":
        return f"the sum over all states, weighted by {law}"
    if estimate.estimator.name == "minibatch mean":
        return f"estimated by the mean over the batch of {', '.join(unicode(v) for v in estimate.law.values)}"
    return f"the value of {law}"


def _batch(bound: Bound, estimates: Sequence[Estimate]) -> list[Step]:
    """The mean over the batch, of the terms without an expectation over data."""
    written = [e.expectation for e in estimates if e.estimator.name == "minibatch mean"]
    terms = [term for _, term in terms_of(bound.expression)]
    left = [term for term in terms if not _over_data(term, bound)] if written else [bound.expression]
    over = ", ".join(bound.data) or "the draws"
    why = "no expectation over data is written, so one value per example is averaged over the batch"
    changes = tuple(Change(term, term, f"is averaged over the batch of {over}") for term in left)
    return [Step("minibatch mean", Kind.UNBIASED, why, changes, bound.expression)] if left else []


def _over_data(term: Basic, bound: Bound) -> bool:
    """Whether an expectation over data stands in a term."""
    return any(bound.environment.data_law(binder.law) is not None for binder in term.atoms(Binder))
