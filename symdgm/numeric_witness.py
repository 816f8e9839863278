"""Two formulas compared by evaluating them with what they are bound to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from sympy import Basic
from torch import Tensor

from symdgm.binding import Environment
from symdgm.binding.written import Excerpt
from symdgm.errors import SymdgmError
from symdgm.generation import Generator
from symdgm.objective import Objective
from symdgm.training.randomness import seeded

ROWS, REPEATS, SAMPLES = 16, 25, 32
"""Examples, evaluations, and draws in each."""
Z_MIN = 6.0
"""Standard errors by which two formulas must differ to be refuted."""


def by_evaluation(
    sides: Sequence[Basic], environment: Environment | None, data: Mapping[str, Tensor]
) -> tuple[float, float, float, str] | str:
    """Both values, the error of their difference and where; or why they are not told apart.

    Args:
        sides: the two formulas.
        environment: what they are bound to.
        data: the observed variables, as far as the caller gave them; others are drawn from the model.
    """
    assert environment is not None
    try:
        with seeded(0, _device(environment)):
            objectives = [Objective.over(Excerpt(s), environment, samples=SAMPLES) for s in sides]
            values = _values(objectives, environment, data)
            left, right = (
                o.derivation.subject().measure(
                    o.bound.expression,
                    {k: v for k, v in values.items() if k in o.data},
                    n=ROWS,
                    repeats=REPEATS,
                    samples=SAMPLES,
                )
                for o in objectives
            )
    except SymdgmError as error:
        return f"no proof was found, and they cannot be compared by numbers: {error.problem}"
    spread = math.hypot(left.error, right.error)
    if abs(left.mean - right.mean) > Z_MIN * spread:
        drawn = "the data given" if set(values) <= set(data) else "data drawn from the model"
        return left.mean, right.mean, spread, f"over {REPEATS} evaluations on {drawn}"
    return f"no proof was found, but the two agree within errors: {left} and {right}"


def _values(
    objectives: Sequence[Objective], environment: Environment, data: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The observed variables of both."""
    observed = list(dict.fromkeys(name for o in objectives for name in o.data))
    given = {k: v for k, v in data.items() if k in observed}
    if set(observed) <= set(given):
        return given
    rows = len(next(iter(given.values()))) if given else ROWS
    with torch.no_grad():
        drawn = Generator(environment, {}, observed).sample(rows, given, mean=False)
    return {name: drawn[name] for name in observed}


def _device(environment: Environment) -> torch.device:
    parameters = (p for f in environment.factors for p in f.distribution.parameters())
    return next((p.device for p in parameters), torch.device("cpu"))
