"""Draws of discrete variables with a gradient that is not quite theirs: relaxed, straight-through."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, final

from sympy import Basic

from symdgm.lowering.estimation.drawing import drawn
from symdgm.lowering.estimation.estimator import Binding, Estimator, Place, Recipe
from symdgm.lowering.estimation.scalars import Scalar, check_positive
from symdgm.lowering.plan import Kind as PlanKind
from symdgm.lowering.plan import PlanNode
from symdgm.rewriting.rule import Kind

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering

RELAXED = ("Bernoulli", "OneHotCategorical")
"""The families that have a relaxation over the same event."""
HARD = "the value is that of a draw, but its gradient is that of {}, so it is biased"
SOFT = (
    "a relaxed draw stands for a discrete one, so value and gradient are biased, less at a lower "
    "temperature, where the variance is higher"
)


class Relaxation(Recipe):
    """An estimator that is biased by draws of its own, from the logits of a law."""

    @abstractmethod
    def special(self, lowering: Lowering, name: str) -> tuple[str, tuple[PlanNode, ...]]:
        """What is special about the draws of a variable: a word that the emission knows, and scalars.

        Args:
            lowering: the plan while it is built.
            name: the variable.
        """


@final
@dataclass(frozen=True)
class GumbelSoftmax(Relaxation):
    r"""Relaxed draws, which carry a gradient. Biased.

    .. math:: y = \text{softmax}((\ell + g) / \tau), \; g_k \sim \text{Gumbel}; \quad
        y = \sigma((\ell + g) / \tau), \; g \sim \text{Logistic}

    The first is for a one-hot variable, the second for a Bernoulli one. Densities of the variable are taken
    as they are at the relaxed values, where they are linear in them.

    Args:
        temperature: τ, positive: a number, a 0-d tensor, an `nn.Parameter`, or a function of the training
            step; it becomes a scalar of the objective, ``temperature_y`` for a variable y.
        hard: whether the value is that of the nearest discrete one, and only the gradient is relaxed
            (straight-through Gumbel-softmax).

    Raises:
        OptionError: the temperature is not positive.

    Source: Jang, Gu and Poole, Categorical reparameterization with Gumbel-softmax, 2017; Maddison, Mnih and
    Teh, The concrete distribution, 2017.
    """

    temperature: Scalar = 1.0
    hard: bool = False

    def __post_init__(self) -> None:
        check_positive("temperature", self.temperature)

    def at(self, place: Place) -> Estimator:
        """The mean over relaxed draws; see `Recipe.at`."""
        name = "straight-through Gumbel-softmax" if self.hard else "Gumbel-softmax"
        _check(place, name)
        why = HARD.format("a relaxed draw") if self.hard else SOFT
        draw = partial(_draw, self)
        return Estimator(name, Kind.BIASED, why, draw, count=place.asked, reference="Jang et al. (2017)")

    def special(self, lowering: Lowering, name: str) -> tuple[str, tuple[PlanNode, ...]]:
        """Relaxed draws at a temperature; see `Relaxation.special`."""
        temperature = lowering.scalar(f"temperature_{name}", self.temperature)
        return "relaxed, hard" if self.hard else "relaxed", (temperature,)


@final
@dataclass(frozen=True)
class StraightThrough(Relaxation):
    r"""Discrete draws with the gradient of their mean. Biased.

    .. math:: y \sim q, \qquad \nabla y := \nabla \mathbb{E}_q[y] = \nabla \pi

    Source: Bengio, Léonard and Courville, Estimating or propagating gradients through stochastic neurons,
    2013.
    """

    def at(self, place: Place) -> Estimator:
        """The mean over draws; see `Recipe.at`."""
        _check(place, "straight-through")
        why = HARD.format("its mean")
        return Estimator(
            "straight-through",
            Kind.BIASED,
            why,
            partial(_draw, self),
            count=place.asked,
            reference="Bengio et al. (2013)",
        )

    def special(self, lowering: Lowering, name: str) -> tuple[str, tuple[PlanNode, ...]]:
        """Draws with the gradient of their mean; see `Relaxation.special`."""
        return "straight-through", ()


def _check(place: Place, name: str) -> None:
    if place.law.family_name == "Categorical":
        why = "the number of a class has no value between two classes"
        raise place.refuse(name, why, "bind it to a OneHotCategorical, and give the networks rows")
    if place.law.family_name not in RELAXED:
        why = f"a {place.law.family_name} has no relaxation"
        raise place.refuse(name, why, f"it is for {' and '.join(RELAXED)}")


def logits_of(place: Place) -> PlanNode:
    """The logits of a Bernoulli or a categorical law."""
    return logits(place.lowering, place.lowering.law(place.law, place.scope), place.drawn[0])


def logits(lowering: Lowering, law: PlanNode, variable: Basic) -> PlanNode:
    """The logits of the lowered law of a variable."""
    return lowering.plan.node(PlanKind.PARAMETER, law, detail=("logits",), origin=variable)


def _draw(relaxation: Relaxation, place: Place) -> Binding:
    how, scalars = relaxation.special(place.lowering, place.name)
    return drawn(place, place.asked, how, logits_of(place), *scalars)
