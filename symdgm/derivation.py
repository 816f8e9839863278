"""How an equation became one that can be computed: the record that users look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sympy import Basic, preorder_traversal

from symdgm.binding import Bound
from symdgm.display.derivations import derivation_latex, derivation_text
from symdgm.distributions import Custom, Distribution
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import terms_of
from symdgm.expressions.expectations import Binder
from symdgm.expressions.notation import latex, unicode
from symdgm.lowering import Estimate
from symdgm.lowering.estimators import STRATIFIED
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


def _objects(bound: Bound) -> list[Step]:
    """The factors that are no formulas: they are computed as a whole."""
    laws = {n for n in preorder_traversal(bound.expression) if isinstance(n, Apply | Density)}
    found = {m.factor.index: m.factor for n in laws if (m := bound.environment.match(n)) is not None}
    factors = [f for _, f in sorted(found.items()) if is_opaque(f.distribution)]
    derived = tuple(Change(f.node, f.node, f"is exact: {f.distribution.text}") for f in factors if f.derived)
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
        each = "each component of " * (estimate.estimator is STRATIFIED)
        return f"estimated by {many} from {each}{law} for each example"
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
