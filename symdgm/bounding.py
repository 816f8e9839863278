"""What an objective is to a log-likelihood, in words, and a warning where it is optimised the wrong way."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from sympy import Basic

from symdgm.binding import Bound, BoundFacts
from symdgm.errors import SymdgmWarning
from symdgm.expressions.arithmetic import Plus
from symdgm.expressions.notation import latex, unicode
from symdgm.lowering import Estimate
from symdgm.rewriting import Change, Kind, Step
from symdgm.rewriting.bounds import Direction, Relation, relation
from symdgm.verification import kind_of

if TYPE_CHECKING:
    from symdgm.objective import Objective

WRONG = {("maximize", Direction.UPPER), ("minimize", Direction.LOWER)}
"""What is done to a bound, where that moves it away from what it bounds."""


@final
@dataclass(frozen=True)
class ObjectiveBound:
    """What an objective is to a log-likelihood, with the present values of its scalars.

    Args:
        relation: on which side of its target it lies, what separates the two, and why.
        estimate: what an evaluation is to the objective: exact, unbiased, biased, or below a log on average.
    """

    relation: Relation
    estimate: Kind

    @property
    def direction(self) -> Direction:
        """On which side of its target the objective lies."""
        return self.relation.direction

    @property
    def target(self) -> Basic | None:
        """The log-likelihood, or None where none was recognised."""
        return self.relation.target

    @property
    def is_lower(self) -> bool:
        """Whether it is never above its target."""
        return self.direction in (Direction.LOWER, Direction.EQUAL)

    @property
    def is_upper(self) -> bool:
        """Whether it is never below its target."""
        return self.direction in (Direction.UPPER, Direction.EQUAL)

    def __repr__(self) -> str:
        found = self.relation
        if found.target is None:
            return f"no bound is known: {found.why}"
        lines = [f"{found.direction.value} {unicode(found.target)}: {found.why}"]
        lines[0] += f" [{found.reference}]" if found.reference else ""
        if found.gap:
            lines.append(f"  it lies {self._side()} by {_list(found.gap)}")
        if found.against:
            lines.append(f"  but {_list(found.against)} pushes to the other side")
        lines += [f"  as long as {unicode(c)} ≥ 0" for c in found.conditions]
        return "\n".join([*lines, f"  its estimate: {self._estimated()}"])

    def _repr_latex_(self) -> str | None:
        found = self.relation
        sign = {Direction.LOWER: r"\le", Direction.UPPER: r"\ge", Direction.EQUAL: "="}.get(found.direction)
        if found.target is None or sign is None:
            return None
        joiner = " + " if found.direction is Direction.UPPER else " - "
        gap = "".join(joiner + _bracketed(node) for node in found.gap)
        equal = f"{latex(found.target)}{gap} " if gap else ""
        return rf"$\displaystyle \mathcal{{L}} {'= ' if equal else ''}{equal}{sign} {latex(found.target)}$"

    def _side(self) -> str:
        return "above" if self.direction is Direction.UPPER else "below"

    def _estimated(self) -> str:
        if self.estimate is Kind.LOWER_BOUND:
            if self.direction is Direction.UPPER:
                return (
                    "below the bound on average (Jensen), so that it bounds nothing; more draws come closer"
                )
            return "an estimator of a lower bound: the log of a mean is below on average (Jensen)"
        return {Kind.EQUALITY: "exact", Kind.UNBIASED: "unbiased"}.get(self.estimate, "biased")


def _bracketed(node: Basic) -> str:
    return rf"\left({latex(node)}\right)" if isinstance(node, Plus) else latex(node)


def _list(nodes: Sequence[Basic]) -> str:
    return " + ".join(unicode(n) for n in nodes)


def bound_of(bound: Bound, facts: BoundFacts, estimates: Sequence[Estimate]) -> ObjectiveBound:
    """What an objective is to a log-likelihood, with the present values of its scalars."""
    found = relation(bound.expression, facts)
    kinds = {kind_of(e) for e in estimates}
    order = (Kind.BIASED, Kind.LOWER_BOUND, Kind.UNBIASED)
    return ObjectiveBound(found, next((k for k in order if k in kinds), Kind.EQUALITY))


def warn_of_direction(objective: Objective) -> None:
    """Warn where an objective moves a bound away from what it bounds; the derivation says it too."""
    if objective.direction is None:
        return
    bound = objective.derivation.bound
    if (objective.direction, bound.direction) not in WRONG or bound.target is None:
        return
    other = "minimize" if bound.direction is Direction.UPPER else "maximize"
    done = {"maximize": "maximised", "minimize": "minimised"}[objective.direction]
    words = (
        f"the objective is {done}, but it is {bound.direction.value} {unicode(bound.target)}: that moves it "
        f"away from what it bounds; `{other}` it, or turn its sign"
    )
    kind = Kind.UPPER if bound.direction is Direction.UPPER else Kind.LOWER
    whole = objective.bound.expression
    step = Step(f"a bound is {done}", kind, words, (Change(whole, bound.target),), whole)
    objective.derivation = objective.derivation.with_step(step)
    warnings.warn(words, SymdgmWarning, stacklevel=4)
