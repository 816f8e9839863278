"""Estimators of expectations, which an objective takes by variable, as in ``estimators={"z": "VIMCO"}``.

Without one, the table of `symdgm.lowering.estimators` chooses, always unbiased. The ones with options are
classes: ``estimators={"z": sd.estimators.ScoreFunction(baseline="running mean")}``.

| name | class | for | kind |
| --- | --- | --- | --- |
| ``enumeration`` | `Enumeration` | finite variables | exact |
| ``pathwise`` | `Pathwise` | reparameterised draws | unbiased |
| ``score function`` | `ScoreFunction` | any density | unbiased |
| ``VIMCO`` | `VIMCO` | any density, several draws | unbiased |
| ``REBAR`` | `REBAR`, `RELAX` | Bernoulli | unbiased |
| ``DisARM`` | `DisARM` | Bernoulli | unbiased |
| ``sticking the landing`` | `StickingTheLanding` | reparameterised draws | unbiased |
| ``doubly reparameterised`` | `DoublyReparameterised` | logs of means of weights | unbiased |
| ``Gumbel-softmax`` | `GumbelSoftmax` | Bernoulli, one-hot | biased |
| ``straight-through`` | `StraightThrough` | Bernoulli, one-hot | biased |

For the logarithm of a mean of several draws, "unbiased" is said of the gradient of the bound that it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from symdgm.errors import OptionError, suggest
from symdgm.given import table
from symdgm.lowering.estimation.disarm import DisARM
from symdgm.lowering.estimation.estimator import Recipe
from symdgm.lowering.estimation.exact import Enumeration
from symdgm.lowering.estimation.path_derivative import DoublyReparameterised, StickingTheLanding
from symdgm.lowering.estimation.pathwise import Pathwise
from symdgm.lowering.estimation.rebar import REBAR, RELAX
from symdgm.lowering.estimation.relaxations import GumbelSoftmax, StraightThrough
from symdgm.lowering.estimation.running_mean import RunningMean
from symdgm.lowering.estimation.score_function import ScoreFunction
from symdgm.lowering.estimation.vimco import VIMCO

__all__ = [
    "REBAR",
    "RELAX",
    "VIMCO",
    "DisARM",
    "DoublyReparameterised",
    "Enumeration",
    "GumbelSoftmax",
    "Pathwise",
    "Recipe",
    "RunningMean",
    "ScoreFunction",
    "StickingTheLanding",
    "StraightThrough",
]

NAMES: dict[str, Recipe] = {
    "enumeration": Enumeration(),
    "pathwise": Pathwise(),
    "score function": ScoreFunction(),
    "VIMCO": VIMCO(),
    "REBAR": REBAR(),
    "DisARM": DisARM(),
    "sticking the landing": StickingTheLanding(),
    "doubly reparameterised": DoublyReparameterised(),
    "Gumbel-softmax": GumbelSoftmax(),
    "straight-through": StraightThrough(),
}
"""The estimators by name, with their usual options."""


def read_estimators(
    asked: Mapping[str, str | Recipe] | None, variables: Collection[str]
) -> dict[str, Recipe]:
    """What a user asked for, by variable.

    Args:
        asked: variable → estimator, or its name.
        variables: those that are drawn.

    Raises:
        OptionError: an unknown variable or estimator.

    Example:
        >>> read_estimators({"z": "VIMCO"}, ["z"])
        {'z': VIMCO()}
    """
    found = {}
    for name, estimator in table("estimators", asked, "estimators={'z': 'score function'}").items():
        if name not in variables:
            problem = f"`estimators` names `{name}`, which is no variable of a distribution"
            raise OptionError(problem, hint=suggest(name, variables))
        found[name] = _read(name, estimator)
    return found


def uses_no_closed_form(recipes: Mapping[str, Recipe]) -> frozenset[str]:
    """The variables over which closed forms would hide the gradient that was asked for."""
    return frozenset(name for name, r in recipes.items() if isinstance(r, StickingTheLanding))


def _read(variable: str, estimator: object) -> Recipe:
    if isinstance(estimator, Recipe):
        return estimator
    if isinstance(estimator, str) and estimator in NAMES:
        return NAMES[estimator]
    if isinstance(estimator, type) and issubclass(estimator, Recipe):
        hint = f"make one: `{estimator.__name__}()`"
    else:
        hint = suggest(str(estimator), NAMES)
    raise OptionError(f"the estimator of `{variable}` is {estimator!r}, which is none", hint=hint)
