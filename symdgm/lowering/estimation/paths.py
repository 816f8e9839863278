"""Expectations over whole sequences, drawn step by step: ``E_q(z_{1:T}|x_{1:T})[...]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from symdgm.binding.factors import Factor
from symdgm.binding.gradients import is_fixed, is_pathwise
from symdgm.binding.paths import Path
from symdgm.lowering.estimation.estimator import Binding, Estimator, Place, Recipe
from symdgm.lowering.estimation.pathwise import Pathwise
from symdgm.lowering.estimation.relaxations import Relaxation
from symdgm.lowering.estimation.score_function import ScoreFunction
from symdgm.lowering.plan import Kind as PlanKind
from symdgm.lowering.plan import PlanNode
from symdgm.lowering.time.drawing import Drawing
from symdgm.lowering.time.loops import lower_path
from symdgm.rewriting.rule import Kind

if TYPE_CHECKING:
    from symdgm.lowering.lower import Scope


def along_path(place: Place, asked: Recipe | None) -> Estimator:
    """The estimator of an expectation over the steps of sequences.

    Args:
        place: the binder of the path.
        asked: what the user named for its variable.

    Raises:
        EstimatorError: what the user asked for is not known along a path.
    """
    scored = _without_gradient(place)
    if asked is None:
        asked = ScoreFunction() if scored else Pathwise()
    if isinstance(asked, Pathwise) and not scored:
        return replace(PATHS, count=place.asked)
    if isinstance(asked, ScoreFunction) and scored:
        return replace(asked.at(place), bind=_drawn_and_scored)
    if isinstance(asked, Relaxation) and scored:
        return _relaxed(place, asked, scored)
    which = ", ".join(f"`{f.node}`" for f in scored)
    if isinstance(asked, Pathwise):
        why = f"the draws of {which} carry no gradient by their parameters"
        raise place.refuse("pathwise Monte Carlo", why, "take `score function`, or leave the estimator out")
    why = "its steps are drawn one after the other" if scored else "the draws of its steps carry gradients"
    raise place.refuse(
        "this estimator",
        why,
        f"take {'`score function` or `straight-through`' if scored else '`pathwise`'}, or leave it out",
    )


def _steps(place: Place) -> Sequence[Factor]:
    path = place.lowering.bound.environment.factors[place.law.identity]
    assert isinstance(path, Path)
    return path.steps


def _without_gradient(place: Place) -> list[Factor]:
    """The steps whose draws lack a gradient that they should have."""
    return [f for f in _steps(place) if not (is_pathwise(f.distribution) or is_fixed(f.distribution))]


def _relaxed(place: Place, asked: Relaxation, scored: Sequence[Factor]) -> Estimator:
    """The estimator whose draws of these steps carry a gradient that is not quite theirs."""
    laws = [place.lowering.facts.law(f.node) for f in scored]
    found = [asked.at(replace(place, law=law)) for law in laws if law is not None]
    return replace(found[0], bind=partial(_drawn, relaxed=dict.fromkeys((f.index for f in scored), asked)))


def _drawn(place: Place, relaxed: Mapping[int, Relaxation] | None = None) -> Binding:
    """The steps of the path, drawn in a loop over what is carried."""
    drawing = Drawing(place.scope.stream, place.asked, relaxed or {})
    inner, draw = lower_path(place.lowering, place.law, place.scope, drawing)
    return Binding(place, {}, draw if place.asked > 1 else None, draw, within=inner)


def _drawn_and_scored(place: Place) -> Binding:
    """The steps, and the log-density of those draws that carry no gradient.

    A draw that carries one may enter the laws of later ones: their log-densities have its gradient, as the
    law of the discrete draws given the noise of the others has.
    """
    binding = _drawn(place)
    assert binding.within is not None
    inside = replace(binding.within, rows="steps")
    logs = [_log_density(place, factor, inside) for factor in _without_gradient(place)]
    plan, node = place.lowering.plan, place.law.node
    total = plan.node(PlanKind.APPLY, *logs, detail=("add",), origin=node) if len(logs) > 1 else logs[0]
    return replace(
        binding, log_prob=plan.node(PlanKind.REDUCE, total, detail=("sum", "steps", 1, 0), origin=node)
    )


def _log_density(place: Place, factor: Factor, inside: Scope) -> PlanNode:
    return place.lowering.log(factor.node, inside)


PATHS = Estimator(
    "paths",
    Kind.UNBIASED,
    "each step is drawn given the step before; a draw is a differentiable function of the parameters and of "
    "noise",
    _drawn,
)
