"""The score function, or REINFORCE: for every law with a density, whatever its draws carry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import cast, final

from symdgm.distributions.networks import Network
from symdgm.errors import OptionError, suggest
from symdgm.lowering.estimation.baselines import (
    Baseline,
    Constant,
    Learned,
    LeaveOneOut,
    OverBatch,
    Running,
    WithoutEach,
)
from symdgm.lowering.estimation.drawing import detached_draw, log_prob_of
from symdgm.lowering.estimation.estimator import (
    Averages,
    Binding,
    Estimator,
    Place,
    Recipe,
    mean_over_draws,
)
from symdgm.lowering.estimation.joined import joins_rows
from symdgm.lowering.estimation.operations import depends, onto, plus, score
from symdgm.lowering.plan import PlanNode
from symdgm.rewriting.rule import Kind

BASELINES = ("none", "leave-one-out", "batch", "running mean")
"""The baselines that have a name."""
WHY = (
    "the draws carry no gradient, but their log-probability does: E[f ∇log q] = ∇E[f]; what is subtracted "
    "from f does not depend on the draw, so it takes away variance and leaves no bias"
)


@final
@dataclass(frozen=True)
class ScoreFunction(Recipe):
    r"""The score-function estimator with a baseline.

    .. math:: \nabla \mathbb{E}_q[f] = \mathbb{E}_q[\nabla f + (f - b) \nabla \log q]

    It is the default of a law whose draws carry no gradient and which is not enumerated. Only terms that
    depend on a variable multiply its score: the equation is split into terms first.

    Args:
        baseline: b, which must not depend on the draw: ``"leave-one-out"``, the mean over the other draws
            (for the logarithm of a mean, VIMCO's bound without the draw); ``"batch"``, the mean over the
            other examples; ``"running mean"``, over the training steps, a buffer of the model; ``"none"``; a
            number; or a network of what the law is given, which returns one number per example and is trained
            along. By default leave-one-out where there are several draws, else ``"batch"``.

    Raises:
        OptionError: another baseline.

    Source: Williams, Simple statistical gradient-following algorithms, 1992; Mnih and Gregor, Neural
    variational inference, 2014.

    Example:
        >>> import torch, symdgm as sd
        >>> theta = torch.nn.Parameter(torch.zeros(1))
        >>> q = sd.Bernoulli("q(b)", logits=theta)
        >>> score = sd.estimators.ScoreFunction(baseline="leave-one-out")
        >>> f = sd.Objective("E_q(b)[||b - 0.45||^2]", q, estimators={"b": score}, samples=4000)
        >>> f.derivation[0].name
        'score function'
    """

    baseline: str | float | Network | None = None

    def __post_init__(self) -> None:
        if isinstance(self.baseline, str) and self.baseline not in BASELINES:
            raise OptionError(f"unknown baseline `{self.baseline}`", hint=suggest(self.baseline, BASELINES))

    def at(self, place: Place) -> Estimator:
        """The estimator with its baseline; see `Recipe.at`."""
        baseline = self._baseline(place)
        return estimator(place, baseline, "score function")

    def _baseline(self, place: Place) -> Baseline:
        """The baseline that was asked for, or the best that needs no state."""
        asked: object = self.baseline
        if asked is None or asked == "leave-one-out":
            found = leave_one_out(place) or (WithoutEach() if place.several else None)
            if found is None and asked is not None:
                why = "one draw has no others to leave it out of"
                raise place.refuse(
                    "a leave-one-out baseline", why, f'write `samples={{"{place.name}": 2}}` or more'
                )
            return found or OverBatch()
        if isinstance(asked, str):
            return {"none": Constant(), "batch": OverBatch(), "running mean": Running()}[asked]
        if isinstance(asked, float | int):
            return Constant(float(asked))
        if callable(asked):
            return Learned(cast("Network", asked))
        hint = f"write one of {', '.join(BASELINES)}, a number or a network"
        raise OptionError(f"{type(asked).__name__} is no baseline", hint=hint)


def estimator(place: Place, baseline: Baseline, name: str, reference: str = "Williams (1992)") -> Estimator:
    """The estimator with a baseline.

    Raises:
        EstimatorError: nothing is known about the density of the law, or the logarithm of another average is
            taken around it.
    """
    if place.log and place.scope.averaged:
        why = "it stands inside the logarithm of another average, whose gradient joins all draws"
        raise place.refuse(name, why, "write both as one expectation, `log E_{q(a)} E_{q(b|a)}[...]`")
    if not place.law.scored:
        why = f"a {place.law.family_name} cannot be drawn from with its normalised density"
        raise place.refuse(name, why, "draw from a proposal, and weigh by importance")
    return Estimator(
        name,
        Kind.UNBIASED,
        WHY,
        detached_draw,
        partial(_average, baseline),
        partial(_settle, baseline),
        partial(_said, baseline),
        place.asked,
        reference,
    )


def leave_one_out(place: Place) -> LeaveOneOut | None:
    """The mean over other draws: of the variable, or of one before that it depends on."""
    if place.asked > 1:
        return LeaveOneOut(multi=place.log)
    if place.law.kind == "path":
        return None
    law = place.lowering.law(place.law, place.scope)
    before = next((d for d in reversed(place.scope.draws) if depends(law, d)), None)
    return None if before is None else LeaveOneOut(before, multi=place.log)


def _average(baseline: Baseline, binding: Binding, value: PlanNode, averages: Averages) -> PlanNode:
    """The mean over the draws; that of a logarithm gets its score when all averages are taken."""
    if not binding.place.log:
        value = scored(baseline, binding, value, averages)
    return mean_over_draws(binding, value, averages)


def _settle(baseline: Baseline, binding: Binding, value: PlanNode, averages: Averages) -> PlanNode:
    return scored(baseline, binding, value, averages) if binding.place.log else value


def scored(baseline: Baseline, binding: Binding, value: PlanNode, averages: Averages) -> PlanNode:
    """The value with the gradient of its expectation by the law; what does not depend on the draw has none.

    Raises:
        EstimatorError: the value of an example depends on the draws of others.
    """
    assert binding.draw is not None
    if not depends(value, binding.draw):
        return value
    if joins_rows(value, binding.draw):
        why = "the body joins the draws of several examples"
        raise binding.place.refuse("the score function", why, "take a pathwise law, or a relaxed one")
    plan, node = binding.place.lowering.plan, binding.place.node
    gain = baseline.gain(binding, value, averages)
    terms = [value, onto(plan, score(plan, gain.value, log_prob_of(binding), node), value)]
    return plus(plan, *terms, *([] if gain.loss is None else [onto(plan, gain.loss, value)]))


def _said(baseline: Baseline, law: str, values: str, count: int) -> str:
    many = "one draw" if count == 1 else f"the mean of {count} draws"
    less = "" if baseline == Constant() else f" minus {baseline.words}"
    return f"estimated by {many} from {law} for each example; its score weighs the value{less}"
