"""Monte Carlo with draws that carry the gradient, or need none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from symdgm.lowering.estimation.drawing import pathwise_draw
from symdgm.lowering.estimation.estimator import Estimator, Place, Recipe
from symdgm.rewriting.rule import Kind

PATHWISE = Estimator(
    "pathwise Monte Carlo",
    Kind.UNBIASED,
    "a draw is a differentiable function of the parameters and of noise, so value and gradient are unbiased",
    pathwise_draw,
)
FIXED = Estimator(
    "Monte Carlo",
    Kind.UNBIASED,
    "nothing that is trained enters the law, or `sg` stops it, so that its draws need no gradient",
    pathwise_draw,
)


@final
@dataclass(frozen=True)
class Pathwise(Recipe):
    r"""Monte Carlo with reparameterised draws, the default of a family that has them.

    .. math:: \nabla_\phi \mathbb{E}_{q_\phi(z)}[f(z)] = \mathbb{E}_\epsilon[\nabla_\phi f(g_\phi(\epsilon))]

    Source: Kingma and Welling, Auto-encoding variational Bayes, 2014.
    """

    def at(self, place: Place) -> Estimator:
        """The mean over pathwise draws; see `Recipe.at`."""
        if not place.law.pathwise:
            why = f"the draws of a {place.law.family_name} carry no gradient by its parameters"
            raise place.refuse(
                "pathwise Monte Carlo", why, "take `score function`, or leave the estimator out"
            )
        return replace(PATHWISE, count=place.asked)
