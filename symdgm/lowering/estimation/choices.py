"""What a user chose for the estimators of an objective, and what these keep between evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from symdgm.distributions.networks import Network
from symdgm.lowering.estimation.estimator import Recipe


@dataclass
class Choices:
    """The estimators of an objective.

    Args:
        recipes: variable → what was asked for.
        many: (factor, variable) of the finite variables that have too many states to be enumerated.
        states: the running means by name; an objective keeps them when it is lowered again.
        networks: baselines and control variates by name.
        scalars: the names of the temperatures and weights among the scalars.
    """

    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    many: set[tuple[int, str]] = field(default_factory=set)
    states: dict[str, nn.Module] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    scalars: dict[str, str] = field(default_factory=dict)

    @property
    def modules(self) -> dict[str, object]:
        """What is saved and trained with the objective, by name."""
        return {**self.states, **self.networks}
