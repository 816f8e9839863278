"""REBAR and RELAX: the score function with a relaxed draw as control variate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import final

from symdgm.distributions.networks import Network
from symdgm.lowering.estimation.baselines import OverBatch
from symdgm.lowering.estimation.disarm import check_bernoulli
from symdgm.lowering.estimation.drawing import drawn, log_prob_of
from symdgm.lowering.estimation.estimator import Averages, Binding, Estimator, Place, Recipe, mean_over_draws
from symdgm.lowering.estimation.networks import network_of_draw
from symdgm.lowering.estimation.operations import (
    depends,
    minimised,
    minus,
    onto,
    part,
    plus,
    score,
    square,
    stopped,
    surrogate_of,
)
from symdgm.lowering.estimation.relaxations import logits_of
from symdgm.lowering.estimation.scalars import Scalar, check_positive, check_untrained
from symdgm.lowering.estimation.soundness import lets_gradients_through
from symdgm.lowering.plan import Kind as PlanKind
from symdgm.lowering.plan import PlanNode
from symdgm.rewriting.rule import Kind

WHY = (
    "the score function minus that of a function of the relaxed draw, given the discrete one, plus the "
    "pathwise gradient of what was subtracted: it is correlated with the value and leaves no bias"
)


@final
@dataclass(frozen=True)
class REBAR(Recipe):
    r"""The score function of Bernoulli variables with the relaxed value as control variate.

    .. math:: \nabla = \big(f(b) - c(\tilde z)\big) \nabla \log q(b) + \nabla c(z) - \nabla c(\tilde z), \quad
        c(z) = \eta f(\sigma(z / \tau))

    z is the relaxed draw whose sign gives b, and :math:`\tilde z` one that is drawn given b. The body is
    evaluated at 0 and 1 and at both relaxed draws: at three values for each sample. Gradients by other
    parameters than those of the law come from the discrete draws alone. What is left of the score has the
    mean over the other examples of the batch as its baseline.

    Args:
        temperature: τ, positive: a number, a 0-d tensor, or a function of the training step; it becomes a
            scalar of the objective, ``temperature_b`` for a variable b.
        eta: η, likewise: ``eta_b``.

    Raises:
        OptionError: a scalar that would have to be trained, or is out of range.

    Source: Tucker, Mnih, Maddison, Lawson and Sohl-Dickstein, REBAR, 2017, equation 7.
    """

    temperature: Scalar = 0.5
    eta: Scalar = 1.0

    def __post_init__(self) -> None:
        check_positive("temperature", self.temperature)
        check_untrained({"temperature": self.temperature, "eta": self.eta})

    def at(self, place: Place) -> Estimator:
        """The estimator; see `Recipe.at`."""
        return _estimator(place, "REBAR", self.temperature, self.eta, None, "Tucker et al. (2017)")


@final
@dataclass(frozen=True)
class RELAX(Recipe):
    r"""REBAR with a network of the relaxed draw added to the control variate.

    .. math:: c(z) = \eta f(\sigma(z / \tau)) + r(\sigma(z / \tau))

    The network minimises the squared distance of the control variate to the value at the discrete draw.

    Args:
        control: r, a network from a relaxed value ``[batch, *event]`` to one number per example.
        temperature: τ; see `REBAR`.
        eta: η; see `REBAR`; at 0 the control variate is the network alone.

    Source: Grathwohl, Choi, Wu, Roeder and Duvenaud, Backpropagation through the void, 2018.
    """

    control: Network
    temperature: Scalar = 0.5
    eta: Scalar = 1.0

    def __post_init__(self) -> None:
        check_positive("temperature", self.temperature)
        check_untrained({"temperature": self.temperature, "eta": self.eta})

    def at(self, place: Place) -> Estimator:
        """The estimator; see `Recipe.at`."""
        reference = "Grathwohl et al. (2018)"
        return _estimator(place, "RELAX", self.temperature, self.eta, self.control, reference)


def _estimator(
    place: Place, name: str, temperature: Scalar, eta: Scalar, control: Network | None, reference: str
) -> Estimator:
    check_bernoulli(place, name)
    if not lets_gradients_through(place.node.body):
        why = "a part of the body lets no gradient through, which the relaxed draws need"
        raise place.refuse(name, why, "take `score function` or `DisARM`")
    return Estimator(
        name,
        Kind.UNBIASED,
        WHY,
        partial(_stacked, temperature),
        partial(_average, eta, control),
        said=_said,
        count=place.asked,
        reference=reference,
    )


def _stacked(temperature: Scalar, place: Place) -> Binding:
    """Discrete draws, their relaxations, and relaxations given them, one after the other along one axis."""
    scalar = place.lowering.scalar(f"temperature_{place.name}", temperature)
    return drawn(place, 3 * place.asked, "stacked", logits_of(place), scalar)


def _average(
    eta: Scalar, control: Network | None, binding: Binding, value: PlanNode, averages: Averages
) -> PlanNode:
    place, draw = binding.place, binding.draw
    assert draw is not None
    plan, node = place.lowering.plan, place.node
    if not depends(value, draw):
        return value
    weight = place.lowering.scalar(f"eta_{place.name}", eta)
    relaxed = plan.node(PlanKind.APPLY, weight, value, detail=("mul",), origin=node)
    if control is not None:
        relaxed = plus(plan, relaxed, network_of_draw(binding, "control", control, draw))
    hard, given = (_rows(binding, v, i) for v, i in ((value, 0), (relaxed, 2)))
    gain = OverBatch().gain(binding, minus(plan, hard, given, node), averages)
    terms = [hard, score(plan, gain.value, _rows(binding, log_prob_of(binding), 0), node)]
    if control is not None:
        terms.append(
            minimised(plan, square(plan, _distance(binding, hard, value, weight, control), node), node)
        )
    mean = mean_over_draws(binding, plus(plan, terms[0], *(onto(plan, t, hard) for t in terms[1:])), averages)
    return plus(plan, mean, onto(plan, surrogate_of(plan, "rebar", binding, relaxed), mean))


def _distance(
    binding: Binding, hard: PlanNode, value: PlanNode, weight: PlanNode, control: Network
) -> PlanNode:
    """The distance of the control variate to the value, as a function of the network's weights alone."""
    assert binding.draw is not None
    plan, node = binding.place.lowering.plan, binding.place.node
    known = plan.node(
        PlanKind.APPLY,
        stopped(plan, weight),
        stopped(plan, _rows(binding, value, 2)),
        detail=("mul",),
        origin=node,
    )
    network = _rows(binding, network_of_draw(binding, "control", control, stopped(plan, binding.draw)), 2)
    return minus(plan, minus(plan, stopped(plan, hard), known, node), network, node)


def _rows(binding: Binding, value: PlanNode, which: int) -> PlanNode:
    """The discrete draws (0), the relaxed ones (1), or those given the discrete ones (2)."""
    assert binding.draw is not None
    many = binding.place.asked
    start, label = which * many, ("discrete", "relaxed", "given")[which]
    return part(binding.place.lowering.plan, value, binding.draw, start, start + many, label)


def _said(law: str, values: str, count: int) -> str:
    many = "one draw" if count == 1 else f"the mean of {count} draws"
    return f"estimated by {many} from {law} for each example, with two relaxed ones for each"
