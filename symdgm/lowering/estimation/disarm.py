"""DisARM: antithetic pairs of Bernoulli draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from symdgm.lowering.estimation.drawing import drawn
from symdgm.lowering.estimation.estimator import Averages, Binding, Estimator, Place, Recipe, mean_over_draws
from symdgm.lowering.estimation.operations import depends, onto, plus, surrogate_of
from symdgm.lowering.estimation.relaxations import logits_of
from symdgm.lowering.plan import PlanNode
from symdgm.rewriting.rule import Kind

WHY = (
    "a pair of draws from one uniform number and its mirror image; only the elements in which they differ "
    "have a gradient, which is the expectation over all uniform numbers that give the same pair"
)


@final
@dataclass(frozen=True)
class DisARM(Recipe):
    r"""The antithetic estimator of Bernoulli variables, also called U2G.

    .. math:: \nabla_\alpha = \tfrac12 \big(f(b) - f(\tilde b)\big) (b - \tilde b) \, \sigma(|\alpha|), \quad
        b = 1[1 - u < \sigma(\alpha)], \; \tilde b = 1[u < \sigma(\alpha)]

    The draws are made in pairs: an odd number of samples is rounded up.

    Source: Dong, Mnih and Tucker, DisARM: an antithetic gradient estimator for binary latent variables, 2020,
    equation 5.
    """

    def at(self, place: Place) -> Estimator:
        """The mean over pairs; see `Recipe.at`."""
        check_bernoulli(place, "DisARM")
        return Estimator(
            "DisARM",
            Kind.UNBIASED,
            WHY,
            _pairs,
            _average,
            said=_said,
            count=_even(place.asked),
            reference="Dong et al. (2020)",
        )


def check_bernoulli(place: Place, name: str) -> None:
    """Refuse what is no Bernoulli, and the logarithm of an average.

    Raises:
        EstimatorError: with what to take instead.
    """
    if place.law.family_name != "Bernoulli":
        why = f"it is for Bernoulli variables, not for a {place.law.family_name}"
        raise place.refuse(name, why, "take `score function`")
    if place.several:
        why = "the body joins its draws"
        raise place.refuse(name, why, "take `VIMCO`")
    if place.log:
        why = "the logarithm of the average is wanted, whose gradient joins all draws"
        raise place.refuse(name, why, "take `VIMCO`")


def _even(count: int) -> int:
    return count + count % 2


def _pairs(place: Place) -> Binding:
    return drawn(place, _even(place.asked), "antithetic", logits_of(place))


def _average(binding: Binding, value: PlanNode, averages: Averages) -> PlanNode:
    assert binding.draw is not None and binding.axis is not None
    plan, draw = binding.place.lowering.plan, binding.draw
    mean = mean_over_draws(binding, value, averages)
    if not depends(value, draw):
        return mean
    _, logits = draw.args
    surrogate = surrogate_of(plan, "disarm", binding, value, logits)
    return plus(plan, mean, onto(plan, surrogate, mean))


def _said(law: str, values: str, count: int) -> str:
    pairs = "one antithetic pair" if count == 2 else f"the mean of {count // 2} antithetic pairs"
    return f"estimated by {pairs} of draws from {law} for each example"
