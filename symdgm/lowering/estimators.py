"""Which estimator an expectation gets: one table, read from the top; the derivation records each choice.

| law | estimator | kind |
| --- | --- | --- |
| data distribution | mean over the minibatch | unbiased |
| the path of a sequence | draws step by step; the score function where steps carry no gradient | unbiased |
| deterministic | the value itself | exact |
| a variable that the user named an estimator for | that one | see `symdgm.estimators` |
| finite support, at most 4096 states | enumeration of the states | exact |
| pathwise | Monte Carlo with reparameterised draws | unbiased |
| nothing trained or given, or stopped by `sg[...]` | Monte Carlo | unbiased |
| finitely many components, each pathwise | draws from every component, weighted | unbiased |
| anything else | score function; its baseline leaves one out over the draws, else over the batch | unbiased |
"""

from __future__ import annotations

from dataclasses import replace

from symdgm.errors import EstimatorError
from symdgm.lowering.estimation.estimator import Estimator, Place, Recipe
from symdgm.lowering.estimation.exact import CERTAIN, ENUMERATION, MINIBATCH, STRATIFIED
from symdgm.lowering.estimation.paths import PATHS, along_path
from symdgm.lowering.estimation.pathwise import FIXED, PATHWISE
from symdgm.lowering.estimation.score_function import ScoreFunction

__all__ = [
    "CERTAIN",
    "ENUMERATION",
    "FIXED",
    "MINIBATCH",
    "PATHS",
    "PATHWISE",
    "STRATIFIED",
    "Estimator",
    "choose",
]


def choose(place: Place, asked: Recipe | None = None, *, many: bool = False) -> Estimator:
    """The estimator for the expectation over a binder.

    Args:
        place: the binder.
        asked: what the user named for its variable.
        many: whether its states are known to be too many to be enumerated.

    Raises:
        EstimatorError: what the user asked for is not sound there, or a law without draws.
    """
    law = place.law
    if law.kind == "path":
        return along_path(place, asked)
    if law.kind == "data":
        return MINIBATCH
    if law.kind == "deterministic":
        return CERTAIN
    if asked is not None:
        return asked.at(place)
    if law.finite and not many and not place.several:
        return ENUMERATION
    if law.pathwise:
        return replace(PATHWISE, count=place.asked)
    if law.fixed or law.stopped:
        return replace(FIXED, count=place.asked)
    if law.stratified and not place.several:
        return replace(STRATIFIED, count=place.asked)
    if not law.drawn:
        over = ", ".join(map(str, law.values))
        raise EstimatorError(
            f"an expectation over `{law.node}` takes draws, but only its log-density is known",
            hint="take it over a law that has draws, and compare the two by their log-densities, as in "
            f"`E_q({over})[log q({over}) - log {law.node}]`",
        )
    return ScoreFunction().at(place)
