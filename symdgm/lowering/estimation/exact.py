"""Estimators that need no draws: the minibatch, a certain value, the sum over all states."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from symdgm.errors import EstimatorError, NotSupportedError
from symdgm.expressions.names import spelled
from symdgm.expressions.scope import free_names
from symdgm.lowering.estimation.drawing import fresh
from symdgm.lowering.estimation.estimator import Averages, Binding, Estimator, Place, Recipe, unchanged
from symdgm.lowering.plan import Kind as PlanKind
from symdgm.lowering.plan import PlanNode
from symdgm.rewriting.rule import Kind

MAX_STATES = 4096
"""The most states of a finite variable that are enumerated."""
ASKED = "asked"
"""Marks states that the user wants to be enumerated."""


class TooManyStates(EstimatorError):
    """A finite variable has more states than are enumerated, so that another estimator is taken."""


def _observed(place: Place) -> Binding:
    """The rows of the batch."""
    _refuse_other_rows(place)
    plan = place.lowering.plan
    values = {v: plan.node(PlanKind.OBSERVE, detail=(spelled(v),), origin=v) for v in place.drawn}
    return Binding(place, values, next(iter(values.values())))


def _refuse_other_rows(place: Place) -> None:
    """Refuse an expectation over data whose body reads other data, which come from the same rows.

    Raises:
        NotSupportedError: the rows of a batch are draws of all data variables together.
    """
    drawn, free = list(map(spelled, place.drawn)), {spelled(v) for v in free_names(place.node.body)}
    others = [n for n in place.lowering.bound.data if n in free and n not in drawn]
    if others:
        every, head = ", ".join([*drawn, *others]), place.law.node.args[0]
        raise NotSupportedError(
            f"the expectation over `{place.law.node}` averages the rows of a batch, but `{', '.join(others)}`"
            " come from the same rows and are not drawn by it",
            hint=f"draw them together: `E_{head}({every})[...]`",
        )


def _batch_mean(binding: Binding, value: PlanNode, averages: Averages) -> PlanNode:
    averages.outermost = None
    operation = f"{'log ' if binding.place.log else ''}mean"
    plan, node = binding.place.lowering.plan, binding.place.node
    return plan.node(PlanKind.REDUCE, value, detail=(operation, "batch"), origin=node)


def _certain(place: Place) -> Binding:
    """The value of a deterministic law."""
    lowering = place.lowering
    parameters = lowering.law(place.law, place.scope)
    formal = lowering.bound.environment.factors[place.law.identity].variables
    return Binding(
        place,
        {
            v: lowering.plan.node(PlanKind.PARAMETER, parameters, detail=(spelled(f),), origin=v)
            for v, f in zip(place.drawn, formal, strict=True)
        },
    )


def _all_states(place: Place, *asked: str) -> Binding:
    """All states along an axis of their own."""
    parameters = place.lowering.law(place.law, place.scope)
    stream, key = fresh(place, parameters)
    variable = place.drawn[0]
    states = place.lowering.plan.node(
        PlanKind.STATES, parameters, detail=(place.name, stream, *asked), origin=variable
    )
    return Binding(place, {variable: states}, states, key=key)


def _asked_states(place: Place) -> Binding:
    """All states, however many."""
    return _all_states(place, ASKED)


def _strata(place: Place) -> Binding:
    """Draws from every component along an axis of their own."""
    parameters = place.lowering.law(place.law, place.scope)
    stream, key = fresh(place, parameters)
    variable = place.drawn[0]
    states = place.lowering.plan.node(
        PlanKind.STATES, parameters, detail=(place.name, stream, place.asked), origin=variable
    )
    return Binding(place, {variable: states}, states, key=key)


def _weighted_sum(binding: Binding, value: PlanNode, averages: Averages) -> PlanNode:
    place, states = binding.place, binding.axis
    assert states is not None
    averages.outermost = None
    plan, law = place.lowering.plan, states.args[0]
    weight = plan.node(PlanKind.WEIGHT, law, states, origin=law.origin)
    operation = f"{'log ' if place.log else ''}weighted sum"
    return plan.node(PlanKind.REDUCE, value, weight, states, detail=(operation,), origin=place.node)


def _by_batch(law: str, values: str, count: int) -> str:
    return f"estimated by the mean over the batch of {values}"


def _by_value(law: str, values: str, count: int) -> str:
    return f"the value of {law}"


def _by_states(law: str, values: str, count: int) -> str:
    return f"the sum over all states, weighted by {law}"


def _by_components(law: str, values: str, count: int) -> str:
    many = "one draw" if count == 1 else f"the mean of {count} draws"
    return f"estimated by {many} from each component of {law} for each example"


MINIBATCH = Estimator(
    "minibatch mean",
    Kind.UNBIASED,
    "the rows of a batch are draws from the data, so their mean is unbiased",
    _observed,
    _batch_mean,
    unchanged,
    _by_batch,
)
CERTAIN = Estimator(
    "certain value",
    Kind.EQUALITY,
    "the law puts all its mass on one value",
    _certain,
    said=_by_value,
)
ENUMERATION = Estimator(
    "enumeration",
    Kind.EQUALITY,
    "the support is finite: the sum over its states is exact, value and gradient",
    _all_states,
    _weighted_sum,
    unchanged,
    _by_states,
)


STRATIFIED = Estimator(
    "stratified Monte Carlo",
    Kind.UNBIASED,
    "the average over the components is exact, and a draw from each is a differentiable function of the "
    "parameters and of noise, so value and gradient are unbiased",
    _strata,
    _weighted_sum,
    unchanged,
    _by_components,
)


@final
@dataclass(frozen=True)
class Enumeration(Recipe):
    r"""The exact sum over all states of a finite variable.

    .. math:: \mathbb{E}_{q(y)}[f(y)] = \sum_y q(y) f(y)

    It is the default of a variable with at most 4096 states; asked for, it is refused where there are more.

    Example:
        >>> import torch, symdgm as sd
        >>> q = sd.Bernoulli("q(b)", probs=torch.tensor([0.25]))
        >>> sd.Objective("E_q(b)[||b||^2]", q, estimators={"b": sd.estimators.Enumeration()})()
        tensor(0.2500)
    """

    def at(self, place: Place) -> Estimator:
        """The sum over the states; see `Recipe.at`."""
        if not place.law.finite:
            why = f"a {place.law.family_name} has no finite support"
            raise place.refuse("enumeration", why, "take `score function`, or leave the estimator out")
        if place.several:
            why = "the body joins several draws"
            raise place.refuse("enumeration", why, "take `score function`, or leave the estimator out")
        return replace(ENUMERATION, bind=_asked_states)
