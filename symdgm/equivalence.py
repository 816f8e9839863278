"""Whether two formulas are one: proved by rewriting, refuted by numbers, or unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from sympy import Basic, Integer
from torch import Tensor, nn

from symdgm.binding import Bound, BoundFacts, Environment, bind
from symdgm.binding.classify import classify, declared_node, refuse_unused
from symdgm.binding.papers import as_papers_mean
from symdgm.binding.structure import BayesRule, structure_of
from symdgm.binding.written import Excerpt
from symdgm.display.derivations import derivation_latex, derivation_text
from symdgm.distributions import Distribution
from symdgm.equations import distributions_of, reading_of
from symdgm.errors import EstimatorError, NameResolutionError, NotSupportedError, SymdgmError
from symdgm.expression import Expression, carried
from symdgm.expressions.arithmetic import Minus
from symdgm.expressions.expectations import Binder
from symdgm.expressions.names import Name, spelled
from symdgm.expressions.node import to_node
from symdgm.expressions.notation import latex, unicode
from symdgm.expressions.scope import free_names
from symdgm.expressions.signature import signature
from symdgm.numeric_witness import by_evaluation
from symdgm.objective import Objective
from symdgm.parsing import parse
from symdgm.rewriting import Change, Kind, Step, derive
from symdgm.rewriting.canonical import Canonical
from symdgm.rewriting.finite_models import FiniteModel, NotFiniteError
from symdgm.rewriting.marginals import marginal
from symdgm.rewriting.polynomials import TooLargeError
from symdgm.rewriting.samples import is_range, unrolled, with_numbers
from symdgm.statement import statement_of

MOST_SAMPLES = 6
"""Sums and samples over a known number are written out up to this one."""
MODELS = 3
"""Random models in which two formulas are compared."""
TOLERANCE = 1e-9
"""Relative difference below which two exact sums are one number."""


@final
@dataclass(frozen=True)
class Witness:
    """Numbers for which two formulas differ.

    Args:
        left: the value of the first.
        right: the value of the second.
        error: the standard error of their difference; 0 where both are exact sums.
        where: what the names were bound to.
    """

    left: float
    right: float
    error: float
    where: str

    def __str__(self) -> str:
        error = f" ± {self.error:.2g}" if self.error else ""
        difference = f"{self.left - self.right:.4g}{error}"
        return f"{self.left:.6g} ≠ {self.right:.6g}, a difference of {difference}, {self.where}"


@final
@dataclass(frozen=True)
class Equivalence:
    """The answer of `equivalent`; true where the formulas are proved to be equal.

    Args:
        verdict: ``proved``, ``refuted`` or ``unknown``.
        left: the first formula.
        right: the second.
        steps: the rules that lead from both to one canonical form, where they are equal.
        witness: numbers for which they differ, where they do.
        reason: why nothing is known, where it is not.
    """

    verdict: str
    left: Basic
    right: Basic
    steps: tuple[Step, ...] = ()
    witness: Witness | None = None
    reason: str = ""

    @property
    def proved(self) -> bool:
        """Whether the two are equal."""
        return self.verdict == "proved"

    @property
    def refuted(self) -> bool:
        """Whether the two are not equal."""
        return self.verdict == "refuted"

    def __bool__(self) -> bool:
        return self.proved

    def __repr__(self) -> str:
        if self.proved:
            return derivation_text(f"proved: {unicode(self.left)} = {unicode(self.right)}", self.steps)
        what = str(self.witness) if self.witness is not None else self.reason
        return f"{self.verdict}: {what}"

    def _repr_latex_(self) -> str | None:
        if not self.proved:
            return None
        title = f"{latex(self.left)} = {latex(self.right)}"
        return f"$\\displaystyle {derivation_latex(title, self.steps)}$"


def equivalent(a: object, b: object, /, *distributions: Distribution, **names: Any) -> Equivalence:
    """Whether two formulas have the same value whatever their networks are.

    Both are brought to one canonical form by the chain rule, Bayes' rule, logs of products, linearity and the
    definitions of divergences. Where that fails they are compared by numbers: without distributions in random
    models of finite variables, exactly; with distributions by repeated evaluation.

    Args:
        a: a formula as text, as an expression, or an objective.
        b: the other.
        distributions: what the formulas name; without any, only their structure is looked at.
        names: numbers, which are put in (``K=1``, ``beta=1.0``), networks, and data ``[batch, *event]`` of
            the observed variables for the comparison by numbers.

    Raises:
        GrammarError: a text is no formula.
        NameResolutionError: a name refers to nothing or to several things.
        OptionError: a keyword that neither formula uses.

    Example:
        >>> elbo = "E_q(z|x)[log p(x|z)] - KL[q(z|x) || p(z)]"
        >>> equivalent(elbo, "E_q(z|x)[log(p(x,z)/q(z|x))]").verdict
        'proved'
        >>> equivalent(elbo, "E_q(z|x)[log p(x|z)] - beta KL[q(z|x) || p(z)]").verdict
        'refuted'
    """
    given = _Given(distributions, names)
    left, right = given.read(a), given.read(b)
    if given.are_opposed:
        right = Minus(right)
    pair = _Pair((left, right), given)
    try:
        return pair.answer()
    except (NotSupportedError, TooLargeError, RecursionError) as error:
        reason = error.problem if isinstance(error, SymdgmError) else "the formulas are too large"
        return Equivalence("unknown", left, right, reason=reason)


class _Given:
    """What the caller bound; objectives and Python's formulas bring their own bindings."""

    def __init__(self, distributions: Sequence[Distribution], names: Mapping[str, Any]) -> None:
        self.bindings = Expression(Integer(0), distributions_of(tuple(distributions)), names)
        self.directions: list[str | None] = []

    def read(self, formula: object) -> Basic:
        """The formula, without a name on its left and its direction."""
        if isinstance(formula, Expression | Objective):
            own = carried(formula)
            self.bindings = self.bindings.with_bindings_of(own)
            node = own.expression
        else:
            assert formula is None or isinstance(formula, object)
            node = as_papers_mean(reading_of(formula), self.bindings.names, parse).expression  # type: ignore[arg-type]
        statement = statement_of(node)
        self.directions.append(statement.direction)
        return statement.body

    @property
    def are_opposed(self) -> bool:
        """Whether one formula is maximised and the other minimised."""
        return None not in self.directions and len(set(self.directions)) == 2

    def with_numbers(self, formulas: Sequence[Basic]) -> list[Basic]:
        """Formulas with the numbers in the place of their names."""
        numbers = {parse(k): to_node(v) for k, v in self.bindings.names.items() if _is_number(v)}
        mentioned = {n for e in formulas for n in _every_name(e)}
        swaps = {k: v for k, v in numbers.items() if k in mentioned}
        return [with_numbers(e, swaps) for e in formulas]


def _every_name(expression: Basic) -> set[Basic]:
    names: set[Basic] = expression.atoms(Name)
    return names | free_names(expression)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


class _Pair:
    """Two formulas with what they are bound to."""

    def __init__(self, written: tuple[Basic, Basic], given: _Given) -> None:
        self.written = written
        self.bindings = given.bindings
        numbered = given.with_numbers(written)
        self.samples = frozenset(
            v.head for e in numbered for b in e.atoms(Binder) for v in b.variables if is_range(v)
        )
        self.sides = tuple(unrolled(e, MOST_SAMPLES) for e in numbered)
        self.environment = self._environment()

    def _environment(self) -> Environment | None:
        """What is bound for good; None where only structure is known."""
        names = {k: v for k, v in self.bindings.names.items() if not self._is_data(v)}
        shapes = {v for d in self.bindings.distributions for v in (*d.variables, *d.given)}
        left = {k: v for k, v in names.items() if not _is_number(v) or k in shapes}
        used = {spelled(n) for e in self.written for n in _every_name(e)}
        if not self.bindings.distributions and not left:
            refuse_unused({k: v for k, v in names.items() if not _is_number(v)}, used, (), parse)
            return None
        declared = [(declared_node(d, parse), d) for d in self.bindings.distributions]
        return classify(list(self.sides), declared, left, parse)

    def _is_data(self, value: object) -> bool:
        return isinstance(value, Tensor) and value.dim() > 0 and not isinstance(value, nn.Parameter)

    def answer(self) -> Equivalence:
        """Proved, refuted or unknown."""
        if signature(self.sides[0]) == signature(self.sides[1]):
            why = "both sides are one formula, up to the order of terms and the names of what is drawn"
            step = Step("sameness", Kind.EQUALITY, why, (Change(*self.written),), self.sides[0])
            return Equivalence("proved", *self.written, steps=(step,))
        environment = structure_of(self.sides, self.samples, self.environment)
        bounds = self._bound(environment)
        facts = BoundFacts(environment, bounds[0].expression)
        rules = BayesRule(environment, facts.law)
        form = Canonical(facts, rules, marginal)
        forms = [form.of(form.by_factors(b.expression)) for b in bounds]
        if forms[0] == forms[1]:
            steps = [*self._steps(bounds, facts), self._last(form, forms[0], bounds[0].expression)]
            return Equivalence("proved", *self.written, steps=tuple(steps))
        if self.environment is None:
            return self._by_tables(bounds, facts, rules)
        return self._by_numbers()

    def _bound(self, environment: Environment) -> list[Bound]:
        try:
            return [bind(side, environment, Excerpt(side)) for side in self.sides]
        except NameResolutionError as error:
            if self.environment is not None:
                raise
            hint = "write densities with their variables, such as `q(z|x)`, or pass the distributions"
            raise NameResolutionError(error.problem, hint=hint) from error

    def _steps(self, bounds: Sequence[Bound], facts: BoundFacts) -> list[Step]:
        """The rules that were applied to both sides, as far as they are rules of rewriting."""
        steps = []
        for written, side, bound in zip(self.written, self.sides, bounds, strict=True):
            if side != written:
                why = "numbers are put in; a sum over a known number of samples is the sum of its terms"
                steps.append(Step("numbers", Kind.EQUALITY, why, (Change(written, side),), side))
            try:
                steps += derive(bound.expression, facts, analytic=False).steps
            except (NotSupportedError, EstimatorError):
                continue
        return steps

    def _last(self, form: Canonical, polynomial: Any, before: Basic) -> Step:
        why = "with equal terms collected and draws renamed, both sides are the same"
        change = Change(self.written[0], form.plain(polynomial))
        other = Change(self.written[1], change.after)
        return Step("canonical form", Kind.EQUALITY, why, (change, other), before)

    def _by_tables(self, bounds: Sequence[Bound], facts: BoundFacts, rules: BayesRule) -> Equivalence:
        """Compared in random finite models."""
        left, right = (b.expression for b in bounds)
        try:
            for seed in range(MODELS):
                model = FiniteModel(facts, rules, seed)
                for states in model.assignments([left, right]):
                    a, b = model.value(left, states), model.value(right, states)
                    if abs(a - b) > TOLERANCE * max(1.0, abs(a), abs(b)):
                        where = f"with random tables over two states of each variable (seed {seed}), exactly"
                        return Equivalence("refuted", *self.written, witness=Witness(a, b, 0.0, where))
        except NotFiniteError:
            reason = "no proof was found, and the formulas have what finite tables give no value"
            return Equivalence("unknown", *self.written, reason=reason)
        reason = f"no proof was found, but the two are equal in {MODELS} random models of finite variables"
        return Equivalence("unknown", *self.written, reason=reason)

    def _by_numbers(self) -> Equivalence:
        """Compared by evaluation with what is bound."""
        data = {k: v for k, v in self.bindings.names.items() if self._is_data(v)}
        found = by_evaluation(self.sides, self.environment, data)
        if isinstance(found, str):
            return Equivalence("unknown", *self.written, reason=found)
        return Equivalence("refuted", *self.written, witness=Witness(*found))
