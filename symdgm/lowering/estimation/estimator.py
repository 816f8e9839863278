"""What an estimator is: where the variables of an expectation get values, and how the body is averaged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sympy import Basic

from symdgm.errors import EstimatorError
from symdgm.expressions.laws import Law
from symdgm.expressions.names import spelled
from symdgm.expressions.places import pattern
from symdgm.lowering.plan import Kind as PlanKind
from symdgm.lowering.plan import PlanNode
from symdgm.rewriting.rule import Kind

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope


@dataclass(frozen=True)
class Place:
    """A binder of an expectation, and where it stands.

    Args:
        lowering: the plan while it is built.
        node: the expectation.
        law: the law of the binder.
        drawn: the variables that it binds.
        scope: where it stands.
        asked: the number of draws that the user asked for.
        log: whether the logarithm of the average is wanted.
    """

    lowering: Lowering
    node: Basic
    law: Law
    drawn: tuple[Basic, ...]
    scope: Scope
    asked: int = 1
    log: bool = False

    @property
    def name(self) -> str:
        """How the variable is called."""
        first = self.drawn[0]
        return spelled(first.args[0] if self.several else first)

    @property
    def several(self) -> bool:
        """Whether independent draws under an index are bound, ``z_{1:K}``, that the body joins itself."""
        return bool(pattern(self.drawn[0]) != self.drawn[0]) and self.law.kind != "path"

    def refuse(self, estimator: str, why: str, hint: str) -> EstimatorError:
        """The error that an estimator does not apply here."""
        problem = f"{estimator} cannot estimate an expectation over `{self.law.node}`: {why}"
        return EstimatorError(problem, hint=hint)


@dataclass(frozen=True)
class Binding:
    """What the variables of a binder stand for.

    Args:
        place: the binder.
        values: variable → its value.
        axis: the node whose axis is averaged over, if it has one.
        draw: the node that draws, if there is one.
        key: which draw it is, so that an expectation inside draws afresh.
        within: the scope of the body, where more than the values is told there.
        log_prob: the log-density of the draws, where it is no single density.
    """

    place: Place
    values: Mapping[Basic, PlanNode]
    axis: PlanNode | None = None
    draw: PlanNode | None = None
    key: tuple[object, ...] | None = None
    within: Scope | None = None
    log_prob: PlanNode | None = None


@dataclass
class Averages:
    """The averages of one expectation in the order in which they are taken, the innermost first.

    Args:
        outermost: the axis of draws of the last average, and the values before it; None where the last
            average is over something else.
    """

    outermost: tuple[PlanNode, PlanNode] | None = None


def mean_over_draws(binding: Binding, value: PlanNode, averages: Averages) -> PlanNode:
    """The mean over the draws, or the log of the mean of the exponentials."""
    place, axis = binding.place, binding.axis
    if axis is None:
        return value
    averages.outermost = (axis, value)
    operation = f"{'log ' if place.log else ''}mean over draws"
    return place.lowering.plan.node(PlanKind.REDUCE, value, axis, detail=(operation,), origin=place.node)


def unchanged(binding: Binding, value: PlanNode, averages: Averages) -> PlanNode:
    """The average as it is: its own gradient is right."""
    return value


def by_draws(law: str, values: str, count: int) -> str:
    """What an estimate by draws is."""
    many = "one draw" if count == 1 else f"the mean of {count} draws"
    return f"estimated by {many} from {law} for each example"


def by_indexed_draws(upper: str, law: str, values: str, count: int) -> str:
    """What an estimate by draws under an index is, which the body joins."""
    times = "" if count == 1 else f", the mean of {count} such"
    return f"estimated by {upper} draws from {law} for each example{times}"


@dataclass(frozen=True)
class Estimator:
    """A way to compute an expectation.

    Args:
        name: as displayed.
        kind: what it is to the expectation.
        why: the reason.
        bind: where the variables get their values.
        average: the average over the values, from the body's value at each, one number per example; for the
            logarithm of an expectation, from the logarithm of the body.
        settle: what is added to the average once those over all variables are taken: only that of a
            logarithm is told from the others'.
        said: what is computed, from the law, the names of its variables and the number of draws.
        count: the number of draws.
        reference: where to read about it.
    """

    name: str
    kind: Kind
    why: str
    bind: Callable[[Place], Binding]
    average: Callable[[Binding, PlanNode, Averages], PlanNode] = mean_over_draws
    settle: Callable[[Binding, PlanNode, Averages], PlanNode] = unchanged
    said: Callable[[str, str, int], str] = by_draws
    count: int = 1
    reference: str = ""


class Recipe(ABC):
    """An estimator as a user asks for it, before it is known over what."""

    @abstractmethod
    def at(self, place: Place) -> Estimator:
        """The estimator for one binder.

        Raises:
            EstimatorError: it is not sound, or not defined, there.
        """
