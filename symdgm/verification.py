"""The two sides of every step of a derivation, compared by numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from sympy import Basic, Integer
from torch import Tensor

from symdgm.display.tables import html_table, text_table
from symdgm.errors import EstimatorError, NotSupportedError
from symdgm.estimators import ScoreFunction
from symdgm.expressions.arithmetic import Minus, Plus, terms_of
from symdgm.expressions.notation import unicode
from symdgm.expressions.scope import free_names
from symdgm.lowering import Choices, Estimate
from symdgm.measuring import Measured, Subject
from symdgm.rewriting import Derivation as Rewriting
from symdgm.rewriting import Kind, Step

Z_MAX = 4.0
"""Standard errors by which two means of one number may differ."""
REPEATS = 25
"""Evaluations from which a standard error is taken."""
HOLDS, FAILS, SHOWN = "holds", "FAILS", "not compared"


@final
@dataclass(frozen=True)
class Comparison:
    """One step with its two sides.

    Args:
        step: the name of the rule or estimator.
        kind: what the sides are to each other.
        formula: the left side.
        left: its value; None where it was not evaluated.
        right: the value of the right side.
        z: their difference in standard errors.
        verdict: ``holds``, ``FAILS`` or ``not compared``, and why.
    """

    step: str
    kind: Kind
    formula: str
    left: Measured | None
    right: Measured | None
    z: float
    verdict: str


@final
class Verification(Sequence[Comparison]):
    """What a comparison of all steps found; it shows itself as a table.

    Args:
        rows: one for each comparison.
    """

    COLUMNS = ("step", "kind", "left side", "left", "right", "z", "verdict")

    def __init__(self, rows: Sequence[Comparison]) -> None:
        self.rows = tuple(rows)

    @property
    def ok(self) -> bool:
        """Whether no step fails."""
        return all(not row.verdict.startswith(FAILS) for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self.rows[index]

    def __iter__(self) -> Iterator[Comparison]:
        return iter(self.rows)

    def __repr__(self) -> str:
        return text_table(self.COLUMNS, self._cells())

    def _repr_html_(self) -> str:
        return html_table(self.COLUMNS, self._cells())

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (r.step, r.kind.value, r.formula, _shown(r.left), _shown(r.right), _z(r), r.verdict)
            for r in self.rows
        ]


def verify(
    subject: Subject,
    rewriting: Rewriting,
    estimates: Sequence[Estimate],
    data: Mapping[str, Tensor],
    *,
    draws: int,
    n: int,
) -> Verification:
    """Compare the two sides of every step of a derivation; see `Derivation.verify`."""
    checker = _Checker(subject, data, draws, n)
    rows = [*checker.rewritten(rewriting.start, rewriting.steps)]
    rows += [checker.estimated(e, rewriting) for e in estimates]
    return Verification(rows)


@dataclass(frozen=True)
class _Checker:
    """Evaluates sides on one batch."""

    subject: Subject
    data: Mapping[str, Tensor]
    draws: int
    n: int

    def rewritten(self, start: Basic, steps: Sequence[Step]) -> Iterator[Comparison]:
        before = start
        for step in steps:
            left, right = _different(before, step.result)
            before = step.result
            if left is not None and right is not None:
                yield self._compared(step, left, right)
            elif left is None and right is None:
                side = unicode(step.changes[0].before) if step.changes else ""
                why = f"{HOLDS}: the same terms"
                yield Comparison(step.name, step.kind, side, None, None, math.nan, why)
            else:
                yield self._compared(step, left or Integer(0), right or Integer(0))

    def _compared(self, step: Step, left: Basic, right: Basic) -> Comparison:
        try:
            a, b = (self._measured(side) for side in (left, right))
        except (NotSupportedError, EstimatorError) as error:
            why = f"{SHOWN}: {error.problem}"
            return Comparison(step.name, step.kind, unicode(left), None, None, math.nan, why)
        z = _distance(a, b)
        verdict = HOLDS if _fits(step.kind, a, b, z) else FAILS
        return Comparison(step.name, step.kind, unicode(left), a, b, z, verdict)

    def _measured(self, side: Basic, choices: Choices | None = None) -> Measured:
        repeats = min(REPEATS, self.draws)
        samples = max(1, self.draws // repeats)
        return self.subject.measure(
            side, self.data, n=self.n, repeats=repeats, samples=samples, choices=choices
        )

    def estimated(self, estimate: Estimate, rewriting: Rewriting) -> Comparison:
        """An expectation by many draws, and by as many as the objective takes."""
        name, kind = estimate.estimator.name, kind_of(estimate)
        side = self._standing_alone(estimate, rewriting)
        shown = unicode(side)
        if name == "minibatch mean":
            alone = self.subject.measure(side, self.data, n=self.n, repeats=min(REPEATS, self.draws))
            why = f"{SHOWN}: the batch is all that is known of the data"
            return Comparison(name, kind, shown, None, alone, math.nan, why)
        drawn = {str(v): ScoreFunction() for v in estimate.law.values} if name == "enumeration" else {}
        left = self._measured(side, Choices(drawn) if drawn else None)
        right = self.subject.measure(side, self.data, n=self.n, repeats=max(REPEATS, min(self.draws, 200)))
        z = _distance(left, right)
        verdict = HOLDS if _fits(kind, right, left, -z) else FAILS
        if kind is Kind.BIASED:
            verdict = (
                f"{HOLDS}: bias {right.mean - left.mean:+.2g} ± {math.hypot(left.error, right.error):.1g}"
            )
        return Comparison(name, kind, shown, left, right, z, verdict)

    def _standing_alone(self, estimate: Estimate, rewriting: Rewriting) -> Basic:
        """The expectation; the term that it is part of, where it needs what that draws, or is under a log."""
        expectation = estimate.expectation
        known = {*self.subject.bound.data, *self.subject.bound.environment.scalars}
        laws = self.subject.facts.parameter_names
        names = {str(n) for n in free_names(expectation) if n not in laws}
        names |= {str(m) for n in free_names(expectation) if n in laws for m in laws[n][0].givens}
        if names <= known and not estimate.nonlinear:
            return expectation
        whole = (t.expression for t in rewriting.terms if t.expression.has(expectation))
        return next(whole, rewriting.result)


def kind_of(estimate: Estimate) -> Kind:
    """What an estimate is to its place in the equation."""
    if estimate.estimator.kind in (Kind.EQUALITY, Kind.BIASED) or not estimate.nonlinear:
        return estimate.estimator.kind
    return Kind.LOWER_BOUND if estimate.logged else Kind.BIASED


def _fits(kind: Kind, low: Measured, high: Measured, z: float) -> bool:
    """Whether two values are to each other what a step says: equal, or the first not above the second."""
    if kind in (Kind.EQUALITY, Kind.UNBIASED):
        return abs(z) <= Z_MAX
    return z <= Z_MAX if kind is Kind.LOWER_BOUND else True


def _distance(a: Measured, b: Measured) -> float:
    return (a.mean - b.mean) / math.hypot(a.error, b.error)


def _different(before: Basic, after: Basic) -> tuple[Basic | None, Basic | None]:
    """The terms of two formulas that the other one does not have."""
    left, right = terms_of(before), terms_of(after)
    for pair in list(left):
        if pair in right:
            left.remove(pair)
            right.remove(pair)
    return _sum(left), _sum(right)


def _sum(terms: Sequence[tuple[int, Basic]]) -> Basic | None:
    nodes = [term if sign > 0 else Minus(term) for sign, term in terms]
    if not nodes:
        return None
    return Plus(*nodes) if len(nodes) > 1 else nodes[0]


def _shown(value: Measured | None) -> str:
    return "" if value is None else str(value)


def _z(row: Comparison) -> str:
    return "" if math.isnan(row.z) else f"{row.z:+.1f}"
